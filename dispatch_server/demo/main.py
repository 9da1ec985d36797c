"""The demo: make, start, log in, carry out, look, stop, verify; and whatever happens, clean up."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dispatch_server.demo.deployment import Deployment, make_deployment
from dispatch_server.demo.interrupts import Interrupts
from dispatch_server.demo.processes import DemoFailed, Processes
from dispatch_server.demo.screen import Screen, Silent, Terminal
from dispatch_server.demo.story import PLANS, OrderStory, Story
from dispatch_server.demo.verify import Check, verify_all
from protocol.aio.control import call
from protocol.errors import DispatchError

_READY_WITHIN = 20.0  # s
_LINKED_WITHIN = 15.0
_LETTERS_WITHIN = 14.0
_INTERRUPTED = 130


@dataclass(slots=True)
class _Result:
    orders: list[OrderStory] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    trends: dict[str, dict[str, str]] = field(default_factory=dict)
    posture: str = "unknown"
    verification: list[Check] = field(default_factory=list)
    failure: str = ""

    def as_json(self) -> str:
        """The machine-readable report."""
        orders = [
            {
                "id": story.plan.order,
                "type": story.plan.type.value,
                "state": story.state,
                "hops_ms": {hop.name: hop.ms for hop in story.hops},
            }
            for story in self.orders
        ]
        links = [{key: link[key] for key in ("superior", "node", "state", "polls")} for link in self.links]
        report = {
            "orders": orders,
            "links": links,
            "trends": self.trends,
            "posture": self.posture,
            "verification": [asdict(check) for check in self.verification],
        }
        return json.dumps(report | ({"failure": self.failure} if self.failure else {}), ensure_ascii=False)


def run_demo(*, as_json: bool) -> int:
    """Run the demo; gives the exit status: 0 when everything held."""
    screen: Screen = Silent() if as_json else Terminal()
    result = _Result()
    interrupts = Interrupts()
    status = 1
    try:
        with interrupts.installed(), _private_folder() as folder:
            _run(folder, screen, result, interrupts)
        status = 0
    except KeyboardInterrupt:
        pass
    except (DemoFailed, DispatchError, OSError, RuntimeError) as error:
        result.failure = str(error)
    if interrupts.asked:
        left = result.failure or "every process was stopped and nothing was left behind"
        result.failure = f"interrupted; {left}"
        status = _INTERRUPTED
    if as_json:
        sys.stdout.write(result.as_json() + "\n")
    if result.failure:
        sys.stderr.write(f"demo failed: {result.failure}\n")
    return status


@contextmanager
def _private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="dispatch-"))  # mode 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, screen: Screen, result: _Result, interrupts: Interrupts) -> None:
    with interrupts.allowed():
        screen.phase("Making a throw-away deployment: authority, certificates, people, configurations")
        deployment = make_deployment(folder)
    processes = Processes(deployment, interrupts.postponed)
    try:
        with interrupts.allowed():
            screen.phase(f"Starting {len(deployment.nodes)} processes: {', '.join(deployment.nodes)}")
            processes.start_all()
            processes.wait_ready(_READY_WITHIN)
            _wait_for_links(deployment, processes)
            _work(deployment, screen, result)
            _look(deployment, screen, result)
            processes.check()
    except BaseException:
        with suppress(DemoFailed):  # what failed first is what people have to know
            processes.stop_all()
        raise
    processes.stop_all()
    screen.phase("Verifying the ledgers from their files alone")
    for check in verify_all(deployment):
        result.verification.append(check)
        screen.checked(check)
    failed = [check.what for check in result.verification if not check.ok]
    if failed:
        raise DemoFailed(f"verification failed: {', '.join(failed)}")


def _work(deployment: Deployment, screen: Screen, result: _Result) -> None:
    story = Story(deployment, screen.hop)
    screen.phase("Logging in with password and second factor")
    for person in deployment.people.values():
        story.log_in(person)
    for plan in PLANS:
        screen.order(plan)
        done = story.carry_out(plan)
        result.orders.append(done)
        screen.ended(done)
        if done.state != "closed":
            raise DemoFailed(f"{plan.order} ended as {done.state}")


def _servers(deployment: Deployment) -> Iterator[Mapping[str, Any]]:
    for node in deployment.nodes.values():
        if node.is_server:
            yield call(node.control, "status", {}, timeout=10)


def _wait_for_links(deployment: Deployment, processes: Processes) -> None:
    deadline = time.monotonic() + _LINKED_WITHIN
    while True:
        processes.check()
        down = [
            f"{link['superior']}→{link['node']} ({link['last_error'] or link['state']})"
            for status in _servers(deployment)
            for link in status["links"]
            if link["state"] != "connected"
        ]
        if not down:
            return
        if time.monotonic() > deadline:
            raise DemoFailed(f"links are not up: {', '.join(down)}")
        time.sleep(0.05)


def _look(deployment: Deployment, screen: Screen, result: _Result) -> None:
    """The links, the letters and the posture; letters need some seconds of telemetry."""
    screen.phase("Waiting until every node's telemetry can be judged")
    deadline = time.monotonic() + _LETTERS_WITHIN
    while True:
        statuses = list(_servers(deployment))
        top = statuses[0]
        result.links = [link for status in statuses for link in status["links"]]
        result.trends = {node: view["letters"] for node, view in top["nodes"].items()}
        result.posture = top["posture"]
        complete = len(result.trends) == len(deployment.nodes) and all(
            any(letter != "none" for letter in letters.values()) for letters in result.trends.values()
        )
        if complete or time.monotonic() > deadline:
            break
        time.sleep(0.25)
    screen.links(result.links)
    screen.trends(result.trends, result.posture)
