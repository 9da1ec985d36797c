"""Why a figure is not made: the caller asked for something that cannot be. None of these touches the cipher.

FigureError (a ChaosError)
├── FigurePathError          the output has another ending than .png or .csv, or cannot be written
├── FigureRangeError         an option lies outside the range in which the map is defined or the memory lasts
└── PlotLibraryMissing       a PNG was asked for and matplotlib is not installed
"""

from pathlib import Path
from typing import TYPE_CHECKING

from chaos_cipher.errors import ChaosError

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method):  # typing.override needs Python 3.12; at run time this package needs none of it
        return method


class FigureError(ChaosError):
    """Any refusal of chaos_cipher.figures."""


class FigurePathError(FigureError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    @override
    def __str__(self) -> str:
        return f"cannot write {self.path}: {self.reason}"


class FigureRangeError(FigureError):
    def __init__(self, option: str, value: float, allowed: str) -> None:
        super().__init__(option, value, allowed)
        self.option = option
        self.value = value
        self.allowed = allowed

    @override
    def __str__(self) -> str:
        return f"{self.option} is {self.value:g}; choose {self.allowed}"


class PlotLibraryMissing(FigureError):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @override
    def __str__(self) -> str:
        return (
            f"a PNG ({self.path}) needs matplotlib: pip install '.[figures]', "
            "or ask for a .csv, which needs nothing more"
        )
