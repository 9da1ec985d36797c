"""What people on call see of real programs: metrics over HTTP, stalls of a loop, the lines of a link."""

import signal
import time
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

from protocol.keys import Role
from tests.dispatch_server.ops.support import by_label, values_of
from tests.system.grid import Grid, until

pytestmark = pytest.mark.system

HERE: tuple[tuple[str, Role, str | None], ...] = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("metrics") / "grid", (), HERE)
    config = grid.nodes["hq"].config
    with config.open("a", encoding="utf-8") as text:
        text.write("\n[metrics]\nport = 0\n")
    try:
        grid.start()
        grid.wait_linked()
        yield grid
    finally:
        grid.close()


def scraped(grid: Grid) -> bytes:
    """The metrics of headquarters, over HTTP."""
    port = grid.wait_logged("hq", "metrics are served")["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        body: bytes = answer.read()
        return body


def down(grid: Grid) -> dict[str, float]:
    """Each node whose link is down -> for how long (s)."""
    return by_label(scraped(grid), "dispatch_link_down_for_seconds", "peer")


def test_the_figures_of_a_running_headquarters_are_served(grid: Grid) -> None:
    def polled() -> bytes | None:
        text = scraped(grid)
        is_up = by_label(text, "dispatch_links", "state")["connected"] == 2
        return text if is_up and values_of(text)["dispatch_poll_round_trip_seconds_count"] else None

    values = values_of(until(polled, "both links are up and polls are counted"))
    assert values["dispatch_polls_total"] >= 2
    assert values["dispatch_handshake_seconds_count"] >= 2
    assert values["dispatch_commit_batches_count"] >= 1  # at least the grant of its term
    assert values["dispatch_loop_lag_seconds_count"] > 0
    assert values["process_resident_memory_bytes"] > 10_000_000
    assert values["dispatch_journal_size_bytes"] > 0


def test_a_node_that_is_gone_is_told_by_name(grid: Grid) -> None:
    grid.stop("plant-a")
    until(lambda: "plant-a" in down(grid), "the link is down")
    assert down(grid).keys() == {"plant-a"}
    grid.start("plant-a")
    grid.wait_linked("plant-a")
    until(lambda: not down(grid), "all are up")
    link = grid.link("plant-a")
    assert abs(link["since_ms"] / 1000 - time.time()) < 60


def test_headquarters_listens_on_loopback_alone(grid: Grid) -> None:
    found = psutil.Process(grid.processes.of("hq").pid).net_connections("inet")
    assert [s.laddr.ip for s in found if s.status == psutil.CONN_LISTEN] == ["127.0.0.1"]


def test_a_suspended_machine_is_no_stack_but_a_stall(grid: Grid) -> None:
    before = values_of(scraped(grid))["dispatch_loop_stalls_total"]
    process = grid.processes.of("hq")
    process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    process.send_signal(signal.SIGCONT)
    until(lambda: values_of(scraped(grid))["dispatch_loop_stalls_total"] > before, "the stall is counted")
    line = grid.wait_logged("hq", "the loop stood still")
    assert line["node"] == "hq"
    assert values_of(scraped(grid))["dispatch_loop_stall_last_minute_seconds"] > 0.5


def test_each_line_about_a_link_names_it_on_both_sides(grid: Grid) -> None:
    for node, peer in (("hq", "plant-a"), ("plant-a", "hq")):
        lines = [line for line in grid.logged(node) if line["event"] == "link open" and line["peer"] == peer]
        assert lines
        for line in lines:
            assert line["node"] == node
            assert line["link"].startswith(f"{peer}#")
        assert len({line["link"] for line in lines}) == len(lines) or node == "plant-a"
