"""Somebody who has taken over stations and has seen every event of the grid.

He speaks through the stations' own links, so his items are well sealed and come under fresh cursors. Nothing
that he does may move an order; the hashes of what he forged are kept, so that no ledger may hold them.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.aio.station import Station
from protocol.compose import follow
from protocol.errors import RefusalCode
from protocol.items import HEADQUARTERS, AnswerItem, AskItem, EventItem, RefusalItem, event_item
from protocol.keys import SigningKey
from protocol.lifecycle import SECOND_PERSON, Input, State
from protocol.orders import SignedEvent, approval_digest
from protocol.record import OrderRecord
from tests.simulation.cast import cast, person_of, supervisor_of
from tests.simulation.environment import Environment
from tests.simulation.nodes import NodeDown
from tests.simulation.programs import ClientNode, ServerNode
from tests.support.pki import DEPLOYMENT
from tests.support.virtual_loop import Seeded

# What each input needs besides; the texts and the challenge are worthless.
_DETAILS: dict[Input, dict[str, bytes | str]] = {
    Input.ACCEPT: {},
    Input.CONFIRM: {},
    Input.BEGIN: {},
    Input.EXPIRE: {},
    Input.CLOSE: {},
    Input.ISSUE: {"challenge": bytes(16), "reason": "now"},
    Input.REISSUE: {"challenge": bytes(16), "reason": "now"},
    Input.APPROVE: {"challenge": bytes(16), "reason": "now"},
    Input.DECLINE: {"challenge": bytes(16), "reason": "no"},
    Input.COMPLETE: {"reason": "done"},
    Input.REFUSE: {"reason": "no"},
    Input.CANCEL: {"reason": "no"},
    Input.RECALL: {"reason": "no"},
}
_NEXT_OF_DESK = {
    State.DRAFTED: Input.CANCEL,
    State.ACCEPTED: Input.CANCEL,
    State.READ_BACK: Input.CONFIRM,
    State.CONFIRMED: Input.RECALL,
}
_NEXT_OF_PLANT = {
    State.DELIVERED: Input.REFUSE,
    State.CONFIRMED: Input.BEGIN,
    State.EXECUTING: Input.COMPLETE,
}


@dataclass(frozen=True, slots=True)
class Target:
    """An order, and the stations that are in his hands now, by name."""

    record: OrderRecord
    stations: dict[str, Station]

    @property
    def desk(self) -> Station | None:
        """The order's own desk."""
        return self.stations.get(self.record.content.desk)

    @property
    def plant(self) -> Station | None:
        """The order's own plant."""
        return self.stations.get(self.record.content.plant)

    @property
    def strangers(self) -> list[Station]:
        """Stations that have nothing to do with the order."""
        return [station for station in self.stations.values() if station not in {self.desk, self.plant}]


