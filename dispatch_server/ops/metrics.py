"""The metrics of one server, by the names that dashboards and alert rules know.

Sums over links, not links: twenty thousand links must not be twenty thousand series. By default only those
that are down have one of their own, and no more than MAX_LISTED of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dispatch_server.counters import Counters
from dispatch_server.links.link import Link
from dispatch_server.links.ports import LinkState
from dispatch_server.ops.exposition import Family, of_histogram, of_labels
from dispatch_server.ops.lag import LoopLag
from dispatch_server.ops.machine import Usage
from dispatch_server.ops.survey import Survey
from dispatch_server.server import Server
from protocol.lifecycle import State
from situational import Posture

MAX_LISTED: Final = 100
_TOLD: Final[Mapping[str, str]] = {
    "poll_round_trip": "From a poll to its report, less the time for which it was to be held.",
    "handshake": "From a dial to the open session.",
    "commit": "From handing a change to the journal until it is durable.",
    "loop_lag": "How late the event loop was, measured every 50 ms.",
}
_NAMES: Final[Mapping[str, str]] = {"link_s": "link_seconds", "link_down_s": "link_down_seconds"}


@dataclass(frozen=True, slots=True)
class Moment:
    """What is told of: a server and what was found of it. `now_s`: monotonic."""

    server: Server
    survey: Survey
    lag: LoopLag
    usage: Usage | None
    impaired: Mapping[str, str]
    now_s: float
    started_s: float


def families(moment: Moment) -> Iterator[Family]:
    """Everything that has few series, however many links there are."""
    server = moment.server
    yield from _identity(moment)
    yield from _links(moment)
    yield from _counted(server.counters)
    yield from _queues(moment)
    yield from _loop(moment.lag)
    yield from _orders(moment)
    yield from _awareness(moment)
    yield from _revocations(moment)
    if moment.usage:
        yield from _process(moment.usage)


def _gauge(name: str, told: str) -> Family:
    return Family(f"dispatch_{name}", "gauge", told)


def _counter(name: str, told: str) -> Family:
    return Family(f"dispatch_{name}_total", "counter", told)


def _identity(moment: Moment) -> Iterator[Family]:
    station = moment.server.station
    local = station.local
    role = local.key.certificate.role.value
    yield _gauge("info", "Which server this is.").add(
        1, node=local.name, role=role, deployment=local.deployment
    )
    yield _gauge("term", "The term under which this server commands.").add(station.granted_term)
    yield _gauge("uptime_seconds", "Since this server started.").add(moment.now_s - moment.started_s)
    if listener := moment.server.listener:
        yield _gauge("superior_connected", "Whether the superior has a link to this center.").add(
            listener.is_connected
        )
    impaired = _gauge("impaired", "What this server goes on without, 1 for each.")
    yield of_labels(impaired, "what", dict.fromkeys(moment.impaired, 1))


def _links(moment: Moment) -> Iterator[Family]:
    counts = moment.survey.links
    yield of_labels(
        _gauge("links", "Links by state."), "state", {state.value: counts[state] for state in LinkState}
    )
    yield _gauge("handshakes_in_flight", "Links that are being dialled now.").add(counts[LinkState.DIALLING])


def down_links(moment: Moment) -> Iterator[Family]:
    """A series for each link that is down, and how many found no room."""
    down = moment.survey.down
    family = _gauge("link_down_for_seconds", "For how long a link has been down.")
    for link in down[:MAX_LISTED]:
        since = moment.started_s if link.status.since_s is None else link.status.since_s
        family.add(moment.now_s - since, peer=link.node, role=link.status.role.value)
    yield family
    yield _gauge("links_down_unlisted", "Links that are down and have no series of their own.").add(
        max(0, len(down) - MAX_LISTED)
    )


class EachLink:
    """Series for every link: four for each."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._up = _gauge("link_up", "Whether a link is connected.")
        self._polls = _counter("link_polls", "Polls of a link.")
        self._faults = _counter("link_faults", "Faults of a link.")
        self._waiting = _gauge("link_outbox_items", "Items on their way to a node.")

    def add(self, link: Link) -> None:
        """Take in one link."""
        status, names = link.status, {"peer": link.node, "role": link.status.role.value}
        self._up.add(status.state is LinkState.CONNECTED, **names)
        self._polls.add(status.polls, **names)
        self._faults.add(status.faults, **names)
        self._waiting.add(len(self._server.station.outbox(link.node)), **names)

    def families(self) -> tuple[Family, ...]:
        """What was taken in."""
        return self._up, self._polls, self._faults, self._waiting


