import asyncio
import os
import shutil
import signal
import stat
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from protocol.aio.keyring import Keyring
from protocol.aio.listener import Listener
from protocol.aio.node import (
    every,
    load_keys,
    load_trust,
    open_door,
    open_station,
    precise_wall_ms,
    run_until_stopped,
    wall_ms,
)
from protocol.aio.station import Station
from protocol.aio.tls import dial
from protocol.errors import ConfigurationRefused, KeyRefused, LinkLost, WireCode
from protocol.frames import FrameReader, Kind
from protocol.journal.file import JournalError
from protocol.keys import Role
from protocol.session import farewell
from protocol.settings import ListenSettings
from tests.protocol.aio.keyfiles import CLIENT, KeyRoom, context_of, der_of, settings_of
from tests.protocol.aio.stand_ins import Recorder
from tests.protocol.links import XorStandIn
from tests.support.pki import DEPLOYMENT
from tests.support.virtual_loop import run

PATIENCE = 20.0  # s, after which a test is called stuck


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRoom:
    return KeyRoom(tmp_path_factory.mktemp("keys"))


# --- keys ---


def test_a_node_reads_its_key_and_whom_it_trusts(keys: KeyRoom) -> None:
    place = keys.plant()
    key, trust = load_keys(settings_of(place), place, "plant-1", Role.PLANT)
    assert key.certificate.der == der_of(place)
    assert trust.identify(der_of(keys.hq()), wall_ms()).name == "hq"


def test_paths_are_relative_to_the_configuration(keys: KeyRoom) -> None:
    settings = settings_of(Path())
    key, _ = load_keys(settings, keys.plant(), "plant-1", Role.PLANT)
    assert key.certificate.name == "plant-1"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601])
def test_a_private_key_that_others_may_touch_is_refused(keys: KeyRoom, tmp_path: Path, mode: int) -> None:
    place = shutil.copytree(keys.plant(), tmp_path / "plant")
    (place / "node.key").chmod(mode)
    with pytest.raises(ConfigurationRefused, match="others may read this private key") as caught:
        load_keys(settings_of(place), place, "plant-1", Role.PLANT)
    assert caught.value.remedy == f"Run: chmod 600 {place / 'node.key'}"


@pytest.mark.parametrize(
    ("name", "role"),
    [("plant-2", Role.PLANT), ("plant-1", Role.DESK), ("hq", Role.HQ), ("plant", Role.PLANT)],
)
def test_the_certificate_of_another_node_is_refused(keys: KeyRoom, name: str, role: Role) -> None:
    place = keys.plant()
    with pytest.raises(ConfigurationRefused, match="Use this node's own certificate") as caught:
        load_keys(settings_of(place), place, name, role)
    assert caught.value.reason == (f"it names plant 'plant-1', the configuration says {role.value} '{name}'")


def test_the_key_of_another_node_is_refused(keys: KeyRoom) -> None:
    settings = settings_of(keys.plant()).model_copy(update={"key": keys.hq() / "node.key"})
    with pytest.raises(KeyRefused, match="does not belong to the certificate"):
        load_keys(settings, Path(), "plant-1", Role.PLANT)


@pytest.mark.parametrize(
    ("who", "options", "reason"),
    [
        ("foreign", {"authority": "theirs"}, "not issued by this deployment's authority"),
        ("expired", {"age": timedelta(days=9), "days": 8}, "not valid at this time"),
    ],
)
def test_an_own_certificate_that_does_not_count_is_refused(
    keys: KeyRoom, who: str, options: dict[str, Any], reason: str
) -> None:
    place = keys.make(f"node {who}", Role.PLANT, "plant-1", **options)
    with pytest.raises(KeyRefused, match=reason):
        load_keys(settings_of(place), place, "plant-1", Role.PLANT)


@pytest.mark.parametrize("file", ["authority.crt", "node.crt", "node.key"])
def test_a_file_that_is_missing_or_unreadable_is_named(keys: KeyRoom, tmp_path: Path, file: str) -> None:
    place = shutil.copytree(keys.plant(), tmp_path / "plant")
    (place / file).unlink()
    with pytest.raises(ConfigurationRefused, match="cannot be read") as caught:
        load_keys(settings_of(place), place, "plant-1", Role.PLANT)
    assert caught.value.where == str(place / file)
    (place / file).touch(0o600)
    (place / file).write_text("no key at all")
    with pytest.raises(KeyRefused, match="PEM cannot be read"):
        load_keys(settings_of(place), place, "plant-1", Role.PLANT)


def test_a_revocation_list_that_is_configured_must_be_there(keys: KeyRoom) -> None:
    settings = settings_of(keys.plant()).model_copy(update={"revocations": Path("revoked.crl")})
    with pytest.raises(ConfigurationRefused, match=r"revoked\.crl: cannot be read"):
        load_trust(settings, keys.plant())


# --- the station and its door ---


def station_at(keys: KeyRoom, journal: Path) -> Station:
    """The station of a real program. Needs a running loop."""
    key, trust = load_keys(settings_of(keys.plant()), Path(), "plant-1", Role.PLANT)
    return open_station(journal, key, trust, DEPLOYMENT, XorStandIn)


