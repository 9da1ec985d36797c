"""protocol/session.py, superior.py, subordinate.py back to back: how a link opens and how it ends."""

import pytest

from protocol.errors import LinkLost, LocalMisuse, PeerFault, WireCode
from protocol.frames import Kind, encode_frame
from protocol.handshake import Grant
from protocol.messages import Goodbye
from protocol.outbox import START, Inbox, Mark
from protocol.session import (
    Acknowledged,
    Delivered,
    HelloReceived,
    Opened,
    Replied,
    Reported,
    farewell,
    goodbye,
)
from tests.protocol.links import Link, box, frames_of, fresh, place
from tests.protocol.parties import HQ, PLANT
from tests.protocol.traffic import fault

FOR_SUPERIOR = {Kind.REPORT, Kind.GOODBYE}
FOR_SUBORDINATE = {Kind.POLL, Kind.DELIVER, Kind.REPLY, Kind.GOODBYE}

# --- opening ---


def test_a_link_opens_on_both_sides() -> None:
    link = Link(term=4).opened()
    assert [type(event) for event in link.seen] == [HelloReceived, Opened]
    assert link.superior.is_open
    assert link.subordinate.is_open
    (opened,) = link.all(Opened)
    assert opened.welcome.node == "plant-1"


def test_before_the_handshake_is_done_nothing_but_the_hello_goes_out() -> None:
    link = Link(down=(box(b"order"), Inbox()), up=(box(b"event"), Inbox()))
    assert [kind for kind, _ in frames_of(link.ask())] == [Kind.HELLO]
    assert link.answer() == b""
    assert link.superior.next_timer() is link.subordinate.next_timer() is None
    assert not link.superior.is_open


def test_the_subordinate_answers_only_when_its_program_has_made_the_term_durable() -> None:
    link = Link()
    (event,) = link.subordinate.receive(link.ask(), link.now)
    assert isinstance(event, HelloReceived)
    assert link.answer() == b""
    assert not link.subordinate.welcome(event.hello, fresh(7), link.now)
    assert [kind for kind, _ in frames_of(link.answer())] == [Kind.WELCOME]


def test_there_is_no_welcome_without_a_hello_and_only_one() -> None:
    link = Link()
    (event,) = Link().subordinate.receive(link.ask(), link.now)
    assert isinstance(event, HelloReceived)
    with pytest.raises(LocalMisuse):
        link.subordinate.welcome(event.hello, fresh(7), link.now)
    with pytest.raises(LocalMisuse):
        link.opened().subordinate.welcome(event.hello, fresh(7), link.now)


def test_a_superior_under_an_older_term_is_refused() -> None:
    link = Link(term=6, granted=Grant(7))
    assert fault(lambda: link.to_subordinate(link.ask())) is WireCode.TERM
    assert not link.subordinate.is_open


def test_a_second_hello_is_refused() -> None:
    link = Link()
    hello = link.ask()
    receive = link.subordinate.receive
    assert fault(lambda: list(receive(hello + hello, link.now))) is WireCode.UNEXPECTED
    other = Link()
    assert fault(lambda: other.to_subordinate(hello + hello)) is WireCode.UNEXPECTED


def test_a_second_welcome_is_refused() -> None:
    link = Link()
    link.to_subordinate(link.ask())
    welcome = link.answer()
    assert fault(lambda: link.to_superior(welcome + welcome)) is WireCode.UNEXPECTED


@pytest.mark.parametrize("kind", Kind)
def test_each_side_takes_only_the_frames_that_are_its_turn(kind: Kind) -> None:
    data = encode_frame(kind, b"")
    shut, opened = Link(), Link().opened()
    cases = [
        (shut.superior.receive, {Kind.WELCOME, Kind.GOODBYE}),
        (opened.superior.receive, FOR_SUPERIOR),
        (shut.subordinate.receive, {Kind.HELLO, Kind.GOODBYE}),
        (opened.subordinate.receive, FOR_SUBORDINATE),
    ]
    for receive, expected in cases:
        with pytest.raises(PeerFault) as caught:
            list(receive(data, 0.0))
        assert caught.value.code is (WireCode.MALFORMED if kind in expected else WireCode.UNEXPECTED)


def test_a_recorded_session_cannot_be_played_to_the_subordinate_again() -> None:
    link = Link(down=(box(b"open breaker 201"), Inbox()))
    hello = link.ask()
    link.to_subordinate(hello)
    link.to_superior(link.answer())
    recorded = link.ask()
    link.to_subordinate(recorded)
    assert link.taken_down == [b"open breaker 201"]
    victim = Link(seed=2)
    victim.to_subordinate(hello)
    assert fault(lambda: victim.to_subordinate(recorded)) is WireCode.SEAL
    assert victim.taken_down == []


def test_a_recorded_welcome_cannot_be_played_to_the_superior_again() -> None:
    link = Link()
    link.to_subordinate(link.ask())
    recorded = link.answer()
    assert fault(lambda: Link(seed=2).to_superior(recorded)) is WireCode.SIGNATURE


