"""What people at this node may ask of it, as named commands of the control socket."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from dispatch_client.client import Client, Outcome, OutcomeKind
from dispatch_client.desk import Desk
from dispatch_client.login import Authenticator
from dispatch_client.plant import Plant
from protocol.aio.control import CommandFailed, Handler
from protocol.aio.listener import Listener
from protocol.errors import OrderRefused, RefusalCode
from protocol.keys import Role
from protocol.lifecycle import Input, State
from protocol.models import Line, Name, Text
from protocol.orders import Issue, OrderId, OrderType, Reasoned, Step, Ticket
from protocol.record import OrderRecord
from protocol.settings import Settings
from protocol.timeline import Timeline
from protocol.views import order_row, order_view

_PATIENCE = 10.0  # s that a command waits for headquarters before it says "pending"
# The last event of the chain that the person was shown: what they sign must follow exactly that one.
Seen = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Factor = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,16}$")]


class LoginArguments(Settings):
    person: Name
    password: Annotated[str, Field(min_length=1, max_length=256, repr=False)]
    factor: Factor = "totp"
    response: Annotated[str, Field(max_length=24 * 1024, repr=False)]


class DraftArguments(Settings):
    order: OrderId
    type: OrderType
    plant: Name
    number: Line
    title: Line
    steps: Annotated[tuple[tuple[Line, Line], ...], Field(min_length=1, max_length=64)]
    valid_for_s: Annotated[int, Field(ge=1, le=24 * 3600)] = 3600


class IssueArguments(Settings):
    order: OrderId
    seen: Seen = ""
    password: Annotated[str, Field(min_length=1, max_length=256, repr=False)]
    factor: Factor = "totp"
    response: Annotated[str, Field(max_length=24 * 1024, repr=False)]
    reason: Text = ""


class DecisionArguments(IssueArguments):
    """Of a second person, whose own factors these are."""

    person: Name


class OrderArguments(Settings):
    order: OrderId


class ConfirmArguments(Settings):
    order: OrderId
    seen: Seen = ""


class TextArguments(Settings):
    order: OrderId
    text: Text = ""


class ListArguments(Settings):
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class WaitArguments(Settings):
    order: OrderId
    states: Annotated[tuple[State, ...], Field(min_length=1)]
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0


class Commands:
    """The handlers; `table` is what the control socket serves."""

    def __init__(
        self, client: Client, listener: Listener, authenticator: Authenticator, timeline: Timeline
    ) -> None:
        self._client = client
        self._listener = listener
        self._authenticator = authenticator
        self._timeline = timeline
        self._changed = asyncio.Event()
        client.station.watch_orders(lambda _record: self._announce())

    @property
    def table(self) -> Mapping[str, Handler]:
        """Command name -> handler, for this node's role."""
        common: dict[str, Handler] = {
            "status": self._status,
            "login": self._login,
            "logout": self._logout,
            "list": self._list,
            "show": self._show,
            "wait": self._wait,
        }
        particular = (_desk_table(self, self._client) if isinstance(self._client, Desk) else {}) | (
            _plant_table(self._client) if isinstance(self._client, Plant) else {}
        )
        return common | particular

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        login = self._client.login
        station = self._client.station
        return {
            "node": station.local.name,
            "role": station.local.key.certificate.role.value,
            "superior": self._listener.superior,
            "connected": self._listener.is_connected,
            "polls": self._listener.polls,
            "refused_links": self._listener.refused,
            "counters": dict(sorted(self._listener.counters.items())),
            "fenced": asdict(self._listener.fenced) if self._listener.fenced else None,
            "person": login.person if login else None,
            "postures": self._client.postures,
            "open_orders": sum(record.is_open for record in station.orders.values()),
            "pending": len(station.pending),
            "ledger_entry": station.ledger_head.entry,
        }

    async def _login(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        given = LoginArguments.model_validate(raw)
        login = await self._authenticator.login(
            given.person, given.password, given.factor, given.response.encode()
        )
        before, self._client.login = self._client.login, login
        if before:
            await self._authenticator.logout(before)
        return {"person": login.person, "expires_ms": login.expires_ms}

    async def _logout(self, _: Mapping[str, Any]) -> dict[str, Any]:
        login, self._client.login = self._client.login, None
        if login:
            await self._authenticator.logout(login)
        return {"person": login.person if login else None}

    async def _list(self, raw: Mapping[str, Any]) -> list[dict[str, Any]]:
        limit = ListArguments.model_validate(raw).limit
        found = [
            await self._client.station.find(row.order)
            for row in await self._client.station.latest_orders(limit)
        ]
        return [order_row(record) for record in found if record]

    async def _show(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        record = await self._client.station.find(OrderArguments.model_validate(raw).order)
        await self._client.station.settled()
        if record is None:
            raise CommandFailed("unknown-order", "there is no such order here: list the orders")
        return order_view(record, self._timeline)

    async def _wait(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        given = WaitArguments.model_validate(raw)
        try:
            async with asyncio.timeout(given.timeout_s):
                return order_view(await self._reached(given.order, given.states), self._timeline)
        except TimeoutError:
            states = " or ".join(given.states)
            raise CommandFailed("no-answer", f"'{given.order}' did not become {states} in time") from None

    async def _reached(self, order: str, states: tuple[State, ...]) -> OrderRecord:
        while True:
            changed = self._changed
            record = await self._client.station.find(order)
            if record and record.state in states:
                await self._client.station.settled()
                return record
            await changed.wait()

    async def issue(self, raw: Mapping[str, Any], desk: Desk, given_input: Input) -> dict[str, Any]:
        """Both factors for exactly this order, then the signed event."""
        given = IssueArguments.model_validate(raw)
        _require_seen(desk, given.order, given.seen)
        digest = desk.approval(given.order, given_input)
        challenge = await self._authenticator.approve(
            desk.person(), digest, given.password, given.factor, given.response.encode()
        )
        outcome = await desk.issue(given.order, given_input, challenge, given.reason, _PATIENCE)
        return await self._with_verdict(outcome)

    async def decide(self, raw: Mapping[str, Any], desk: Desk, given_input: Input) -> dict[str, Any]:
        """Both factors of a second person for exactly this decision, then the signed event.

        The login at this desk stays as it is.
        """
        given = DecisionArguments.model_validate(raw)
        _require_seen(desk, given.order, given.seen)
        record, digest = desk.order(given.order), desk.approval(given.order, given_input)
        key = await self._authenticator.unlock(given.person, given.password, Role.SUPERVISOR)
        # A trial that goes nowhere: no factor is given for what would be refused.
        desk.decision(record, given_input, key, bytes(16), given.reason)
        challenge = await self._authenticator.step_up(
            given.person, digest, given.password, given.factor, given.response.encode()
        )
        verified = desk.decision(record, given_input, key, challenge, given.reason)
        outcome = await desk.propose(verified, record, _PATIENCE)
        return await self._with_verdict(outcome) if given_input is Input.APPROVE else _outcome(outcome)

    async def _with_verdict(self, outcome: Outcome) -> dict[str, Any]:
        """Headquarters accepts, rejects or asks for a second person in one go with taking an issue or an
        approval; a person must hear of both at once. Raises CommandFailed."""
        told = _outcome(outcome)
        if outcome.kind is OutcomeKind.TAKEN:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    record = await self._reached(outcome.order, tuple(set(State) - {State.ISSUED}))
                    _raise_if_rejected(record)
                    told["state"] = record.state.value
        return told


def _outcome(outcome: Outcome) -> dict[str, Any]:
    """The event's fate. Raises CommandFailed when it was refused."""
    if outcome.kind is OutcomeKind.REFUSED:
        raise CommandFailed("refused", outcome.reason)
    return {"outcome": outcome.kind.value, "order": outcome.order, "event": outcome.event_hash.hex()}


def _raise_if_rejected(record: OrderRecord) -> None:
    last = record.events[-1]
    if record.state is State.REJECTED and isinstance(last.event, Reasoned | Issue):
        who = "headquarters" if last.signer.role is Role.HQ else f"'{last.signer.name}'"
        raise CommandFailed("rejected", f"{who} rejected it: {last.event.reason}")


def _require_seen(desk: Desk, order: str, seen: str) -> None:
    """Raises OrderRefused(STALE) when the order moved on while the person looked at it."""
    if seen and bytes.fromhex(seen) != desk.order(order).head:
        raise OrderRefused(RefusalCode.STALE, "the order has moved on since it was shown: look at it again")


def _desk_table(commands: Commands, desk: Desk) -> dict[str, Handler]:
    async def draft(raw: Mapping[str, Any]) -> dict[str, Any]:
        given = DraftArguments.model_validate(raw)
        if await desk.station.find(given.order):
            raise OrderRefused(
                RefusalCode.ILLEGAL, f"order '{given.order}' exists already: choose another id"
            )
        steps = tuple(Step(device=device, action=action) for device, action in given.steps)
        outcome = await desk.draft(
            given.order,
            order_type=given.type,
            plant=given.plant,
            ticket=Ticket(number=given.number, title=given.title, steps=steps),
            valid_until_ms=desk.station.wall_ms() + given.valid_for_s * 1000,
            patience=_PATIENCE,
        )
        return _outcome(outcome)

    async def issue(raw: Mapping[str, Any]) -> dict[str, Any]:
        return await commands.issue(raw, desk, Input.ISSUE)

    async def reissue(raw: Mapping[str, Any]) -> dict[str, Any]:
        return await commands.issue(raw, desk, Input.REISSUE)

    async def approve(raw: Mapping[str, Any]) -> dict[str, Any]:
        return await commands.decide(raw, desk, Input.APPROVE)

    async def decline(raw: Mapping[str, Any]) -> dict[str, Any]:
        return await commands.decide(raw, desk, Input.DECLINE)

    async def confirm(raw: Mapping[str, Any]) -> dict[str, Any]:
        given = ConfirmArguments.model_validate(raw)
        _require_seen(desk, given.order, given.seen)
        return _outcome(await desk.confirm(given.order, _PATIENCE))

    async def cancel(raw: Mapping[str, Any]) -> dict[str, Any]:
        given = TextArguments.model_validate(raw)
        return _outcome(await desk.cancel(given.order, given.text, _PATIENCE))

    async def settle(raw: Mapping[str, Any]) -> dict[str, Any]:
        given = TextArguments.model_validate(raw)
        return _outcome(await desk.settle(given.order, given.text, _PATIENCE))

    return {
        "draft": draft,
        "issue": issue,
        "reissue": reissue,
        "approve": approve,
        "decline": decline,
        "confirm": confirm,
        "cancel": cancel,
        "settle": settle,
    }


def _plant_table(plant: Plant) -> dict[str, Handler]:
    async def read_back(raw: Mapping[str, Any]) -> dict[str, Any]:
        given = TextArguments.model_validate(raw)
        return _outcome(await plant.read_back(given.order, given.text, _PATIENCE))

    async def begin(raw: Mapping[str, Any]) -> dict[str, Any]:
        return _outcome(await plant.begin(OrderArguments.model_validate(raw).order))

    async def complete(raw: Mapping[str, Any]) -> dict[str, Any]:
        given = TextArguments.model_validate(raw)
        return _outcome(await plant.complete(given.order, given.text))

    async def fail(raw: Mapping[str, Any]) -> dict[str, Any]:
        given = TextArguments.model_validate(raw)
        return _outcome(await plant.fail(given.order, given.text))

    async def refuse(raw: Mapping[str, Any]) -> dict[str, Any]:
        given = TextArguments.model_validate(raw)
        return _outcome(await plant.refuse(given.order, given.text, _PATIENCE))

    return {"read-back": read_back, "begin": begin, "complete": complete, "fail": fail, "refuse": refuse}
