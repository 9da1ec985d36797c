"""What the session tests have in common: forging and reading frames, expecting an end."""

from collections.abc import Callable

import pytest

from protocol.errors import LinkLost, PeerFault, WireCode
from protocol.frames import Kind
from protocol.messages import Deliver, Poll, Report
from protocol.models import Wire
from tests.protocol.links import LEDGER, SUPERIORS_LEDGER, WALL_MS, Link, frame, frames_of


def fault(act: Callable[[], object]) -> WireCode:
    with pytest.raises(PeerFault) as caught:
        act()
    return caught.value.code


def silence(act: Callable[[], object]) -> str:
    with pytest.raises(LinkLost) as caught:
        act()
    assert caught.value.code is WireCode.SILENT
    return caught.value.detail


def bodies(data: bytes, kind: Kind) -> list[bytes]:
    return [payload for found, payload in frames_of(data) if found is kind]


def deliveries(data: bytes) -> list[Deliver]:
    return [Deliver.decode(payload) for payload in bodies(data, Kind.DELIVER)]


def report_of(data: bytes) -> Report:
    (payload,) = bodies(data, Kind.REPORT)
    return Report.decode(payload)


def changed(body: Wire, **fields: object) -> Wire:
    return body.model_copy(update=fields)


def asked() -> Link:
    """An open link with one poll on its way down and nothing else."""
    link = Link().opened()
    link.to_subordinate(link.ask())
    return link


def reconnect(link: Link, *, seed: int, term: int = 1) -> Link:
    return Link(
        term=term,
        down=(link.down_outbox, link.down_inbox),
        up=(link.up_outbox, link.up_inbox),
        seed=seed,
    )


def empty_report(seq: int, acknowledged: int = 0) -> bytes:
    return frame(Kind.REPORT, Report(seq=seq, acknowledged=acknowledged, ledger=LEDGER))


def poll(seq: int, *, acknowledged: int = 0, hold_ms: int = 4_800) -> bytes:
    body = Poll(seq=seq, hold_ms=hold_ms, acknowledged=acknowledged, wall_ms=WALL_MS, ledger=SUPERIORS_LEDGER)
    return frame(Kind.POLL, body)
