"""The demo's orders, carried out through the control sockets as people at their terminals would."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dispatch_server.demo.deployment import DemoPerson, Deployment
from protocol.aio.control import call
from protocol.orders import OrderType

_WITHIN = 20.0  # s that a step may take


@dataclass(frozen=True, slots=True)
class Plan:
    """One order of the story."""

    order: str
    type: OrderType
    plant: str
    title: str
    steps: tuple[tuple[str, str], ...]


PLANS = (
    Plan(
        "demo-1",
        OrderType.DIRECT_OPERATION,
        "plant-a",
        "Open breaker 5012 for maintenance 5012开关检修停电",
        (
            ("breaker 5012", "open 断开"),
            ("isolator 50121", "open 拉开"),
            ("earth switch 501217", "close 合上"),
        ),
    ),
    Plan(
        "demo-2",
        OrderType.RESTORATION_APPLICATION,
        "plant-b",
        "Restore line 2 after inspection 2号线巡检后复电",
        (("earth switch 220317", "open 拉开"), ("breaker 2203", "close 合上")),
    ),
)


@dataclass(frozen=True, slots=True)
class Hop:
    """One way of one event: what people waited for."""

    event: str
    source: str
    target: str
    ms: float

    @property
    def name(self) -> str:
        """The key in the JSON report."""
        return f"{self.event} {self.source}>{self.target}"


@dataclass(slots=True)
class OrderStory:
    """What became of one order."""

    plan: Plan
    state: str = "drafted"
    hops: list[Hop] = field(default_factory=list)


_DOWN = frozenset({"accept", "close"})  # from headquarters to the plant
_WISHES = frozenset({"deliver", "read-back"})  # upward; a center records them only when they come back


class Story:
    """Carries orders out. `tell` is called with each hop as it becomes known."""

    def __init__(self, deployment: Deployment, tell: Callable[[Hop], None]) -> None:
        self._deployment = deployment
        self._tell = tell

    def log_in(self, person: DemoPerson) -> None:
        """Password and second factor, checked at the person's authority."""
        self._call(
            person.station,
            "login",
            person=person.name,
            password=person.password,
            response=self._deployment.tokens[person.name].next_code(),
        )

    def _call(self, node: str, command: str, **arguments: Any) -> Any:
        return call(self._deployment.nodes[node].control, command, arguments, timeout=_WITHIN + 5)

    def _wait(self, node: str, order: str, *states: str) -> None:
        self._call(node, "wait", order=order, states=states, timeout_s=_WITHIN)

    def carry_out(self, plan: Plan) -> OrderStory:
        """One order from its draft to its end. Raises CommandFailed."""
        story = OrderStory(plan)
        dispatcher = next(p for p in self._deployment.people.values() if p.role.value == "dispatcher")
        desk, order = dispatcher.station, plan.order
        self._call(
            desk,
            "draft",
            order=order,
            type=plan.type.value,
            plant=plan.plant,
            number=f"T-{order}",
            title=plan.title,
            steps=plan.steps,
            valid_for_s=600,
        )
        self._tell_hops(story, desk, "draft")
        token = self._deployment.tokens[dispatcher.name]
        self._call(desk, "issue", order=order, password=dispatcher.password, response=token.next_code())
        self._wait(plan.plant, order, "delivered")
        self._wait(desk, order, "delivered")
        self._tell_hops(story, desk, "issue", "accept", "deliver")
        words = "; ".join(f"{device}: {action}" for device, action in plan.steps)
        self._call(plan.plant, "read-back", order=order, text=words)
        self._wait(desk, order, "read-back")
        self._tell_hops(story, desk, "read-back")
        self._call(desk, "confirm", order=order)
        self._wait(plan.plant, order, "confirmed")
        self._tell_hops(story, desk, "confirm")
        self._call(plan.plant, "begin", order=order)
        self._wait(desk, order, "executing")
        self._tell_hops(story, desk, "begin")
        self._call(plan.plant, "complete", order=order, text="done as ordered 已按令执行完毕")
        self._wait(desk, order, "closed")
        self._wait(plan.plant, order, "closed")
        self._tell_hops(story, desk, "complete", "close")
        story.state = self._call("hq", "show", order=order)["state"]
        return story

    def _tell_hops(self, story: OrderStory, desk: str, *events: str) -> None:
        plan = story.plan
        center = self._deployment.nodes[plan.plant].superior
        down = ["hq", plan.plant] if center == "hq" else ["hq", str(center), plan.plant]
        for event in events:
            path = _path(event, desk, down)
            times = {station: self._times(station, plan.order) for station in path}
            left = _left(times[path[0]], event)
            for here, there in pairwise(path):
                arrived = times[there][event]["seen_ms"]
                hop = Hop(event, here, there, round(arrived - left, 2))
                story.hops.append(hop)
                self._tell(hop)
                left = arrived

    def _times(self, station: str, order: str) -> dict[str, dict[str, Any]]:
        events = self._call(station, "show", order=order)["events"]
        return {event["input"]: event for event in events}


def _path(event: str, desk: str, down: list[str]) -> list[str]:
    """The stations at which an event becomes visible, in the order of its way."""
    if event in {"draft", "issue"}:
        return [desk, "hq"]
    if event in _DOWN:
        return down
    if event == "confirm":
        return [desk, *down]
    if event in _WISHES:
        return [down[-1], "hq", desk]
    return [*reversed(down), desk]


def _left(times: dict[str, dict[str, Any]], event: str) -> float:
    """When an event left its first station: signed by a person, or durable where a station made it."""
    if event == "deliver":  # the plant says so as soon as the accepted order is durable there
        return float(times["accept"]["seen_ms"])
    signed = times[event]["signed_ms"]
    return float(times[event]["seen_ms"] if signed is None else signed)
