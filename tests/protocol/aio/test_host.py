import socket
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from protocol.aio.host import HostReader
from protocol.messages import Sample

METRICS = ("logged_in_nodes", "network_flow", "external_connections", "memory_used")


def test_this_host_can_be_read() -> None:
    reader = HostReader("plant-1")
    first, second = reader.read(0.0, 1_000), reader.read(1.0, 2_000)
    assert (first.node, first.at_ms, second.at_ms) == ("plant-1", 1_000, 2_000)
    assert first.network_flow is None
    assert second.network_flow is not None
    assert second.network_flow >= 0
    assert second.memory_used
    assert second.memory_used <= psutil.virtual_memory().total
    assert Sample.decode(second.encode()) == second


def test_the_connections_of_this_host_are_counted() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        pairs = []
        for _ in range(3):
            near = socket.create_connection(server.getsockname())
            pairs += [near, server.accept()[0]]
        counted = HostReader("plant-1").read(0.0, 0).external_connections
        for end in pairs:
            end.close()
    assert counted is not None
    assert counted >= len(pairs)


class Counters:
    """The network counters of a host, as the test wants them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *totals: int) -> None:
        self._totals = list(totals)
        monkeypatch.setattr(psutil, "net_io_counters", self._read)

    def _read(self, *, pernic: bool) -> SimpleNamespace:
        assert not pernic
        total = self._totals.pop(0)
        return SimpleNamespace(bytes_sent=total // 4, bytes_recv=total - total // 4)


def flows(*times: float) -> list[float | None]:
    reader = HostReader("plant-1")
    return [reader.read(time, 0).network_flow for time in times]


def test_the_flow_is_what_passed_since_the_last_reading_by_the_monotonic_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Counters(monkeypatch, 1_000, 1_500, 4_500)
    assert flows(10.0, 15.0, 16.0) == [None, 100.0, 3_000.0]


def test_a_counter_that_begins_anew_gives_no_flow_and_is_the_next_ones_base(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Counters(monkeypatch, 1_000, 400, 900)
    assert flows(1.0, 2.0, 3.0) == [None, None, 500.0]


def test_two_readings_at_one_moment_give_no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    Counters(monkeypatch, 1_000, 2_000)
    assert flows(1.0, 1.0) == [None, None]


def test_people_at_one_host_are_one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    users = [
        SimpleNamespace(host="10.0.0.1", terminal="pts/0"),
        SimpleNamespace(host="10.0.0.1", terminal="pts/1"),
        SimpleNamespace(host="", terminal="tty1"),
        SimpleNamespace(host=None, terminal="tty2"),
    ]
    monkeypatch.setattr(psutil, "users", lambda: users)
    assert HostReader("plant-1").read(0.0, 0).logged_in_nodes == 3.0


def test_only_established_connections_count(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [psutil.CONN_ESTABLISHED, psutil.CONN_LISTEN, psutil.CONN_ESTABLISHED, psutil.CONN_TIME_WAIT]

    def connections(kind: str) -> list[SimpleNamespace]:
        assert kind == "tcp"
        return [SimpleNamespace(status=state) for state in states]

    monkeypatch.setattr(psutil, "net_connections", connections)
    assert HostReader("plant-1").read(0.0, 0).external_connections == 2.0


@pytest.mark.parametrize("error", [psutil.AccessDenied(), OSError("too many open files")])
@pytest.mark.parametrize(
    ("source", "metric"),
    list(zip(("users", "net_io_counters", "net_connections", "virtual_memory"), METRICS, strict=True)),
)
def test_a_metric_that_the_host_does_not_tell_is_left_out_and_the_others_are_read(
    monkeypatch: pytest.MonkeyPatch, error: Exception, source: str, metric: str
) -> None:
    def fails(**_: Any) -> None:
        raise error

    reader = HostReader("plant-1")
    reader.read(0.0, 0)
    monkeypatch.setattr(psutil, source, fails)
    sample = reader.read(1.0, 1)
    assert [name for name in METRICS if getattr(sample, name) is None] == [metric]


def test_a_host_without_a_network_has_no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_io_counters", lambda *, pernic: None)
    assert flows(1.0, 2.0) == [None, None]
