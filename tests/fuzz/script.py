"""A fuzzed input as a list of deeds: `deed u8 | length u16 big-endian | payload`, the last one may be cut."""

import struct
from collections.abc import Iterable, Iterator

_HEADER = struct.Struct("!BH")

Deed = tuple[int, bytes]


def write(deeds: Iterable[Deed]) -> bytes:
    """The script of these deeds."""
    return b"".join(_HEADER.pack(deed, len(payload)) + payload for deed, payload in deeds)


def read(data: bytes) -> Iterator[Deed]:
    """The deeds of a script; every sequence of bytes is one."""
    at = 0
    while at + _HEADER.size <= len(data):
        deed, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        yield deed, data[at : at + length]
        at += length
