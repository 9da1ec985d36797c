"""A headquarters and a center in memory, with the people that they ask about."""

from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from dispatch_server.orders.checks import Rules
from dispatch_server.orders.headquarters import Headquarters
from dispatch_server.orders.relay import Relay
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import Item, RefusalItem
from protocol.keys import Role, SigningKey, TrustStore
from protocol.lifecycle import SIGNERS, Input, Signer, State
from protocol.orders import Issue, VerifiedEvent, approval_digest
from protocol.record import OrderRecord, apply
from situational import Posture
from tests.protocol.parties import AUTHORITY, CENTER, CONTENT, HQ, TRUST, Chain, write
from tests.support.stations import Clock, Decision, Node

FAR_PLANT = AUTHORITY.key(Role.PLANT, "plant-3")
FAR_OPERATOR = AUTHORITY.key(Role.OPERATOR, "zhou", "plant-3")
ROUTES = {"plant-1": "plant-1", "plant-2": "plant-2", "plant-3": "center-1"}
SESSION = bytes(16)
RULES = Rules()


class FarChain(Chain):
    """An order for plant-3, which lies behind center-1."""

    def __init__(self, known: OrderRecord | None = None) -> None:
        content = CONTENT.model_copy(update={"plant": "plant-3"})
        super().__init__(known or apply(None, write(None, Input.DRAFT, content=content)))

    @override
    def event(self, given: Input, *, by: SigningKey | None = None, **fields: Any) -> VerifiedEvent:
        signers = SIGNERS[given]
        if signers == {Signer.OPERATOR}:
            by = by or FAR_OPERATOR
        elif signers == {Signer.PLANT}:
            by = by or FAR_PLANT
        return super().event(given, by=by, **fields)


class PeopleStandIn:
    """Who is logged in where, and for which digest both factors were given."""

    def __init__(self) -> None:
        self.sessions = {
            (SESSION, "li", "desk-1"),
            (SESSION, "zhao", "desk-1"),
            (SESSION, "chen", "desk-2"),
            (SESSION, "wang", "plant-1"),
            (SESSION, "sun", "plant-2"),
            (SESSION, "zhou", "plant-3"),
        }
        self.grants: dict[bytes, tuple[str, str, bytes]] = {}
        self.used: list[bytes] = []

    def grant(self, event: VerifiedEvent, node: str = "desk-1") -> None:
        """Both factors are given for exactly this event."""
        issue = event.event
        assert isinstance(issue, Issue)
        digest = approval_digest(issue.order, issue.input, issue.previous)
        self.grants[issue.challenge] = (issue.signer, node, digest)

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        if (session, person, node) not in self.sessions:
            raise OrderRefused(RefusalCode.SESSION, "there is no such session")

    async def use_grant(self, issue: Issue, node: str, digest: bytes, event_hash: bytes) -> None:
        if self.grants.get(issue.challenge) != (issue.signer, node, digest):
            raise OrderRefused(RefusalCode.FACTORS, "both factors were not given for this")
        self.used.append(event_hash)


class Office:
    """A headquarters. `postures`: node -> posture; what is not there is normal."""

    def __init__(
        self, *, rules: Rules = RULES, trust: TrustStore = TRUST, routes: dict[str, str] | None = None
    ) -> None:
        self.people = PeopleStandIn()
        self.postures: dict[str, Posture] = {}
        self.heard: list[str] = []
        self.node = Node(HQ, trust=trust)
        self.clock: Clock = self.node.clock
        self.routes = dict(ROUTES if routes is None else routes)
        self._rules = rules
        self.refusals: list[RefusalCode] = []
        self.policy = self._policy()

    def _policy(self) -> Headquarters:
        return Headquarters(
            self.node.station,
            self.routes,
            self.people,
            self._rules,
            posture_of=self._posture_of,
            heard=self.heard.append,
            on_refused=lambda _peer, refusal: self.refusals.append(refusal.code),
        )

    def restart(self) -> None:
        """A new process over the same journal."""
        self.node.restart()
        self.policy = self._policy()

    def _posture_of(self, nodes: Iterable[str]) -> Posture:
        return max((self.postures.get(node, Posture.NORMAL) for node in nodes), default=Posture.NORMAL)

    async def say(self, peer: str, *items: Item) -> Decision:
        """A direct subordinate sends items in one report."""
        return await self.node.take(self.policy, peer, *items)

    async def tick(self, *silent: str) -> Decision:
        """Time is looked at; nothing was heard lately of the plants named."""
        return await self.node.commit(self.policy.on_tick(lambda plant: plant in silent))

    async def at(self, state: State) -> Chain:
        """Order o-1, which came to `state` by the shortest way."""
        chain = Chain.at(state)
        await self.node.load(chain.record)
        return chain

    def order(self, order: str = "o-1") -> OrderRecord:
        """The order as headquarters knows it."""
        return self.node.station.orders[order]

    def close(self) -> None:
        self.node.close()


class Center:
    """The regional center of plant-3 and plant-4."""

    def __init__(self, *, trust: TrustStore = TRUST) -> None:
        self.people = PeopleStandIn()
        self.node = Node(CENTER, trust=trust)
        self.policy = self._policy()

    def _policy(self) -> Relay:
        return Relay(self.node.station, "hq", {"plant-3": "plant-3", "plant-4": "plant-4"}, self.people)

    def restart(self) -> None:
        """A new process over the same journal."""
        self.node.restart()
        self.policy = self._policy()

    async def say(self, peer: str, *items: Item) -> Decision:
        """The superior or a child sends items."""
        return await self.node.take(self.policy, peer, *items)

    def order(self, order: str = "o-1") -> OrderRecord:
        """The order as the center knows it."""
        return self.node.station.orders[order]

    def close(self) -> None:
        self.node.close()


def the_refusal(decision: Decision, peer: str, to: str, code: RefusalCode) -> RefusalItem:
    """The one post of a decision is this refusal, nothing was recorded, and the ledger knows why."""
    assert decision.recorded == []
    ((told, item),) = decision.refusals
    assert len(decision.posts) == 1
    assert (told, item.to, item.code) == (peer, to, code)
    (note,) = decision.notes("refused") + decision.notes("security")
    assert note["code"] == code.value
    return item
