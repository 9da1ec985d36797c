"""What a person sees of the demo: calm, one line a fact, colour only for what is abnormal."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from dispatch_server.demo.story import Hop, OrderStory, Plan
from dispatch_server.demo.verify import Check
from protocol.orders import ORDER_TYPE_ZH

_METRICS = ("logged_in_nodes", "network_flow", "external_connections", "memory_used")


class Screen(Protocol):
    """Where the demo tells what happens."""

    def phase(self, text: str) -> None: ...
    def order(self, plan: Plan) -> None: ...
    def hop(self, hop: Hop) -> None: ...
    def ended(self, story: OrderStory) -> None: ...
    def links(self, links: Iterable[Mapping[str, Any]]) -> None: ...
    def trends(self, trends: Mapping[str, Mapping[str, str]], posture: str) -> None: ...
    def checked(self, check: Check) -> None: ...


class Silent:
    """Tells nothing: the JSON report says it all."""

    def phase(self, text: str) -> None: ...
    def order(self, plan: Plan) -> None: ...
    def hop(self, hop: Hop) -> None: ...
    def ended(self, story: OrderStory) -> None: ...
    def links(self, links: Iterable[Mapping[str, Any]]) -> None: ...
    def trends(self, trends: Mapping[str, Mapping[str, str]], posture: str) -> None: ...
    def checked(self, check: Check) -> None: ...


class Terminal:
    """Prints as it happens."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def phase(self, text: str) -> None:
        """A new part of the demo begins."""
        self._console.print(f"\n[bold]{text}[/bold]")

    def order(self, plan: Plan) -> None:
        """An order begins."""
        self._console.print(
            f"\n[bold]{plan.order}[/bold]  {plan.type.value} {ORDER_TYPE_ZH[plan.type]}  → {plan.plant}\n"
            f"  {plan.title}"
        )

    def hop(self, hop: Hop) -> None:
        """An event arrived."""
        self._console.print(f"  {hop.ms:9.2f} ms  {hop.event:<10} {hop.source} → {hop.target}")

    def ended(self, story: OrderStory) -> None:
        """An order ended."""
        total = sum(hop.ms for hop in story.hops)
        self._console.print(f"  {total:9.2f} ms  in all on the way; state: [bold]{story.state}[/bold]")

    def links(self, links: Iterable[Mapping[str, Any]]) -> None:
        """The links as they stand."""
        table = Table(
            "superior 上级", "node 节点", "state 状态", "polls 轮询", title="Links 链路", title_justify="left"
        )
        for link in links:
            style = "" if link["state"] == "connected" else "red"
            table.add_row(link["superior"], link["node"], link["state"], str(link["polls"]), style=style)
        self._console.print(table)

    def trends(self, trends: Mapping[str, Mapping[str, str]], posture: str) -> None:
        """The letters of each node, and the posture."""
        table = Table("node 节点", *_METRICS, title="Trends 态势 (A–G)", title_justify="left")
        for node, letters in trends.items():
            table.add_row(node, *(letters.get(metric, "none") for metric in _METRICS))
        self._console.print(table)
        style = "" if posture == "normal" else "bold yellow"
        self._console.print(f"Posture 态势处置: {posture}", style=style)

    def checked(self, check: Check) -> None:
        """One thing was verified."""
        word = "verified" if check.ok else "[red]FAILED[/red]"
        self._console.print(f"  {word}  {check.what}: {check.detail}")