def ring_of(keys: KeyRoom) -> Keyring:
    """The keys of the plant."""
    return Keyring(settings_of(keys.plant()), Path(), "plant-1", Role.PLANT, wall_ms)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_station_finds_again_what_it_wrote(keys: KeyRoom, tmp_path: Path) -> None:
    journal = tmp_path / "state" / "journal"
    for term in (1, 2):
        station = station_at(keys, journal)
        await station.grant_term()
        assert (station.granted_term, station.ledger_head.entry) == (term, term)
        await station.close()
    assert (mode_of(journal.parent), mode_of(journal)) == (0o700, 0o600)


async def test_each_run_of_a_station_has_another_boot(keys: KeyRoom, tmp_path: Path) -> None:
    boots = set()
    for _ in range(3):
        station = station_at(keys, tmp_path / "journal")
        boots.add(station.local.boot)
        await station.close()
    assert {len(boot) for boot in boots} == {16}
    assert len(boots) == 3


async def test_two_programs_cannot_run_the_same_station(keys: KeyRoom, tmp_path: Path) -> None:
    station = station_at(keys, tmp_path / "journal")
    with pytest.raises(JournalError, match="is in use: stop the program"):
        station_at(keys, tmp_path / "journal")
    await station.close()


async def test_a_caller_with_a_good_certificate_of_another_node_hears_why_it_is_refused(
    keys: KeyRoom, tmp_path: Path
) -> None:
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        station = station_at(keys, tmp_path / "journal")
        stack.push_async_callback(station.close)
        listener = Listener(station, "hq", Recorder(station), os.urandom)
        settings = ListenSettings(superior="hq", host="127.0.0.1", port=0)
        port = await open_door(stack, ring_of(keys), settings, listener)
        for holder, role, name in (("center", Role.CENTER, "center-1"), ("hq-2", Role.HQ, "hq-2")):
            stream = await dial("127.0.0.1", port, context_of(CLIENT, keys.make(holder, role, name)))
            ((kind, payload),) = FrameReader().feed(await stream.read(65_536), frozenset(Kind))
            assert kind is Kind.GOODBYE
            reason: LinkLost = farewell(payload)
            assert reason.code is WireCode.IDENTITY
            assert f"'{name}' is not the superior of this node" in reason.detail
            stream.close()
        assert listener.refused == 2
        with pytest.raises(ConfigurationRefused, match="Is it running already"):
            await open_door(stack, ring_of(keys), settings.model_copy(update={"port": port}), listener)


# --- running and stopping ---


class Part:
    """Something that runs until it is told to end."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name, self.seen = name, seen
        self.started = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        self.started.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            self.seen.append(self.name)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all_parts_in_their_order(number: signal.Signals) -> None:
    seen: list[str] = []
    parts = [Part(name, seen) for name in ("first", "second", "third")]

    async def kill() -> None:
        for part in parts:
            await part.started.wait()
        os.kill(os.getpid(), number)

    async with asyncio.timeout(PATIENCE):
        await run_until_stopped(*(part.run() for part in parts), kill())
    assert seen == ["first", "second", "third"]


async def test_a_second_signal_changes_nothing() -> None:
    seen: list[str] = []

    async def slow() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(PATIENCE)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.01)
            seen.append("tidied up")

    async with asyncio.timeout(PATIENCE):
        await run_until_stopped(slow())
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.01)
    assert seen == ["tidied up"]


async def test_a_part_that_fails_ends_the_others_and_its_error_is_the_programs() -> None:
    seen: list[str] = []
    other = Part("other", seen)

    async def fails() -> None:
        await other.started.wait()
        raise JournalError("the disk is full")

    with pytest.raises(JournalError, match="the disk is full"):
        await run_until_stopped(other.run(), fails())
    assert seen == ["other"]


async def test_an_error_from_the_depths_of_a_part_is_told_as_itself() -> None:
    async def inner() -> None:
        raise LookupError("deep inside")

    async def part() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())

    with pytest.raises(LookupError, match="deep inside"):
        await run_until_stopped(part())


async def test_a_part_that_fails_while_the_program_stops_is_told_too() -> None:
    async def part() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            raise LookupError("while stopping")

    with pytest.raises(LookupError, match="while stopping"):
        await run_until_stopped(part())


async def test_a_part_that_ends_by_itself_leaves_the_others_running() -> None:
    seen: list[str] = []
    other = Part("other", seen)

    async def ends() -> None:
        await other.started.wait()

    async def kill() -> None:
        await asyncio.sleep(0.01)
        seen.append("killed")
        os.kill(os.getpid(), signal.SIGTERM)

    await run_until_stopped(other.run(), ends(), kill())
    assert seen == ["killed", "other"]


# --- time ---


def test_the_time_of_an_action_does_not_add_up() -> None:
    async def main() -> list[float]:
        times: list[float] = []

        async def action() -> None:
            times.append(asyncio.get_running_loop().time())
            await asyncio.sleep(3 if len(times) == 3 else 0.4)

        task = asyncio.create_task(every(1.0, action))
        await asyncio.sleep(7.5)
        task.cancel()
        return times

    assert run(main()) == pytest.approx([0.0, 1.0, 2.0, 5.0, 6.0, 7.0])


def test_the_wall_clock_is_in_milliseconds() -> None:
    before = time.time()
    assert before * 1000 - 1 <= wall_ms() <= time.time() * 1000
    assert before * 1000 - 1 <= precise_wall_ms() <= time.time() * 1000 + 1
