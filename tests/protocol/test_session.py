"""protocol/session.py, superior.py, subordinate.py: both roles back to back, the clock turned by hand."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import seal
from protocol.errors import LinkError, LinkLost, LocalMisuse, PeerFault, WireCode
from protocol.frames import Kind, encode_frame
from protocol.limits import (
    MAX_ITEM,
    MAX_ITEMS_PER_REPORT,
    MAX_OPEN_REQUESTS,
    MAX_SAMPLES_PER_REPORT,
    MAX_UNACKNOWLEDGED,
    Timers,
)
from protocol.messages import (
    Deliver,
    Goodbye,
    Poll,
    Reply,
    Report,
    Sample,
    UpwardItem,
)
from protocol.models import Wire
from protocol.outbox import Inbox, Outbox
from protocol.session import (
    Acknowledged,
    Delivered,
    HelloReceived,
    Opened,
    Replied,
    Reported,
    farewell,
    goodbye,
    header,
)
from tests.protocol.links import LEDGER, Link, box, frame, frames_of, fresh, put
from tests.protocol.parties import HQ, PLANT

SAMPLE = Sample(
    node="plant-1",
    at_ms=1,
    logged_in_nodes=1.0,
    network_flow=2.0,
    external_connections=3.0,
    memory_used=None,
)
FOR_SUPERIOR = {Kind.REPORT, Kind.GOODBYE}
FOR_SUBORDINATE = {Kind.POLL, Kind.DELIVER, Kind.REPLY, Kind.GOODBYE}


def fault(act: Callable[[], object]) -> WireCode:
    with pytest.raises(PeerFault) as caught:
        act()
    return caught.value.code


def silence(act: Callable[[], object]) -> str:
    with pytest.raises(LinkLost) as caught:
        act()
    assert caught.value.code is WireCode.SILENT
    return caught.value.detail


def bodies(data: bytes, kind: Kind) -> list[bytes]:
    return [payload for found, payload in frames_of(data) if found is kind]


def deliveries(data: bytes) -> list[Deliver]:
    return [Deliver.decode(payload) for payload in bodies(data, Kind.DELIVER)]


def report_of(data: bytes) -> Report:
    (payload,) = bodies(data, Kind.REPORT)
    return Report.decode(payload)


def changed(body: Wire, **fields: object) -> Wire:
    return body.model_copy(update=fields)


def asked() -> Link:
    """An open link with one poll on its way down and nothing else."""
    link = Link().opened()
    link.to_subordinate(link.ask())
    return link


def reconnect(link: Link, *, seed: int, term: int = 1) -> Link:
    return Link(
        term=term,
        down=(link.down_outbox, link.down_inbox),
        up=(link.up_outbox, link.up_inbox),
        seed=seed,
    )


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
    link = Link(term=6, least_term=7)
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
    assert len(link.to_subordinate(recorded)) == 1
    victim = Link(seed=2)
    victim.to_subordinate(hello)
    assert fault(lambda: victim.to_subordinate(recorded)) is WireCode.SEAL
    assert victim.taken_down == []


def test_a_recorded_welcome_cannot_be_played_to_the_superior_again() -> None:
    link = Link()
    link.to_subordinate(link.ask())
    recorded = link.answer()
    assert fault(lambda: Link(seed=2).to_superior(recorded)) is WireCode.SIGNATURE


@pytest.mark.parametrize("claimed", [1, 99])
def test_a_hello_that_acknowledges_what_was_never_sent_is_refused(claimed: int) -> None:
    link = Link(up=(Outbox(), Inbox(claimed)))
    assert fault(lambda: link.to_subordinate(link.ask())) is WireCode.CURSOR


def test_a_hello_that_has_forgotten_what_it_acknowledged_is_refused() -> None:
    link = Link(up=(box(b"x", acknowledged=4), Inbox(3)))
    assert fault(lambda: link.to_subordinate(link.ask())) is WireCode.CURSOR


@pytest.mark.parametrize("claimed", [0, 3, 6])
def test_a_welcome_that_acknowledges_the_impossible_is_refused(claimed: int) -> None:
    link = Link(down=(box(b"x", acknowledged=4), Inbox(claimed)))
    link.to_subordinate(link.ask())
    assert fault(lambda: link.to_superior(link.answer())) is WireCode.CURSOR
    assert not link.superior.is_open


def test_the_first_words_already_tell_what_arrived_on_the_last_link() -> None:
    link = Link(down=(box(b"a", b"b"), Inbox(1)), up=(box(b"c"), Inbox(1))).opened()
    assert link.all(Acknowledged) == [Acknowledged(1)]
    assert len(link.down_outbox) == 1
    assert len(link.up_outbox) == 0


def test_a_program_is_told_when_a_hello_acknowledged_something_new() -> None:
    link = Link(up=(box(b"c"), Inbox(1)))
    (event,) = link.subordinate.receive(link.ask(), link.now)
    assert isinstance(event, HelloReceived)
    assert link.subordinate.welcome(event.hello, fresh(7), link.now)


# --- items ---


def test_items_travel_both_ways_once_and_are_forgotten_when_they_are_safe() -> None:
    link = Link(down=(box(b"d1", b"d2"), Inbox()), up=(box(b"u1", b"u2", b"u3"), Inbox())).opened()
    link.settle()
    assert link.taken_down == [b"d1", b"d2"]
    assert link.taken_up == [b"u1", b"u2", b"u3"]
    assert len(link.down_outbox) == len(link.up_outbox) == 0


def test_news_of_either_side_arrives_without_any_time_passing() -> None:
    link = Link().opened()
    link.run(17.0)
    put(link.up_outbox, b"up")
    put(link.down_outbox, b"down")
    link.settle()
    assert (link.taken_up, link.taken_down) == ([b"up"], [b"down"])


def test_what_is_not_durable_is_not_sent() -> None:
    link = Link().opened()
    link.down_outbox.add(b"down")
    link.up_outbox.add(b"up")
    link.run(30.0)
    assert link.taken_up == link.taken_down == []


def test_what_is_not_durable_is_not_acknowledged() -> None:
    link = Link(down=(box(b"order"), Inbox())).opened()
    list(link.subordinate.receive(link.ask(), link.now))
    link.down_inbox.take(1)
    assert link.answer() == b""
    link.down_inbox.mark_durable(1)
    assert report_of(link.answer()).acknowledged == 1


def test_the_superior_asks_again_only_when_the_last_report_is_durable() -> None:
    link = Link(up=(box(b"event"), Inbox())).opened()
    link.to_subordinate(link.ask())
    (reported,) = link.superior.receive(link.answer(), link.now)
    assert isinstance(reported, Reported)
    assert link.superior.next_timer() is None
    link.now += 60.0
    assert link.ask() == b""
    link.up_inbox.take(1)
    link.up_inbox.mark_durable(1)
    link.superior.report_done()
    (poll,) = bodies(link.ask(), Kind.POLL)
    assert Poll.decode(poll).acknowledged == 1


def test_at_most_a_window_of_items_is_on_the_way_down() -> None:
    items = [b"item %d" % i for i in range(3 * MAX_UNACKNOWLEDGED)]
    link = Link(down=(box(*items), Inbox())).opened()
    first = link.ask()
    assert [d.cursor for d in deliveries(first)] == list(range(1, MAX_UNACKNOWLEDGED + 1))
    put(link.down_outbox, b"one more")
    assert deliveries(link.ask()) == []
    link.to_subordinate(first)
    link.settle()
    assert link.taken_down == [*items, b"one more"]


def test_a_report_carries_a_limited_number_of_items_and_the_next_ones_the_rest() -> None:
    items = [b"item %d" % i for i in range(2 * MAX_ITEMS_PER_REPORT + 1)]
    link = Link(up=(box(*items), Inbox())).opened()
    link.settle()
    carried = [len(report.items) for report in link.all(Reported) if report.items]
    assert carried == [MAX_ITEMS_PER_REPORT, MAX_ITEMS_PER_REPORT, 1]
    assert link.taken_up == items


def test_a_report_carries_a_limited_number_of_bytes_and_the_next_ones_the_rest() -> None:
    items = [bytes([i]) * MAX_ITEM for i in range(9)]
    link = Link(up=(box(*items), Inbox())).opened()
    link.settle()
    assert [len(report.items) for report in link.all(Reported) if report.items] == [4, 4, 1]
    assert link.taken_up == items


def test_a_report_that_is_full_in_every_respect_fits_its_frame() -> None:
    link = Link(up=(box(*[bytes(4_096 + 1)] * MAX_ITEMS_PER_REPORT), Inbox())).opened()
    widest = Sample(
        node="n" * 32,
        at_ms=(1 << 63) - 1,
        logged_in_nodes=0.1,
        network_flow=0.1,
        external_connections=0.1,
        memory_used=0.1,
    )
    for number in range(MAX_OPEN_REQUESTS):
        link.subordinate.request(number, bytes(MAX_ITEM))
    for _ in range(MAX_SAMPLES_PER_REPORT):
        link.subordinate.sample(widest)
    link.settle()
    assert sum(len(report.items) for report in link.all(Reported)) == MAX_ITEMS_PER_REPORT
    asked_for = [number for report in link.all(Reported) for number, _ in report.requests]
    assert asked_for == list(range(MAX_OPEN_REQUESTS))
    assert len(link.all(Reported)[0].samples) == MAX_SAMPLES_PER_REPORT


def test_what_was_on_the_way_when_a_link_broke_is_sent_again_and_taken_once() -> None:
    first = Link(down=(box(b"d1", b"d2"), Inbox()), up=(box(b"u1", b"u2"), Inbox())).opened()
    first.to_subordinate(first.ask())
    assert first.taken_down == [b"d1", b"d2"]
    first.answer()  # lost, with the acknowledgement of both
    put(first.down_outbox, b"d3")
    second = reconnect(first, seed=2).opened()
    second.settle()
    assert second.taken_down == [b"d3"]
    assert second.taken_up == [b"u1", b"u2"]
    assert len(second.down_outbox) == len(second.up_outbox) == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["down", "up", "settle", "time", "lose", "lose poll", "lose report"]),
        st.integers(1, 40),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(STEPS)
def test_whatever_breaks_and_whenever_nothing_is_lost_or_taken_twice(steps: list[tuple[str, int]]) -> None:
    link = Link().opened()
    put_down: list[bytes] = []
    put_up: list[bytes] = []
    taken_down: list[bytes] = []
    taken_up: list[bytes] = []
    for seed, (step, amount) in enumerate([*steps, ("lose", 0), ("settle", 0)], start=2):
        if step == "down":
            put_down += [b"down %d %d" % (seed, i) for i in range(amount)]
            for item in put_down[-amount:]:
                put(link.down_outbox, item)
        elif step == "up":
            put_up += [b"up %d %d" % (seed, i) for i in range(amount)]
            for item in put_up[-amount:]:
                put(link.up_outbox, item)
        elif step == "settle":
            link.settle()
        elif step == "time":
            link.run(float(amount))
        else:
            downward = link.ask()
            if step == "lose report":
                link.to_subordinate(downward)
                link.answer()
            taken_down += link.taken_down
            taken_up += link.taken_up
            link = reconnect(link, seed=seed).opened()
    assert taken_down + link.taken_down == put_down
    assert taken_up + link.taken_up == put_up
    assert len(link.down_outbox) == len(link.up_outbox) == 0


def test_nothing_of_an_old_session_leaks_into_the_new_one() -> None:
    link = Link(down=(box(b"order"), Inbox()), up=(box(b"event"), Inbox())).opened()
    late_down = link.ask()
    link.to_subordinate(late_down)
    late_up = link.answer()
    second = reconnect(link, seed=2).opened()
    deliver = encode_frame(Kind.DELIVER, bodies(late_down, Kind.DELIVER)[0])
    assert fault(lambda: second.to_subordinate(deliver)) is WireCode.SEAL
    third = reconnect(link, seed=3).opened()
    third.to_subordinate(third.ask())
    assert fault(lambda: third.to_superior(late_up)) is WireCode.SEAL


# --- sealed items that were tampered with ---


def tampered(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


def delivering() -> tuple[Link, list[Deliver]]:
    link = Link(down=(box(b"first", b"second"), Inbox())).opened()
    return link, deliveries(link.ask())


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda a, b: [changed(a, sealed=tampered(a.sealed))], id="altered"),
        pytest.param(lambda a, b: [changed(a, cursor=2)], id="under another cursor"),
        pytest.param(lambda a, b: [a, a], id="replayed"),
        pytest.param(lambda a, b: [b, a], id="reordered"),
        pytest.param(lambda a, b: [b], id="the one before dropped"),
        pytest.param(lambda a, b: [a, changed(a, cursor=2)], id="replayed under the next cursor"),
        pytest.param(lambda a, b: [changed(b, cursor=1), a], id="exchanged"),
    ],
)
def test_a_delivered_item_that_was_tampered_with_ends_the_link(
    forge: Callable[[Deliver, Deliver], list[Deliver]],
) -> None:
    link, (first, second) = delivering()
    data = b"".join(frame(Kind.DELIVER, body) for body in forge(first, second))
    assert fault(lambda: link.to_subordinate(data)) is WireCode.SEAL
    assert link.taken_down in ([], [b"first"])


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda a, b: (changed(a, sealed=tampered(a.sealed)), b), id="altered"),
        pytest.param(lambda a, b: (changed(a, cursor=2), b), id="under another cursor"),
        pytest.param(lambda a, b: (a, a), id="replayed"),
        pytest.param(lambda a, b: (b, a), id="reordered"),
        pytest.param(lambda a, b: (b,), id="the one before dropped"),
    ],
)
def test_a_reported_item_that_was_tampered_with_ends_the_link(
    forge: Callable[[UpwardItem, UpwardItem], tuple[UpwardItem, ...]],
) -> None:
    link = Link(up=(box(b"first", b"second"), Inbox())).opened()
    link.to_subordinate(link.ask())
    report = report_of(link.answer())
    forged = frame(Kind.REPORT, changed(report, items=forge(*report.items)))
    assert fault(lambda: link.to_superior(forged)) is WireCode.SEAL
    assert link.taken_up == []


@pytest.mark.parametrize("change", [{"number": 4}, {"sealed": bytes(24)}])
def test_a_request_cannot_be_tampered_with(change: dict[str, object]) -> None:
    link = asked()
    link.subordinate.request(3, b"password")
    report = report_of(link.answer())
    (request,) = report.requests
    assert b"password" not in request.sealed
    data = frame(Kind.REPORT, changed(report, requests=(changed(request, **change),)))
    assert fault(lambda: link.to_superior(data)) is WireCode.SEAL


@pytest.mark.parametrize("change", [{"number": 4}, {"sealed": bytes(24)}])
def test_a_reply_cannot_be_tampered_with(change: dict[str, object]) -> None:
    link = asked()
    link.superior.reply(3, b"granted")
    reply = Reply.decode(bodies(link.ask(), Kind.REPLY)[0])
    data = frame(Kind.REPLY, changed(reply, **change))
    assert fault(lambda: link.to_subordinate(data)) is WireCode.SEAL


def test_an_item_cannot_be_passed_off_as_a_reply_nor_a_request_as_an_item() -> None:
    link, (first, _) = delivering()
    data = frame(Kind.REPLY, Reply(number=first.cursor, sealed=first.sealed))
    assert fault(lambda: link.to_subordinate(data)) is WireCode.SEAL
    other = asked()
    other.subordinate.request(1, b"password")
    report = report_of(other.answer())
    item = UpwardItem(cursor=1, sealed=report.requests[0].sealed)
    data = frame(Kind.REPORT, changed(report, requests=(), items=(item,)))
    assert fault(lambda: other.to_superior(data)) is WireCode.SEAL


@pytest.mark.parametrize("cursor", [2, 9])
def test_a_gap_in_the_items_ends_the_link_even_when_the_peer_sealed_it_so(cursor: int) -> None:
    link = Link().opened()
    sealed = link.superior._open_keys().down.seal(b"item", header(b"D", cursor))
    data = frame(Kind.DELIVER, Deliver(cursor=cursor, sealed=sealed))
    assert fault(lambda: link.to_subordinate(data)) is WireCode.CURSOR
    other = asked()
    sealed = other.subordinate._open_keys().up.seal(b"item", header(b"U", cursor))
    report = Report(seq=1, acknowledged=0, ledger=LEDGER, items=(UpwardItem(cursor=cursor, sealed=sealed),))
    assert fault(lambda: other.to_superior(frame(Kind.REPORT, report))) is WireCode.CURSOR


def test_keys_are_changed_on_both_sides_in_the_middle_of_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "REKEY_AFTER", 5)
    items = [b"item %d" % i for i in range(23)]
    link = Link(down=(box(*items), Inbox()), up=(box(*items), Inbox())).opened()
    link.subordinate.request(1, b"password")
    link.settle()
    link.superior.reply(1, b"granted")
    put(link.down_outbox, b"last")
    link.settle()
    assert link.taken_down == [*items, b"last"]
    assert link.taken_up == items
    assert link.all(Replied) == [Replied(1, b"granted")]
    assert link.superior._open_keys().down._epoch == 25 // 5 - 1


# --- polls and reports ---


def empty_report(seq: int, acknowledged: int = 0) -> bytes:
    return frame(Kind.REPORT, Report(seq=seq, acknowledged=acknowledged, ledger=LEDGER))


def poll(seq: int, *, acknowledged: int = 0, hold_ms: int = 4_800) -> bytes:
    return frame(Kind.POLL, Poll(seq=seq, hold_ms=hold_ms, acknowledged=acknowledged))


@pytest.mark.parametrize("seq", [0, 1])
def test_a_report_without_a_poll_is_refused(seq: int) -> None:
    link = Link().opened()
    assert fault(lambda: link.to_superior(empty_report(seq))) is WireCode.SEQUENCE


@pytest.mark.parametrize("seq", [0, 2, 99])
def test_a_report_on_another_poll_is_refused(seq: int) -> None:
    assert fault(lambda: asked().to_superior(empty_report(seq))) is WireCode.SEQUENCE


def test_a_poll_is_answered_once() -> None:
    link = asked()
    link.now += 4.8
    report = link.answer()
    link.to_superior(report)
    assert fault(lambda: link.to_superior(report)) is WireCode.SEQUENCE
    assert link.answer() == b""


def test_a_second_poll_while_one_is_outstanding_is_refused() -> None:
    link = asked()
    assert fault(lambda: link.to_subordinate(poll(2))) is WireCode.SEQUENCE


@pytest.mark.parametrize("seq", [0, 2, 99])
def test_a_poll_out_of_sequence_is_refused(seq: int) -> None:
    link = Link().opened()
    assert fault(lambda: link.to_subordinate(poll(seq))) is WireCode.SEQUENCE


def test_a_replayed_poll_is_refused() -> None:
    link = Link(timers=Timers(5_000, 0)).opened()
    asks = link.ask()
    link.to_subordinate(asks)
    link.to_superior(link.answer())
    assert fault(lambda: link.to_subordinate(asks)) is WireCode.SEQUENCE


@pytest.mark.parametrize("claimed", [2, 99])
def test_a_poll_cannot_acknowledge_what_was_not_sent(claimed: int) -> None:
    link = Link(up=(box(b"a"), Inbox())).opened()
    assert fault(lambda: link.to_subordinate(poll(1, acknowledged=claimed))) is WireCode.CURSOR


def test_a_poll_cannot_acknowledge_what_waits_for_its_first_report() -> None:
    link = Link(up=(box(b"a"), Inbox())).opened()
    assert fault(lambda: link.to_subordinate(poll(1, acknowledged=1))) is WireCode.CURSOR
    assert len(link.up_outbox) == 1


def test_a_report_cannot_acknowledge_what_was_not_sent() -> None:
    link = asked()
    put(link.down_outbox, b"a")
    assert fault(lambda: link.to_superior(empty_report(1, acknowledged=1))) is WireCode.CURSOR
    assert len(link.down_outbox) == 1


def test_an_acknowledgement_never_goes_back() -> None:
    link = Link(up=(box(b"a", acknowledged=4), Inbox(4))).opened()
    assert fault(lambda: link.to_subordinate(poll(1, acknowledged=3))) is WireCode.CURSOR
    other = Link(down=(box(b"a", acknowledged=4), Inbox(4))).opened()
    other.to_subordinate(other.ask())
    assert fault(lambda: other.to_superior(empty_report(1, acknowledged=3))) is WireCode.CURSOR


def test_an_idle_link_costs_one_exchange_per_hold_and_a_poll_at_least_every_5_s() -> None:
    link = Link().opened()
    link.run(60.0)
    gaps = [b - a for a, b in pairwise(link.polled_at)]
    assert gaps == pytest.approx([4.8] * 12)
    assert link.superior.polls == link.subordinate.polls == 13


def test_an_answered_poll_is_followed_by_the_next_at_once_when_it_brought_news() -> None:
    link = Link().opened()
    link.run(2.0)
    put(link.up_outbox, b"event")
    link.settle()
    assert link.polled_at == [1_000.0, 1_002.0]


def test_plain_polling_asks_every_5_s_whatever_the_news() -> None:
    link = Link(timers=Timers(5_000, 0), up=(box(*[b"x"] * 40), Inbox())).opened()
    link.run(20.0)
    assert link.polled_at == [1_000.0, 1_005.0, 1_010.0, 1_015.0, 1_020.0]
    assert [len(report.items) for report in link.all(Reported)] == [32, 8, 0, 0, 0]


def test_plain_polling_is_answered_at_once() -> None:
    link = Link(timers=Timers(5_000, 0)).opened()
    link.to_subordinate(link.ask())
    assert link.subordinate.next_timer() == link.now
    assert report_of(link.answer()).seq == 1


@pytest.mark.parametrize("delay", [0.0, 0.1, 2.39])
def test_a_peer_that_answers_at_once_with_nothing_cannot_make_the_superior_spin(delay: float) -> None:
    link = Link().opened()
    asked_at = []
    while link.now < 1_060.0:
        asked_at += [link.now] * len(bodies(link.ask(), Kind.POLL))
        link.now += delay
        link.to_superior(empty_report(link.superior.polls))
        timer = link.superior.next_timer()
        assert timer is not None
        link.now = max(link.now, timer)
    assert [b - a for a, b in pairwise(asked_at)] == pytest.approx([5.0] * (len(asked_at) - 1))


def test_a_poll_that_was_held_for_half_its_time_is_followed_at_once() -> None:
    link = Link(timers=Timers(5_000, 4_000)).opened()
    link.ask()
    link.now += 2.0
    link.to_superior(empty_report(1))
    assert link.superior.next_timer() == link.now


def test_a_held_poll_is_answered_when_its_hold_ends_and_not_before() -> None:
    link = asked()
    assert link.subordinate.next_timer() == pytest.approx(1_004.8)
    link.now = 1_004.799
    assert link.answer() == b""
    link.now = 1_004.8
    assert report_of(link.answer()).seq == 1


# --- requests and samples ---


def test_a_request_is_asked_and_answered_on_the_same_link() -> None:
    link = Link().opened()
    link.run(1.0)
    link.subordinate.request(5, b"who am I")
    link.settle()
    assert [report.requests for report in link.all(Reported)] == [((5, b"who am I"),)]
    link.superior.reply(5, b"li")
    link.settle()
    assert link.all(Replied) == [Replied(5, b"li")]


def test_requests_that_wait_for_a_poll_are_limited() -> None:
    link = Link().opened()
    for number in range(MAX_OPEN_REQUESTS):
        link.subordinate.request(number, b"")
    with pytest.raises(LocalMisuse, match="too many requests"):
        link.subordinate.request(99, b"")
    link.settle()
    link.subordinate.request(99, b"")


def test_a_request_or_reply_that_no_frame_could_carry_is_our_own_mistake() -> None:
    link = Link().opened()
    with pytest.raises(LocalMisuse, match="over the limit"):
        link.subordinate.request(1, bytes(MAX_ITEM + 1))
    with pytest.raises(LocalMisuse, match="over the limit"):
        link.superior.reply(1, bytes(MAX_ITEM + 1))
    link.superior.reply(1, bytes(MAX_ITEM))
    link.settle()
    assert link.all(Replied) == [Replied(1, bytes(MAX_ITEM))]


def test_nothing_can_be_answered_before_the_link_is_open() -> None:
    with pytest.raises(LocalMisuse, match="not open"):
        Link().superior.reply(1, b"")


def test_readings_ride_along_and_do_not_end_a_hold() -> None:
    link = asked()
    link.subordinate.sample(SAMPLE)
    assert link.answer() == b""
    link.now += 4.8
    link.to_superior(link.answer())
    assert [report.samples for report in link.all(Reported)] == [(SAMPLE,)]
    link.settle()
    link.now += 4.8
    link.settle()
    assert link.all(Reported)[-1].samples == ()


def test_of_too_many_readings_the_oldest_go() -> None:
    link = asked()
    for at_ms in range(MAX_SAMPLES_PER_REPORT + 7):
        link.subordinate.sample(SAMPLE.model_copy(update={"at_ms": at_ms}))
    link.now += 4.8
    kept = [sample.at_ms for sample in report_of(link.answer()).samples]
    assert kept == list(range(7, MAX_SAMPLES_PER_REPORT + 7))


def test_every_report_says_where_the_ledger_stands() -> None:
    link = Link().opened()
    link.run(5.0)
    assert [report.ledger for report in link.all(Reported)] == [LEDGER]


# --- silence ---


def test_the_superior_gives_up_after_two_missed_polls_time() -> None:
    link = Link().opened()
    link.ask()
    assert link.superior.next_timer() == 1_010.0
    link.now = 1_009.999
    link.ask()
    link.now = 1_010.0
    assert silence(link.ask) == "no answer for 10 s"


def test_the_subordinate_gives_up_after_two_missed_polls_time() -> None:
    link = asked()
    link.now = 1_004.8
    link.answer()
    assert link.subordinate.next_timer() == pytest.approx(1_014.8)
    link.now = 1_014.799
    assert link.answer() == b""
    link.now = 1_014.801
    assert silence(link.answer) == "no poll for 10 s"


def test_a_superior_that_never_polls_is_given_up() -> None:
    link = Link().opened()
    assert link.subordinate.next_timer() == 1_010.0
    link.now = 1_010.0
    silence(link.answer)


def test_the_superior_dictates_how_long_silence_is() -> None:
    link = Link(timers=Timers(100, 80)).opened()
    assert link.subordinate.patience == pytest.approx(0.2)
    link.ask()
    link.now += 0.2
    silence(link.ask)
    silence(link.answer)


def test_while_a_poll_is_held_nobody_is_silent() -> None:
    link = asked()
    link.now = 1_004.7
    assert link.ask() == link.answer() == b""


def test_an_item_that_comes_down_shows_that_the_superior_lives() -> None:
    link = Link().opened()
    link.now = 1_009.0
    put(link.down_outbox, b"order")
    deliver = encode_frame(Kind.DELIVER, bodies(link.ask(), Kind.DELIVER)[0])
    link.to_subordinate(deliver)
    link.now = 1_018.999
    assert link.answer() == b""
    link.now = 1_019.0
    silence(link.answer)


def test_digesting_a_report_for_long_is_not_taken_for_silence_of_the_peer() -> None:
    link = Link(up=(box(b"event"), Inbox())).opened()
    link.to_subordinate(link.ask())
    list(link.superior.receive(link.answer(), link.now))
    link.now += 3_600.0
    assert link.ask() == b""


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


# --- hostile bytes ---

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


def test_the_names_of_the_two_nodes_are_those_of_their_certificates() -> None:
    link = Link().opened()
    (received,) = link.all(HelloReceived)
    assert received.hello.superior == HQ.certificate.name
    assert received.hello.node == PLANT.certificate.name
