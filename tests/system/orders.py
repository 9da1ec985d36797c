"""Orders as people carry them out, step by step, through the control sockets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from protocol.aio.control import CommandFailed
from tests.system.grid import Grid, until

CHAIN = ("draft", "issue", "accept", "deliver", "read-back", "confirm", "begin", "complete", "close")


@dataclass(frozen=True, slots=True)
class Errand:
    """One order on its way from desk-1 to a plant."""

    grid: Grid
    order: str
    plant: str
    desk: str = "desk-1"
    hq: str = "hq"

    @property
    def stations(self) -> Sequence[str]:
        """Everybody who keeps a record of it."""
        superior = str(self.grid.nodes[self.plant].superior)
        center = [] if superior == "hq" else [superior]
        return [self.desk, self.hq, *center, self.plant]

    def _call(self, node: str, command: str, **arguments: Any) -> Any:
        return self.grid.call(node, command, order=self.order, **arguments)

    def wait(self, node: str, *states: str) -> None:
        """Until the order is in one of these states at this node, however often the node restarts."""
        until(lambda: self.state(node) in states, f"{self.order} at {node}: {states}")

    def state(self, node: str) -> str:
        """Where the order is at this node; "" if it is not there or the node does not answer."""
        try:
            return str(self._call(node, "show")["state"])
        except CommandFailed:
            return ""

    def events(self, node: str) -> list[str]:
        """What happened to the order, as this node has it."""
        return [event["input"] for event in self._call(node, "show")["events"] if event["on_chain"]]

    def draft(self) -> None:
        self._call(
            self.desk,
            "draft",
            type="direct-operation",
            plant=self.plant,
            number=f"T-{self.order}",
            title="open a breaker 断开开关",
            steps=[[f"breaker of {self.order}", "open 断开"]],
            valid_for_s=600,
        )

    def issue(self, dispatcher: str) -> Any:
        return self._call(
            self.desk,
            "issue",
            password=self.grid.password(dispatcher),
            response=self.grid.code(dispatcher),
        )

    def read_back(self) -> Any:
        return self._call(self.plant, "read-back", text="open the breaker")

    def confirm(self) -> Any:
        return self._call(self.desk, "confirm")

    def begin(self) -> Any:
        return self._call(self.plant, "begin")

    def complete(self) -> Any:
        return self._call(self.plant, "complete", text="done")

    def deliver(self, dispatcher: str) -> "Errand":
        """Draft and issue it; everybody knows that it is at the plant."""
        self.draft()
        self.issue(dispatcher)
        self.wait(self.plant, "delivered")
        self.wait(self.desk, "delivered")
        return self

    def carry_out(self) -> None:
        """From delivered to closed."""
        self.read_back()
        self.wait(self.desk, "read-back")
        self.finish()

    def finish(self) -> None:
        """From read back to closed."""
        self.confirm()
        self.wait(self.plant, "confirmed")
        self.begin()
        self.complete()
        self.ended_once()

    def ended_once(self) -> None:
        """It is closed everywhere, and each thing happened exactly once, in the same order."""
        for station in self.stations:
            self.wait(station, "closed")
        for station in self.stations:
            assert self.events(station) == list(CHAIN), station
        hashes = {
            tuple(event["hash"] for event in self._call(station, "show")["events"] if event["on_chain"])
            for station in self.stations
        }
        assert len(hashes) == 1
