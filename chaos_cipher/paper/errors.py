"""Why the attack on the paper's cipher gives no answer.

PaperError
├── PaperKeyError            mu or x0 is outside the paper's ranges
├── TooFewKnownBytesError    the known text is too short to single out a key
├── TextTooShortError        nothing of the secret text is left to predict
├── NoKeyError               no key of the paper's cipher gives the known bytes
└── UndecidedKeyError        keys fit, but too many to search, and none of a sample gives the bytes exactly
"""

from typing import TYPE_CHECKING

from chaos_cipher.errors import ChaosError

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method):  # as in chaos_cipher.errors: nothing beyond the standard library at run time
        return method


class PaperError(ChaosError):
    """Any refusal of this subpackage."""


class PaperKeyError(PaperError):
    def __init__(self, subject: str) -> None:
        super().__init__(subject)
        self.subject = subject

    @override
    def __str__(self) -> str:
        return f"{self.subject} is out of range; mu is in (3.5699456, 4] in steps of 1e-7, x0 in (0, 1)"


class TooFewKnownBytesError(PaperError):
    def __init__(self, length: int, needed: int) -> None:
        super().__init__(length, needed)
        self.length = length
        self.needed = needed

    @override
    def __str__(self) -> str:
        return f"{self.length} bytes are known; hand in at least {self.needed} from the start of one message"


class TextTooShortError(PaperError):
    def __init__(self, length: int, known: int) -> None:
        super().__init__(length, known)
        self.length = length
        self.known = known

    @override
    def __str__(self) -> str:
        return (
            f"the text has {self.length} bytes and {self.known} are known; "
            "give a longer text, so that something is left to predict"
        )


class NoKeyError(PaperError):
    def __init__(self, excluded_after: int, left: tuple[tuple[int, int], ...]) -> None:
        super().__init__(excluded_after, left)
        self.excluded_after = excluded_after
        self.left = left  # (known bytes used, values of mu not yet excluded), stage by stage

    @override
    def __str__(self) -> str:
        return (
            f"no key of the paper's cipher gives the first {self.excluded_after} known bytes; check that "
            "they are the start of one message, its plaintext XOR its ciphertext, and that it is this cipher"
        )


class UndecidedKeyError(PaperError):
    def __init__(self, candidates: float) -> None:
        super().__init__(candidates)
        self.candidates = candidates

    @override
    def __str__(self) -> str:
        return f"about {self.candidates:.3g} keys are left, too many to search; know more of the message"
