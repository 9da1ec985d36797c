"""The parameters of a segment -> its keystream, at most 64 KiB."""

from typing import Final

from chaos_cipher.errors import ChaosLengthError
from chaos_cipher.logistic import Parameters, step

BLOCK_BYTES: Final = 16
SEGMENT_BYTES: Final = 1 << 16
WARM_UP: Final = 300  # P1 section 2.2
LOW_HALF: Final = (1 << 128) - 1


def keystream(parameters: Parameters, length: int) -> bytes:
    """The first length bytes (0 to 65,536) of a segment's keystream. Raises ChaosLengthError."""
    if not 0 <= length <= SEGMENT_BYTES:
        raise ChaosLengthError("keystream of one segment", length, SEGMENT_BYTES)
    x, a = parameters.x0, parameters.a
    for _ in range(WARM_UP):
        x = step(x, a)
    blocks: list[bytes] = []
    for n in range(1, -(-length // BLOCK_BYTES) + 1):
        x = step(x, a) ^ n
        blocks.append(((x ^ (x >> 128)) & LOW_HALF).to_bytes(BLOCK_BYTES, "little"))
    return b"".join(blocks)[:length]
