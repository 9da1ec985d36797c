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
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes, expected: frozenset[Kind]) -> Iterator[tuple[Kind, bytes]]:
        """Yield each whole frame. Raises PeerFault(OVERSIZED | MALFORMED | UNEXPECTED)."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            length, code = _HEADER.unpack_from(self._buffer)
            kind = _KINDS.get(code)
            if kind is None:
                raise PeerFault(WireCode.MALFORMED, f"frame kind {code} does not exist")
            if length > _MAX_PAYLOAD[kind]:
                raise PeerFault(
                    WireCode.OVERSIZED, f"{kind.name} of {length} B, limit {_MAX_PAYLOAD[kind]} B"
                )
            if kind not in expected:
                raise PeerFault(WireCode.UNEXPECTED, f"{kind.name} is not allowed now")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield kind, payload
