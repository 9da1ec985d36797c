"""protocol/superior.py, subordinate.py: no bytes do more than end the link."""

from collections.abc import Iterator
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LinkError
from protocol.frames import Kind, encode_frame
from protocol.outbox import Inbox
from tests.protocol.links import Link, box
from tests.protocol.traffic import asked

NOISE = st.one_of(
    st.binary(max_size=120),
    st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=60)), max_size=4).map(
        lambda frames: b"".join(encode_frame(kind, payload) for kind, payload in frames)
    ),
)


@given(NOISE, st.booleans())
def test_arbitrary_bytes_raise_nothing_but_link_errors_in_either_role(data: bytes, is_open: bool) -> None:
    link = asked() if is_open else Link()
    for digest in (link.to_subordinate, link.to_superior):
        with suppress(LinkError):
            digest(data)
    assert link.taken_down == link.taken_up == []


ORDERS = [b"open breaker 201", b"close breaker 202", b"open isolator 2011"]


def recorded() -> Iterator[tuple[bytes, bytes]]:
    """What each side sends on a link that is the same each time."""
    link = Link(down=(box(*ORDERS), Inbox()), up=(box(*ORDERS), Inbox()))
    for _ in range(3):
        downward = link.ask()
        link.to_subordinate(downward)
        upward = link.answer()
        link.to_superior(upward)
        yield downward, upward


RECORDED = list(recorded())


@given(st.data())
def test_no_altered_byte_on_the_wire_gives_an_altered_item(data: st.DataObject) -> None:
    link = Link(down=(box(*ORDERS), Inbox()), up=(box(*ORDERS), Inbox()))
    turn = data.draw(st.integers(0, len(RECORDED) - 1))
    is_down = data.draw(st.booleans())
    flip = data.draw(st.integers(1, 255))
    with suppress(LinkError):
        for number, (downward, upward) in enumerate(RECORDED):
            streams = [bytearray(downward), bytearray(upward)]
            chosen = streams[0] if is_down else streams[1]
            if number == turn and chosen:
                chosen[data.draw(st.integers(0, len(chosen) - 1))] ^= flip
            link.ask()
            link.to_subordinate(bytes(streams[0]))
            link.answer()
            link.to_superior(bytes(streams[1]))
    assert link.taken_down == ORDERS[: len(link.taken_down)]
    assert link.taken_up == ORDERS[: len(link.taken_up)]


def test_the_recorded_session_is_a_whole_one() -> None:
    link = Link(down=(box(*ORDERS), Inbox()), up=(box(*ORDERS), Inbox()))
    for downward, upward in RECORDED:
        assert link.ask() == downward
        link.to_subordinate(downward)
        assert link.answer() == upward
        link.to_superior(upward)
    assert link.taken_down == link.taken_up == ORDERS
