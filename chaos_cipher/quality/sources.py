"""The generators under test: (seed, index of a sequence, length) -> its bytes, the same on every machine."""

from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from typing import Final

from chaos_cipher.logistic import GUARD, HIGHEST_A, LOWEST_A, Parameters, step
from chaos_cipher.schedule import derive_parameters
from chaos_cipher.stream import SEGMENT_BYTES, WARM_UP, keystream

GRID: Final = 1 << 32  # neighbouring usable x0 are so far apart; neighbouring a are 1 apart


class Source(StrEnum):
    LM256 = "lm256"
    ADJACENT_X0 = "adjacent-x0"
    ADJACENT_MU = "adjacent-mu"
    BARE_MAP = "bare-map"
    FLOAT_BYTES = "float-bytes"


Stream = Callable[[int, int], bytes]  # (which neighbour, length) -> its bytes

CONTROL: Final = Source.FLOAT_BYTES  # must fail, or the tests see nothing


def sequence(source: Source, seed: str, index: int, length: int) -> bytes:
    """length bytes; no two sequences of one source and seed share parameters."""
    return _MAKERS[source](seed, index, length)


def _lm256(seed: str, index: int, length: int) -> bytes:
    """The cipher as it is used: one key, the index as nonce, all segments of one long message."""
    key = _digest("key", seed, 0)
    nonce = index.to_bytes(16, "big")
    segments = range(-(-length // SEGMENT_BYTES))
    return b"".join(keystream(derive_parameters(key, nonce, segment), SEGMENT_BYTES) for segment in segments)[
        :length
    ]


def _adjacent_x0(seed: str, index: int, length: int) -> bytes:
    neighbour = _x0_neighbours(seed, index)
    return _laid_out(lambda j, size: keystream(neighbour(j), size), index, length)


def _adjacent_mu(seed: str, index: int, length: int) -> bytes:
    neighbour = _mu_neighbours(seed, index)
    return _laid_out(lambda j, size: keystream(neighbour(j), size), index, length)


def _bare_map(seed: str, index: int, length: int) -> bytes:
    """The map without the hash, so that it is the map that is tested: neighbours of x0 and of mu by turns."""
    neighbour = _x0_neighbours(seed, index) if index % 2 else _mu_neighbours(seed, index)
    return _laid_out(lambda j, size: folded_states(neighbour(j), size), index // 2, length)


def folded_states(parameters: Parameters, length: int) -> bytes:
    """The states of a segment, each as the XOR of its halves, 16 bytes (the blocks of LM256/1)."""
    x, a = parameters.x0, parameters.a
    for _ in range(WARM_UP):
        x = step(x, a)
    made: list[bytes] = []
    for n in range(1, -(-length // 16) + 1):
        x = step(x, a) ^ n
        made.append(((x ^ x >> 128) % (1 << 128)).to_bytes(16, "little"))
    return b"".join(made)[:length]


def _x0_neighbours(seed: str, index: int) -> Callable[[int], Parameters]:
    start = int.from_bytes(_digest("x0", seed, index), "big") >> 34  # 222 bits: room for the neighbours
    a = LOWEST_A + int.from_bytes(_digest("mu", seed, index), "big") % (HIGHEST_A - LOWEST_A)
    return lambda j: Parameters(((start + j) << 32) | GUARD, a)


def _mu_neighbours(seed: str, index: int) -> Callable[[int], Parameters]:
    x0 = (int.from_bytes(_digest("x0", seed, index), "big") >> 33 << 32) | GUARD
    start = LOWEST_A + int.from_bytes(_digest("mu", seed, index), "big") % (HIGHEST_A - LOWEST_A >> 1)
    return lambda j: Parameters(x0, start + j)


def _laid_out(stream: Stream, index: int, length: int) -> bytes:
    """Four ways, by turns, to put the streams of neighbours side by side."""
    match index % 4:
        case 0:
            return _interleaved(stream, 16, 256, length)
        case 1:
            return _interleaved(stream, 256, 64, length)
        case 2:
            return _differences(stream, length)
        case _:
            return _interleaved(stream, SEGMENT_BYTES, 1, length)


def _interleaved(stream: Stream, piece: int, width: int, length: int) -> bytes:
    """The first piece of each of width neighbours, then the second of each, ...; then the next neighbours.

    With a width of 1: one whole stream after the other.
    """
    size = min(SEGMENT_BYTES, -(-length // (piece * width)) * piece)
    made: list[bytes] = []
    for first in range(0, -(-length // size), width):
        streams = [stream(j, size) for j in range(first, first + width)]
        made.extend(one[at : at + piece] for at in range(0, size, piece) for one in streams)
    return b"".join(made)[:length]


def _differences(stream: Stream, length: int) -> bytes:
    """4 KiB of each neighbour XOR the next: what an attacker sees who has one stream and wants the other."""
    size = 4_096
    before = stream(0, size)
    made: list[bytes] = []
    for j in range(1, -(-length // size) + 1):
        after = stream(j, size)
        made.append((int.from_bytes(before, "big") ^ int.from_bytes(after, "big")).to_bytes(size, "big"))
        before = after
    return b"".join(made)[:length]


def _float_bytes(seed: str, index: int, length: int) -> bytes:
    """The negative control: P1's map on floats, a byte floor(256 x), mu on a grid of 10^-7 in (3.57, 4)."""
    digest = _digest("float", seed, index)
    x = (int.from_bytes(digest[:6], "big") + 0.5) / 2**48
    mu = (35_700_001 + int.from_bytes(digest[6:16], "big") % 4_299_999) / 1e7
    for _ in range(WARM_UP):
        x = mu * x * (1.0 - x)
    made = bytearray(length)
    for place in range(length):
        x = mu * x * (1.0 - x)
        made[place] = int(256.0 * x)
    return bytes(made)


def _digest(label: str, seed: str, index: int) -> bytes:
    return sha256(f"LM256 quality/{label}/{index}/{seed}".encode()).digest()


_MAKERS: Final[dict[Source, Callable[[str, int, int], bytes]]] = {
    Source.LM256: _lm256,
    Source.ADJACENT_X0: _adjacent_x0,
    Source.ADJACENT_MU: _adjacent_mu,
    Source.BARE_MAP: _bare_map,
    Source.FLOAT_BYTES: _float_bytes,
}
