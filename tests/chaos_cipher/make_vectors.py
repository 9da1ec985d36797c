"""Writes vectors/*.json from the reference: python -m tests.chaos_cipher.make_vectors"""

import hashlib
from math import floor
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tests.chaos_cipher import reference
from tests.chaos_cipher.support import EXTREMES

FOLDER = Path(__file__).parent / "vectors"
VALID_FILE = FOLDER / "valid.json"
INVALID_FILE = FOLDER / "invalid.json"
LENGTHS = (0, 1, 31, 32, 33, 255, 256, 4_096, 65_535, 65_536, 65_537, 131_073)
KEYS_AND_NONCES = {
    "zeros": (bytes(32), bytes(16)),
    "ones": (b"\xff" * 32, b"\xff" * 16),
    "counting": (bytes(range(32)), bytes(range(16))),
    "last key bit": (bytes(31) + b"\x01", bytes(16)),
    "last nonce bit": (bytes(32), bytes(15) + b"\x01"),
}
COUNTING = KEYS_AND_NONCES["counting"]
QUARTER = 2**254 + 2**31
GOOD_A = 2**128 - 2**95 - 2**94
# x0 is the second pre-image 1/mu of the fixed point 1 - 1/mu; found by search, there is one in some 10^10 a
LANDS_ON_FIXED_POINT = (
    0x400000002276B2F4E55AC11D91C96157AD22FCD5893349E550DC764180000000,
    0xFFFFFFFF7625342CB4D0E4B1CD713B9D,
)


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class OrbitVector(Strict):
    name: str
    key: str
    nonce: str
    segment: int
    x0: str
    a: str
    keystream: str


class ExtremeVector(Strict):
    x0: str
    a: str
    keystream: str


class MessageVector(Strict):
    key: str
    nonce: str
    length: int
    sha256: str
    last_16: str


class ValidVectors(Strict):
    made_by: str
    orbits: list[OrbitVector]
    extremes: list[ExtremeVector]
    plaintext: str
    messages: list[MessageVector]


class WeakParameters(Strict):
    name: str
    x0: str
    a: str
    weakness: str


class RefusedInput(Strict):
    name: str
    call: Literal["apply", "derive_parameters", "keystream"]
    key_bytes: int = 32
    nonce_bytes: int = 16
    segment: int = 0
    length: int = 0
    error: Literal["ChaosKeyError", "ChaosNonceError", "ChaosLengthError"]


class InvalidVectors(Strict):
    made_by: str
    parameters: list[WeakParameters]
    inputs: list[RefusedInput]


def plaintext(length: int) -> bytes:
    return bytes(7 * i % 251 for i in range(length))


def orbit(name: str, key: bytes, nonce: bytes, segment: int) -> OrbitVector:
    x0, mu = reference.start(key, nonce, segment)
    return OrbitVector(
        name=f"{name}, segment {segment}",
        key=key.hex(),
        nonce=nonce.hex(),
        segment=segment,
        x0=hex(floor(x0 / reference.UNIT)),
        a=hex(floor(mu / reference.MU_STEP)),
        keystream=reference.segment_stream(key, nonce, segment, 3).hex(),
    )


def extreme(x0: int, a: int) -> ExtremeVector:
    stream = reference.blocks(x0 * reference.UNIT, a * reference.MU_STEP, 3)
    return ExtremeVector(x0=hex(x0), a=hex(a), keystream=stream.hex())


def message(length: int) -> MessageVector:
    key, nonce = COUNTING
    stream = reference.message_stream(key, nonce, max(LENGTHS))[:length]
    cipher = bytes(byte ^ mask for byte, mask in zip(plaintext(length), stream, strict=True))
    return MessageVector(
        key=key.hex(),
        nonce=nonce.hex(),
        length=length,
        sha256=hashlib.sha256(cipher).hexdigest(),
        last_16=cipher[-16:].hex(),
    )


