import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typing_extensions import override

from protocol.journal.batch import Batch, Head, Notice
from protocol.journal.file import JournalError, JournalFile
from protocol.journal.writer import MAX_GROUP, ThreadedWriter
from protocol.lifecycle import Input, State
from tests.protocol.journal.ledgers import event_batch, note, notes, verify, whole_order
from tests.protocol.parties import PLANT, Chain

PATIENCE = 30.0  # s, after which a test is called stuck


class GatedFile(JournalFile):
    """Waits at a gate before it writes, and remembers how many batches each commit had."""

    gate: threading.Event
    arrived: threading.Event
    groups: list[int]

    @override
    def write(self, batches: Iterable[Batch]) -> Head:
        group = list(batches)
        self.groups.append(len(group))
        self.arrived.set()
        assert self.gate.wait(PATIENCE)
        return super().write(group)


def open_gated(path: Path) -> GatedFile:
    file = GatedFile.open(path, PLANT)
    assert isinstance(file, GatedFile)
    file.gate, file.arrived, file.groups = threading.Event(), threading.Event(), []
    return file


@asynccontextmanager
async def writing(file: GatedFile) -> AsyncIterator[ThreadedWriter]:
    """A writer whose gate is shut, with a first group already waiting at it."""
    writer = ThreadedWriter(file)
    try:
        async with asyncio.timeout(PATIENCE):
            yield writer
    finally:
        file.gate.set()
        await writer.close()


async def at_the_gate(file: GatedFile) -> None:
    assert await asyncio.to_thread(file.arrived.wait, PATIENCE)


def words(path: Path) -> list[str]:
    """What the notes of a verified ledger say, in its order."""
    assert verify(path).head.entry
    file = JournalFile.open(path, PLANT)
    rows = file._db.execute("SELECT body FROM ledger ORDER BY entry").fetchall()
    file.close()
    return [Notice.decode(body).facts[0][1] for (body,) in rows]


async def test_a_disk_that_cannot_tell_how_much_is_left_ends_no_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> os.statvfs_result:
        raise OSError(errno.EIO, "it hangs")

    file = JournalFile.open(tmp_path / "journal", PLANT)
    known = [file.free_disk]
    monkeypatch.setattr("protocol.journal.file.os.fstatvfs", broken)
    writer = ThreadedWriter(file)
    async with asyncio.timeout(PATIENCE):
        await writer.commit(notes("written all the same"))
        await writer.close()
    known.append(file.free_disk)
    assert known[0]
    assert known[1] is None
    assert words(tmp_path / "journal") == ["written all the same"]


