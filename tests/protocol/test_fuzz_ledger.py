"""protocol/journal/verify.py: a file that nobody wrote as a ledger does not keep its auditor busy."""

import pytest

from protocol.journal.verify import LedgerFault
from tests.fuzz.ledger import good
from tests.protocol.journal.ledgers import in_memory, verify_memory

WITHOUT_END = """
CREATE VIEW ledger AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
SELECT i AS entry, 'event' AS kind, 'o-1' AS subject, 0 AS at_ms, x'' AS body, zeroblob(32) AS hash FROM n
"""
OF_ANY_SIZE = """
CREATE TABLE ledger (entry INTEGER PRIMARY KEY, kind TEXT, subject TEXT, at_ms INTEGER, hash BLOB,
body BLOB GENERATED ALWAYS AS (zeroblob(900000000)))
"""
FROM_ELSEWHERE = "CREATE VIRTUAL TABLE ledger USING fts5(entry, kind, subject, at_ms, body, hash)"


@pytest.mark.parametrize(
    "instead", [WITHOUT_END, OF_ANY_SIZE, FROM_ELSEWHERE], ids=["view", "column", "virtual"]
)
def test_rows_that_are_computed_while_they_are_read_are_refused(instead: str) -> None:
    with in_memory(good()) as db:
        db.execute("ALTER TABLE ledger RENAME TO written")
        db.execute(instead)
        with pytest.raises(LedgerFault, match="computed while it is read"):
            verify_memory(db)


def test_a_ledger_as_stations_write_it_computes_nothing() -> None:
    with in_memory(good()) as db, pytest.raises(LedgerFault) as caught:
        verify_memory(db)  # of another deployment's authority, so it is refused, but for that alone
    assert caught.value.entry > 0
