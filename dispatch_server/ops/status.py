"""What `status` answers: everything of a small server, and of a large one what is abnormal, with the sums."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from dispatch_server.links.link import Link
from dispatch_server.links.ports import LinkState
from dispatch_server.ops.operations import Operations
from dispatch_server.ops.survey import Survey
from protocol.aio.listener import Listener
from situational import Letter, Posture, Reason

MOST_ROWS: Final = 50  # rows of links, and as many of nodes, that one answer gives unasked


async def status(operations: Operations) -> dict[str, Any]:
    """Of a server with more than MOST_ROWS links or nodes only the abnormal ones; `total` counts all."""
    server, station = operations.server, operations.server.station
    survey = await operations.surveyor.survey()
    listener = server.listener
    return {
        "node": station.local.name,
        "role": station.local.key.certificate.role.value,
        "term": station.granted_term,
        "posture": max(survey.postures, default=Posture.NORMAL).name.lower(),
        "superior": _superior(listener) if listener else None,
        "impaired": operations.impaired,
        "total": _total(operations, survey),
        "links": [link_row(operations, link) for link in _shown_links(operations, survey)],
        "behind": list(islice(_behind(operations, survey), MOST_ROWS)),
        "nodes": {node: node_view(operations, node) for node in _shown_nodes(survey)},
        "alarms": server.guard.alarms.counts(),
        "open_orders": survey.open_orders,
        "ledger_entry": station.ledger_head.entry,
    }


def _superior(listener: Listener) -> dict[str, Any]:
    return {
        "name": listener.superior,
        "connected": listener.is_connected,
        "counters": dict(sorted(listener.counters.items())),
    }


def _total(operations: Operations, survey: Survey) -> dict[str, Any]:
    recent, lag, server = operations.recent, operations.lag, operations.server
    return {
        "links": len(server.links),
        "up": survey.links[LinkState.CONNECTED],
        "dialling": survey.links[LinkState.DIALLING],
        "faulty": len(survey.faulty),
        "behind": sum(map(len, server.behind.values())),
        "nodes": survey.nodes,
        "waiting": survey.waiting,
        "waiting_most": survey.waiting_most,
        "uncommitted": server.station.uncommitted,
        "polls_per_s": recent.rate("polls"),
        "round_trip_p99_s": recent.quantile("poll_round_trip", 0.99),
        "commit_p99_s": recent.quantile("commit", 0.99),
        "stalls": int(server.counters.snapshot()["loop_stalls"]),
        "stall_last_minute_s": lag.last_minute,
        "stall_longest_s": lag.ever,
    }


def _shown_links(operations: Operations, survey: Survey) -> list[Link]:
    links = operations.server.links
    return list(links) if len(links) <= MOST_ROWS else list(survey.abnormal[:MOST_ROWS])


def _shown_nodes(survey: Survey) -> list[str]:
    nodes = [*survey.endangered, *survey.quiet] if survey.nodes <= MOST_ROWS else survey.endangered
    return sorted(nodes[:MOST_ROWS])


def link_row(operations: Operations, link: Link) -> dict[str, Any]:
    """One direct link, as plain data. `since_ms`: wall clock of the last connect or loss."""
    status, station = link.status, operations.server.station
    since = status.since_s
    return {
        "superior": station.local.name,
        "node": status.node,
        "role": status.role.value,
        "state": status.state.value,
        "since_ms": None if since is None else station.wall_ms() - int((_now() - since) * 1000),
        "polls": status.polls,
        "round_trip_s": status.round_trip_s,
        "sessions": status.sessions,
        "faults": status.faults,
        "last_error": status.last_error,
        "fenced": operations.server.guard.fenced.get(link.node),
        "waiting": len(station.outbox(link.node)),
    }


def _behind(operations: Operations, survey: Survey) -> Iterator[dict[str, Any]]:
    """The nodes behind centers, of which only signs of life are known here."""
    server, now = operations.server, _now()
    down = {link.node for link in survey.down}
    for center, nodes in server.behind.items():
        for node in sorted(nodes):
            heard = server.awareness.heard_at(node)
            yield {
                "superior": server.ways[node][-1],
                "node": node,
                "reachable": center not in down,
                "heard_s": None if heard is None else now - heard,
                "is_silent": heard is None or now - heard >= server.lost_after_s,
            }


def node_view(operations: Operations, node: str) -> dict[str, Any]:
    """What awareness knows of a node, as plain data."""
    awareness = operations.server.awareness
    hazard = awareness.hazard(node)
    return {
        "letters": awareness.letters(node),
        "hazard": hazard.level.name.lower() if hazard else None,
        "judged": hazard.judged if hazard else 0,
        "leading": hazard.leading.value if hazard else Letter.NONE.value,
        "reasons": [_reason(reason) for reason in hazard.reasons] if hazard else [],
        "posture": awareness.posture_of([node]).name.lower(),
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "code": reason.code.value,
        "metric": reason.metric.value if reason.metric else None,
        "letter": reason.letter.value,
        "growth": reason.growth,
    }


def _now() -> float:
    return asyncio.get_running_loop().time()
