"""LM256/1: what its blocks were. A block showed the two halves of the state folded together."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from chaos_cipher.logistic import step

HALF_BITS: Final = 128
LOW: Final = (1 << HALF_BITS) - 1
WARM_UP: Final = 300
BLOCK_BYTES: Final = 16
SEGMENT_BLOCKS: Final = 4_096


def fold(x: int) -> int:
    """The 128 bits that LM256/1 gave of a 256-bit state: its high half XOR its low half."""
    return (x ^ x >> HALF_BITS) & LOW


def states(x0: int, a: int) -> Iterator[int]:
    """X_1, X_2, … after the warm-up, without end."""
    x = x0
    for _ in range(WARM_UP):
        x = step(x, a)
    return _following(x, a, 0)


def fold_blocks(x0: int, a: int, count: int) -> list[int]:
    """Blocks 1 to count of a segment, as numbers (a block's bytes are little-endian)."""
    return [fold(x) for x in islice(states(x0, a), count)]


def continued(x: int, a: int, n: int, count: int) -> list[int]:
    """The blocks n to n + count - 1 of the segment whose state at block n is x."""
    return [fold(x), *(fold(later) for later in islice(_following(x, a, n), count - 1))]


def as_bytes(blocks: list[int]) -> bytes:
    """The keystream that the blocks stand for."""
    return b"".join(block.to_bytes(BLOCK_BYTES, "little") for block in blocks)


def _following(x: int, a: int, n: int) -> Iterator[int]:
    while True:
        n += 1
        x = step(x, a) ^ n
        yield x
