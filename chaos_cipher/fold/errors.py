"""Why the attack on LM256/1's fold gives no state.

FoldError
├── HintError            the handed-over leading bits cannot be those of a state or of an a
├── TooFewBlocksError    the known blocks tell less than is unknown
├── NoStateError         no state with these leading bits gives the known blocks
└── LatticeError         a lattice basis that cannot be reduced
"""

from typing import TYPE_CHECKING

from chaos_cipher.errors import ChaosError

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method):  # as in chaos_cipher.errors: nothing beyond the standard library at run time
        return method


class FoldError(ChaosError):
    """Any refusal of this subpackage."""


class HintError(FoldError):
    def __init__(self, subject: str, least: int, most: int) -> None:
        super().__init__(subject, least, most)
        self.subject = subject
        self.least = least
        self.most = most

    @override
    def __str__(self) -> str:
        return f"{self.subject} is out of range; it must be {self.least} to {self.most}"


class TooFewBlocksError(FoldError):
    def __init__(self, blocks: int, told: int, unknown: int) -> None:
        super().__init__(blocks, told, unknown)
        self.blocks = blocks
        self.told = told
        self.unknown = unknown

    @override
    def __str__(self) -> str:
        return (
            f"{self.blocks} blocks tell {self.told} bits of the {self.unknown} that are unknown; "
            "know more blocks or more leading bits"
        )


class NoStateError(FoldError):
    def __init__(self, candidates: int) -> None:
        super().__init__(candidates)
        self.candidates = candidates  # how many short vectors named a state that gave other blocks

    @override
    def __str__(self) -> str:
        return (
            f"no state found ({self.candidates} candidates gave other blocks): the leading bits are wrong, "
            "the blocks are not LM256/1's, or more leading bits are needed"
        )


class LatticeError(FoldError):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @override
    def __str__(self) -> str:
        return f"this basis cannot be reduced: {self.reason}"
