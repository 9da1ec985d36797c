"""The sequences on which SP 800-22 rev 1a prints its figures, computed here from their definitions."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from chaos_cipher.quality.bits import Bits

MILLION = 1_000_000


def bits_of(text: str) -> Bits:
    """The zeros and ones of a worked example."""
    return np.array([int(digit) for digit in text], dtype=np.uint8)


@cache
def e(count: int = MILLION) -> Bits:
    """The first bits of e = 10.1011..., the integer part included: the sum of 1/k!."""
    last = 10
    while math.lgamma(last + 1) < (count + 64) * math.log(2):
        last += last // 64 + 1
    over, under = _factorial_sum(0, last)
    return _leading_bits(((over + under) << (count + 32)) // under, count)


def _factorial_sum(low: int, high: int) -> tuple[int, int]:
    """Numerator and denominator of 1/(low+1) + 1/((low+1)(low+2)) + ... up to high."""
    if high - low == 1:
        return 1, high
    middle = (low + high) // 2
    over, under = _factorial_sum(low, middle)
    over_2, under_2 = _factorial_sum(middle, high)
    return over * under_2 + over_2, under * under_2


@cache
def pi(count: int = MILLION) -> Bits:
    """The first bits of pi = 11.0010..., by the series of the brothers Chudnovsky."""
    precision = count + 64
    _, q, t = _chudnovsky(0, precision // 47 + 2)
    root = math.isqrt(10_005 << 2 * precision)
    return _leading_bits(q * 426_880 * root // t, count)


def _chudnovsky(low: int, high: int) -> tuple[int, int, int]:
    if high - low == 1:
        p = (6 * low - 5) * (2 * low - 1) * (6 * low - 1) if low else 1
        q = low**3 * 640_320**3 // 24 if low else 1
        t = p * (13_591_409 + 545_140_134 * low)
        return p, q, -t if low % 2 else t
    middle = (low + high) // 2
    p, q, t = _chudnovsky(low, middle)
    p_2, q_2, t_2 = _chudnovsky(middle, high)
    return p * p_2, q * q_2, t * q_2 + p * t_2


@cache
def root(of: int, count: int = MILLION) -> Bits:
    """The first bits of a square root."""
    return _leading_bits(math.isqrt(of << 2 * (count + 32)), count)


def _leading_bits(number: int, count: int) -> Bits:
    number >>= number.bit_length() - count
    data = number.to_bytes(-(-count // 8), "big")
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8))[-count:]


HUNDRED = pi(100)  # the sequence of most sections x.8
EXPANSIONS: dict[str, Callable[[], Bits]] = {
    "e": e,
    "pi": pi,
    "sqrt2": lambda: root(2),
    "sqrt3": lambda: root(3),
}