KNOWN = place(b"1", b"2", b"3", b"4")
NEXT = KNOWN.then(b"x")  # the box holds x after the four that were acknowledged
IMPOSSIBLE = [
    pytest.param(START, id="a new journal"),
    pytest.param(place(b"1", b"2", b"3"), id="a restored journal"),
    pytest.param(Mark(4, b"?" * 32), id="other items, as many as were acknowledged"),
    pytest.param(Mark(5, b"?" * 32), id="other items, as many as were sent"),
    pytest.param(NEXT.then(b"y"), id="more than was sent"),
    pytest.param(Mark(99, b"?" * 32), id="far more than was sent"),
]


@pytest.mark.parametrize("claimed", IMPOSSIBLE)
def test_a_hello_that_holds_the_impossible_is_refused(claimed: Mark) -> None:
    link = Link(up=(box(b"x", acknowledged=KNOWN), Inbox(claimed)))
    assert fault(lambda: link.to_subordinate(link.ask())) is WireCode.CURSOR
    assert len(link.up_outbox) == 1


@pytest.mark.parametrize("claimed", IMPOSSIBLE)
def test_a_welcome_that_holds_the_impossible_is_refused(claimed: Mark) -> None:
    link = Link(down=(box(b"x", acknowledged=KNOWN), Inbox(claimed)))
    link.to_subordinate(link.ask())
    assert fault(lambda: link.to_superior(link.answer())) is WireCode.CURSOR
    assert not link.superior.is_open
    assert len(link.down_outbox) == 1


@pytest.mark.parametrize("held", [KNOWN, NEXT])
def test_what_a_peer_can_hold_is_believed(held: Mark) -> None:
    box_and_held = [(box(b"x", acknowledged=KNOWN), Inbox(held)) for _ in range(2)]
    link = Link(down=box_and_held[0], up=box_and_held[1]).opened()
    left = 0 if held is NEXT else 1
    assert len(link.down_outbox) == len(link.up_outbox) == left


def test_the_first_words_already_tell_what_arrived_on_the_last_link() -> None:
    held = place(b"a")
    link = Link(down=(box(b"a", b"b"), Inbox(held)), up=(box(b"a"), Inbox(held))).opened()
    assert link.all(Acknowledged) == [Acknowledged(1)]
    assert len(link.down_outbox) == 1
    assert len(link.up_outbox) == 0


def test_a_program_is_told_when_a_hello_acknowledged_something_new() -> None:
    link = Link(up=(box(b"c"), Inbox(place(b"c"))))
    (event,) = link.subordinate.receive(link.ask(), link.now)
    assert isinstance(event, HelloReceived)
    assert link.subordinate.welcome(event.hello, fresh(7), link.now)


def test_the_names_of_the_two_nodes_are_those_of_their_certificates() -> None:
    link = Link().opened()
    (received,) = link.all(HelloReceived)
    assert received.hello.superior == HQ.certificate.name
    assert received.hello.node == PLANT.certificate.name


# --- the end ---


@pytest.mark.parametrize("code", WireCode)
def test_a_goodbye_ends_the_link_with_its_reason_at_any_time(code: WireCode) -> None:
    data = goodbye(code, "told so")
    for link in (Link(), Link().opened()):
        for receive in (link.superior.receive, link.subordinate.receive):
            with pytest.raises(LinkLost, match="told so") as caught:
                list(receive(data, link.now))
            assert caught.value.code is code


def test_a_goodbye_with_an_unknown_code_is_a_lost_link() -> None:
    assert farewell(Goodbye(code=4_711, detail="").encode()).code is WireCode.LOST


def test_a_goodbye_that_cannot_be_read_is_the_fault_of_the_peer() -> None:
    assert fault(lambda: farewell(b"garbage")) is WireCode.MALFORMED


def test_a_reason_that_is_too_long_is_cut() -> None:
    ((kind, payload),) = frames_of(goodbye(WireCode.MALFORMED, "x" * 10_000))
    assert kind is Kind.GOODBYE
    assert Goodbye.decode(payload).detail == "x" * 200


def test_what_stood_before_a_goodbye_is_still_taken() -> None:
    link = Link(down=(box(b"first"), Inbox())).opened()
    data = link.ask() + goodbye(WireCode.STOPPING, "maintenance")
    with pytest.raises(LinkLost):
        link.to_subordinate(data)
    assert link.taken_down == [b"first"]


def test_the_reason_that_a_peer_gives_cannot_forge_lines_of_a_log() -> None:
    text = str(farewell(Goodbye(code=1, detail="停电\nWARNING all is well").encode()))
    assert "\n" not in text
    assert "停电" in text


def test_no_event_of_a_session_shows_what_was_sealed_when_it_is_printed() -> None:
    link = Link(down=(box(b"SECRET"), Inbox()), up=(box(b"SECRET"), Inbox())).opened()
    link.subordinate.request(1, b"SECRET")
    link.settle()
    link.superior.reply(1, b"SECRET")
    link.settle()
    assert {Reported, Delivered, Replied} <= {type(event) for event in link.seen}
    assert "SECRET" not in repr(link.seen)
