"""The auditor's verifier on damaged and rewritten ledgers: `python -m tests.fuzz.ledger [corpus] [flags]`.

A script (see script.py) is applied to one good ledger. DAMAGE overwrites bytes of the file at an offset. The
other deeds are those of the node itself, which holds its key: they put another value into one field of one
entry, and at the end all hashes and the checkpoint are made anew.
"""

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from protocol.journal.batch import Head
from protocol.journal.verify import LedgerFault, verify_ledger, verify_open_ledger
from tests.fuzz import script
from tests.fuzz.engine import run
from tests.fuzz.stage import EVENTS, PLANT, RECORDS, TRUST
from tests.protocol.journal.ledgers import (
    SET_FIELD,
    drop_triggers,
    event_batch,
    notes,
    reseal,
    snapshot,
    witness,
)
from tests.support.pki import DEPLOYMENT

DAMAGE, KIND, SUBJECT, AT, BODY = range(5)
_FIELDS = {KIND: "kind", SUBJECT: "subject", AT: "at_ms", BODY: "body"}
_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-ledger-")
_PATH = Path(_FOLDER.name) / "ledger"


@cache
def good() -> bytes:
    """A whole order, a term, what was seen of a peer."""
    batches = [event_batch(record, event) for record, event in zip(RECORDS, EVENTS, strict=True)]
    return snapshot([notes("begin"), *batches, witness("plant-2", Head(3, b"h" * 32)), notes("end")], PLANT)


def one(data: bytes) -> None:
    """A ledger holds, or a LedgerFault says where it does not."""
    deeds = list(script.read(data))
    ledger = bytearray(good())
    for deed, payload in deeds:
        if deed == DAMAGE and len(payload) > 3:
            start = int.from_bytes(payload[:3]) % len(ledger)
            patch = payload[3 : 3 + len(ledger) - start]
            ledger[start : start + len(patch)] = patch
    if all(deed == DAMAGE for deed, _ in deeds):
        _verify_file(bytes(ledger))
    else:
        _verify_rewritten(deeds)


def _verify_file(ledger: bytes) -> None:
    _PATH.write_bytes(ledger)
    try:
        found = verify_ledger(_PATH, TRUST, DEPLOYMENT)
    except LedgerFault as fault:
        _is_whole(fault)
    else:  # what was damaged was none of the ledger: free space, the outbox, statistics
        assert (found.node, found.events) == ("plant-1", len(EVENTS))


def _verify_rewritten(deeds: list[script.Deed]) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.deserialize(good())
        drop_triggers(db)
        for deed, payload in deeds:
            if name := _FIELDS.get(deed):
                number = payload[0] if payload else 0
                db.execute(SET_FIELD[name], (_value(deed, payload[1:]), number))
        reseal(db, PLANT)
        try:
            verify_open_ledger(_PATH, db, TRUST, DEPLOYMENT)
        except LedgerFault as fault:
            _is_whole(fault)


def _is_whole(fault: LedgerFault) -> None:
    assert fault.path == _PATH
    assert fault.reason


def _value(deed: int, value: bytes) -> object:
    if deed == AT:
        return int.from_bytes(value[:8]) >> 1
    return value if deed == BODY else value.decode("utf-8", "replace")[:60_000]


if __name__ == "__main__":
    run(one)
