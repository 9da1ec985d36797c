"""Renewal while a program runs: when a person asks for it, on SIGHUP, and when the revocation lists change.

What is read anew is checked as a whole before any of it counts; what is refused is named, logged and counted,
and what was in force stays in force. Each minute it is looked whether what is in force has run out.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog

from protocol.aio.control import Handler
from protocol.aio.keyring import Keyring
from protocol.aio.node import every
from protocol.aio.station import Station
from protocol.errors import ConfigurationRefused, DispatchError, KeyRefused
from protocol.revocations import Revocations

R = TypeVar("R")
Moves = Sequence[str]  # what else was renewed, for people: "plant-a: 192.0.2.7:20880"
_LOOK = 1.0  # s between two looks at the revocation lists' file
_RECHECK = 60.0  # s: how late it may be noticed that a certificate or a list has run out
_log = structlog.get_logger("renewal")


class FileWatch:
    """Tells that a file is another one than before, once it stands still: it may be copied slowly."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = self._last = self._look()

    def has_changed(self) -> bool:
        """Look at the file; use a thread, its disk may hang."""
        before, self._last = self._last, self._look()
        if self._last is None or self._last != before or self._last == self._told:
            return False
        self._told = self._last
        return True

    def _look(self) -> tuple[int, int, int] | None:
        with suppress(OSError):
            found = self._path.stat()
            return found.st_mtime_ns, found.st_size, found.st_ino
        return None


class Reloader:
    """`settings` reads the configuration anew, raises ConfigurationRefused for what needs a restart, and
    gives what puts the rest in force, which may not fail. `recheck` looks at all that lives under a
    certificate. `count` is told "renewals", "renewals_refused" or "revocations_overdue".
    """

    def __init__(
        self,
        station: Station,
        keyring: Keyring,
        settings: Callable[[], Callable[[], Moves]],
        recheck: Callable[[], Awaitable[None]],
        count: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.last_refusal = ""
        self._station, self._keyring, self._settings, self._recheck = station, keyring, settings, recheck
        self._count = count
        self._watch = FileWatch(keyring.revocations) if keyring.revocations else None
        self._was_overdue = False
        self._told_problem = ""
        self._one = asyncio.Lock()
        # A thread of its own: names that do not resolve must not hold up a revocation.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="renewal")

    async def run(self) -> None:
        """Renew on SIGHUP and when the revocation lists change, look at the dates; until cancelled."""
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, asked.set)
        try:
            async with asyncio.TaskGroup() as group:
                if self._watch:  # its file may have changed before that: a journal takes time to open
                    group.create_task(self._take_lists())
                group.create_task(self._on_signal(asked))
                group.create_task(every(_LOOK, self.look))
                group.create_task(every(_RECHECK, self.check_dates))
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            self._thread.shutdown(wait=False)

    async def _on_signal(self, asked: asyncio.Event) -> None:
        while True:
            await asked.wait()
            asked.clear()
            with suppress(DispatchError):  # it was told
                await self.reload()

    async def command(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """For people: renew, and tell what is in force. Raises ConfigurationRefused, KeyRefused."""
        told = await self.reload()
        return told | {"keys": self.view()}

    def extend(self, table: Mapping[str, Handler]) -> dict[str, Handler]:
        """A program's commands with `reload`, and with what is in force in the answer to `status`."""
        status = table["status"]

        async def with_keys(raw: Mapping[str, Any]) -> dict[str, Any]:
            return {**await status(raw), "keys": self.view()}

        return {**table, "status": with_keys, "reload": self.command}

    async def reload(self) -> dict[str, Any]:
        """Read configuration, keys and trust anew. Raises ConfigurationRefused, KeyRefused."""
        async with self._one:
            try:
                put, prepared = await self._aside(lambda: (self._settings(), self._keyring.prepare()))
                before = self._keyring.trust.anchors.lists
                is_new = self._keyring.renew(prepared)
            except (ConfigurationRefused, KeyRefused) as refusal:
                self._refuse("reload", refusal)
                raise
            told = {
                "key": is_new,
                "revocations": before != self._keyring.trust.anchors.lists,
                "moved": list(put()),
            }
            await self._done("reload", told)
        return told

    async def look(self) -> None:
        """Take the revocation lists if their file has changed."""
        if self._watch is not None and await self._aside(self._watch.has_changed):
            await self._take_lists()

    async def _take_lists(self) -> None:
        async with self._one:
            try:
                anchors = await self._aside(self._keyring.prepare_revocations)
                is_new = anchors.lists != self._keyring.trust.anchors.lists
                self._keyring.trust.renew(anchors)
            except (ConfigurationRefused, KeyRefused) as refusal:
                self._refuse("revocation lists", refusal)
                return
            if is_new:
                await self._done("revocation lists", {"key": False, "revocations": True, "moved": []})

    async def check_dates(self) -> None:
        """End what lives under a certificate that has run out; tell of lists that are overdue."""
        await self._recheck()
        overdue = self.overdue
        if overdue and not self._was_overdue:
            self._tally("revocations_overdue")
            _log.warning("revocation lists overdue", why=[each.label for each in overdue])
        self._was_overdue = bool(overdue)
        problem = self.problem
        if problem and problem != self._told_problem:
            _log.error("this node's own certificate does not count", why=problem)
        self._told_problem = problem

    @property
    def overdue(self) -> list[Revocations]:
        """The lists in force that should have been replaced by now. They stay in force."""
        now = self._station.wall_ms()
        return [each for each in self._keyring.trust.revocations if each.is_overdue(now)]

    @property
    def problem(self) -> str:
        """Why this node's own certificate does not count now, so that every peer refuses it; or nothing."""
        try:
            self._keyring.trust.identify(self._keyring.key.certificate.der, self._station.wall_ms())
        except KeyRefused as refusal:
            return refusal.reason
        return ""

    def view(self) -> dict[str, Any]:
        """What is in force, and what became of attempts to renew it."""
        now = self._station.wall_ms()
        certificate = self._keyring.key.certificate
        return {
            "serial": f"{certificate.serial:x}",
            "valid_until_ms": certificate.not_after_ms,
            "problem": self.problem,
            "authorities": len(self._keyring.trust.anchors.authorities),
            "revocations": [
                {
                    "number": each.number,
                    "at_ms": each.this_update_ms,
                    "next_ms": each.next_update_ms,
                    "revoked": len(each.revoked),
                    "overdue": each.is_overdue(now),
                }
                for each in self._keyring.trust.revocations
            ],
            "renewals": self.counts["renewals"],
            "refused": self.counts["renewals_refused"],
            "last_refusal": self.last_refusal,
        }

    async def _done(self, what: str, told: Mapping[str, Any]) -> None:
        self._tally("renewals")
        self.last_refusal = ""
        view = self.view()
        _log.info("renewed", what=what, **told)
        work = self._station.work()
        work.note(
            "renewal",
            self._station.local.name,
            what=what,
            serial=view["serial"],
            revocations=" ".join(str(each["number"]) for each in view["revocations"]),
            moved=" ".join(told["moved"]),
        )
        self._station.commit(work)
        await self.check_dates()

    def _refuse(self, what: str, refusal: DispatchError) -> None:
        self._tally("renewals_refused")
        self.last_refusal = str(refusal)
        _log.error("not renewed", what=what, why=str(refusal))

    def _tally(self, name: str) -> None:
        self.counts[name] += 1
        self._count(name)

    async def _aside(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
