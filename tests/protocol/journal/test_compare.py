"""What two ledgers tell about each other when each is good in itself."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from protocol.journal.batch import Batch, Head
from protocol.journal.verify import LedgerFault, VerifiedLedger, compare_ledgers, has_seen
from protocol.keys import SigningKey
from protocol.lifecycle import Input, State
from protocol.record import OrderRecord, replay
from tests.protocol.journal.ledgers import (
    field,
    hq_ledger,
    notes,
    open_journal,
    reseal,
    tampering,
    verify,
    whole_order,
    witness,
    write_ledger,
)
from tests.protocol.parties import (
    CENTER,
    HQ,
    PLANT,
    Chain,
    write,
)
from tests.support.pki import NOW_MS

# --- what the superior saw ---


def write_two(plant: Path, hq: Path, *, before: int, after: int) -> list[Batch]:
    """A plant's ledger and that of its headquarters, which saw where the plant stood after each commit."""
    commits = [notes(f"plant {number}") for number in range(before + after)]
    seen = []
    with open_journal(plant, PLANT) as file:
        for number, batch in enumerate(commits):
            head = file.write([batch])
            seen.append(witness("plant-1", head))
            if number == before - 1:
                file._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                plant.with_name("old").write_bytes(plant.read_bytes())
    write_ledger(hq, seen, HQ)
    return seen


def test_ledgers_that_nobody_touched_agree(tmp_path: Path) -> None:
    write_two(tmp_path / "plant", tmp_path / "hq", before=3, after=2)
    assert compare_ledgers(verify(tmp_path / "hq"), verify(tmp_path / "plant")) == 0


def test_a_ledger_that_was_rolled_back_with_its_checkpoint_is_found_by_the_superior(tmp_path: Path) -> None:
    write_two(tmp_path / "plant", tmp_path / "hq", before=3, after=2)
    rolled_back = verify(tmp_path / "old")
    assert rolled_back.head.entry == 3
    with pytest.raises(LedgerFault, match="'hq' saw another entry here: replaced or cut off") as caught:
        compare_ledgers(verify(tmp_path / "hq"), rolled_back)
    assert (caught.value.path, caught.value.entry) == (tmp_path / "old", 4)


def test_a_ledger_that_was_rolled_back_and_written_on_is_found_by_the_superior(tmp_path: Path) -> None:
    seen = write_two(tmp_path / "plant", tmp_path / "hq", before=3, after=2)
    with open_journal(tmp_path / "old", PLANT) as file:
        heads = [file.write([notes(f"another story {number}")]) for number in range(4)]
    superior = hq_ledger(tmp_path / "hq later", [*seen, *(witness("plant-1", head) for head in heads)])
    with pytest.raises(LedgerFault, match="replaced or cut off") as caught:
        compare_ledgers(superior, verify(tmp_path / "old"))
    assert caught.value.entry == 4


def test_an_edited_note_is_found_by_the_superior(tmp_path: Path) -> None:
    write_two(tmp_path / "plant", tmp_path / "hq", before=3, after=2)
    with tampering(tmp_path / "plant") as db:
        field(2, "at_ms", NOW_MS - 1)(db)
        reseal(db)
    with pytest.raises(LedgerFault, match="replaced or cut off") as caught:
        compare_ledgers(verify(tmp_path / "hq"), verify(tmp_path / "plant"))
    assert caught.value.entry == 2


def test_what_the_superior_saw_of_others_says_nothing_about_a_station(tmp_path: Path) -> None:
    superior = hq_ledger(
        tmp_path / "hq", [witness("plant-2", Head(9, b"h" * 32)), witness("plant-1", Head())]
    )
    assert compare_ledgers(superior, verify(write_ledger(tmp_path / "plant", [notes("one")]))) == 0


def test_a_superior_that_was_rolled_back_is_found_by_the_station(tmp_path: Path) -> None:
    with open_journal(tmp_path / "hq", HQ) as file:
        heads = [file.write([notes(f"hq {number}")]) for number in range(3)]
    station = verify(write_ledger(tmp_path / "plant", [witness("hq", head) for head in heads]))
    assert compare_ledgers(verify(tmp_path / "hq"), station) == 0
    superior = hq_ledger(tmp_path / "hq that lost two", [notes("hq 0")])
    with pytest.raises(LedgerFault, match="'plant-1' saw another entry here: replaced or cut off") as caught:
        compare_ledgers(superior, station)
    assert (caught.value.path, caught.value.entry) == (superior.path, 2)


