"""Headquarters in hostile hands: it has the certificate and the keys of the link, but no person's key."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dispatch_server.demo.deployment import DEPLOYMENT
from protocol.aio.node import wall_ms
from protocol.compose import draft, follow
from protocol.errors import WireCode
from protocol.frames import Kind
from protocol.items import EventItem, event_item
from protocol.keys import Role, SigningKey
from protocol.lifecycle import Input
from protocol.orders import Content, OrderType, Step, Ticket, VerifiedEvent
from protocol.record import replay
from tests.system.caller import PlayedSuperior, frames_in
from tests.system.credentials import Issuer, of_node
from tests.system.grid import Grid, Topology

pytestmark = pytest.mark.system

# No program runs as hq: the test is headquarters.
TOPOLOGY: Topology = (("hq", Role.HQ, None), ("plant-a", Role.PLANT, "hq"))


class Conspiracy:
    """A link to a real plant, a dispatcher's real key, and orders as they are written."""

    def __init__(self, grid: Grid, folder: Path) -> None:
        issuer = Issuer(grid, folder)
        self.grid = grid
        self.dispatcher = issuer.issue(Role.DISPATCHER, "wang", "desk-1").signing_key
        self.elsewhere = issuer.issue(Role.DISPATCHER, "sun", "desk-2").signing_key
        self.both_roles = issuer.issue(Role.SUPERVISOR, "wang", "desk-1").signing_key
        self.foreign = issuer.issue(Role.DISPATCHER, "wang", "desk-1", foreign=True).signing_key
        self.operator = issuer.issue(Role.OPERATOR, "li", "plant-a").signing_key
        self.hq = of_node(grid, "hq").signing_key
        self.plant = of_node(grid, "plant-a").signing_key
        plant = grid.nodes["plant-a"]
        self.superior = PlayedSuperior(of_node(grid, "hq"), of_node(grid, "plant-a"), plant.port)

    def accepted(self, order: str) -> list[VerifiedEvent]:
        """A drafted, issued and accepted order, each event rightly signed."""
        content = Content(
            type=OrderType.DIRECT_OPERATION,
            desk="desk-1",
            plant="plant-a",
            ticket=Ticket(number=order, title="open 断开", steps=(Step(device="breaker", action="open"),)),
            valid_until_ms=wall_ms() + 600_000,
        )
        session = os.urandom(16)
        first = draft(
            order, content, self.dispatcher, deployment=DEPLOYMENT, at_ms=wall_ms(), session=session
        )
        issued = self.next([first], Input.ISSUE, self.dispatcher, challenge=os.urandom(16), reason="")
        return [first, issued, self.next([first, issued], Input.ACCEPT, self.hq)]

    def read_back(self, order: str) -> list[VerifiedEvent]:
        """The same, delivered and read back: only the dispatcher's word is missing."""
        events = self.accepted(order)
        events.append(self.next(events, Input.DELIVER, self.plant))
        details = {"content_hash": events[0].hash, "words": "open"}
        return [*events, self.next(events, Input.READ_BACK, self.operator, **details)]

    def next(
        self, before: list[VerifiedEvent], given: Input, key: SigningKey, **details: Any
    ) -> VerifiedEvent:
        """The next event, signed with any key."""
        session = b"" if key.certificate.is_node else os.urandom(16)
        return follow(
            replay(before), given, key, deployment=DEPLOYMENT, at_ms=wall_ms(), session=session, **details
        )

    def state(self, order: str) -> str:
        return str(self.grid.call("plant-a", "show", order=order)["state"])


def to_plant(event: VerifiedEvent) -> EventItem:
    return event_item(event.signed, "plant-a")


@pytest.fixture(scope="module")
def conspiracy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conspiracy]:
    folder = tmp_path_factory.mktemp("conspiracy")
    grid = Grid(folder / "grid", (), TOPOLOGY)
    conspiracy = Conspiracy(grid, folder)
    try:
        grid.start("plant-a")
        yield conspiracy
    finally:
        grid.close()


