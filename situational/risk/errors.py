"""Everything that can go wrong in the risk assessment, by whose fault it is.

RiskError (a SituationalError)
├── InputError             the file's fault: correct it
│   ├── UnreadableError
│   └── BadCellError
├── CounterError           the running system's: a counter that cannot be one
├── FiguresMissingError    the environment's: the drawing library is not installed
└── RiskMisuseError        the caller's
    ├── BadIntervalError
    ├── BadWeightsError
    ├── BadShapeError
    └── BadBoardError
"""

from __future__ import annotations

from typing_extensions import override

from situational.errors import SituationalError


class RiskError(SituationalError):
    """Base of every error of the risk assessment."""


class InputError(RiskError):
    """The experts' file is wrong."""


class UnreadableError(InputError):
    def __init__(self, form: str, problem: str) -> None:
        super().__init__(form, problem)
        self.form = form
        self.problem = problem

    @override
    def __str__(self) -> str:
        return f"the experts' intervals cannot be read as {self.form}: {self.problem}"


class BadCellError(InputError):
    """`cell` is the path of the wrong value, as `experts[3] "Li" / C22 / severity`."""

    def __init__(self, cell: str, problem: str) -> None:
        super().__init__(cell, problem)
        self.cell = cell
        self.problem = problem

    @override
    def __str__(self) -> str:
        return f"{self.cell}: {self.problem}"


class CounterError(RiskError):
    def __init__(self, name: str, value: object) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    @override
    def __str__(self) -> str:
        return f"counter {self.name} = {self.value!r}: needed: a finite number, 0 or more, that only grows"


class FiguresMissingError(RiskError):
    @override
    def __str__(self) -> str:
        return "charts need matplotlib: pip install '.[figures]'"


class RiskMisuseError(RiskError):
    """The calling code is wrong."""


class BadIntervalError(RiskMisuseError):
    def __init__(self, lower: float, upper: float) -> None:
        super().__init__(lower, upper)
        self.lower = lower
        self.upper = upper

    @override
    def __str__(self) -> str:
        return f"[{self.lower}, {self.upper}] is no interval: it needs 0 <= lower <= upper <= 1e300"


class BadWeightsError(RiskMisuseError):
    def __init__(self, weights: tuple[float, ...], items: int) -> None:
        super().__init__(weights, items)
        self.weights = weights
        self.items = items

    @override
    def __str__(self) -> str:
        return f"weights {self.weights} of {self.items} items: give each item one, 0 or more, with the sum 1"


class BadShapeError(RiskMisuseError):
    def __init__(self, what: str, got: str, need: str) -> None:
        super().__init__(what, got, need)
        self.what = what
        self.got = got
        self.need = need

    @override
    def __str__(self) -> str:
        return f"{self.what}: {self.got}; needed: {self.need}"


class BadBoardError(RiskMisuseError):
    def __init__(self, shown: tuple[str, ...], assessed: tuple[str, ...]) -> None:
        super().__init__(shown, assessed)
        self.shown = shown
        self.assessed = assessed

    @override
    def __str__(self) -> str:
        return (
            f"the board shows {', '.join(self.shown)}, the assessment has {', '.join(self.assessed)}: "
            "begin a new board when the items change"
        )
