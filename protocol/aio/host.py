"""This host's four metrics (P1 §2.3), read with psutil. A reading may take 100 ms: use a thread."""

import psutil

from protocol.messages import Sample


class HostReader:
    """Keeps the last network counter, since the flow is a rate."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._last: tuple[float, int] | None = None

    def read(self, monotonic: float, wall_ms: int) -> Sample:
        """One reading; a metric that this host does not tell is None."""
        return Sample(
            node=self._node,
            at_ms=wall_ms,
            logged_in_nodes=float(len({user.host or user.terminal for user in psutil.users()})),
            network_flow=self._flow(monotonic),
            external_connections=_external_connections(),
            memory_used=float(psutil.virtual_memory().used),
        )

    def _flow(self, monotonic: float) -> float | None:
        counters = psutil.net_io_counters(pernic=False)
        total = counters.bytes_sent + counters.bytes_recv
        last, self._last = self._last, (monotonic, total)
        if last is None or monotonic <= last[0] or total < last[1]:  # first, or the counter began anew
            return None
        return (total - last[1]) / (monotonic - last[0])


def _external_connections() -> float | None:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    return float(sum(1 for c in connections if c.status == psutil.CONN_ESTABLISHED))
