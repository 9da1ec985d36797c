"""The physical world: it remembers every execution, whatever the computers remember."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Execution:
    """A switch was moved. `event`: hash of the BEGIN that was taken; times of the plant's clock.

    `is_resumed`: the plant crashed after BEGIN was durable and before the operator was told.
    """

    order: str
    plant: str
    event: bytes | None
    asked_ms: int
    told_ms: int
    is_resumed: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What a program told a person of an event."""

    node: str
    order: str
    event: bytes
    is_taken: bool


@dataclass(slots=True)
class Equipment:
    """`executions` and `told`: in the order in which they happened."""

    executions: list[Execution] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def has_executed(self, order: str) -> bool:
        """What the operator sees at the switch."""
        return any(execution.order == order for execution in self.executions)
