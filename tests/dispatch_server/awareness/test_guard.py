"""dispatch_server/awareness/guard.py: what raises an alarm, what keeps it, and what never does."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dispatch_server.awareness.guard import Guard, GuardSettings
from dispatch_server.awareness.watch import Now
from dispatch_server.counters import Counters
from protocol.errors import LinkLost, PeerFault, WireCode
from protocol.lifecycle import State
from situational import Hazard, Letter, Level, Metric, Reason, ReasonCode
from situational.alarms import AlarmKey
from tests.dispatch_server.awareness.support import STEP, hazard
from tests.dispatch_server.awareness.test_riskboard import panel
from tests.dispatch_server.links.support import virtually
from tests.protocol.parties import HQ, Chain
from tests.support.stations import Clock, Node

HAZARD, LINK = AlarmKey("plant-1", "hazard"), AlarmKey("plant-1", "link")
FORGED = PeerFault(WireCode.SEAL, "item 7 does not open")
Plain = dict[str, Level]


class House:
    """A guard whose judgements a test writes. `down`: the links that are."""

    def __init__(self, settings: GuardSettings) -> None:
        self.node = Node(HQ, clock=Clock())
        self.counters = Counters()
        self.hazards: dict[str, Hazard] = {}
        self.links: Iterable[str] = ()
        self.down: set[str] = set()
        self.settings = settings
        self.guard = self._opened()

    def _opened(self) -> Guard:
        guard = Guard(self.node.station, lambda *_: None, self.settings, None, self.counters)
        watch: Any = guard.awareness._watch
        watch.hazards = lambda: dict(self.hazards)
        return guard

    def restart(self) -> None:
        """A new process over the same journal."""
        self.node.restart()
        self.guard = self._opened()

    def fault(self, error: Exception, node: str = "plant-1") -> None:
        """A link ended."""
        self.guard.on_fault(node, error, asyncio.get_running_loop().time())

    async def run(self, seconds: float) -> None:
        """A tick now, and one each five seconds."""
        for index in range(round(seconds / STEP) + 1):
            if index:
                self.node.clock.advance(STEP)
                await asyncio.sleep(STEP)
            now = Now(asyncio.get_running_loop().time(), self.node.clock.ms, 0.0)
            await self.guard.tick(now, lambda node: node not in self.down, self.links)

    @property
    def alarms(self) -> Plain:
        """Node and kind -> level, of the alarms that are active."""
        board = self.guard.alarms.board.alarms
        return {f"{key.node} {key.kind}": alarm.level for key, alarm in board.items() if alarm.is_active}

    def codes(self) -> list[tuple[str, str]]:
        """Code and detail of what was raised since the last look."""
        notes = self.node.decision().notes("alarm")
        return [(note["code"], note["detail"]) for note in notes if note["input"] == "raise"]


@contextmanager
def house_of(**settings: Any) -> Iterator[House]:
    house = House(GuardSettings(**settings))
    try:
        yield house
    finally:
        house.node.close()


# --- dangers ---


@pytest.mark.parametrize("level", Level)
def test_a_danger_calls_somebody_from_medium_on(level: Level) -> None:
    @virtually
    async def check() -> None:
        with house_of() as house:
            house.hazards = {"plant-1": hazard(level), "plant-2": hazard(Level.NORMAL)}
            await house.run(60)
            assert house.alarms == ({"plant-1 hazard": level} if level >= Level.MEDIUM else {})

    check()


@virtually
async def test_the_level_from_which_somebody_is_called_is_a_setting() -> None:
    with house_of(alarm_from=Level.HIGH) as house:
        house.hazards = {"plant-1": hazard(Level.MEDIUM), "plant-2": hazard(Level.HIGH)}
        await house.run(60)
        assert house.alarms == {"plant-2 hazard": Level.HIGH}


def reason(code: ReasonCode, metric: Metric | None, letter: Letter) -> Reason:
    return Reason(code, metric, letter, 1.0)


STEADY = reason(ReasonCode.STEADY, Metric.LOGGED_IN_NODES, Letter.A)
SMALL = reason(ReasonCode.GROWTH_SMALL, Metric.NETWORK_FLOW, Letter.B)
LARGE_C = reason(ReasonCode.GROWTH_LARGE, Metric.EXTERNAL_CONNECTIONS, Letter.C)
LARGE_B = reason(ReasonCode.GROWTH_LARGE, Metric.MEMORY_USED, Letter.B)
HOLDS = reason(ReasonCode.DANGER_HOLDS, None, Letter.A)
SURGE = reason(ReasonCode.ALL_SURGING, None, Letter.B)


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        ([STEADY, SMALL, LARGE_C, LARGE_B], ("growth-large", "memory_used B")),
        ([STEADY, SMALL, LARGE_C], ("growth-large", "external_connections C")),
        ([HOLDS, STEADY, LARGE_B], ("danger-holds", "all A")),
        ([SURGE, LARGE_B, LARGE_C], ("all-surging", "all B")),
    ],
)
def test_an_alarm_names_the_reason_that_says_most_and_not_the_first_metric(
    reasons: list[Reason], told: tuple[str, str]
) -> None:
    @virtually
    async def check() -> None:
        with house_of() as house:
            house.hazards = {"plant-1": hazard(Level.HIGH, reasons=reasons)}
            await house.run(15)
            assert house.codes() == [told]

    check()


@virtually
async def test_a_danger_that_is_judged_to_be_over_ends_its_alarm_after_the_off_delay() -> None:
    with house_of() as house:
        house.hazards = {"plant-1": hazard(Level.HIGH)}
        await house.run(15)
        house.hazards = {"plant-1": hazard(Level.NORMAL)}
        await house.run(115)
        assert house.alarms
        await house.run(10)
        assert not house.alarms


@virtually
async def test_one_metric_that_a_host_never_tells_keeps_no_alarm() -> None:
    with house_of() as house:
        house.hazards = {"plant-1": hazard(Level.HIGH, judged=3)}
        await house.run(15)
        house.hazards = {"plant-1": hazard(Level.NORMAL, judged=3)}
        await house.run(130)
        assert not house.alarms


@pytest.mark.parametrize("left", [hazard(Level.NORMAL, judged=2), hazard(Level.NORMAL, judged=0), None])
def test_what_cannot_be_judged_any_more_keeps_its_alarm(left: Hazard | None) -> None:
    @virtually
    async def check() -> None:
        with house_of() as house:
            house.hazards = {"plant-1": hazard(Level.HIGH)}
            await house.run(15)
            house.hazards = {"plant-1": left} if left else {}
            await house.run(600)
            assert house.alarms == {"plant-1 hazard": Level.HIGH}

    check()


@virtually
async def test_after_a_restart_an_alarm_stays_until_its_node_can_be_judged_again() -> None:
    with house_of() as house:
        house.hazards = {"plant-1": hazard(Level.HIGH)}
        await house.run(15)
        house.hazards = {}
        house.restart()
        await house.run(600)
        assert house.alarms == {"plant-1 hazard": Level.HIGH}
        house.hazards = {"plant-1": hazard(Level.NORMAL)}
        await house.run(125)
        assert not house.alarms


# --- forgeries ---


@pytest.mark.parametrize("kind", [PeerFault, LinkLost])
@pytest.mark.parametrize("code", WireCode)
def test_one_message_that_does_not_verify_is_an_alarm_at_once(
    code: WireCode, kind: type[PeerFault | LinkLost]
) -> None:
    @virtually
    async def check() -> None:
        with house_of() as house:
            house.fault(kind(code, "tests"))
            await house.run(0)
            expected = {
                WireCode.SEAL: {"plant-1 seal": Level.HIGH},
                WireCode.SIGNATURE: {"plant-1 signature": Level.HIGH},
                WireCode.IDENTITY: {"plant-1 identity": Level.HIGH},
            }
            if kind is LinkLost:  # what we ourselves refuse fences nobody
                expected[WireCode.TERM] = {"plant-1 fenced": Level.MAJOR}
            assert house.alarms == expected.get(code, {})

    check()


@virtually
async def test_such_an_alarm_stays_for_ten_minutes_and_the_off_delay() -> None:
    with house_of() as house:
        house.fault(FORGED)
        await house.run(0)
        assert house.codes() == [("seal-failed", "seal: item 7 does not open")]
        await house.run(600 + 115)
        assert house.alarms == {"plant-1 seal": Level.HIGH}
        await house.run(10)
        assert house.alarms == {}


@virtually
async def test_the_ten_minutes_begin_anew_with_each_forgery_and_nobody_is_called_twice() -> None:
    with house_of() as house:
        for _ in range(5):
            house.fault(FORGED)
            await house.run(500)
        assert house.alarms == {"plant-1 seal": Level.HIGH}
        assert len(house.codes()) == 1


@virtually
async def test_a_forgery_at_one_node_is_no_alarm_of_another() -> None:
    with house_of() as house:
        house.fault(FORGED, "plant-2")
        await house.run(0)
        assert house.alarms == {"plant-2 seal": Level.HIGH}


@pytest.mark.parametrize(
    "detail", ["", "\n\n", "a\nfake line\x1b[2J\u202e", "\u0000" * 500, "电" * 500, "x" * 500]
)
def test_whatever_a_peer_says_becomes_one_short_line(detail: str) -> None:
    @virtually
    async def check() -> None:
        with house_of() as house:
            house.fault(LinkLost(WireCode.SIGNATURE, detail))
            await house.run(0)
            ((_, told),) = house.codes()
            assert told
            assert told.isprintable()
            assert len(told) <= 200

    check()


@pytest.mark.parametrize("error", [OSError("no route"), TimeoutError(), ZeroDivisionError()])
def test_what_is_no_forgery_is_no_alarm(error: Exception) -> None:
    @virtually
    async def check() -> None:
        with house_of() as house:
            house.fault(error)
            await house.run(60)
            assert house.alarms == {}

    check()


# --- links ---


@virtually
async def test_a_link_that_stays_down_is_an_alarm_that_ends_with_it() -> None:
    with house_of(link_down_after_s=15) as house:
        house.links, house.down = ["plant-1", "plant-2"], {"plant-1"}
        await house.run(20)
        assert house.alarms == {}
        await house.run(5)
        assert house.alarms == {"plant-1 link": Level.MEDIUM}
        house.down = set()
        await house.run(125)
        assert house.alarms == {}


@virtually
async def test_where_thousands_are_lost_at_once_each_gets_its_time_in_the_queue() -> None:
    with house_of(link_down_after_s=15) as house:
        house.links = [f"plant-{number}" for number in range(5_000)]
        house.down = set(house.links)
        await house.run(30)
        assert house.alarms == {}
        house.down = {"plant-7"}  # the others are back
        await house.run(15)
        assert house.alarms == {"plant-7 link": Level.MEDIUM}


@virtually
async def test_a_link_that_comes_back_in_time_calls_nobody_however_often() -> None:
    with house_of(link_down_after_s=15) as house:
        house.links = ["plant-1"]
        for _ in range(20):
            house.down = {"plant-1"}
            await house.run(10)
            house.down = set()
            await house.run(0)
        assert house.codes() == []


# --- fencing ---


@virtually
async def test_a_node_that_obeys_another_server_is_a_major_alarm_until_it_obeys_again() -> None:
    with house_of() as house:
        house.fault(LinkLost(WireCode.TERM, "term 1 is over: 2 was granted since"))
        await house.run(0)
        assert house.alarms == {"plant-1 fenced": Level.MAJOR}
        (told,) = house.codes()
        assert told == ("fenced", "'plant-1' obeys another server: term 1 is over: 2 was granted since")
        assert house.guard.fenced == {"plant-1": "term 1 is over: 2 was granted since"}
        assert house.counters.snapshot()["fenced"] == 1
        house.guard.obeyed("plant-2")
        await house.run(300)
        assert house.alarms == {"plant-1 fenced": Level.MAJOR}
        house.guard.obeyed("plant-1")
        assert house.guard.fenced == {}
        await house.run(125)
        assert house.alarms == {}


# --- orders ---


@virtually
async def test_an_order_whose_outcome_is_not_known_is_an_alarm_of_its_plant() -> None:
    with house_of() as house:
        await house.node.load(Chain.at(State.UNKNOWN).record)
        await house.run(15)
        assert house.alarms == {"plant-1 order-unknown": Level.HIGH}
        assert house.codes() == [("outcome-not-known", "o-1")]


@pytest.mark.parametrize("state", State)
def test_only_orders_that_are_not_known_are_alarms(state: State) -> None:
    @virtually
    async def check() -> None:
        with house_of() as house:
            await house.node.load(Chain.at(state).record)
            await house.run(15)
            assert bool(house.alarms) is (state in {State.UNKNOWN, State.UNKNOWN_EXECUTING})

    check()


# --- the risk board ---


@virtually
async def test_the_risk_board_is_looked_at_each_minute_and_raises_no_alarm() -> None:
    with house_of(experts=panel()) as house:
        await house.run(0)
        for name in house.counters.snapshot():
            house.counters.add(name, 1e6)
        await house.run(55)
        assert not any(row.evidence.weight for row in house.guard.risk.shown() if row.evidence)
        await house.run(600)
        assert max(row.evidence.weight for row in house.guard.risk.shown() if row.evidence) > 0.9
        assert house.alarms == {}
        assert house.node.decision().batches == ()


# --- one defect does not hide the rest ---


@virtually
async def test_a_defect_in_judging_keeps_no_other_alarm_from_coming() -> None:
    with house_of() as house:
        awareness: Any = house.guard.awareness
        awareness.tick = defective
        house.fault(FORGED)
        with pytest.raises(ZeroDivisionError):
            await house.run(0)
        assert house.alarms == {"plant-1 seal": Level.HIGH}


async def defective(_: Now) -> None:
    raise ZeroDivisionError
