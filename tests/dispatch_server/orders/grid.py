"""Headquarters, a desk and a plant, with or without a center between, whose items a test carries by hand."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from typing_extensions import override

from dispatch_client.client import Client, Login
from dispatch_client.desk import Desk
from dispatch_client.plant import Plant
from dispatch_server.orders.headquarters import Headquarters
from dispatch_server.orders.relay import Relay
from protocol.aio.station import Policy
from protocol.keys import SigningKey, TrustStore
from protocol.lifecycle import OFF_CHAIN, SIGNERS, TRANSITIONS, Input, Signer
from protocol.orders import Issue
from protocol.record import OrderRecord
from situational import Posture
from tests.dispatch_server.orders.support import FAR_OPERATOR, FAR_PLANT, RULES, SESSION
from tests.protocol.parties import CENTER, CONTENT, DESK, DISPATCHER, HQ, OPERATOR, PLANT, SUPERVISOR, TRUST
from tests.support.pki import NOW_MS
from tests.support.stations import Clock, Node

R = TypeVar("R")
VALID_FOR_MS = 3_600_000


class Willing:
    """Everybody is logged in and has given both factors: the orders alone are the subject."""

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        """Nothing is objected to."""

    async def use_grant(self, issue: Issue, node: str, digest: bytes, event_hash: bytes) -> None:
        """Nothing is objected to."""


_TURNS = frozenset({Input.DECLINE, Input.REISSUE, Input.CANCEL, Input.RECALL, Input.REFUSE, Input.FAIL})


def _choice(record: OrderRecord | None, signer: Signer, *, turns: bool) -> Input | None:
    """What this signer would do next in the record's state: go on with the order, or turn it."""
    for state, given in TRANSITIONS:
        if record and state is record.state and signer in SIGNERS[given] and (given in _TURNS) == turns:
            return given
    return None


class RunningClock(Clock):
    """It goes on by a millisecond whenever somebody looks at it."""

    @override
    def __call__(self) -> int:
        self.ms += 1
        return self.ms


class Place:
    """One node with the policy of its present life."""

    def __init__(
        self, key: SigningKey, skew_s: int, trust: TrustStore, make: "Callable[[Node], Policy]"
    ) -> None:
        self.name = key.certificate.name
        self.node = Node(key, trust=trust, clock=RunningClock(NOW_MS + (3_600 + skew_s) * 1000))
        self._make = make
        self.policy = make(self.node)

    def restart(self) -> None:
        """A new process over the same journal."""
        self.node.restart()
        self.policy = self._make(self.node)


