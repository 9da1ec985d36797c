"""What the desks and plants of a responder do with orders: real signatures, as little else as possible.

A desk sends pre-signed drafts and issues, at most `window` at a time, and goes on when the plant's signed
delivery came back on the chain. A plant answers an accepted order with its signed delivery. Neither verifies
what headquarters sends: headquarters is what is measured, and these share its machine.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
from typing_extensions import override

from protocol.items import HEADQUARTERS, event_item
from protocol.keys import SigningKey
from protocol.lifecycle import Input
from protocol.orders import (
    GENESIS,
    Content,
    Draft,
    Issue,
    OrderType,
    Plain,
    Reasoned,
    SignableEvent,
    Step,
    Ticket,
    event_hash,
    sign_event,
)

SESSION = bytes(16)
_VALID_MS = 3_600_000
Post = Callable[[bytes], None]


class Actor:
    """A node that only listens."""

    def on_item(self, item: bytes) -> None:
        """Something came down."""


def _place(signer: SigningKey, deployment: str, order: str, position: int, previous: bytes) -> dict[str, Any]:
    """What every event says, signed now."""
    return {
        "deployment": deployment,
        "order": order,
        "position": position,
        "previous": previous,
        "signer": signer.certificate.name,
        "certificate": signer.certificate.fingerprint,
        "session": b"" if signer.certificate.is_node else SESSION,
        "at_ms": time.time_ns() // 1_000_000,
    }


def _item(event: SignableEvent, key: SigningKey) -> tuple[bytes, bytes]:
    """The item that carries an event upward, and the event's hash."""
    verified = sign_event(event, key)
    return event_item(verified.signed, HEADQUARTERS).encode(), verified.hash


class PlantActor(Actor):
    """Says of each accepted order that it is durable here."""

    def __init__(self, key: SigningKey, deployment: str, post: Post) -> None:
        self._key, self._deployment, self._post = key, deployment, post

    @override
    def on_item(self, item: bytes) -> None:
        if event := _event_in(item):
            said, body = event
            if said["input"] == Input.ACCEPT:
                place = _place(
                    self._key, self._deployment, said["order"], said["position"] + 1, event_hash(body)
                )
                self._post(_item(Plain(**place, input=Input.DELIVER), self._key)[0])


@dataclass(slots=True)
class Tally:
    """What became of a run's orders. Seconds of the monotonic clock, which all processes share."""

    wanted: int
    ends: Input
    done: Callable[["Tally"], None]
    began: float = field(default_factory=time.monotonic)
    issued: dict[str, float] = field(default_factory=dict)
    delivered: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Tell when the last order is where it should be."""
        if len(self.ended) + len(self.refused) == self.wanted:
            self.done(self)

    def summary(self) -> dict[str, Any]:
        """Figures for the parent."""
        last = max([*self.ended.values(), self.began])
        return {
            "orders": len(self.ended),
            "refused": dict(list(self.refused.items())[:3]),
            "began": self.began,
            "seconds": last - self.began,
            "delivered_last": max([*self.delivered.values(), self.began]),
            "latency_s": sorted(t - self.issued[order] for order, t in self.delivered.items()),
        }


class DeskActor(Actor):
    """Keeps `window` orders under way until its pre-signed ones are used up."""

    def __init__(self, key: SigningKey, desk: str, deployment: str, post: Post) -> None:
        self._key, self._desk, self._deployment, self._post = key, desk, deployment, post
        self._waiting: deque[tuple[str, bytes, bytes]] = deque()
        self._tally: Tally | None = None

    def sign(self, orders: Mapping[str, str]) -> None:
        """Draft and issue of each order (order -> plant)."""
        for order, plant in orders.items():
            content = Content(
                type=OrderType.PERMITTED_OPERATION,
                desk=self._desk,
                plant=plant,
                ticket=Ticket(number=order, title="停电", steps=(Step(device=order, action="断开"),)),
                valid_until_ms=time.time_ns() // 1_000_000 + _VALID_MS,
            )
            place = _place(self._key, self._deployment, order, 0, GENESIS)
            draft, head = _item(Draft(**place, input=Input.DRAFT, content=content), self._key)
            place = _place(self._key, self._deployment, order, 1, head)
            challenge = os.urandom(16)
            issue, _ = _item(Issue(**place, input=Input.ISSUE, challenge=challenge, reason=""), self._key)
            self._waiting.append((order, draft, issue))

    def begin(self, tally: Tally, window: int) -> None:
        """Issue the first `window` orders; each that ends lets another one go."""
        self._tally = tally
        for _ in range(min(window, len(self._waiting))):
            self._issue(tally)

    def _issue(self, tally: Tally) -> None:
        order, draft, issue = self._waiting.popleft()
        tally.issued[order] = time.monotonic()
        self._post(draft)
        self._post(issue)

    @override
    def on_item(self, item: bytes) -> None:
        tally = self._tally
        if tally is None:
            return
        if event := _event_in(item):
            self._on_event(tally, *event)
            return
        said = msgpack.unpackb(item)
        if said["kind"] == "refusal" and said["order"] in tally.issued:
            self._end(tally, tally.refused, said["order"], f"{said['code']}: {said['detail']}")

    def _on_event(self, tally: Tally, said: Mapping[str, Any], body: bytes) -> None:
        order, now = said["order"], time.monotonic()
        if order not in tally.issued:
            return
        if said["input"] == Input.DELIVER:
            tally.delivered[order] = now
            if tally.ends is Input.CANCEL:
                place = _place(self._key, self._deployment, order, said["position"] + 1, event_hash(body))
                self._post(_item(Reasoned(**place, input=Input.CANCEL, reason="measured"), self._key)[0])
        if said["input"] == tally.ends:
            self._end(tally, tally.ended, order, now)
        elif said["input"] in {Input.REJECT, Input.ASK_APPROVAL}:
            self._end(tally, tally.refused, order, said["input"])

    def _end(self, tally: Tally, where: dict[str, Any], order: str, what: object) -> None:
        where.setdefault(order, what)
        if self._waiting:
            self._issue(tally)
        tally.check()


def _event_in(item: bytes) -> tuple[dict[str, Any], bytes] | None:
    """The event of an item, unverified, with its canonical bytes."""
    said = msgpack.unpackb(item)
    if said["kind"] != "event":
        return None
    event: dict[str, Any] = msgpack.unpackb(said["body"])
    return event, said["body"]


def share_out(prefix: str, count: int, plants: Sequence[str], first: int) -> dict[str, str]:
    """`count` new order names, each with the next plant in turn."""
    return {f"{prefix}-{n}": plants[(first + n) % len(plants)] for n in range(count)}
