"""protocol/superior.py, subordinate.py: polls, reports, requests, silence; the clock turned by hand."""

from itertools import pairwise
from unittest.mock import patch

import pytest

from protocol.errors import LocalMisuse, WireCode
from protocol.frames import Kind, encode_frame
from protocol.limits import MAX_ITEM, MAX_OPEN_REQUESTS, MAX_SAMPLES_PER_REPORT, Timers
from protocol.messages import Sample
from protocol.outbox import Inbox
from protocol.session import Polled, Replied, Reported
from tests.protocol.links import LEDGER, SUPERIORS_LEDGER, WALL_MS, Link, box, place, put
from tests.protocol.parties import CENTER
from tests.protocol.traffic import asked, bodies, empty_report, fault, poll, report_of, silence

SAMPLE = Sample(
    node="plant-1",
    at_ms=1,
    logged_in_nodes=1.0,
    network_flow=2.0,
    external_connections=3.0,
    memory_used=None,
)

# --- polls and reports ---


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
    known = place(b"1", b"2", b"3", b"4")
    link = Link(up=(box(b"a", acknowledged=known), Inbox(known))).opened()
    assert fault(lambda: link.to_subordinate(poll(1, acknowledged=3))) is WireCode.CURSOR
    other = Link(down=(box(b"a", acknowledged=known), Inbox(known))).opened()
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


def test_plain_polling_asks_just_within_every_5_s_whatever_the_news() -> None:
    link = Link(timers=Timers(5_000, 0), up=(box(*[b"x"] * 40), Inbox())).opened()
    link.run(20.0)
    assert link.polled_at == pytest.approx([1_000.0, 1_004.95, 1_009.9, 1_014.85, 1_019.8])
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
    assert [b - a for a, b in pairwise(asked_at)] == pytest.approx([4.95] * (len(asked_at) - 1))


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


def reading(node: str, at_ms: int = 0, **more: float | None) -> Sample:
    return SAMPLE.model_copy(update={"node": node, "at_ms": at_ms, **more})


def test_of_each_node_the_newest_reading_is_told() -> None:
    link = asked()
    for at_ms in range(MAX_SAMPLES_PER_REPORT + 7):
        link.subordinate.sample(reading("busy", at_ms))
    link.subordinate.sample(reading("calm"))
    link.now += 4.8
    told = report_of(link.answer()).samples
    assert [(sample.node, sample.at_ms) for sample in told] == [
        ("busy", MAX_SAMPLES_PER_REPORT + 6),
        ("calm", 0),
    ]


def test_a_mere_sign_of_life_replaces_no_reading() -> None:
    link = asked()
    nothing = dict.fromkeys(("logged_in_nodes", "network_flow", "external_connections", "memory_used"))
    first = reading("plant-1", 1)
    for sample in (first, reading("plant-1", 2, **nothing), reading("plant-2", 3, **nothing)):
        link.subordinate.sample(sample)
    link.now += 4.8
    assert report_of(link.answer()).samples == (first, reading("plant-2", 3, **nothing))


def test_a_region_that_does_not_fit_one_report_is_told_at_once_in_several() -> None:
    link = Link(node=CENTER).opened()
    link.to_subordinate(link.ask())
    nodes = [f"plant-{number}" for number in range(2 * MAX_SAMPLES_PER_REPORT + 7)]
    for node in nodes:
        link.subordinate.sample(reading(node))
    told = []
    for _ in range(2):
        data = link.answer()
        told += [sample.node for sample in report_of(data).samples]
        link.to_superior(data)
        link.to_subordinate(link.ask())
    assert told == nodes[: 2 * MAX_SAMPLES_PER_REPORT]
    assert link.answer() == b""  # what is left rides along with the next one
    link.now += 4.8
    assert [sample.node for sample in report_of(link.answer()).samples] == nodes[2 * MAX_SAMPLES_PER_REPORT :]


def test_a_plant_cannot_make_the_superior_spin_with_readings() -> None:
    link = asked()
    for number in range(2 * MAX_SAMPLES_PER_REPORT):
        link.subordinate.sample(reading(f"plant-{number}"))
    link.to_superior(link.answer())
    assert link.ask() == b""


def test_of_too_many_nodes_those_of_which_nothing_was_heard_longest_go() -> None:
    link = asked()
    with patch("protocol.subordinate._MAX_WAITING", 3):
        for node in "abcda":
            link.subordinate.sample(reading(node))
    link.now += 4.8
    assert [sample.node for sample in report_of(link.answer()).samples] == ["c", "d", "a"]


def test_every_poll_tells_the_time_of_the_superior_and_where_its_ledger_stands() -> None:
    link = Link().opened()
    link.run(5.0)
    assert link.all(Polled) == [Polled(WALL_MS, SUPERIORS_LEDGER)] * 2


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