# --- the same order in two ledgers ---


def two_ledgers(
    folder: Path, above: Sequence[OrderRecord], below: Sequence[OrderRecord], key: SigningKey = PLANT
) -> tuple[VerifiedLedger, VerifiedLedger]:
    """A superior that has seen the whole ledger of its station, and that station."""
    station = verify(write_ledger(folder / "station", map(whole_order, below), key))
    seen = witness(station.node, station.head)
    return hq_ledger(folder / "hq", [*map(whole_order, above), seen]), station


def outcome(given: Input) -> OrderRecord:
    chain = Chain.at(State.EXECUTING)
    chain.add(given)
    return chain.record


def test_two_outcomes_of_one_order_are_found(tmp_path: Path) -> None:
    superior, station = two_ledgers(tmp_path, [outcome(Input.FAIL)], [outcome(Input.COMPLETE)])
    with pytest.raises(LedgerFault, match="order o-1 differs from the ledger of 'hq'") as caught:
        compare_ledgers(superior, station)
    assert caught.value.path == station.path


@pytest.mark.parametrize("known", range(1, 8))
def test_a_station_that_knows_less_of_an_order_than_its_superior_agrees(tmp_path: Path, known: int) -> None:
    whole = outcome(Input.COMPLETE)
    superior, station = two_ledgers(tmp_path, [whole], [replay(whole.events[:known])], CENTER)
    assert compare_ledgers(superior, station) == 1


def test_a_plant_that_is_ahead_of_its_superior_agrees(tmp_path: Path) -> None:
    superior, station = two_ledgers(tmp_path, [Chain.at(State.CONFIRMED).record], [outcome(Input.COMPLETE)])
    assert compare_ledgers(superior, station) == 1


def test_what_only_one_side_observed_is_no_difference(tmp_path: Path) -> None:
    seen = Chain.along(Input.ISSUE, Input.ACCEPT, Input.DELIVER, Input.NO_ANSWER, Input.READ_BACK).record
    unseen = Chain.at(State.READ_BACK).record
    assert len(seen.events) == len(unseen.events) + 1
    assert compare_ledgers(*two_ledgers(tmp_path, [seen], [unseen])) == 1


def test_an_order_that_the_superior_does_not_know_is_found(tmp_path: Path) -> None:
    other = replay([write(None, Input.DRAFT, order="o-2")])
    superior, station = two_ledgers(tmp_path, [Chain().record], [Chain().record, other])
    with pytest.raises(LedgerFault, match="order o-2 of 'plant-1' is missing here") as caught:
        compare_ledgers(superior, station)
    assert caught.value.path == superior.path


def test_an_order_that_the_station_does_not_know_concerns_another(tmp_path: Path) -> None:
    other = replay([write(None, Input.DRAFT, order="o-2")])
    assert compare_ledgers(*two_ledgers(tmp_path, [Chain().record, other], [Chain().record])) == 1


def test_it_can_be_told_whether_a_superior_vouches_for_the_end_of_a_station(tmp_path: Path) -> None:
    seeing, station = two_ledgers(tmp_path, [Chain().record], [Chain().record])
    forgetful = hq_ledger(tmp_path / "hq that forgot", [whole_order(Chain().record)])
    assert has_seen(seeing, station)
    assert not has_seen(forgetful, station)
    assert compare_ledgers(forgetful, station) == 1


def test_two_ledgers_of_one_node_that_went_different_ways_are_found_where_they_part(tmp_path: Path) -> None:
    write_ledger(tmp_path / "one", [notes("start"), notes("mine")])
    write_ledger(tmp_path / "other", [notes("start"), notes("yours")])
    with pytest.raises(LedgerFault, match="goes on otherwise: two programs wrote under one name") as caught:
        compare_ledgers(verify(tmp_path / "one"), verify(tmp_path / "other"))
    assert (caught.value.path, caught.value.entry) == (tmp_path / "other", 2)


def test_an_older_copy_of_one_ledger_agrees_with_it(tmp_path: Path) -> None:
    write_two(tmp_path / "plant", tmp_path / "hq", before=3, after=2)
    assert compare_ledgers(verify(tmp_path / "plant"), verify(tmp_path / "old")) == 0
    assert compare_ledgers(verify(tmp_path / "old"), verify(tmp_path / "plant")) == 0
