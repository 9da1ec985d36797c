"""Time-based one-time passwords (RFC 6238), each accepted at most once."""

import base64
import hmac
from typing import Final, Literal
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import override

from dispatch_server.identity.errors import FactorRefused
from dispatch_server.identity.factors import FactorAttempt, SecondFactor

KIND: Final = "totp"
SECRET_BYTES: Final = 20
WINDOW_STEPS: Final = 1

# SHA-1 is RFC 6238's default and all that many apps know; its collisions do not touch HMAC.
_ALGORITHMS: Final[dict[str, type[SHA1 | SHA256 | SHA512]]] = {
    "SHA1": SHA1,
    "SHA256": SHA256,
    "SHA512": SHA512,
}


class TotpEnrolment(BaseModel):
    """One soft or hardware token of one person. `last_step` is the newest time step ever accepted."""

    # Validation errors would otherwise quote the secret.
    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        hide_input_in_errors=True,
    )

    secret: bytes = Field(min_length=SECRET_BYTES, max_length=64, repr=False)
    digits: int = Field(default=6, ge=6, le=8)
    period_s: int = Field(default=30, ge=15, le=120)
    algorithm: Literal["SHA1", "SHA256", "SHA512"] = "SHA1"
    last_step: int = Field(default=-1, ge=-1)

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode()

    @classmethod
    def from_bytes(cls, blob: bytes) -> "TotpEnrolment":
        """Raises FactorRefused when `blob` is no TOTP enrolment."""
        try:
            return cls.model_validate_json(blob)
        except ValidationError:
            raise FactorRefused(KIND, "enrolment is unreadable: re-enrol the person") from None


def generate_code(enrolment: TotpEnrolment, at_ms: int) -> str:
    """The code that a token shows at `at_ms` (Unix ms)."""
    return _code(enrolment, at_ms // (1000 * enrolment.period_s)).decode()


def provisioning_uri(enrolment: TotpEnrolment, person: str, issuer: str) -> str:
    """The otpauth URI that authenticator apps read from a QR code. It holds the secret: show it once."""
    # Spaces must be %20 and the base32 unpadded, or common apps misread issuer and secret.
    return (
        f"otpauth://totp/{quote(issuer, safe='')}:{quote(person, safe='')}"
        f"?secret={base64.b32encode(enrolment.secret).decode().rstrip('=')}&issuer={quote(issuer, safe='')}"
        f"&algorithm={enrolment.algorithm}&digits={enrolment.digits}&period={enrolment.period_s}"
    )


class TotpFactor(SecondFactor):
    """TOTP as a SecondFactor: gives out no challenge data; the response is the code in ASCII digits."""

    @property
    @override
    def kind(self) -> str:
        return KIND

    @override
    def decoy(self, seed: bytes) -> bytes:
        return TotpEnrolment(secret=seed).to_bytes()

    @override
    def challenge(self, enrolment: bytes, binding: bytes) -> bytes:
        return b""

    @override
    def verify(self, attempt: FactorAttempt) -> bytes:
        enrolment = TotpEnrolment.from_bytes(attempt.enrolment)
        if len(attempt.response) != enrolment.digits or not attempt.response.isdigit():
            raise FactorRefused(KIND, f"a code has {enrolment.digits} digits")
        step = _accepted_step(enrolment, attempt.response, attempt.at_ms)
        if step <= enrolment.last_step:
            raise FactorRefused(KIND, "code was used before, or is older than one that was")
        return enrolment.model_copy(update={"last_step": step}).to_bytes()


def _accepted_step(enrolment: TotpEnrolment, code: bytes, at_ms: int) -> int:
    now = at_ms // (1000 * enrolment.period_s)
    steps = range(max(0, now - WINDOW_STEPS), now + WINDOW_STEPS + 1)
    # Every step is compared, whichever matches. Of two steps with the same code the newest counts as used:
    # with the older one the very same code could be accepted a second time.
    matching = [step for step in steps if hmac.compare_digest(_code(enrolment, step), code)]
    if not matching:
        raise FactorRefused(KIND, "code does not match")
    return max(matching)


def _code(enrolment: TotpEnrolment, step: int) -> bytes:
    algorithm = _ALGORITHMS[enrolment.algorithm]()
    totp = TOTP(enrolment.secret, enrolment.digits, algorithm, enrolment.period_s)
    return totp.generate(step * enrolment.period_s)
