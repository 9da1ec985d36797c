"""protocol/frames.py: bytes <-> frames."""

import struct
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalMisuse, PeerFault, WireCode
from protocol.frames import FrameReader, Kind, encode_frame
from protocol.limits import MAX_HANDSHAKE_FRAME, MAX_SESSION_FRAME
from protocol.messages import LedgerHead, Poll

ALL = frozenset(Kind)
LIMITS = {
    Kind.HELLO: MAX_HANDSHAKE_FRAME,
    Kind.WELCOME: MAX_HANDSHAKE_FRAME,
    Kind.POLL: 256,
    Kind.REPORT: MAX_SESSION_FRAME,
    Kind.DELIVER: MAX_SESSION_FRAME,
    Kind.REPLY: MAX_SESSION_FRAME,
    Kind.GOODBYE: MAX_HANDSHAKE_FRAME,
}
FRAMES = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=64)), max_size=6)


def header(length: int, code: int) -> bytes:
    return struct.pack("!IB", length, code)


def refusal(data: bytes, expected: frozenset[Kind] = ALL) -> WireCode:
    with pytest.raises(PeerFault) as caught:
        list(FrameReader().feed(data, expected))
    return caught.value.code


def test_a_frame_is_its_length_its_kind_and_its_payload() -> None:
    assert encode_frame(Kind.POLL, b"abc") == b"\x00\x00\x00\x03\x03abc"


@pytest.mark.parametrize("kind", Kind)
def test_a_payload_of_exactly_the_limit_passes(kind: Kind) -> None:
    payload = bytes(LIMITS[kind])
    assert list(FrameReader().feed(encode_frame(kind, payload), ALL)) == [(kind, payload)]


@pytest.mark.parametrize("kind", Kind)
def test_an_oversized_frame_is_refused_from_its_header_alone(kind: Kind) -> None:
    assert refusal(header(LIMITS[kind] + 1, kind)) is WireCode.OVERSIZED
    assert refusal(header(0xFFFF_FFFF, kind)) is WireCode.OVERSIZED


@pytest.mark.parametrize("kind", Kind)
def test_we_cannot_send_an_oversized_frame_ourselves(kind: Kind) -> None:
    with pytest.raises(LocalMisuse, match=kind.name):
        encode_frame(kind, bytes(LIMITS[kind] + 1))


@pytest.mark.parametrize("code", [0, len(Kind) + 1, 255])
def test_an_unknown_kind_is_refused_from_its_header_alone(code: int) -> None:
    assert refusal(header(0, code)) is WireCode.MALFORMED


@pytest.mark.parametrize("kind", Kind)
def test_a_frame_out_of_turn_is_refused_from_its_header_alone(kind: Kind) -> None:
    assert refusal(header(1, kind), ALL - {kind}) is WireCode.UNEXPECTED


@pytest.mark.parametrize("kind", Kind)
def test_a_stranger_cannot_make_us_buffer_more_than_a_handshake_frame(kind: Kind) -> None:
    before_the_handshake = frozenset({Kind.HELLO, Kind.GOODBYE})
    code = refusal(header(MAX_HANDSHAKE_FRAME + 1, kind), before_the_handshake)
    assert code in {WireCode.OVERSIZED, WireCode.UNEXPECTED}


def test_the_largest_poll_fits_its_frame() -> None:
    most = (1 << 63) - 1
    ledger = LedgerHead(entry=most, hash=bytes(32))
    poll = Poll(seq=most, hold_ms=5_000, acknowledged=most, wall_ms=most, ledger=ledger)
    encode_frame(Kind.POLL, poll.encode())


def test_an_unfinished_frame_waits_for_its_rest() -> None:
    reader = FrameReader()
    data = encode_frame(Kind.REPORT, b"0123456789")
    assert list(reader.feed(data[:-1], ALL)) == []
    assert list(reader.feed(data[-1:], ALL)) == [(Kind.REPORT, b"0123456789")]


def test_frames_before_a_bad_one_are_still_read() -> None:
    stream = FrameReader().feed(encode_frame(Kind.POLL, b"good") + header(0, 99), ALL)
    assert next(stream) == (Kind.POLL, b"good")
    with pytest.raises(PeerFault):
        next(stream)


@given(FRAMES, st.lists(st.integers(0, 500), max_size=20))
def test_how_a_stream_is_cut_does_not_change_its_frames(
    frames: list[tuple[Kind, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(encode_frame(kind, payload) for kind, payload in frames)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reader, byte_reader = FrameReader(), FrameReader()
    pieces = [frame for a, b in pairwise(edges) for frame in reader.feed(stream[a:b], ALL)]
    by_byte = [frame for i in range(len(stream)) for frame in byte_reader.feed(stream[i : i + 1], ALL)]
    assert list(FrameReader().feed(stream, ALL)) == pieces == by_byte == frames


@given(st.binary(max_size=300), st.frozensets(st.sampled_from(Kind)))
def test_arbitrary_bytes_raise_nothing_but_a_peer_fault(data: bytes, expected: frozenset[Kind]) -> None:
    with suppress(PeerFault):
        assert {kind for kind, _ in FrameReader().feed(data, expected)} <= expected