def test_a_message_recorded_in_one_session_is_refused_in_another(conspiracy: Conspiracy) -> None:
    superior = conspiracy.superior
    with superior.session():
        superior.deliver(*map(to_plant, conspiracy.accepted("recorded")))
        recorded = frames_in(b"".join(superior.said), Kind.DELIVER)
    assert len(recorded) == 3
    before = conspiracy.grid.call("plant-a", "show", order="recorded")
    for frame in recorded:
        said = len(conspiracy.grid.logged("plant-a"))
        with superior.session():
            superior.say(frame)
            assert superior.farewell().code == WireCode.SEAL
        conspiracy.grid.wait_logged("plant-a", "link refused", "a sealed message does not verify", after=said)
    assert conspiracy.grid.call("plant-a", "show", order="recorded") == before
    assert before["state"] == "accepted"


def test_a_message_said_twice_in_one_session_ends_the_link(conspiracy: Conspiracy) -> None:
    superior = conspiracy.superior
    with superior.session():
        said = len(superior.said)
        superior.deliver(*map(to_plant, conspiracy.accepted("twice")))
        superior.say(frames_in(b"".join(superior.said[said:]), Kind.DELIVER)[-1])
        assert superior.farewell().code == WireCode.SEAL
    assert conspiracy.state("twice") == "accepted"


def test_an_event_that_is_delivered_again_under_a_new_number_happens_once(conspiracy: Conspiracy) -> None:
    superior = conspiracy.superior
    events = conspiracy.accepted("again")
    with superior.session():
        superior.deliver(*map(to_plant, [*events, *events, events[1]]))
    seen = [event["input"] for event in conspiracy.grid.call("plant-a", "show", order="again")["events"]]
    assert seen == ["draft", "issue", "accept"]


@pytest.mark.parametrize(
    ("forger", "why"),
    [
        ("hq", "needs the dispatcher of this order, not 'hq'"),
        ("elsewhere", "needs the dispatcher of this order, not 'sun'"),
        ("foreign", "wang: the certificate is not issued by this deployment's authority"),
    ],
)
@pytest.mark.parametrize("given", [Input.ISSUE, Input.CONFIRM, Input.CANCEL])
def test_headquarters_cannot_make_up_what_a_dispatcher_must_sign(
    conspiracy: Conspiracy, given: Input, forger: str, why: str
) -> None:
    order = f"forged-{given.value}-{forger}"
    events, details = conspiracy.read_back(order), {}
    if given is Input.ISSUE:
        events, details = events[:1], {"challenge": os.urandom(16), "reason": "made up"}
    elif given is Input.CANCEL:
        details = {"reason": "made up"}
    right = replay(events).state.value
    forged = conspiracy.next(events, given, getattr(conspiracy, forger), **details)
    said = len(conspiracy.grid.logged("plant-a"))
    with conspiracy.superior.session():
        conspiracy.superior.deliver(*map(to_plant, [*events, forged]))
    conspiracy.grid.wait_logged("plant-a", "event not taken", why, after=said)
    assert conspiracy.state(order) == right


@pytest.mark.parametrize(
    ("given", "forger", "why"),
    [
        (Input.ACCEPT, "hq", "'accept' is not possible in state 'awaiting-approval'"),
        (Input.APPROVE, "hq", "needs the supervisor of this order, not 'hq'"),
        (Input.APPROVE, "dispatcher", "needs the supervisor of this order, not 'wang'"),
        (Input.APPROVE, "both_roles", "'wang' issued it: 'approve' needs another person"),
    ],
)
def test_headquarters_that_asked_for_a_second_person_cannot_go_on_without_one(
    conspiracy: Conspiracy, given: Input, forger: str, why: str
) -> None:
    order = f"skipped-{given.value}-{forger.replace('_', '-')}"
    events = conspiracy.accepted(order)[:2]
    events.append(conspiracy.next(events, Input.ASK_APPROVAL, conspiracy.hq))
    details = {} if given is Input.ACCEPT else {"challenge": os.urandom(16), "reason": ""}
    forged = conspiracy.next(events, given, getattr(conspiracy, forger), **details)
    said = len(conspiracy.grid.logged("plant-a"))
    with conspiracy.superior.session():
        conspiracy.superior.deliver(*map(to_plant, [*events, forged]))
    conspiracy.grid.wait_logged("plant-a", "event not taken", why, after=said)
    assert conspiracy.state(order) == "awaiting-approval"


def test_an_order_for_another_plant_is_not_taken(conspiracy: Conspiracy) -> None:
    events = conspiracy.accepted("astray")
    with conspiracy.superior.session():
        conspiracy.superior.deliver(*(event_item(event.signed, "plant-b") for event in events))
    listed = conspiracy.grid.call("plant-a", "list")
    assert "astray" not in {row["order"] for row in listed}
