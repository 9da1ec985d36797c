"""protocol/aio/reloading.py: all or nothing, named and counted; by command, signal and by itself."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from dispatch_server import pki
from protocol.aio import reloading
from protocol.aio.keyring import Keyring
from protocol.aio.node import open_station, wall_ms
from protocol.aio.reloading import FileWatch, Reloader
from protocol.errors import ConfigurationRefused, KeyRefused
from protocol.journal.verify import verify_ledger
from protocol.keys import Role
from tests.protocol.aio.hall import until
from tests.protocol.aio.keyfiles import KeyRoom, der_of, settings_of
from tests.protocol.links import XorStandIn
from tests.support.pki import DEPLOYMENT

# --- the file ---


def test_a_file_that_was_replaced_is_told_once_and_only_when_it_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "list.crl"
    path.write_bytes(b"old")
    watch = FileWatch(path)
    assert not watch.has_changed()
    path.write_bytes(b"new content")
    assert not watch.has_changed()  # it may be half
    path.write_bytes(b"new content, whole")
    assert not watch.has_changed()
    assert watch.has_changed()
    assert not watch.has_changed()


def test_a_file_that_is_gone_is_no_new_content_and_one_that_comes_is(tmp_path: Path) -> None:
    path = tmp_path / "list.crl"
    path.write_bytes(b"old")
    watch = FileWatch(path)
    path.unlink()
    assert [watch.has_changed() for _ in range(3)] == [False] * 3
    (tmp_path / "beside").write_bytes(b"new")
    (tmp_path / "beside").replace(path)
    assert [watch.has_changed() for _ in range(3)] == [False, True, False]


# --- the reloader ---


class Scene:
    """The keys and journal of a plant, with its superior revoked or not."""

    def __init__(self, folder: Path) -> None:
        self.keys = KeyRoom(folder)
        self.place, self.crl, self.journal = self.keys.plant(), folder / "list.crl", folder / "journal"
        self.lists = 0
        self.revoke()
        settings = settings_of(self.place).model_copy(update={"revocations": self.crl})
        self.ring = Keyring(settings, Path(), "plant-1", Role.PLANT, self.now)
        self.offset_ms = 0
        self.rechecks = 0
        self.may_recheck = asyncio.Event()
        self.may_recheck.set()
        self.counted: list[str] = []
        self.refusal: ConfigurationRefused | None = None
        self.moves: list[str] = []
        self.put = 0
        self.station = open_station(
            self.journal, self.ring.key, self.ring.trust, DEPLOYMENT, XorStandIn, keyring=self.ring
        )
        self.station.wall_ms = self.now
        self.reloader = Reloader(self.station, self.ring, self.settings, self.recheck, self.counted.append)

    def now(self) -> int:
        return wall_ms() + getattr(self, "offset_ms", 0)

    def settings(self) -> Callable[[], Sequence[str]]:
        if self.refusal:
            raise self.refusal

        def put() -> Sequence[str]:
            self.put += 1
            return self.moves

        return put

    async def recheck(self) -> None:
        self.rechecks += 1
        await self.may_recheck.wait()

    def revoke(self, *serials: int, days: int = 30, authority: str = "ours") -> None:
        """A new list in the place of the old one."""
        self.lists += 1
        made = pki.revocation_list(
            self.keys.authorities[authority],
            [pki.Revocation(serial, self.keys.now) for serial in serials],
            self.keys.now,
            days,
            after=10**15 + self.lists,
        )
        self.crl.write_bytes(pki.certificate_pem(made))

    def renew_pair(self) -> bytes:
        made = self.keys.make("newer", Role.PLANT, "plant-1")
        for file in ("node.crt", "node.key"):
            shutil.copy(made / file, self.place / file)
        return der_of(made)

    @property
    def revoked(self) -> int:
        return len(self.ring.trust.anchors.revoked())


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    await scene.station.close()


@asynccontextmanager
async def running(scene: Scene) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(scene.reloader.run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_reload_takes_everything_tells_it_and_looks_at_what_lives(scene: Scene) -> None:
    scene.moves = ["plant-a: 192.0.2.7:20880"]
    der = scene.renew_pair()
    scene.revoke(7, 8)
    told = await scene.reloader.command({})
    assert (told["key"], told["revocations"], told["moved"]) == (True, True, scene.moves)
    assert told["keys"]["serial"] == f"{scene.ring.key.certificate.serial:x}"
    assert [each["revoked"] for each in told["keys"]["revocations"]] == [2]
    assert scene.station.local.key.certificate.der == der
    assert (scene.rechecks, scene.put, scene.counted) == (1, 1, ["renewals"])
    again = await scene.reloader.command({})
    assert (again["key"], again["revocations"]) == (False, False)


async def test_a_list_that_changed_while_the_program_started_is_taken_when_it_runs(scene: Scene) -> None:
    """Between the reading of the keys and the first look lies the opening of the journal."""
    scene.revoke(7, 8)
    late = Reloader(scene.station, scene.ring, scene.settings, scene.recheck)
    assert scene.revoked == 0
    scene.reloader = late
    async with running(scene):
        await until(lambda: scene.revoked == 2)
    assert late.counts["renewals"] == 1


async def test_a_list_that_is_broken_when_the_program_runs_is_told_and_ends_nothing(scene: Scene) -> None:
    scene.crl.write_bytes(scene.crl.read_bytes()[:100])
    async with running(scene):
        await until(lambda: bool(scene.counted))
    assert scene.counted == ["renewals_refused"]


async def test_the_ledger_tells_of_it_and_is_signed_with_the_new_key(scene: Scene) -> None:
    await scene.station.grant_term()
    scene.renew_pair()
    await scene.reloader.reload()
    await scene.station.close()
    ledger = verify_ledger(scene.journal, scene.ring.trust, DEPLOYMENT, node="plant-1")
    assert ledger.head.entry == 2
    with sqlite3.connect(scene.journal) as db:
        ((certificate,),) = db.execute("SELECT certificate FROM checkpoint")
    db.close()
    assert certificate == scene.ring.key.certificate.der


def wrong_setting(scene: Scene) -> None:
    scene.refusal = ConfigurationRefused("config.toml", "this changes: timers", "Restart for that")


def wrong_pair(scene: Scene) -> None:
    (scene.place / "node.key").write_text("garbage")


def wrong_list(scene: Scene) -> None:
    scene.revoke(7, 8, 9, authority="theirs")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(wrong_setting, "timers"), (wrong_pair, "PEM"), (wrong_list, "not signed by an authority")],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_refused_is_refused_as_a_whole(
    scene: Scene, spoil: Callable[[Scene], None], why: str
) -> None:
    scene.renew_pair()
    scene.revoke(7)
    spoil(scene)
    before = scene.station.local
    with pytest.raises((ConfigurationRefused, KeyRefused), match=why):
        await scene.reloader.reload()
    assert scene.station.local is before
    assert (scene.revoked, scene.put, scene.rechecks) == (0, 0, 0)
    assert scene.counted == ["renewals_refused"]
    view = scene.reloader.view()
    assert why in view["last_refusal"]
    assert (view["renewals"], view["refused"]) == (0, 1)


async def test_the_next_renewal_that_succeeds_ends_the_complaint(scene: Scene) -> None:
    wrong_setting(scene)
    with pytest.raises(ConfigurationRefused):
        await scene.reloader.reload()
    scene.refusal = None
    await scene.reloader.reload()
    assert scene.reloader.view()["last_refusal"] == ""


async def test_reloads_at_once_come_one_after_the_other(scene: Scene) -> None:
    scene.renew_pair()
    told = await asyncio.gather(*(scene.reloader.reload() for _ in range(4)))
    assert [each["key"] for each in told] == [True, False, False, False]


async def test_a_reload_begins_when_the_one_before_is_done_with_everything(scene: Scene) -> None:
    """Else it could find older lists than those that came into force meanwhile, and refuse them."""
    scene.may_recheck.clear()
    tasks = [asyncio.get_running_loop().create_task(scene.reloader.reload()) for _ in range(2)]
    await until(lambda: scene.rechecks == 1)
    await asyncio.sleep(0.05)
    assert scene.put == 1
    scene.may_recheck.set()
    await asyncio.gather(*tasks)
    assert scene.put == 2


async def test_a_new_list_is_taken_by_itself_and_a_wrong_one_leaves_the_old_in_force(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "_LOOK", 0.01)
    async with asyncio.timeout(20), running(scene):
        scene.revoke(7)
        await until(lambda: scene.revoked == 1)
        await until(lambda: scene.counted == ["renewals"])
        rechecks = scene.rechecks
        wrong_list(scene)
        await until(lambda: "renewals_refused" in scene.counted)
        assert (scene.revoked, scene.rechecks) == (1, rechecks)
        assert "not signed by an authority" in scene.reloader.last_refusal
        scene.revoke(7, 8)
        await until(lambda: scene.revoked == 2 and not scene.reloader.last_refusal)


async def test_sighup_reloads_and_a_refusal_does_not_end_the_program(scene: Scene) -> None:
    async with asyncio.timeout(20), running(scene):
        await until(lambda: scene.rechecks == 1)  # the dates, at the start
        wrong_setting(scene)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: scene.counted == ["renewals_refused"])
        scene.refusal = None
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: scene.counted[1:] == ["renewals"])


async def test_a_list_that_is_overdue_is_counted_once_shown_and_stays_in_force(scene: Scene) -> None:
    scene.revoke(7, days=1)
    await scene.reloader.reload()
    scene.counted.clear()
    await scene.reloader.check_dates()
    assert scene.counted == []
    scene.offset_ms = 2 * 24 * 3_600_000
    for _ in range(3):
        await scene.reloader.check_dates()
    assert scene.counted == ["revocations_overdue"]
    assert [each["overdue"] for each in scene.reloader.view()["revocations"]] == [True]
    assert scene.revoked == 1
    scene.revoke(7, days=30)
    await scene.reloader.reload()
    await scene.reloader.check_dates()
    assert scene.reloader.overdue == []


async def test_that_the_own_certificate_counts_no_longer_is_said_once_in_the_log_and_in_the_status(
    scene: Scene,
) -> None:
    assert scene.reloader.view()["problem"] == ""
    scene.revoke(scene.ring.key.certificate.serial)
    with capture_logs() as logs:
        await scene.reloader.reload()  # a list is taken whomever it revokes
        await scene.reloader.check_dates()
    assert scene.reloader.view()["problem"] == "the certificate is revoked"
    own = "this node's own certificate does not count"
    assert [line["why"] for line in logs if line["event"] == own] == ["the certificate is revoked"]


async def test_status_gets_what_is_in_force_and_reload_is_a_command(scene: Scene) -> None:
    async def status(raw: Any) -> dict[str, Any]:
        return {"node": "plant-1"}

    table = scene.reloader.extend({"status": status})
    assert table.keys() == {"status", "reload"}
    assert await table["status"]({}) == {"node": "plant-1", "keys": scene.reloader.view()}
    assert (await table["reload"]({}))["keys"]["renewals"] == 1