async def test_batches_that_come_during_a_write_share_the_next_commit_in_their_order(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    async with writing(file) as writer:
        futures = [writer.commit(notes("0"))]
        await at_the_gate(file)
        futures += [writer.commit(notes(str(number))) for number in range(1, 20)]
        file.gate.set()
        await asyncio.gather(*futures)
        assert file.groups == [1, 19]
        assert writer.head.entry == 20
    assert words(tmp_path / "journal") == [str(number) for number in range(20)]


async def test_a_commit_never_has_more_than_a_group(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    async with writing(file) as writer:
        first = writer.commit(Batch())
        await at_the_gate(file)
        others = [writer.commit(Batch(meta={"n": bytes([n % 256])})) for n in range(MAX_GROUP + 3)]
        file.gate.set()
        await asyncio.gather(first, *others)
        assert file.groups == [1, MAX_GROUP, 3]


async def test_nobody_is_told_before_the_write_is_done(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    async with writing(file) as writer:
        future = writer.commit(notes("one"))
        await at_the_gate(file)
        await asyncio.sleep(0.01)
        assert not future.done()
        assert writer.head == Head()
        file.gate.set()
        await future
        assert writer.head == file.head
        assert writer.head.entry == 1


async def test_one_failing_write_fails_its_whole_group_and_everything_after(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    record = Chain.at(State.DRAFTED).record
    async with writing(file) as writer:
        good = writer.commit(whole_order(record))
        await at_the_gate(file)
        group = [
            writer.commit(batch) for batch in (notes("same group"), whole_order(record), notes("behind"))
        ]
        file.gate.set()
        await good
        failures = await asyncio.gather(*group, return_exceptions=True)
        assert [type(failure) for failure in failures] == [JournalError] * 3
        late = writer.commit(notes("much later"))
        with pytest.raises(JournalError, match="UNIQUE"):
            await late
        assert writer.head.entry == 1
    assert verify(tmp_path / "journal").head.entry == 1


async def test_after_a_failure_the_disk_is_not_touched_again(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    file.gate.set()
    async with writing(file) as writer:
        with pytest.raises(JournalError):
            await writer.commit(Batch(entries=[note("k" * 70_000, "plant-1")]))
        assert file.groups == [1]
        for _ in range(3):
            with pytest.raises(JournalError):
                await writer.commit(notes("fine in itself"))
        assert file.groups == [1]


async def test_what_was_handed_in_is_written_before_the_file_closes(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    async with writing(file) as writer:
        futures = [writer.commit(notes("0"))]
        await at_the_gate(file)
        futures += [writer.commit(notes(str(number))) for number in range(1, 4)]
        file.gate.set()
    assert all(future.done() and not future.exception() for future in futures)
    assert words(tmp_path / "journal") == ["0", "1", "2", "3"]


async def test_after_the_close_nobody_waits_for_ever(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    async with writing(file) as writer:
        pass
    with pytest.raises(JournalError, match="closed"):
        await writer.commit(notes("late"))
    with pytest.raises(JournalError, match="closed"):
        await writer.events_of("o-1")


async def test_a_question_sees_what_was_handed_in_before_it(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    chain = Chain()
    async with writing(file) as writer:
        writer.commit(event_batch(chain.record, chain.record.events[0]))
        await at_the_gate(file)
        event = chain.add(Input.ISSUE)
        writer.commit(event_batch(chain.record, event))
        asked = asyncio.gather(writer.events_of("o-1"), writer.latest_orders(5))
        await asyncio.sleep(0.01)
        assert not asked.done()
        file.gate.set()
        events, orders = await asked
        assert list(events) == [event.signed.encode() for event in chain.record.events]
        assert [(row.order, row.state) for row in orders] == [("o-1", State.ISSUED)]


async def test_questions_in_between_do_not_split_a_commit(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    async with writing(file) as writer:
        futures: list[asyncio.Future[None]] = [writer.commit(notes("0"))]
        await at_the_gate(file)
        asked = []
        for number in range(1, 6):
            futures.append(writer.commit(notes(str(number))))
            asked.append(asyncio.ensure_future(writer.events_of(f"o-{number}")))
            await asyncio.sleep(0)
        file.gate.set()
        await asyncio.gather(*futures, *asked)
        assert file.groups == [1, 5]


async def test_a_file_that_cannot_be_read_is_a_journal_error(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    file._db.execute("DROP TABLE order_event")
    async with writing(file) as writer:
        with pytest.raises(JournalError, match="cannot be read: no such table"):
            await writer.events_of("o-1")
        file.gate.set()
        await writer.commit(notes("the writer lives"))


async def test_an_index_that_somebody_edited_is_a_journal_error(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    file.gate.set()
    async with writing(file) as writer:
        await writer.commit(whole_order(Chain.at(State.DRAFTED).record))
        file._db.execute("UPDATE orders SET state = 'nonsense'")
        with pytest.raises(JournalError, match="cannot be read: 'nonsense' is not a valid State"):
            await writer.latest_orders(5)
        await writer.commit(notes("the writer lives"))


async def test_a_waiter_that_went_away_holds_up_nobody(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")
    async with writing(file) as writer:
        first = writer.commit(notes("first"))
        await at_the_gate(file)
        gone, question = writer.commit(notes("gone")), asyncio.ensure_future(writer.events_of("o-1"))
        await asyncio.sleep(0)
        gone.cancel()
        question.cancel()
        last = writer.commit(notes("last"))
        file.gate.set()
        await asyncio.gather(first, last)
    assert words(tmp_path / "journal") == ["first", "gone", "last"]


def test_the_writer_ends_in_good_order_when_its_loop_is_gone(tmp_path: Path) -> None:
    file = open_gated(tmp_path / "journal")

    async def leave() -> ThreadedWriter:
        writer = ThreadedWriter(file)
        writer.commit(notes("one"))
        await at_the_gate(file)
        return writer

    writer = asyncio.run(leave())
    file.gate.set()
    writer._queue.put(None)
    writer._thread.join(PATIENCE)
    assert not writer._thread.is_alive()
    assert words(tmp_path / "journal") == ["one"]
