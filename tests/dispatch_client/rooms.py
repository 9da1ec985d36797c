"""A desk and a plant in memory, with somebody logged in; what headquarters says, a test says."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from typing_extensions import override

from dispatch_client.client import Client, Login, Outcome
from dispatch_client.desk import Desk
from dispatch_client.plant import Plant
from protocol.aio.listener import Listener
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import EventItem, Item, RefusalItem, event_item, refusal_item
from protocol.keys import SigningKey, TrustStore
from protocol.lifecycle import State
from protocol.orders import VerifiedEvent
from protocol.requests import AnyReply, Request
from tests.protocol.parties import DESK, DISPATCHER, OPERATOR, PLANT, TRUST, Chain
from tests.support.pki import NOW_MS
from tests.support.stations import Decision, Node

SESSION = bytes(16)
SESSION_ENDS_MS = NOW_MS + 8 * 3_600_000
PATIENCE = 30.0  # s of the real clock: nothing here waits for it
C = TypeVar("C", bound=Client)


class Room(Generic[C]):
    """A client's station with its policy."""

    def __init__(self, kind: type[C], key: SigningKey, person: SigningKey, trust: TrustStore = TRUST) -> None:
        self.kind = kind
        self.name = key.certificate.name
        self.person = person
        self.node = Node(key, trust=trust)
        self.clock = self.node.clock
        self.client = self._client()

    def _client(self) -> C:
        client = self.kind(self.node.station, "hq")
        client.login = Login(self.person, SESSION, SESSION_ENDS_MS)
        return client

    def restart(self) -> None:
        """A new process over the same journal; the same person logs in again."""
        self.node.restart()
        self.client = self._client()

    async def at(self, state: State) -> Chain:
        """Order o-1, which came to `state` by the shortest way."""
        chain = Chain.at(state)
        await self.node.load(chain.record)
        return chain

    async def say(self, *items: Item) -> Decision:
        """Headquarters sends items."""
        return await self.node.take(self.client, "hq", *items)

    def down(self, event: VerifiedEvent) -> EventItem:
        """An event on its way to this station."""
        return event_item(event.signed, self.name)

    def refusal(
        self, event: bytes, code: RefusalCode = RefusalCode.STALE, why: str = "too late"
    ) -> RefusalItem:
        """Headquarters refuses an event."""
        return refusal_item(event, "o-1", self.name, OrderRefused(code, why))

    def sent(self, decision: Decision) -> VerifiedEvent:
        """The one event of a decision that is on its way up."""
        (item,) = [item for peer, item in decision.posts if peer == "hq" and isinstance(item, EventItem)]
        return self.node.station.verify(item.signed)

    def close(self) -> None:
        self.node.close()


def desk_room(trust: TrustStore = TRUST) -> Room[Desk]:
    """A desk with its dispatcher."""
    return Room(Desk, DESK, DISPATCHER, trust)


def plant_room(trust: TrustStore = TRUST) -> Room[Plant]:
    """A plant with its operator."""
    return Room(Plant, PLANT, OPERATOR, trust)


async def started(task: "asyncio.Task[Outcome]") -> None:
    """Let an action go on until it waits for headquarters."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()


class ScriptedSuperior(Listener):
    """The door of a station whose superior gives the answers of a test. `asked`: what it was asked."""

    def __init__(self, room: Room[C]) -> None:
        super().__init__(room.node.station, "hq", room.client, bytes)
        self.asked: list[Request] = []
        self.replies: deque[AnyReply | Exception] = deque()

    def will_say(self, *replies: AnyReply | Exception) -> None:
        """What it answers next, one by one."""
        self.replies.extend(replies)

    @override
    async def ask(self, request: Request) -> AnyReply:
        self.asked.append(request)
        reply = self.replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply
