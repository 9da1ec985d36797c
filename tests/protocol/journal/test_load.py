import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.journal.batch import Head
from tests.protocol.journal.ledgers import open_journal, verify
from tests.protocol.journal.model import DECISIONS, Decision, Model


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(max_examples=25)
@given(st.lists(DECISIONS, min_size=1, max_size=3))
def test_a_reopened_journal_gives_exactly_what_was_committed(lives: list[list[Decision]]) -> None:
    model = Model()
    with folder() as place:
        for decisions in lives:
            with open_journal(place / "journal") as file:
                for batches in model.commits(decisions):
                    file.write(batches)
        with open_journal(place / "journal") as file:
            loaded = file.load()
            assert loaded == model.loaded(loaded.head)
        if model.entries:
            assert verify(place / "journal").head == loaded.head


def test_a_new_journal_knows_nothing() -> None:
    with folder() as place, open_journal(place / "journal") as file:
        assert file.load() == Model().loaded(Head())


@settings(max_examples=25)
@given(DECISIONS, st.data())
def test_what_was_not_committed_was_never_there(decisions: list[Decision], data: st.DataObject) -> None:
    """The write-ahead log ends anywhere, as after a power cut: whole commits are left, the oldest ones."""
    model = Model()
    commits = model.commits(decisions)
    with folder() as place:
        with open_journal(place / "journal") as file:
            file._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for batches in commits:
                file.write(batches)
            main, log = (place / "journal").read_bytes(), (place / "journal-wal").read_bytes()
        cut = data.draw(st.integers(0, len(log)))
        (place / "torn").write_bytes(main)
        (place / "torn-wal").write_bytes(log[:cut])
        with open_journal(place / "torn") as file:
            loaded = file.load()
        survivors = [_after(decisions, whole) for whole in range(len(commits) + 1)]
        assert loaded in [survivor.loaded(loaded.head) for survivor in survivors]
        if cut == len(log):
            assert loaded == model.loaded(loaded.head)
        if loaded.head.entry:
            assert verify(place / "torn").head == loaded.head


def _after(decisions: list[Decision], whole: int) -> Model:
    """The model after the first `whole` commits."""
    ends = [index for index, (what, _, _) in enumerate(decisions) if what == "commit"] + [len(decisions)]
    model = Model()
    model.commits(decisions[: ends[whole - 1]] if whole else [])
    return model
