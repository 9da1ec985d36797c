"""The demo as a person or a program runs it: what it reports, and what an interruption leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from protocol.lifecycle import State
from protocol.orders import OrderType
from situational import METRICS, Letter, Posture
from tests.system.grid import WITHIN, until

pytestmark = pytest.mark.system

_WHOLE_DEMO = 2 * WITHIN


class Demo:
    """One run, with a folder of its own for what it makes and says."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.made = folder / "tmp"
        self.made.mkdir()
        self._said, self._complained = folder / "out", folder / "err"
        with self._said.open("wb") as out, self._complained.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dispatch_server", "demo", *arguments],
                env={**os.environ, "TMPDIR": str(self.made), "PYTHONUTF8": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text("utf-8")

    @property
    def complaint(self) -> str:
        return self._complained.read_text("utf-8")

    def has(self, pattern: str) -> bool:
        """Whether it has made such a file."""
        return any(self.made.glob(pattern))

    def logged(self, words: str) -> bool:
        """Whether one of its programs has logged this."""
        with suppress(FileNotFoundError):
            return any(words in log.read_text("utf-8") for log in self.made.glob("*/*/log"))
        return False

    def programs(self) -> list[str]:
        """The programs of this run that are alive."""
        alive = (process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"]))
        return [" ".join(words) for words in alive if str(self.made) in " ".join(words)]

    def end(self) -> int:
        """Its exit status; then nothing of it is left."""
        status = self.process.wait(_WHOLE_DEMO)
        until(lambda: not self.programs(), "no program is left")
        assert list(self.made.iterdir()) == []
        return status

    def give_up(self) -> None:
        """When a test failed: let it clean up."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(WITHIN)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Demo]]:
    started = []

    def start(*arguments: str) -> Demo:
        started.append(Demo(tmp_path_factory.mktemp("demo"), *arguments))
        return started[-1]

    yield start
    for demo in started:
        demo.give_up()


@pytest.fixture(scope="module")
def whole(demos: Callable[..., Demo]) -> Demo:
    """A run that nobody disturbs, for a program. It takes its time: other tests run meanwhile."""
    return demos("--json")


@pytest.fixture(scope="module")
def stopped(demos: Callable[..., Demo]) -> Iterator["Future[int]"]:
    """A run that is interrupted at its very end, while others run; gives its exit status."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(interrupt, demos(), "stopping", signal.SIGINT)


MOMENTS: Mapping[str, Callable[[Demo], bool]] = {
    "making": lambda demo: demo.has("*/authority.crt"),
    "starting": lambda demo: demo.has("*/hq/log"),
    "ordering": lambda demo: "issue      desk-1" in demo.said,
    "stopping": lambda demo: demo.logged('"stopping"'),
}


def interrupt(demo: Demo, moment: str, number: signal.Signals) -> int:
    """Wait for the moment and send the signal; gives the exit status, when nothing is left behind."""
    deadline = time.monotonic() + WITHIN
    while not MOMENTS[moment](demo):  # looked at often: the end of a demo takes less than a tenth of a second
        assert time.monotonic() < deadline, f"waited {WITHIN:g} s for: the demo is {moment}"
        time.sleep(0.005)
    assert demo.process.poll() is None
    demo.process.send_signal(number)
    status = demo.end()
    assert "interrupted; every process was stopped and nothing was left behind" in demo.complaint
    return status


@pytest.mark.usefixtures("whole", "stopped")
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("making", signal.SIGINT),
        ("ordering", signal.SIGINT),
        ("making", signal.SIGHUP),
    ],
)
def test_an_interrupted_demo_leaves_no_process_and_no_folder(
    demos: Callable[..., Demo], moment: str, number: signal.Signals
) -> None:
    assert interrupt(demos(), moment, number) == 130


@pytest.mark.usefixtures("whole", "stopped")
def test_who_is_impatient_interrupts_the_cleaning_up_no_more(demos: Callable[..., Demo]) -> None:
    demo = demos()
    until(lambda: MOMENTS["starting"](demo), "the demo is starting programs")
    demo.process.send_signal(signal.SIGTERM)
    while demo.process.poll() is None:
        demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 130


def test_a_demo_that_is_interrupted_while_it_stops_stops_whole(stopped: "Future[int]") -> None:
    assert stopped.result(_WHOLE_DEMO) == 130


def test_the_report_for_programs_says_what_happened(whole: Demo) -> None:
    assert whole.end() == 0
    report: dict[str, Any] = json.loads(whole.said)
    assert list(report) == ["orders", "links", "trends", "posture", "verification"]

    assert [(order["id"], OrderType(order["type"])) for order in report["orders"]] == [
        ("demo-1", OrderType.DIRECT_OPERATION),
        ("demo-2", OrderType.RESTORATION_APPLICATION),
    ]
    for order in report["orders"]:
        assert State(order["state"]) is State.CLOSED
        assert {"issue desk-1>hq", "confirm desk-1>hq"} < order["hops_ms"].keys()
        assert all(isinstance(ms, float) for ms in order["hops_ms"].values())
    assert "confirm hq>plant-a" in report["orders"][0]["hops_ms"]
    assert {"confirm hq>south", "confirm south>plant-b"} < report["orders"][1]["hops_ms"].keys()

    ends = {(link["superior"], link["node"]) for link in report["links"]}
    assert ends == {("hq", "south"), ("hq", "desk-1"), ("hq", "plant-a"), ("south", "plant-b")}
    for link in report["links"]:
        assert link.keys() == {"superior", "node", "state", "polls"}
        assert link["state"] == "connected"
        assert link["polls"] > 0

    assert report["trends"].keys() == {"hq", "south", "desk-1", "plant-a", "plant-b"}
    for letters in report["trends"].values():
        assert letters.keys() <= {metric.value for metric in METRICS}
        assert all(Letter(letter) for letter in letters.values())
    assert report["posture"].upper() in Posture.__members__

    assert all(check["ok"] for check in report["verification"])
    names = [f"ledger of {name}" for name in ("hq", "south", "desk-1", "plant-a", "plant-b")]
    assert [check["what"] for check in report["verification"]] == [
        *names,
        "ledger of south against hq",
        "ledger of desk-1 against hq",
        "ledger of plant-a against hq",
        "ledger of plant-b against south",
    ]
