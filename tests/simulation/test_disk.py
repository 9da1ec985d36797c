"""The simulated disk keeps what was synced, loses what was not, and tells nobody too early."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from protocol.journal.batch import Batch, Entry
from protocol.journal.verify import verify_open_ledger
from tests.simulation.cast import EPOCH_MS, HQ, cast
from tests.simulation.disk import Disk, DiskWriter
from tests.support.pki import DEPLOYMENT
from tests.support.virtual_loop import Seeded, run

_SEEDS = range(40)


def _line(text: str) -> Batch:
    return Batch(entries=[Entry("note", text, EPOCH_MS, text.encode())])


def _ignore(_: Batch) -> None:
    """Nothing is aimed at this commit."""


def _writer(disk: Disk, seed: int = 1, on_durable: Callable[[Batch], None] = _ignore) -> DiskWriter:
    return DiskWriter(disk, Seeded(str(seed)), _ignore, on_durable, (0.001, 0.01))


def _note(told: list[str], name: str, _: "asyncio.Future[None]") -> None:
    told.append(name)


def _subjects(disk: Disk) -> list[str]:
    return [subject for (subject,) in disk.connection.execute("SELECT subject FROM ledger ORDER BY entry")]


def test_what_was_told_as_written_survives_a_crash() -> None:
    disk = Disk(cast().nodes[HQ])

    async def live() -> None:
        writer = _writer(disk)
        await writer.commit(_line("a"))
        writer.crash()

    run(live())
    assert _subjects(disk) == ["a"]
    assert disk.open().head.entry == 1


def test_a_crash_loses_what_waits_and_keeps_or_loses_whole_what_is_under_way() -> None:
    left: set[tuple[str, ...]] = set()
    for seed in _SEEDS:
        disk = Disk(cast().nodes[HQ])

        async def live(disk: Disk = disk, seed: int = seed) -> None:
            writer = _writer(disk, seed)
            under_way, waiting = writer.commit(_line("a")), writer.commit(_line("b"))
            writer.crash()
            await asyncio.sleep(10)
            assert not under_way.done()
            assert not waiting.done()

        run(live())
        left.add(tuple(_subjects(disk)))
    assert left == {(), ("a",)}


def test_between_durable_and_told_a_crash_keeps_what_nobody_was_told_of() -> None:
    disk = Disk(cast().nodes[HQ])

    async def live() -> None:
        durable = asyncio.Event()
        writer = _writer(disk, on_durable=lambda _: durable.set())
        future = writer.commit(_line("a"))
        await durable.wait()
        assert writer.head.entry == 0
        writer.crash()
        await asyncio.sleep(10)
        assert not future.done()

    run(live())
    assert _subjects(disk) == ["a"]


def test_after_its_crash_a_writer_writes_nothing() -> None:
    disk = Disk(cast().nodes[HQ])

    async def live() -> None:
        writer = _writer(disk)
        writer.crash()
        future = writer.commit(_line("a"))
        await asyncio.sleep(10)
        assert not future.done()
        writer.crash()

    run(live())
    assert _subjects(disk) == []


@pytest.mark.parametrize("seed", _SEEDS)
def test_batches_are_told_in_the_order_in_which_they_were_handed_in(seed: int) -> None:
    disk = Disk(cast().nodes[HQ])
    told: list[str] = []

    async def live() -> None:
        writer = _writer(disk, seed)
        for name in "abcdef":
            writer.commit(_line(name)).add_done_callback(partial(_note, told, name))
            await asyncio.sleep(0.002)
        await writer.close()

    run(live())
    assert told == _subjects(disk) == list("abcdef")


def test_a_question_sees_what_was_handed_in_before_it() -> None:
    disk = Disk(cast().nodes[HQ])

    async def live() -> int:
        writer = _writer(disk)
        for name in "abc":
            writer.commit(_line(name))
        await writer.latest_orders(1)
        return writer.head.entry

    assert run(live()) == 3


def test_the_ledger_of_a_simulated_disk_is_a_ledger_that_verifies() -> None:
    disk = Disk(cast().nodes[HQ])

    async def live() -> None:
        await _writer(disk).commit(_line("a"))

    run(live())
    ledger = verify_open_ledger(Path(HQ), disk.connection, cast().trust(), DEPLOYMENT)
    assert (ledger.node, ledger.head.entry) == (HQ, 1)