class Hostile:
    """`forged`: event hashes that nobody may take. `replayed`: (station, hash) of true ones said again."""

    def __init__(
        self,
        env: Environment,
        headquarters: ServerNode,
        centers: Sequence[ServerNode],
        clients: Sequence[ClientNode],
    ) -> None:
        self.forged: set[bytes] = set()
        self.replayed: set[tuple[str, bytes]] = set()
        self._env = env
        self._headquarters = headquarters
        self._servers = (headquarters, *centers)
        self._clients = clients
        self._rng: random.Random = Seeded(f"{env.plan.seed}/hostile")

    def attack(self) -> None:
        """Try all attacks, in any order, until one finds an order that it suits."""
        attacks: list[Callable[[Target], str | None]] = [
            self._replay,
            self._alter,
            self._forge,
            self._write_for_another,
            self._begin_early,
            self._issue_without_factors,
            self._approve_without_factors,
            self._confuse,
        ]
        self._rng.shuffle(attacks)
        targets = self._targets()
        for attack in attacks:
            for target in targets:
                if what := attack(target):
                    self._env.trace.note(f"{what} of {target.record.order}", "hostile")
                    self._env.trace.count(f"attack: {attack.__name__}")
                    return

    def _targets(self) -> list[Target]:
        server = self._headquarters.server
        if not self._headquarters.is_up or server is None:
            return []
        stations: dict[str, Station] = {}
        for client in self._clients:
            try:
                stations[client.name] = client.running().station
            except NodeDown:
                continue
        records = [record for record in server.station.orders.values() if record.is_open]
        self._rng.shuffle(records)
        return [Target(record, stations) for record in records if stations]

    def _send(self, station: Station, *items: EventItem | RefusalItem | AskItem | AnswerItem) -> str:
        name = station.local.name
        (superior,) = (above for above, below in self._env.plan.links if below == name)
        work = station.work()
        for item in items:
            work.post(superior, item)
        station.commit(work)
        return name

    def _send_forged(self, station: Station, signed: SignedEvent) -> str:
        self.forged.add(signed.hash)
        return self._send(station, event_item(signed, HEADQUARTERS))

    def _sign(self, target: Target, given: Input, key: SigningKey, **details: bytes | str) -> SignedEvent:
        """The event that would come next, in a true session of its signer if there is one."""
        name = key.certificate.name
        held = [s.people.sessions for s in self._servers]
        sessions = [key for book in held for key, session in book.items() if session.person == name]
        event = follow(
            target.record,
            given,
            key,
            deployment=DEPLOYMENT,
            at_ms=self._headquarters.wall_ms(),
            session=b"" if given in SECOND_PERSON else (sessions or [bytes(16)])[-1],
            **(_DETAILS[given] | details),
        )
        return event.signed

    def _replay(self, target: Target) -> str:
        station = self._rng.choice(list(target.stations.values()))
        events = self._rng.sample(target.record.events, min(3, len(target.record.events)))
        self.replayed |= {(station.local.name, event.hash) for event in events}
        name = self._send(station, *(event_item(event.signed, HEADQUARTERS) for event in events))
        return f"{name} replays {len(events)} events"

    def _alter(self, target: Target) -> str:
        """One bit of a true event, signature and certificate as they were."""
        station = self._rng.choice(list(target.stations.values()))
        signed = self._rng.choice(target.record.events).signed
        body = bytearray(signed.body)
        body[self._rng.randrange(len(body))] ^= 1 << self._rng.randrange(8)
        altered = SignedEvent(body=bytes(body), certificate=signed.certificate, signature=signed.signature)
        return f"{self._send_forged(station, altered)} alters an event"

    def _forge(self, target: Target) -> str | None:
        """Sign anything with the keys of a station and a person that have nothing to do with the order."""
        if not target.strangers:
            return None
        station = self._rng.choice(target.strangers)
        given = self._rng.choice(tuple(_DETAILS))
        key = self._rng.choice((cast().people[person_of(station.local.name)], station.local.key))
        return f"{self._send_forged(station, self._sign(target, given, key))} forges {given.value}"

    def _write_for_another(self, target: Target) -> str | None:
        """What comes next, through the right station, in the name of the right person, without the key."""
        ways = ((target.desk, _NEXT_OF_DESK), (target.plant, _NEXT_OF_PLANT))
        for station, following in ways:
            given = following.get(target.record.state)
            if station and given:
                true = self._sign(target, given, cast().people[person_of(station.local.name)])
                forged = SignedEvent(body=true.body, certificate=true.certificate, signature=bytes(64))
                return f"{self._send_forged(station, forged)} writes {given.value} without the key"
        return None

    def _begin_early(self, target: Target) -> str | None:
        """The right operator, before the confirmation."""
        if not target.plant or target.record.state not in {State.DELIVERED, State.READ_BACK}:
            return None
        key = cast().people[person_of(target.record.content.plant)]
        return f"{self._send_forged(target.plant, self._sign(target, Input.BEGIN, key))} begins early"

    def _issue_without_factors(self, target: Target) -> str | None:
        """The right dispatcher, with a challenge that both factors answered for something else."""
        ways = {State.DRAFTED: Input.ISSUE, State.READ_BACK: Input.REISSUE}
        given = ways.get(target.record.state)
        if not target.desk or given is None:
            return None
        asked = approval_digest(target.record.order, given, target.record.head)
        grants = self._headquarters.people.grants
        others = [challenge for challenge, grant in grants.items() if grant.digest != asked]
        challenge = self._rng.choice(others) if others else bytes(16)
        key = cast().people[person_of(target.record.content.desk)]
        forged = self._sign(target, given, key, challenge=challenge)
        return f"{self._send_forged(target.desk, forged)} issues without factors"

    def _approve_without_factors(self, target: Target) -> str | None:
        """The stolen key of the second person, or the dispatcher's own; the factors were for other things."""
        if not target.desk or target.record.state is not State.AWAITING:
            return None
        desk = target.record.content.desk
        key = cast().people[self._rng.choice((person_of(desk), supervisor_of(desk)))]
        challenge = self._rng.choice([*self._headquarters.people.grants, bytes(16)])
        forged = self._sign(target, Input.APPROVE, key, challenge=challenge)
        return f"{self._send_forged(target.desk, forged)} approves without factors"

    def _confuse(self, target: Target) -> str:
        """Items that only a superior sends, and an answer that is not true."""
        station = self._rng.choice(list(target.stations.values()))
        record, event = target.record, self._rng.choice(target.record.events).hash
        refusal = RefusalItem(to="", order=record.order, event=event, code=RefusalCode.STALE, detail="")
        ask = AskItem(to=record.content.plant, order=record.order, head=record.head)
        answer = AnswerItem(
            to="", plant=station.local.name, order=record.order, head=bytes(32), state=State.CANCELLED
        )
        return f"{self._send(station, refusal, ask, answer)} speaks as a superior"
