"""LM256 a second time, slowly, from its formula in exact fractions. Shares no code with chaos_cipher."""

import hashlib
import hmac
from fractions import Fraction
from functools import lru_cache
from math import floor

UNIT = Fraction(1, 2**256)
WHOLE = 1 - UNIT
MU_STEP = Fraction(4, 2**128)


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 section 2.3, from HMAC alone."""
    out = block = b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def number(big_endian: bytes) -> int:
    value = 0
    for byte in big_endian:
        value = value * 256 + byte
    return value


def start(key: bytes, nonce: bytes, segment: int) -> tuple[Fraction, Fraction]:
    """(x0, mu) of a segment."""
    okm = hkdf_expand(key, b"LM256/2" + nonce + number_bytes(segment), 48)
    x0 = (floor(Fraction(number(okm[:32]), 2**33)) * 2**32 + 2**31) * UNIT
    mu = 4 - Fraction(1, 2**31) - floor(Fraction(number(okm[32:]), 2**33)) * MU_STEP
    return x0, mu


def number_bytes(segment: int) -> bytes:
    return bytes(segment // 256**place % 256 for place in (3, 2, 1, 0))


def iterate(x: Fraction, mu: Fraction) -> Fraction:
    """mu*x*(1 - x) with 1 the last point of the grid, rounded down to the grid."""
    return floor(mu * x * (WHOLE - x) / UNIT) * UNIT


def weakness(x0: Fraction, mu: Fraction) -> str | None:
    """The name under which (x0, mu) must be refused, None if it may be used."""
    if x0 <= 0:
        return "x0-not-above-zero"
    if x0 >= Fraction(1, 2):
        return "x0-not-below-half"
    if x0 / UNIT % 2**32 != 2**31:
        return "x0-without-guard-bits"
    if mu <= 4 - Fraction(1, 2**30):
        return "mu-too-low"
    if mu > 4 - Fraction(1, 2**31):
        return "mu-too-high"
    image = iterate(x0, mu)
    return "fixed-point" if image in (x0, iterate(image, mu)) else None


def blocks(x0: Fraction, mu: Fraction, count: int) -> bytes:
    """The keystream of one segment: count blocks of 32 bytes."""
    x = x0
    for _ in range(300):
        x = iterate(x, mu)
    out = bytearray()
    for n in range(1, count + 1):
        x = (floor(iterate(x, mu) / UNIT) ^ n) * UNIT
        state = bytes(floor(x / UNIT) // 256**place % 256 for place in reversed(range(32)))
        out += hashlib.sha256(state).digest()
    return bytes(out)


@lru_cache(maxsize=64)
def segment_stream(key: bytes, nonce: bytes, segment: int, count: int) -> bytes:
    return blocks(*start(key, nonce, segment), count)


def message_stream(key: bytes, nonce: bytes, length: int) -> bytes:
    whole, rest = divmod(length, 65_536)
    counts = [2048] * whole + [-(-rest // 32)]
    return b"".join(segment_stream(key, nonce, i, count) for i, count in enumerate(counts))[:length]


def encrypt(key: bytes, nonce: bytes, data: bytes) -> bytes:
    stream = message_stream(key, nonce, len(data))
    return bytes(byte ^ mask for byte, mask in zip(data, stream, strict=True))
