"""What links, their sessions and their pool need of each other and of the server."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from dispatch_server.counters import Counters
from dispatch_server.links.schedule import Timed
from protocol.keys import Role
from protocol.messages import Sample
from protocol.requests import AnyReply, Request


class LinkState(StrEnum):
    """Where a link stands."""

    DIALLING = "dialling"
    CONNECTED = "connected"
    WAITING = "waiting"


@dataclass(slots=True)
class LinkStatus:
    """What people see of a link."""

    node: str
    role: Role
    state: LinkState = LinkState.DIALLING
    polls: int = 0
    sessions: int = 0
    faults: int = 0
    last_error: str = ""
    since_s: float | None = None  # monotonic, of the last connect or loss; None before the first one
    round_trip_s: float | None = None  # of the last poll


class Superior(Protocol):
    """What the node behind its links does with what comes up them."""

    counters: Counters

    def on_fault(self, node: str, error: Exception) -> None:
        """A link ended because one of its sides found the other wrong."""
        ...

    def on_report(self, node: str, samples: tuple[Sample, ...]) -> None:
        """A node answered a poll, perhaps with telemetry: its own or, from a center, its region's."""
        ...

    async def answer(self, node: str, request: Request) -> AnyReply:
        """Answer a question about people."""
        ...


class Dials(Timed, Protocol):
    """Something that can dial once."""

    def establish(self) -> Coroutine[Any, Any, None]:
        """Dial; must not raise."""
        ...


class Keeper(Protocol):
    """Who drives a link: the one schedule and the tasks."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def at(self, timed: Timed, when: float) -> None:
        """Call `timed` at `when`."""
        ...

    def want_dial(self, link: Dials) -> None:
        """Let the link dial when its turn comes."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something that has to wait."""
        ...
