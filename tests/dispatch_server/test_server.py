"""dispatch_server/server.py: the wiring of headquarters and of a center."""

import asyncio
from contextlib import closing

import pytest

from dispatch_server.config import LinkSettings
from dispatch_server.links.dial import Dial
from dispatch_server.orders.checks import Rules
from dispatch_server.server import Ports, Server
from protocol.aio.ports import Stream
from protocol.items import AskItem
from protocol.journal.file import JournalError
from protocol.keys import Role, SigningKey
from protocol.lifecycle import Input, State
from protocol.limits import Timers
from protocol.messages import Sample
from protocol.requests import AnyReply, DoneReply, LogoutRequest, Request
from situational import Posture
from tests.dispatch_server.links.support import virtually
from tests.dispatch_server.orders.support import PeopleStandIn
from tests.protocol.parties import CENTER, HQ, VALID_UNTIL_MS, Chain
from tests.support.pki import NOW_MS
from tests.support.stations import Clock, Node, up
from tests.support.virtual_loop import Seeded

DESK_LINK = LinkSettings(node="desk-1", role=Role.DESK, host="-")
PLANT_LINK = LinkSettings(node="plant-1", role=Role.PLANT, host="-")
CENTER_LINK = LinkSettings(node="center-1", role=Role.CENTER, host="-", serves=("plant-3",))
METRICS = ("logged_in_nodes", "network_flow", "external_connections", "memory_used")


class Everybody(PeopleStandIn):
    """The people that headquarters asks, who answer questions too."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Request]] = []

    async def answer(self, node: str, request: Request) -> AnyReply:
        self.asked.append((node, request))
        return DoneReply()


class House:
    """A server whose links lead nowhere. `host`: what reading its own telemetry gives."""

    def __init__(self, key: SigningKey, *links: LinkSettings, superior: str | None = None) -> None:
        self.node = Node(key, clock=Clock())
        self.people = Everybody()
        self.host: Sample | Exception = sample(key.certificate.name)
        self.dials: list[str] = []
        self._links, self._superior = links, superior
        self.server = self._serve()

    def _serve(self) -> Server:
        return Server(
            self.node.station,
            self.people,
            Ports(
                dial=self._dial, random=Seeded(1).randbytes, uniform=lambda: 0.0, read_host=self._read_host
            ),
            links=self._links,
            superior=self._superior,
            timers=Timers(),
            rules=Rules(),
            telemetry_interval=5.0,
        )

    def restart(self) -> None:
        """A new process over the same journal."""
        self.node.restart()
        self.server = self._serve()

    def _dial(self, link: LinkSettings) -> Dial:
        async def dial() -> Stream:
            self.dials.append(link.node)
            raise ConnectionRefusedError("nobody is there")

        return dial

    async def _read_host(self) -> Sample:
        if isinstance(self.host, Exception):
            raise self.host
        return self.host

    def start(self) -> "asyncio.Task[None]":
        """Run all parts; the task ends with the first that fails."""

        async def run() -> None:
            async with asyncio.TaskGroup() as group:
                for part in self.server.parts():
                    group.create_task(part)

        return asyncio.get_running_loop().create_task(run())

    def state(self) -> State:
        """Of order o-1."""
        return self.node.station.orders["o-1"].state

    def close(self) -> None:
        self.node.close()


def headquarters() -> House:
    return House(HQ, DESK_LINK, PLANT_LINK, CENTER_LINK)


def center() -> House:
    return House(CENTER, LinkSettings(node="plant-3", role=Role.PLANT, host="-"), superior="hq")


def sample(node: str, value: float | None = 1.0) -> Sample:
    return Sample(node=node, at_ms=NOW_MS, **dict.fromkeys(METRICS, value))


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """What a center lets ride along to its superior."""
    samples: list[Sample] = []
    monkeypatch.setattr("protocol.aio.listener.Listener.sample", lambda _self, sample: samples.append(sample))
    return samples


# --- telemetry ---


async def test_a_node_speaks_for_itself_alone() -> None:
    with closing(headquarters()) as house:
        house.server.on_report("plant-1", (sample("plant-1"), sample("hq"), sample("plant-3")))
        assert set(house.server.awareness._series._nodes) == {"plant-1"}


async def test_a_center_speaks_for_its_region_alone() -> None:
    with closing(headquarters()) as house:
        house.server.on_report("center-1", tuple(map(sample, ("center-1", "plant-3", "plant-1", "desk-1"))))
        assert set(house.server.awareness._series._nodes) == {"center-1", "plant-3"}


async def test_an_answer_without_telemetry_is_a_sign_of_life() -> None:
    with closing(headquarters()) as house:
        now = asyncio.get_running_loop().time()
        house.server.awareness.heard("plant-1", now - 1000)
        house.server.on_report("plant-1", ())
        assert not house.server.awareness.is_silent("plant-1", now, after_s=15)


async def test_foreign_telemetry_is_no_sign_of_life() -> None:
    with closing(headquarters()) as house:
        now = asyncio.get_running_loop().time()
        house.server.awareness.heard("plant-3", now - 1000)
        house.server.on_report("plant-1", (sample("plant-3"),))
        assert house.server.awareness.is_silent("plant-3", now, after_s=15)


async def test_a_center_passes_on_what_its_children_say_of_themselves(passed_on: list[Sample]) -> None:
    with closing(center()) as house:
        house.server.on_report("plant-3", (sample("plant-3", 7.0), sample("plant-1")))
        assert passed_on == [sample("plant-3", 7.0)]


async def test_a_center_tells_that_a_child_lives_which_measured_nothing(passed_on: list[Sample]) -> None:
    with closing(center()) as house:
        house.server.on_report("plant-3", ())
        (sign,) = passed_on
        assert sign.node == "plant-3"
        assert all(getattr(sign, metric) is None for metric in METRICS)


async def test_what_a_child_says_of_others_is_no_sign_of_their_life(passed_on: list[Sample]) -> None:
    with closing(center()) as house:
        house.server.on_report("plant-3", (sample("plant-1"),))
        assert {sign.node for sign in passed_on} == {"plant-3"}


@virtually
async def test_a_server_watches_its_own_host() -> None:
    with closing(headquarters()) as house:
        running = house.start()
        await asyncio.sleep(12)
        assert len(house.server.awareness._series._nodes["hq"]) == 4
        assert set(house.server.awareness.nodes) == {"hq"}
        running.cancel()


def test_a_center_passes_on_its_own_telemetry(passed_on: list[Sample]) -> None:
    @virtually
    async def check() -> None:
        with closing(center()) as house:
            running = house.start()
            await asyncio.sleep(12)
            running.cancel()

    check()
    assert passed_on == [sample("center-1")] * 3


@virtually
async def test_a_host_that_cannot_be_read_stops_nothing() -> None:
    with closing(headquarters()) as house:
        house.host = OSError("too many open files")
        running = house.start()
        await asyncio.sleep(6)
        assert not running.done()
        house.host = sample("hq")
        await asyncio.sleep(10)
        assert "hq" in house.server.awareness.nodes
        running.cancel()


# --- the third line of defence reaches the orders ---


async def hold(house: House, node: str) -> None:
    """A node is held."""
    house.server.awareness.restore({node: Posture.NORMAL})
    house.server.awareness._move(node, house.server.awareness.nodes[node], Posture.HELD, "major")


async def issue(house: House) -> State:
    """The dispatcher issues an order; tells what became of it."""
    chain = Chain.at(State.DRAFTED)
    await house.node.load(chain.record)
    event = chain.event(Input.ISSUE)
    house.people.grant(event)
    await house.node.take(house.server.links[0].policy, "desk-1", up(event))
    return house.state()


@pytest.mark.parametrize(("held", "state"), [("plant-1", State.REJECTED), ("center-1", State.ACCEPTED)])
async def test_the_posture_of_a_node_decides_on_the_orders_that_concern_it(held: str, state: State) -> None:
    with closing(headquarters()) as house:
        await hold(house, held)
        assert await issue(house) is state


async def test_each_change_of_a_posture_is_written_down() -> None:
    with closing(headquarters()) as house:
        await hold(house, "plant-1")
        house.server.awareness.release("zhao")
        notes = house.node.decision().notes("posture")
        assert [(note["subject"], note["before"], note["after"]) for note in notes] == [
            ("plant-1", "NORMAL", "HELD"),
            ("plant-1", "HELD", "NORMAL"),
        ]
        assert "zhao" in notes[1]["why"]


async def test_a_hold_survives_a_restart_and_its_release_too() -> None:
    with closing(headquarters()) as house:
        await hold(house, "plant-1")
        house.restart()
        assert house.server.awareness.posture_of(["plant-1"]) is Posture.HELD
        house.server.awareness.release("zhao")
        house.restart()
        assert house.server.awareness.posture_of(["plant-1"]) is Posture.NORMAL


# --- time ---


@virtually
async def test_headquarters_looks_at_the_time_several_times_a_second() -> None:
    with closing(headquarters()) as house:
        await house.node.load(Chain.at(State.READ_BACK).record)
        running = house.start()
        await asyncio.sleep(1)
        assert house.state() is State.READ_BACK
        house.node.clock.ms = VALID_UNTIL_MS
        await asyncio.sleep(0.3)
        assert house.state() is State.EXPIRED
        running.cancel()


@virtually
async def test_a_plant_that_is_never_heard_of_is_lost_after_its_time_and_found_by_what_it_says() -> None:
    with closing(headquarters()) as house:
        chain = Chain.at(State.CONFIRMED)
        await house.node.load(chain.record)
        running = house.start()
        await asyncio.sleep(14.9)
        assert house.state() is State.CONFIRMED
        await asyncio.sleep(0.5)
        assert house.state() is State.UNKNOWN
        begin = chain.event(Input.BEGIN)
        await house.node.take(house.server.links[1].policy, "plant-1", up(begin))
        await asyncio.sleep(14)
        assert house.state() is State.EXECUTING
        running.cancel()


@virtually
async def test_a_center_decides_nothing_about_time() -> None:
    with closing(center()) as house:
        await house.node.load(Chain.at(State.READ_BACK).record)
        house.node.clock.ms = VALID_UNTIL_MS
        running = house.start()
        await asyncio.sleep(60)
        assert house.state() is State.READ_BACK
        running.cancel()


# --- the whole ---


@virtually
async def test_each_configured_node_is_dialled_and_nobody_else() -> None:
    with closing(headquarters()) as house:
        running = house.start()
        await asyncio.sleep(0.05)
        assert sorted(house.dials) == ["center-1", "desk-1", "plant-1"]
        running.cancel()


async def test_only_a_server_with_a_superior_has_a_door() -> None:
    with closing(headquarters()) as house, closing(center()) as below:
        assert house.server.listener is None
        assert below.server.listener
        assert below.server.listener.superior == "hq"


async def test_questions_about_people_reach_the_people() -> None:
    with closing(headquarters()) as house:
        question = LogoutRequest(person="li", session=bytes(16))
        assert await house.server.answer("desk-1", question) == DoneReply()
        assert house.people.asked == [("desk-1", question)]


async def test_orders_for_a_plant_behind_a_center_take_its_way() -> None:
    with closing(headquarters()) as house:
        policy = house.server.links[0].policy
        question = AskItem(to="", order="o-1", head=bytes(32))
        assert (await house.node.take(policy, "center-1", question)).notes("security")
        assert all(link.policy is policy for link in house.server.links)


@virtually
async def test_a_journal_that_fails_ends_the_server() -> None:
    with closing(headquarters()) as house:
        running = house.start()
        await asyncio.sleep(1)
        house.node.writer.broken = True
        house.node.station.acknowledged("plant-1")
        with pytest.raises(ExceptionGroup) as failure:
            await running
        assert isinstance(failure.value.exceptions[0], JournalError)
