"""When each event was signed and became visible (durable) at this station: for people, not for decisions."""

from collections.abc import Callable

from protocol.record import OrderRecord

_KEPT = 4_096


class Timeline:
    """Event hash -> wall-clock ms with fractions, for the latest events."""

    def __init__(self, now_ms: Callable[[], float]) -> None:
        self._now_ms = now_ms
        self._signed: dict[bytes, float] = {}
        self._seen: dict[bytes, float] = {}

    def on_signed(self, event_hash: bytes) -> None:
        """A person signed an event here."""
        self._note(self._signed, event_hash)

    def on_order(self, record: OrderRecord) -> None:
        """A changed order became durable."""
        for event in record.events:
            self._note(self._seen, event.hash)

    def _note(self, times: dict[bytes, float], event_hash: bytes) -> None:
        times.setdefault(event_hash, self._now_ms())
        if len(times) > _KEPT:
            del times[next(iter(times))]

    def signed_ms(self, event_hash: bytes) -> float | None:
        """When the event was signed here."""
        return self._signed.get(event_hash)

    def seen_ms(self, event_hash: bytes) -> float | None:
        """When the event was first visible here."""
        return self._seen.get(event_hash)
