"""When each event became visible (durable) at this station: for people who watch, not for decisions."""

from collections.abc import Callable

from protocol.record import OrderRecord

_KEPT = 4_096


class Timeline:
    """Event hash -> wall-clock ms with fractions, for the latest events."""

    def __init__(self, now_ms: Callable[[], float]) -> None:
        self._now_ms = now_ms
        self._seen: dict[bytes, float] = {}

    def on_order(self, record: OrderRecord) -> None:
        """A changed order became durable."""
        now = self._now_ms()
        for event in record.events:
            self._seen.setdefault(event.hash, now)
        while len(self._seen) > _KEPT:
            del self._seen[next(iter(self._seen))]

    def seen_ms(self, event_hash: bytes) -> float | None:
        """When the event was first visible here."""
        return self._seen.get(event_hash)
