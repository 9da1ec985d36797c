"""What an auditor finds in one file: every test alters a good ledger in one way."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.journal.batch import Head
from protocol.journal.verify import LedgerFault
from protocol.keys import Role, SigningKey
from protocol.lifecycle import State
from tests.protocol.journal.ledgers import (
    EVERYDAY,
    Change,
    everyday,
    fault_after,
    field,
    in_memory,
    note,
    rehash,
    reseal,
    sign_checkpoint,
    snapshot,
    sql,
    tampering,
    verify,
    verify_memory,
    write_ledger,
)
from tests.protocol.parties import DISPATCHER, PLANT
from tests.support.pki import NOW_MS, TestAuthority

LEDGER = snapshot(everyday())


def found_after(*changes: Change) -> LedgerFault:
    return fault_after(*changes, ledger=LEDGER)


def test_a_ledger_that_nobody_touched_is_verified() -> None:
    with in_memory(LEDGER) as db:
        ledger = verify_memory(db)
    assert (ledger.node, ledger.head.entry, ledger.events) == ("plant-1", EVERYDAY, EVERYDAY - 3)
    assert {name: record.state for name, record in ledger.orders.items()} == {"o-1": State.CLOSED}
    assert ledger.peer_heads == {"plant-2": [Head(3, b"h" * 32)]}
    assert ledger.hashes[EVERYDAY] == ledger.head.hash


# --- every field of every entry ---

NUMBERS = st.integers(1, EVERYDAY)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.one_of(st.sampled_from(["event", "peer-checkpoint", ""]), st.text(max_size=5)),
    "subject": st.one_of(st.sampled_from(["o-1", "o-2", "plant-1"]), st.text(max_size=5)),
    "at_ms": st.integers(-(1 << 63), (1 << 63) - 1),
    "body": st.binary(max_size=40),
    "hash": st.binary(max_size=40),
}


def written(number: int, name: str) -> Any:
    with in_memory(LEDGER) as db:
        query = "SELECT kind, subject, at_ms, body, hash FROM ledger WHERE entry = ?"
        return dict(zip(VALUES, db.execute(query, (number,)).fetchone(), strict=True))[name]


@settings(max_examples=150)
@given(NUMBERS, st.sampled_from(sorted(VALUES)), st.data())
def test_any_altered_field_of_any_entry_is_found_there(number: int, name: str, data: st.DataObject) -> None:
    before = written(number, name)
    after = data.draw(VALUES[name].filter(lambda value: value != before))
    assert found_after(field(number, name, after)).entry == number


@given(NUMBERS, st.data())
def test_any_altered_byte_of_a_body_is_found_there(number: int, data: st.DataObject) -> None:
    altered = bytearray(written(number, "body"))
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    assert found_after(field(number, "body", bytes(altered))).entry == number


@given(NUMBERS, st.integers(-3, 3 * EVERYDAY).filter(lambda n: not 1 <= n <= EVERYDAY))
def test_an_entry_with_another_number_is_found(number: int, other: int) -> None:
    found = found_after(sql("UPDATE ledger SET entry = ? WHERE entry = ?", other, number))
    assert found.entry == (1 if other < 1 else number)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger SET kind = CAST(x'ff' AS TEXT) WHERE entry = 4",
        "UPDATE ledger SET subject = CAST(x'6f2dff' AS TEXT) WHERE entry = 4",
    ],
)
def test_a_text_that_is_no_text_is_found_where_it_is(tmp_path: Path, change: str) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    with tampering(path) as db:
        db.execute(change)
    with pytest.raises(LedgerFault) as caught:
        verify(path)
    assert caught.value.entry == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", None),
        ("subject", b"o-1"),
        ("at_ms", 0.5),
        ("body", "text"),
        ("hash", "text"),
        ("kind", "k" * 70_000),
    ],
)
def test_a_value_that_no_station_writes_is_found_where_it_is(name: str, value: object) -> None:
    def loosen(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE loose AS SELECT * FROM ledger")
        db.execute("DROP TABLE ledger")
        db.execute("ALTER TABLE loose RENAME TO ledger")

    assert found_after(loosen, field(4, name, value)).entry == 4


# --- rows that moved or went ---


def swap(first: int, second: int) -> Change:
    def run(db: sqlite3.Connection) -> None:
        for number, place in ((first, -1), (second, first), (-1, second)):
            db.execute("UPDATE ledger SET entry = ? WHERE entry = ?", (place, number))

    return run


@pytest.mark.parametrize(("first", "second"), [(1, 2), (4, 5), (3, 9), (1, EVERYDAY)])
def test_swapped_entries_are_found_at_the_first_of_them(first: int, second: int) -> None:
    assert found_after(swap(first, second)).entry == first


@pytest.mark.parametrize("number", range(1, EVERYDAY))
def test_a_removed_entry_is_found_where_it_was(number: int) -> None:
    found = found_after(sql("DELETE FROM ledger WHERE entry = ?", number))
    assert (found.entry, found.reason) == (number, "it is missing")


@pytest.mark.parametrize("left", range(EVERYDAY))
def test_a_cut_off_tail_is_found(left: int) -> None:
    found = found_after(sql("DELETE FROM ledger WHERE entry > ?", left))
    assert (found.entry, found.reason) == (left, f"the ledger ends at {left}, its checkpoint says {EVERYDAY}")


def test_an_entry_that_was_added_by_hand_is_found() -> None:
    rest = note("test", "plant-1")
    row = (EVERYDAY + 1, rest.kind, rest.subject, rest.at_ms, rest.body, bytes(32))
    add = sql("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", *row)
    assert found_after(add).reason == "its content is not what was written"
    assert found_after(add, rehash).reason.endswith(f"its checkpoint says {EVERYDAY}")


def test_hashes_that_were_computed_anew_are_found_at_the_checkpoint() -> None:
    found = found_after(field(1, "at_ms", NOW_MS + 1), rehash)
    assert (found.entry, found.reason.split(",")[0]) == (EVERYDAY, f"the ledger ends at {EVERYDAY}")


# --- the checkpoint ---


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DELETE FROM checkpoint", "there is no signed checkpoint"),
        ("UPDATE checkpoint SET entry = entry - 1", "its checkpoint says 11"),
        ("UPDATE checkpoint SET entry = -1", "its checkpoint says -1"),
        ("UPDATE checkpoint SET hash = zeroblob(32)", "its checkpoint says 12"),
        ("UPDATE checkpoint SET hash = x''", "its checkpoint says 12"),
        ("UPDATE checkpoint SET signature = zeroblob(64)", "the signature does not hold"),
        ("UPDATE checkpoint SET signature = x''", "the signature does not hold"),
        ("UPDATE checkpoint SET certificate = x'3000'", "not of this deployment's form"),
    ],
)
def test_an_edited_checkpoint_is_found(change: str, reason: str) -> None:
    found = found_after(sql(change))
    assert found.entry == EVERYDAY
    assert reason in found.reason


def signed_by(key: SigningKey) -> Change:
    return lambda db: sign_checkpoint(db, rehash(db), key)


def test_a_checkpoint_that_a_stranger_signed_is_found() -> None:
    found = found_after(signed_by(TestAuthority().key(Role.PLANT, "plant-1")))
    assert "not issued by this deployment's authority" in found.reason


def test_a_checkpoint_that_a_person_signed_is_found() -> None:
    assert found_after(signed_by(DISPATCHER)).reason == "the checkpoint is signed by a person: 'li'"


def test_a_signature_of_another_purpose_is_no_checkpoint() -> None:
    def sign(db: sqlite3.Connection) -> None:
        (number, stored) = db.execute("SELECT entry, hash FROM checkpoint").fetchone()
        signature = PLANT.sign(b"dispatch hello 1\x00", number.to_bytes(8) + stored)
        db.execute("UPDATE checkpoint SET signature = ?", (signature,))

    assert found_after(sign).reason.endswith("the signature does not hold")


def test_a_checkpoint_of_a_certificate_that_did_not_count_then_is_found() -> None:
    found = found_after(field(EVERYDAY, "at_ms", NOW_MS + 40 * 24 * 3_600_000), reseal)
    assert "the certificate is not valid at this time" in found.reason


# --- the indexes ---


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM order_event WHERE entry = 3",
        "UPDATE order_event SET order_id = 'o-2' WHERE entry = 3",
        "UPDATE order_event SET entry = 4 WHERE entry = 3",
        "UPDATE order_event SET hash = zeroblob(32) WHERE entry = 3",
        "INSERT INTO order_event VALUES (zeroblob(32), 'o-1', 3)",
        "INSERT INTO order_event VALUES (zeroblob(32), 'o-2', 99)",
    ],
)
def test_an_edited_index_of_events_is_found(change: str) -> None:
    assert found_after(sql(change)).reason == "the index of events differs from the ledger"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET state = 'completed'",
        "UPDATE orders SET state = 'nonsense'",
        "UPDATE orders SET is_open = 1",
        "UPDATE orders SET plant = 'plant-2'",
        "UPDATE orders SET order_id = 'o-2'",
        "DELETE FROM orders",
        "INSERT INTO orders VALUES ('o-2', 'plant-1', 'drafted', 1)",
    ],
)
def test_an_edited_index_of_orders_is_found(change: str) -> None:
    assert found_after(sql(change)).reason == "the index of orders differs from the ledger"


def test_columns_that_no_station_makes_change_nothing() -> None:
    with in_memory(LEDGER) as db:
        for table in ("ledger", "checkpoint", "order_event", "orders"):
            db.execute(f"ALTER TABLE {table} ADD COLUMN remark TEXT")
        assert verify_memory(db).head.entry == EVERYDAY


def test_a_fault_says_where_it_is_and_what_to_do() -> None:
    text = str(found_after(sql("DELETE FROM ledger WHERE entry = 4")))
    assert (
        text == "ledger in memory: entry 4: it is missing. Keep the file as it is and take it to the auditor."
    )
    assert str(found_after(sql("DELETE FROM orders"))).startswith(
        "ledger in memory: the file: the index of orders"
    )
