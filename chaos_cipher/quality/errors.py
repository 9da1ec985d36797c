"""Why a quality run cannot be made. A generator that fails the tests is a verdict, not an error.

QualityError
├── SequenceTooShort      a sequence has too few bits for any test, or bytes for the bits asked
├── NotOneStream          raw bytes of several sources or seeds at once
└── DieharderError
    ├── DieharderMissing  the program is not installed
    └── DieharderBroken   it ended without results that can be read
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method):  # as in chaos_cipher.errors: nothing but cryptography and numpy at run time
        return method


class QualityError(Exception):
    """Any reason why a quality run cannot be made."""


class SequenceTooShort(QualityError):
    def __init__(self, bits: int, needed: int) -> None:
        super().__init__(bits, needed)
        self.bits = bits
        self.needed = needed

    @override
    def __str__(self) -> str:
        return f"a sequence has {self.bits} bits; the tests need at least {self.needed}: raise --bits"


class NotOneStream(QualityError):
    def __init__(self, sources: int, seeds: int) -> None:
        super().__init__(sources, seeds)
        self.sources = sources
        self.seeds = seeds

    @override
    def __str__(self) -> str:
        return f"--raw writes one stream; choose one of {self.sources} sources and one of {self.seeds} seeds"


class DieharderError(QualityError):
    """The dieharder program cannot be used."""


class DieharderMissing(DieharderError):
    @override
    def __str__(self) -> str:
        return (
            "dieharder is not installed: install it (Debian: apt install dieharder) and run this again, or "
            "write a stream with --raw and give it to a battery of your own"
        )


class DieharderBroken(DieharderError):
    def __init__(self, status: int, told: str) -> None:
        super().__init__(status, told)
        self.status = status
        self.told = told

    @override
    def __str__(self) -> str:
        return f"dieharder ended with status {self.status} and no result to read; it said: {self.told!r}"
