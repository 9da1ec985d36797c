"""This host's four metrics (P1 §2.3), read with psutil. A reading may take 100 ms: use a thread."""

from collections.abc import Callable

import psutil

from protocol.messages import Sample


class HostReader:
    """Keeps the last network counter, since the flow is a rate."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._last: tuple[float, int] | None = None

    def read(self, monotonic: float, wall_ms: int) -> Sample:
        """One reading; a metric that this host does not tell, now or ever, is None."""
        return Sample(
            node=self._node,
            at_ms=wall_ms,
            logged_in_nodes=_or_none(_logged_in_nodes),
            network_flow=_or_none(lambda: self._flow(monotonic)),
            external_connections=_or_none(_external_connections),
            memory_used=_or_none(lambda: float(psutil.virtual_memory().used)),
        )

    def _flow(self, monotonic: float) -> float | None:
        counters = psutil.net_io_counters(pernic=False)
        total = counters.bytes_sent + counters.bytes_recv
        last, self._last = self._last, (monotonic, total)
        if last is None or monotonic <= last[0] or total < last[1]:  # first, or the counter began anew
            return None
        return (total - last[1]) / (monotonic - last[0])


def _or_none(read: Callable[[], float | None]) -> float | None:
    """A host out of descriptors, or that hides its tables, gives no reading; it must not stop a program."""
    try:
        return read()
    except (OSError, psutil.Error, AttributeError):
        return None


def _logged_in_nodes() -> float:
    return float(len({user.host or user.terminal for user in psutil.users()}))


def _external_connections() -> float:
    return float(sum(c.status == psutil.CONN_ESTABLISHED for c in psutil.net_connections(kind="tcp")))
