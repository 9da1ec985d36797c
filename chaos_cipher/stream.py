"""The parameters of a segment -> its keystream, at most 64 KiB."""

from hashlib import sha256
from typing import Final

from chaos_cipher.errors import ChaosLengthError
from chaos_cipher.logistic import ONE, SHIFT, Parameters

BLOCK_BYTES: Final = 32
SEGMENT_BYTES: Final = 1 << 16
SEGMENT_BLOCKS: Final = SEGMENT_BYTES // BLOCK_BYTES
WARM_UP: Final = 300  # P1 section 2.2
STATE_BYTES: Final = 32


class Orbit:
    """A segment's orbit, warmed up; it gives its 2,048 blocks in order, as many at a time as one likes.

    Both loops write `logistic.step` out: the call would be some 6 % of a cold order.
    """

    __slots__ = ("_a", "_n", "_x")

    def __init__(self, parameters: Parameters) -> None:
        x, a = parameters.x0, parameters.a
        for _ in range(WARM_UP):
            x = x * (ONE - x) * a >> SHIFT
        self._x, self._a, self._n = x, a, 0

    @property
    def blocks_left(self) -> int:
        """How many of the segment's blocks were not given yet."""
        return SEGMENT_BLOCKS - self._n

    def blocks(self, count: int) -> bytes:
        """The next `count` blocks, 32 bytes each. Raises ChaosLengthError beyond the segment's end."""
        if not 0 <= count <= self.blocks_left:
            raise ChaosLengthError("number of blocks", count, self.blocks_left)
        x, a, first = self._x, self._a, self._n + 1
        blocks: list[bytes] = []
        for n in range(first, first + count):
            x = (x * (ONE - x) * a >> SHIFT) ^ n
            blocks.append(sha256(x.to_bytes(STATE_BYTES, "big")).digest())
        self._x, self._n = x, self._n + count
        return b"".join(blocks)


def keystream(parameters: Parameters, length: int) -> bytes:
    """The first length bytes (0 to 65,536) of a segment's keystream. Raises ChaosLengthError."""
    if not 0 <= length <= SEGMENT_BYTES:
        raise ChaosLengthError("keystream of one segment", length, SEGMENT_BYTES)
    return Orbit(parameters).blocks(-(-length // BLOCK_BYTES))[:length]