class Grid:
    """`skews`: how many seconds each clock is off. `wires`: (superior, subordinate) of each link."""

    def __init__(self, *, far: bool, skews: Sequence[int]) -> None:
        self.loop = asyncio.new_event_loop()
        plant, operator = (FAR_PLANT, FAR_OPERATOR) if far else (PLANT, OPERATOR)
        self.plant_name = plant.certificate.name
        self.posture = Posture.NORMAL
        self._superior = "center-1" if far else "hq"
        keys = [HQ, DESK, plant, *([CENTER] if far else [])]
        self._makers: dict[str, Callable[[Node], Policy]] = {
            "hq": self._headquarters,
            "desk-1": lambda node: self._client(Desk(node.station, "hq"), DISPATCHER),
            self.plant_name: lambda node: self._client(Plant(node.station, self._superior), operator),
            "center-1": lambda node: Relay(node.station, "hq", {self.plant_name: self.plant_name}, Willing()),
        }
        self.places = self.run(self._open(keys, skews))
        self.wires = [("hq", "desk-1"), (self._superior, self.plant_name)]
        self.wires += [("hq", "center-1")] if far else []

    async def _open(self, keys: Sequence[SigningKey], skews: Sequence[int]) -> dict[str, Place]:
        names = [key.certificate.name for key in keys]
        return {
            name: Place(key, skew, TRUST, self._makers[name])
            for name, key, skew in zip(names, keys, skews, strict=False)
        }

    def _headquarters(self, node: Node) -> Headquarters:
        route = self._superior if self._superior != "hq" else self.plant_name
        return Headquarters(
            node.station,
            {self.plant_name: route},
            Willing(),
            RULES,
            posture_of=lambda _nodes: self.posture,
            heard=lambda _plant: None,
        )

    def _client(self, client: Client, key: SigningKey) -> Client:
        client.login = Login(key, SESSION, NOW_MS * 2)
        return client

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Do something in the loop of this grid."""
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """End everything."""
        for place in self.places.values():
            place.node.close()
        self.loop.close()

    # --- stations ---

    def look_at_the_time(self, *, silent: bool) -> None:
        """Headquarters and the plant do what is due. `silent`: nothing was heard of the plant lately."""
        place = self.places["hq"]
        assert isinstance(place.policy, Headquarters)
        self.run(place.node.commit(place.policy.on_tick(lambda _plant: silent)))
        self.run(self.places[self.plant_name].node.commit(self.plant.on_tick()))

    @property
    def desk(self) -> Desk:
        """The desk of this moment."""
        policy = self.places["desk-1"].policy
        assert isinstance(policy, Desk)
        return policy

    @property
    def plant(self) -> Plant:
        """The plant of this moment."""
        policy = self.places[self.plant_name].policy
        assert isinstance(policy, Plant)
        return policy

    # --- people ---

    def dispatcher(self, order: str, *, turns: bool) -> None:
        """The dispatcher does something that the desk believes to be possible. Raises OrderRefused."""
        record = self.run(self.desk.station.find(order))
        given = _choice(record, Signer.DISPATCHER, turns=turns)
        match given:
            case None if record is None:
                self.draft(order)
            case Input.ISSUE | Input.REISSUE:
                self.run(self.desk.issue(order, given, bytes(16), "", 0))
            case Input.CONFIRM:
                self.run(self.desk.confirm(order, 0))
            case Input.CANCEL | Input.RECALL:
                self.run(self.desk.cancel(order, "stop", 0))
            case Input.SETTLE:
                self.run(self.desk.settle(order, "inspected", 0))
            case _:
                return

    def supervisor(self, order: str, *, turns: bool) -> None:
        """The second person decides what waits for it at the desk. Raises OrderRefused."""
        record = self.run(self.desk.station.find(order))
        if record and (given := _choice(record, Signer.SUPERVISOR, turns=turns)):
            verified = self.desk.decision(record, given, SUPERVISOR, bytes(16), "looked at")
            self.run(self.desk.propose(verified, record, 0))

    def operator(self, order: str, *, turns: bool) -> None:
        """The operator does something that the plant believes to be possible. Raises OrderRefused."""
        record = self.run(self.plant.station.find(order))
        given = _choice(record, Signer.OPERATOR, turns=turns)
        match given:
            case Input.READ_BACK:
                self.run(self.plant.read_back(order, "断开 201", 0))
            case Input.BEGIN:
                self.run(self.plant.begin(order))
            case Input.COMPLETE:
                self.run(self.plant.complete(order, "done"))
            case Input.FAIL:
                self.run(self.plant.fail(order, "stuck"))
            case Input.REFUSE:
                self.run(self.plant.refuse(order, "no", 0))
            case _:
                return

    def draft(self, order: str) -> None:
        """The dispatcher writes an order."""
        end = self.places["hq"].node.clock.ms + VALID_FOR_MS
        self.run(
            self.desk.draft(
                order,
                order_type=CONTENT.type,
                plant=self.plant_name,
                ticket=CONTENT.ticket,
                valid_until_ms=end,
                patience=0,
            )
        )

    def restart(self, name: str) -> None:
        """A node's process ends and begins anew."""

        async def restart() -> None:
            self.places[name].restart()

        self.run(restart())

    # --- the wires ---

    def carry(self, sender: str, receiver: str, *, again: int, count: int, acknowledge: bool) -> int:
        """Carry at most `count` items, of which up to `again` were taken before; tells how many were left."""
        outbox = self.places[sender].node.station.outbox(receiver)
        station = self.places[receiver].node.station
        start = max(outbox.acknowledged, station.inbox(sender).received.cursor - again)
        items = outbox.after(start, count)
        self.run(station.take(sender, items, self.places[receiver].policy))
        if acknowledge:
            self.run(self._acknowledge(sender, receiver, station.inbox(sender).durable.cursor))
        return outbox.last - station.inbox(sender).received.cursor

    async def _acknowledge(self, sender: str, receiver: str, cursor: int) -> None:
        self.places[sender].node.station.outbox(receiver).acknowledge(cursor)
        self.places[sender].node.station.acknowledged(receiver)
        await asyncio.sleep(0)

    def settle(self) -> None:
        """Carry everything until nobody has anything to say."""
        ways = [*self.wires, *((below, above) for above, below in self.wires)]
        while True:
            before = sum(
                place.node.station.outbox(p).last for place in self.places.values() for p in self.places
            )
            for sender, receiver in ways:
                self.carry(sender, receiver, again=0, count=100, acknowledge=True)
            after = sum(
                place.node.station.outbox(p).last for place in self.places.values() for p in self.places
            )
            if before == after:
                return

    # --- what is to be seen ---

    def suspicions(self) -> list[dict[str, str]]:
        """What stations wrote down about one another since the last call."""
        decisions = [place.node.decision() for place in self.places.values()]
        return [note for one in decisions for note in one.notes("security") + one.notes("diverged")]

    def record(self, name: str, order: str) -> OrderRecord | None:
        """An order as one node knows it."""
        return self.run(self.places[name].node.station.find(order))

    def chain(self, name: str, order: str) -> list[Input]:
        """What is on an order's chain at one node."""
        record = self.record(name, order)
        inputs = [event.event.input for event in record.events] if record else []
        return [given for given in inputs if given not in OFF_CHAIN]

    def hashes(self, name: str, order: str) -> list[bytes]:
        """The chain's events, by their identity."""
        record = self.record(name, order)
        events = record.events if record else ()
        return [event.hash for event in events if event.event.input not in OFF_CHAIN]