def valid_vectors() -> ValidVectors:
    orbits = [orbit(name, *pair, 0) for name, pair in KEYS_AND_NONCES.items()]
    orbits += [orbit("counting", *COUNTING, segment) for segment in (1, 2, 258, 2**32 - 1)]
    return ValidVectors(
        made_by="tests.chaos_cipher.make_vectors",
        orbits=orbits,
        extremes=[extreme(x0, a) for x0, a in EXTREMES],
        plaintext="byte i is 7*i mod 251",
        messages=[message(length) for length in LENGTHS],
    )


def weak(name: str, x0: int, a: int) -> WeakParameters:
    weakness = reference.weakness(x0 * reference.UNIT, a * reference.MU_STEP)
    assert weakness is not None, name
    return WeakParameters(name=name, x0=hex(x0), a=hex(a), weakness=weakness)


def weak_parameters() -> list[WeakParameters]:
    return [
        weak("x0 = 0, the fixed point that overflow or underflow ends in", 0, GOOD_A),
        weak("x0 negative", -(2**31), GOOD_A),
        weak("x0 = 1/2, the critical point", 2**255, GOOD_A),
        weak("x0 just over 1/2", 2**255 + 2**31, GOOD_A),
        weak("x0 = 3/4, the other fixed point at mu = 4", 3 * 2**254, GOOD_A),
        weak("x0 = 1, which maps to 0", 2**256 - 1, GOOD_A),
        weak("x0 = 2, off the interval", 2**257, GOOD_A),
        weak("x0 = 1/4 with its guard bits zero", 2**254, GOOD_A),
        weak("x0 with a low bit in its guard", QUARTER + 1, GOOD_A),
        weak("mu = 0", QUARTER, 0),
        weak("mu = 3.5, period 4", QUARTER, 7 * 2**125),
        weak("mu = 3.83, the window of period 3", QUARTER, 383 * 2**128 // 400),
        weak("mu = 4 - 2^-30, the open end", QUARTER, 2**128 - 2**96),
        weak("mu just over 4 - 2^-31", QUARTER, 2**128 - 2**95 + 1),
        weak("mu = 4, whose orbit can meet 1 and then 0", QUARTER, 2**128),
        weak("x0 = 1/mu, whose image is a fixed point", *LANDS_ON_FIXED_POINT),
    ]


def refused_inputs() -> list[RefusedInput]:
    def case(name: str, call: Literal["apply", "derive_parameters"], **sizes: int) -> RefusedInput:
        error = "ChaosKeyError" if "key_bytes" in sizes else "ChaosNonceError"
        return RefusedInput.model_validate({"name": name, "call": call, "error": error, **sizes})

    calls: tuple[Literal["apply", "derive_parameters"], ...] = ("apply", "derive_parameters")
    cases = [case(f"key of {n} bytes", call, key_bytes=n) for call in calls for n in (0, 16, 31, 33, 64)]
    cases += [case(f"nonce of {n} bytes", call, nonce_bytes=n) for call in calls for n in (0, 12, 15, 17)]
    long: Literal["ChaosLengthError"] = "ChaosLengthError"
    return [
        *cases,
        RefusedInput(name="message over 16 MiB", call="apply", length=2**24 + 1, error=long),
        RefusedInput(name="segment -1", call="derive_parameters", segment=-1, error=long),
        RefusedInput(name="segment 2^32", call="derive_parameters", segment=2**32, error=long),
        RefusedInput(name="keystream of -1 bytes", call="keystream", length=-1, error=long),
        RefusedInput(name="keystream over a segment", call="keystream", length=65_537, error=long),
    ]


def invalid_vectors() -> InvalidVectors:
    return InvalidVectors(
        made_by="tests.chaos_cipher.make_vectors", parameters=weak_parameters(), inputs=refused_inputs()
    )


def as_text(vectors: Strict) -> str:
    return vectors.model_dump_json(indent=1) + "\n"


if __name__ == "__main__":
    VALID_FILE.write_text(as_text(valid_vectors()), encoding="utf-8")
    INVALID_FILE.write_text(as_text(invalid_vectors()), encoding="utf-8")
