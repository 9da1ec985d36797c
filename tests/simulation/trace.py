"""What happened in a run, line by line: the same seed must give the same lines in any interpreter.

No line holds a key, a signature or a hash, for keys are made anew by each interpreter.
"""

import asyncio
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog

WHERE: ContextVar[str] = ContextVar("where", default="world")
# Whether the one who dialled has gone: a Hello that arrives long after it was sent may rightly be refused.
IS_LATE: ContextVar[Callable[[], bool]] = ContextVar("is_late")


class Trace:
    """`lines` in the order of time; `counts` of what must not stay untested; `faults` found on the way.

    `alarms`: what the programs may not log in this run.
    """

    def __init__(self, alarms: frozenset[str] = frozenset()) -> None:
        self.lines: list[str] = []
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.alarms = alarms

    def note(self, what: str, where: str | None = None) -> None:
        """Write a line about `where`, or about the node whose code runs now."""
        now = asyncio.get_running_loop().time()
        self.lines.append(f"{now:11.6f} {where or WHERE.get():9} {what}")

    def count(self, what: str, times: int = 1) -> None:
        """Something worth testing happened."""
        self.counts[what] += times

    def fault(self, what: str) -> None:
        """Something happened that must never happen."""
        self.note(f"FAULT {what}")
        self.faults.append(f"at {asyncio.get_running_loop().time():.3f} s, {WHERE.get()}: {what}")

    @property
    def digest(self) -> str:
        """SHA-256 over all lines."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    def _take_log(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        name = str(event.pop("event"))
        if name == "defect":
            self.fault(f"a defect was caught at a link: {event.get('exc_info')!r}")
        if name == "peer at fault" or (name == "link refused" and not IS_LATE.get()()):
            self.fault(f"{name}: {event['why']}")
        if name in self.alarms:
            self.fault(f"{name}, which only a hostile or defective station does: {dict(event)}")
        text = " ".join(f"{key}={event[key]}" for key in sorted(event) if key != "exc_info")
        self.note(f"{name} {text}")
        self.count(f"log: {name}")
        raise structlog.DropEvent

    @contextmanager
    def takes_logs(self) -> Iterator[None]:
        """While entered, all that the programs log stands in this trace and nowhere else."""
        before = structlog.get_config()
        structlog.configure(processors=[_exception, self._take_log], cache_logger_on_first_use=False)
        try:
            yield
        finally:
            structlog.configure(**before)


def _exception(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event.get("exc_info"):
        event["exc_info"] = sys.exc_info()[1]
    return event
