"""protocol/superior.py, subordinate.py: items get across once, or the link ends."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import seal
from protocol.errors import WireCode
from protocol.frames import Kind, encode_frame
from protocol.limits import (
    MAX_ITEM,
    MAX_ITEMS_PER_REPORT,
    MAX_OPEN_REQUESTS,
    MAX_SAMPLES_PER_REPORT,
    MAX_UNACKNOWLEDGED,
)
from protocol.messages import Deliver, Poll, Reply, Report, Sample, UpwardItem
from protocol.outbox import Inbox
from protocol.session import Replied, Reported, header
from tests.protocol.links import LEDGER, Link, box, frame, place, put, take
from tests.protocol.traffic import asked, bodies, changed, deliveries, fault, reconnect, report_of

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
    link.down_inbox.received = place(b"order")
    assert link.answer() == b""
    link.down_inbox.mark_durable(place(b"order"))
    assert report_of(link.answer()).acknowledged == 1


def test_the_superior_asks_again_only_when_the_last_report_is_durable() -> None:
    link = Link(up=(box(b"event"), Inbox())).opened()
    link.to_subordinate(link.ask())
    (reported,) = link.superior.receive(link.answer(), link.now)
    assert isinstance(reported, Reported)
    assert link.superior.next_timer() is None
    link.now += 60.0
    assert link.ask() == b""
    take(link.up_inbox, 1, b"event")
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
    for number in range(MAX_SAMPLES_PER_REPORT):
        link.subordinate.sample(widest.model_copy(update={"node": f"{number:032d}"}))
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


def test_what_an_earlier_link_brought_may_become_durable_on_the_next_one() -> None:
    first = Link(up=(box(b"u1"), Inbox())).opened()
    first.to_subordinate(first.ask())
    list(first.superior.receive(first.answer(), first.now))
    first.up_inbox.received = place(b"u1")  # its journal is slow, and the link breaks
    second = reconnect(first, seed=2).opened()
    second.up_inbox.mark_durable(place(b"u1"))
    put(second.up_outbox, b"u2")
    second.settle()
    assert second.taken_up == [b"u2"]
    assert len(second.up_outbox) == 0


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