def _counted(counters: Counters) -> Iterator[Family]:
    for name, value in counters.snapshot().items():
        named = _NAMES.get(name, name)
        yield _counter(named, f"{named.replace('_', ' ').capitalize()}.").add(value)
    for name, told in _TOLD.items():
        yield of_histogram(f"dispatch_{name}_seconds", told, counters.histogram(name))
    yield of_histogram(
        "dispatch_commit_batches", "Changes that became durable together.", counters.histogram("commit_group")
    )
    ends = _counter("link_ends", "Ends of links and dials, by code.")
    yield of_labels(ends, "code", counters.link_ends)
    handshakes = _counter("handshake_failures", "Dials that came to no session, by code.")
    yield of_labels(handshakes, "code", counters.handshake_failures)
    refused = _counter("order_refusals", "Order events that were not taken, by code.")
    yield of_labels(refused, "code", {code.value: count for code, count in counters.refusals.items()})


def _queues(moment: Moment) -> Iterator[Family]:
    survey, server = moment.survey, moment.server
    yield _gauge("outbox_items", "Items on their way to all nodes.").add(survey.waiting)
    yield _gauge("outbox_items_max", "Items on their way to the node with most of them.").add(
        survey.waiting_most
    )
    yield _gauge("requests_open", "Questions about people that wait for their answer.").add(
        server.open_requests
    )
    yield _gauge("journal_queue", "Changes that are not durable yet.").add(server.station.uncommitted)
    yield _gauge("journal_entries", "Entries of the ledger.").add(server.station.ledger_head.entry)


def _loop(lag: LoopLag) -> Iterator[Family]:
    yield _gauge("loop_stall_last_minute_seconds", "The longest lateness of the loop in a minute.").add(
        lag.last_minute
    )
    yield _gauge("loop_stall_longest_seconds", "The longest lateness of the loop since the start.").add(
        lag.ever
    )


def _orders(moment: Moment) -> Iterator[Family]:
    counts = moment.survey.orders
    family = _gauge("orders", "Orders in memory by state; closed ones are forgotten there in time.")
    yield of_labels(family, "state", {state.value: counts[state] for state in State})
    yield _gauge("orders_open", "Orders that are not closed.").add(moment.survey.open_orders)


def _awareness(moment: Moment) -> Iterator[Family]:
    alarms = dict(moment.server.guard.alarms.counts())
    wanting = alarms.pop("unacknowledged in all")
    yield of_labels(_gauge("alarms", "Alarms by their ISA-18.2 state."), "state", alarms)
    yield _gauge("alarms_unacknowledged", "Alarms that want acknowledgement.").add(wanting)
    counts = moment.survey.postures
    family = _gauge("posture_nodes", "Nodes of which anything is known, by posture.")
    yield of_labels(family, "posture", {p.name.lower(): counts[p] for p in Posture})


def _revocations(moment: Moment) -> Iterator[Family]:
    """The worst of the lists in force: each authority has one."""
    station = moment.server.station
    lists, now_ms = station.trust.revocations, station.wall_ms()
    yield _gauge("revocations_lists", "Revocation lists in force.").add(len(lists))
    age = _gauge("revocations_age_seconds", "Since the oldest revocation list in force was made.")
    overdue = _gauge(
        "revocations_overdue_seconds", "Since a newer list should have come; 0 when none is due."
    )
    if lists:
        age.add(max(now_ms - each.this_update_ms for each in lists) / 1000)
        due = [each.next_update_ms for each in lists if each.next_update_ms is not None]
        overdue.add(max([0, *(now_ms - at_ms for at_ms in due)]) / 1000)
    yield from (age, overdue)


def _process(usage: Usage) -> Iterator[Family]:
    """The names that every process has in Prometheus."""
    yield Family("process_cpu_seconds_total", "counter", "CPU time used.").add(usage.cpu_s)
    yield Family("process_start_time_seconds", "gauge", "Start, since the epoch.").add(usage.started_s)
    yield Family("process_resident_memory_bytes", "gauge", "Memory in use.").add(usage.resident_bytes)
    yield Family("process_open_fds", "gauge", "Open descriptors.").add(usage.open_files)
    yield Family("process_max_fds", "gauge", "Most descriptors allowed.").add(usage.most_files)
    yield _gauge("journal_size_bytes", "The journal's files.").add(usage.journal_bytes)
    yield _gauge("journal_free_bytes", "Room left on the journal's disk.").add(usage.free_bytes)
