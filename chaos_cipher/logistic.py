"""The Logistic map x -> mu*x*(1 - x) (P1 section 2.2) on 256-bit integers, and which (x0, mu) may drive it.

x = X / 2^256 and mu = 4*a / 2^128. README.md gives the reason for each constant.
"""

from dataclasses import dataclass, field
from typing import Final

from chaos_cipher.errors import ChaosParameterError, Weakness

ONE: Final = (1 << 256) - 1  # stands for x = 1, so that ONE - X is X's mirror image on the same grid
SHIFT: Final = 382  # 256 + 128 fraction bits in, 256 out, and the 4 of mu: 256 + 128 - 2
HALF: Final = 1 << 255
GUARD_MASK: Final = (1 << 32) - 1
GUARD: Final = 1 << 31
LOWEST_A: Final = (1 << 128) - (1 << 96) + 1  # mu > 4 - 2^-30
HIGHEST_A: Final = (1 << 128) - (1 << 95)  # mu <= 4 - 2^-31


def step(x: int, a: int) -> int:
    """One iteration: floor(2^256 * mu*x*(1 - 2^-256 - x)), for 0 <= x < 2^256 and a <= HIGHEST_A."""
    return x * (ONE - x) * a >> SHIFT


@dataclass(frozen=True, slots=True)
class Parameters:
    """The secret start of one segment's orbit: x0 in units of 2^-256, a in units of 2^-126 of mu.

    Raises ChaosParameterError, so that a weak or out-of-range pair never exists.
    """

    x0: int = field(repr=False)
    a: int = field(repr=False)

    def __post_init__(self) -> None:
        _check_x0(self.x0)
        _check_a(self.a)
        first = step(self.x0, self.a)
        if step(first, self.a) == first:
            raise ChaosParameterError(Weakness.FIXED_POINT)


def _check_x0(x0: int) -> None:
    if x0 <= 0:
        raise ChaosParameterError(Weakness.X0_NOT_ABOVE_ZERO)
    if x0 >= HALF:
        raise ChaosParameterError(Weakness.X0_NOT_BELOW_HALF)
    if x0 & GUARD_MASK != GUARD:
        raise ChaosParameterError(Weakness.X0_WITHOUT_GUARD_BITS)


def _check_a(a: int) -> None:
    if a < LOWEST_A:
        raise ChaosParameterError(Weakness.MU_TOO_LOW)
    if a > HIGHEST_A:
        raise ChaosParameterError(Weakness.MU_TOO_HIGH)
