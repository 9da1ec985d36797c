"""Bytes <-> frames: `length u32be | kind u8 | payload`. The length is checked before the payload is read."""

import struct
from collections.abc import Iterator
from enum import IntEnum

from protocol.errors import LocalMisuse, PeerFault, WireCode
from protocol.limits import MAX_HANDSHAKE_FRAME, MAX_SESSION_FRAME

_HEADER = struct.Struct("!IB")


class Kind(IntEnum):
    """What a frame carries."""

    HELLO = 1
    WELCOME = 2
    POLL = 3
    REPORT = 4
    DELIVER = 5
    REPLY = 6
    GOODBYE = 7


_KINDS = {int(kind): kind for kind in Kind}
_MAX_PAYLOAD = {
    Kind.HELLO: MAX_HANDSHAKE_FRAME,
    Kind.WELCOME: MAX_HANDSHAKE_FRAME,
    Kind.GOODBYE: MAX_HANDSHAKE_FRAME,
    Kind.POLL: 256,
    Kind.REPORT: MAX_SESSION_FRAME,
    Kind.DELIVER: MAX_SESSION_FRAME,
    Kind.REPLY: MAX_SESSION_FRAME,
}


def encode_frame(kind: Kind, payload: bytes) -> bytes:
    """One frame as bytes. Raises LocalMisuse when the payload is over the limit of its kind."""
    if len(payload) > _MAX_PAYLOAD[kind]:
        raise LocalMisuse(f"{kind.name} payload of {len(payload)} B is over {_MAX_PAYLOAD[kind]} B")
    return _HEADER.pack(len(payload), kind) + payload


class FrameReader:
    """Cuts a byte stream into frames; holds at most one unfinished frame.

    `expected` narrows what is allowed next, so before the handshake is done only its small frames pass.
    Whoever digests a frame may change it for those that follow in the same piece.
    """

    __slots__ = ("_buffer", "expected")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.expected: frozenset[Kind] = frozenset()

    def feed(self, data: bytes, expected: frozenset[Kind]) -> Iterator[tuple[Kind, bytes]]:
        """Yield each whole frame. Raises PeerFault(OVERSIZED | MALFORMED | UNEXPECTED)."""
        self.expected = expected
        if not self._buffer and len(data) >= _HEADER.size:
            kind, end = _read_header(data, expected)
            if len(data) == end:  # nearly always: one frame, and all of it
                yield kind, data[_HEADER.size :]
                return
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            kind, end = _read_header(self._buffer, self.expected)
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            if not self._buffer:
                self._buffer = bytearray()  # an emptied one keeps the memory of the largest frame
            yield kind, payload


def _read_header(data: bytes | bytearray, expected: frozenset[Kind]) -> tuple[Kind, int]:
    """The kind of the first frame and where it ends. Raises PeerFault."""
    length, code = _HEADER.unpack_from(data)
    kind = _KINDS.get(code)
    if kind is None:
        raise PeerFault(WireCode.MALFORMED, f"frame kind {code} does not exist")
    if length > _MAX_PAYLOAD[kind]:
        raise PeerFault(WireCode.OVERSIZED, f"{kind.name} of {length} B, limit {_MAX_PAYLOAD[kind]} B")
    if kind not in expected:
        raise PeerFault(WireCode.UNEXPECTED, f"{kind.name} is not allowed now")
    return kind, _HEADER.size + length
