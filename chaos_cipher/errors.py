"""Why the chaotic cipher refuses. All of these are misuse by the caller; none of them carries a secret.

ChaosError
├── ChaosKeyError            the key has the wrong length
├── ChaosNonceError          the nonce has the wrong length
├── ChaosNonceReuseError     an encrypting side was handed a nonce that is not new
├── ChaosLengthError         a length or a segment number is outside its limits
└── ChaosParameterError      parameters that would give a weak orbit, named by their Weakness
"""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method):  # typing.override needs Python 3.12; at run time this package needs none of it
        return method


class Weakness(StrEnum):
    """The name under which a pair (x0, mu) is refused."""

    X0_NOT_ABOVE_ZERO = "x0-not-above-zero"
    X0_NOT_BELOW_HALF = "x0-not-below-half"
    X0_WITHOUT_GUARD_BITS = "x0-without-guard-bits"
    MU_TOO_LOW = "mu-too-low"
    MU_TOO_HIGH = "mu-too-high"
    FIXED_POINT = "fixed-point"


class ChaosError(Exception):
    """Any refusal of this package."""


class ChaosKeyError(ChaosError):
    def __init__(self, length: int, needed: int) -> None:
        super().__init__(length, needed)
        self.length = length
        self.needed = needed

    @override
    def __str__(self) -> str:
        return f"key has {self.length} bytes; derive one of exactly {self.needed} bytes for this cipher alone"


class ChaosNonceError(ChaosError):
    def __init__(self, length: int, needed: int) -> None:
        super().__init__(length, needed)
        self.length = length
        self.needed = needed

    @override
    def __str__(self) -> str:
        return f"nonce has {self.length} bytes; hand in exactly {self.needed}, new for every message of a key"


class ChaosNonceReuseError(ChaosError):
    def __init__(self, nonce: bytes, highest: bytes) -> None:
        super().__init__(nonce, highest)
        self.nonce = nonce
        self.highest = highest

    @override
    def __str__(self) -> str:
        return (
            f"nonce {self.nonce.hex()} is not above {self.highest.hex()}, which this key has used; "
            "number messages upwards, or agree a new key"
        )


class ChaosLengthError(ChaosError):
    def __init__(self, subject: str, value: int, limit: int, least: int = 0) -> None:
        super().__init__(subject, value, limit, least)
        self.subject = subject
        self.value = value
        self.limit = limit
        self.least = least

    @override
    def __str__(self) -> str:
        return f"{self.subject} is {self.value}; it must be {self.least} to {self.limit}"


class ChaosParameterError(ChaosError):
    def __init__(self, weakness: Weakness) -> None:
        super().__init__(weakness)
        self.weakness = weakness

    @override
    def __str__(self) -> str:
        return f"parameters refused ({self.weakness}); take them from derive_parameters() only"
