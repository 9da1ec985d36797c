"""P1 section 2.2's cipher taken literally, in float64. Broken: here to be attacked only."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import shake_256
from itertools import islice
from typing import Final

from chaos_cipher.paper.errors import PaperKeyError

GRID: Final = 10**7  # P1 gives mu's lower end with seven decimals
LOWEST_MU: Final = 35_699_457  # the first grid point above 3.5699456
HIGHEST_MU: Final = 40_000_000
WARM_UP: Final = 300  # P1 section 2.2


@dataclass(frozen=True, slots=True)
class PaperKey:
    """mu in units of 1e-7, and x0. Raises PaperKeyError."""

    mu_index: int = field(repr=False)
    x0: float = field(repr=False)

    def __post_init__(self) -> None:
        if not LOWEST_MU <= self.mu_index <= HIGHEST_MU:
            raise PaperKeyError("mu")
        if not 0 < self.x0 < 1:
            raise PaperKeyError("x0")

    @property
    def mu(self) -> float:
        return self.mu_index / GRID


def draw_key(seed: int, number: int) -> PaperKey:
    """The key with this number under a seed: mu uniform on its grid, x0 an odd multiple of 2^-53."""
    raw = shake_256(f"paper key {seed} {number}".encode()).digest(32)
    mu_index = LOWEST_MU + int.from_bytes(raw[:16], "big") % (HIGHEST_MU - LOWEST_MU + 1)
    return PaperKey(mu_index, (int.from_bytes(raw[16:], "big") >> 76 << 1 | 1) / 2**53)


def byte_of(x: float) -> int:
    """floor(256 x); x = 1, which mu = 4 alone can reach, has no byte of its own and counts as 255."""
    return min(int(256 * x), 255)


def orbit(key: PaperKey) -> Iterator[float]:
    """The states after the discarded ones, each computed as (mu*x)*(1 - x)."""
    mu, x = key.mu, key.x0
    for _ in range(WARM_UP):
        x = mu * x * (1 - x)
    while True:
        x = mu * x * (1 - x)
        yield x


def paper_keystream(key: PaperKey, length: int) -> bytes:
    return bytes(byte_of(x) for x in islice(orbit(key), length))


def paper_apply(key: PaperKey, data: bytes) -> bytes:
    """Data XOR keystream: its own inverse."""
    return xor(data, paper_keystream(key, len(data)))


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
