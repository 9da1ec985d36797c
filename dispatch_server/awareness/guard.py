"""The third line of defence of one server, put together: curves, postures, alarms, the risk board.

What raises an alarm: a node in danger; a message or a signature that does not verify (one is enough); a link
that stays down; an order whose outcome is not known; a subordinate that obeys another server. The risk board
raises none.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dispatch_server.awareness.alarms import Alarms
from dispatch_server.awareness.recorder import Recorder
from dispatch_server.awareness.riskboard import RiskBoard
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.awareness.watch import Awareness, Now, OnChange
from dispatch_server.counters import Counters
from protocol.aio.station import Station
from protocol.errors import LinkLost, PeerFault, WireCode
from protocol.lifecycle import State
from situational import DEFAULT_PLAYBOOK, METRICS, Hazard, Level, Playbook, Reason, ReasonCode
from situational.alarms import AlarmKey, BoardSettings, Condition
from situational.hazard import SEVERITY
from situational.risk import Panel

_FORGED = {WireCode.SEAL: "seal", WireCode.SIGNATURE: "signature", WireCode.IDENTITY: "identity"}
_FORGED_S = 600.0  # so long after the last one such an alarm stays up
_REDIAL_S = 0.004  # of the queue in which lost links are dialled again, for each before it
_RISK_EVERY_S = 60.0
_HAZARD = "hazard"
_FENCED = "fenced"
_CAUSES = (ReasonCode.GROWTH_LARGE, ReasonCode.GROWTH_EARLY, ReasonCode.GROWTH_SLOW)
_NOT_KNOWN = frozenset({State.UNKNOWN, State.UNKNOWN_EXECUTING})


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """`alarm_from`: the level from which a danger calls somebody. `keep_days`: of the telemetry history."""

    playbook: Playbook = DEFAULT_PLAYBOOK
    alarms: BoardSettings = field(default_factory=BoardSettings)
    alarm_from: Level = Level.MEDIUM
    operators: int = 1
    keep_days: float = 30.0
    period_s: float = 5.0
    link_down_after_s: float = 15.0
    experts: Panel | None = None


class Guard:
    """Everything of awareness that one server has."""

    def __init__(
        self,
        station: Station,
        on_posture: OnChange,
        settings: GuardSettings,
        store: TelemetryStore | None,
        counters: Counters,
    ) -> None:
        self.counters = counters
        self.awareness = Awareness(
            on_posture,
            Recorder(store, self.counters, keep_days=settings.keep_days),
            self.counters,
            playbook=settings.playbook,
            period_s=settings.period_s,
        )
        self.alarms = Alarms(station, settings.alarms, operators=settings.operators)
        self.risk = RiskBoard(settings.experts, self.counters)
        self._station = station
        self._settings = settings
        self.fenced: dict[str, str] = {}  # direct subordinates that obey another server, with what they said
        self._forged: dict[AlarmKey, tuple[Condition, float]] = {}
        self._down_since: dict[str, float] = {}
        self._risk_at = -_RISK_EVERY_S

    def on_fault(self, node: str, error: Exception, now_s: float) -> None:
        """A link ended because one of its sides found the other wrong."""
        if isinstance(error, LinkLost) and error.code is WireCode.TERM:
            self._fence(node, error, now_s)
        if not isinstance(error, PeerFault | LinkLost) or error.code not in _FORGED:
            return
        code = _FORGED[error.code]
        condition = Condition(Level.HIGH, f"{code}-failed", _one_line(str(error)))
        self._forged[AlarmKey(node, code)] = condition, now_s + _FORGED_S

    def _fence(self, node: str, error: LinkLost, now_s: float) -> None:
        """Two servers believe that they command this node, and it is not we who do."""
        self.counters.add("fenced")
        self.fenced[node] = _one_line(error.detail)
        condition = Condition(
            Level.MAJOR, "fenced", _one_line(f"'{node}' obeys another server: {error.detail}")
        )
        self._forged[AlarmKey(node, _FENCED)] = condition, now_s + _FORGED_S

    def obeyed(self, node: str) -> None:
        """A subordinate answered a poll: it obeys this server."""
        if self.fenced and self.fenced.pop(node, None) is not None:
            self._forged.pop(AlarmKey(node, _FENCED), None)

    async def tick(self, now: Now, is_up: Callable[[str], bool], links: Iterable[str]) -> None:
        """Judge what is new, and raise or clear alarms by it; a defect in judging hides no other alarm."""
        try:
            await self.awareness.tick(now)
        finally:
            self._alarm(now.monotonic_s, is_up, links)
        if now.monotonic_s >= self._risk_at + _RISK_EVERY_S:
            self._risk_at = now.monotonic_s
            self.risk.look(now.monotonic_s)

    def _alarm(self, now_s: float, is_up: Callable[[str], bool], links: Iterable[str]) -> None:
        conditions, unknown = self._dangers()
        forged = self._of_forgeries(now_s)
        conditions |= self._of_links(now_s, is_up, links) | self._of_orders() | forged
        self.alarms.update(conditions, unknown, proven=forged)

    def _dangers(self) -> tuple[dict[AlarmKey, Condition], set[AlarmKey]]:
        hazards = self.awareness.hazards()
        conditions = {
            AlarmKey(node, _HAZARD): _danger(hazard)
            for node, hazard in hazards.items()
            if hazard.level >= self._settings.alarm_from
        }
        # What cannot be judged is no evidence that a danger is over.
        unknown = {
            key
            for key in self.alarms.known
            if key.kind == _HAZARD and key not in conditions and not _is_judged(hazards.get(key.node))
        }
        return conditions, unknown

    def _of_forgeries(self, now_s: float) -> dict[AlarmKey, Condition]:
        self._forged = {key: found for key, found in self._forged.items() if now_s < found[1]}
        return {key: condition for key, (condition, _) in self._forged.items()}

    def _of_links(
        self, now_s: float, is_up: Callable[[str], bool], links: Iterable[str]
    ) -> dict[AlarmKey, Condition]:
        """Where thousands are lost at once they come back one after the other: that alone calls nobody."""
        down = []
        for node in links:
            if is_up(node):
                self._down_since.pop(node, None)
            else:
                down.append(node)
        patience = self._settings.link_down_after_s + _REDIAL_S * (len(down) - 1)
        return {
            AlarmKey(node, "link"): Condition(Level.MEDIUM, "link-down")
            for node in down
            if now_s - self._down_since.setdefault(node, now_s) >= patience
        }

    def _of_orders(self) -> dict[AlarmKey, Condition]:
        lost: dict[str, list[str]] = {}
        for record in self._station.orders.values():
            if record.state in _NOT_KNOWN:
                lost.setdefault(record.content.plant, []).append(record.order)
        return {
            AlarmKey(plant, "order-unknown"): Condition(
                Level.HIGH, "outcome-not-known", _one_line(", ".join(sorted(orders)))
            )
            for plant, orders in lost.items()
        }


def _is_judged(hazard: Hazard | None) -> bool:
    """One metric may be missing: some hosts never tell one, and its alarm would stand for ever."""
    return hazard is not None and hazard.judged >= len(METRICS) - 1


def _danger(hazard: Hazard) -> Condition:
    """The reason that says most: one that speaks of the whole node, else the gravest of a metric's."""

    def gravity(reason: Reason) -> tuple[bool, int, int]:
        cause = _CAUSES.index(reason.code) if reason.code in _CAUSES else len(_CAUSES)
        return reason.metric is not None, cause, SEVERITY.index(reason.letter)

    reason = min(hazard.reasons, key=gravity)
    about = reason.metric.value if reason.metric else "all"
    return Condition(hazard.level, reason.code.value, f"{about} {reason.letter.value}")


def _one_line(text: str) -> str:
    """What a ledger line and a screen can take of a text that a peer may have had a part in."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:200].strip() or "no detail"
