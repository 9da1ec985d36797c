"""Somebody holds the file, this program and the node's own key: all hashes and the checkpoint are good.

What is left between him and a false order are the signatures of people, the table, and what others saw.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from protocol.journal.batch import Entry
from protocol.journal.verify import EVENT, LedgerFault, verify_ledger
from protocol.keys import SigningKey
from protocol.lifecycle import Input, State
from protocol.orders import VerifiedEvent
from protocol.record import OrderRecord
from tests.protocol.journal.ledgers import (
    EVERYDAY,
    event_batch,
    event_entry,
    everyday,
    fault_after,
    field,
    note,
    reseal,
    snapshot,
    tampering,
    verify,
    whole_order,
    write_ledger,
)
from tests.protocol.parties import (
    AUTHORITY,
    DISPATCHER,
    HQ,
    OPERATOR,
    OTHER_PLANT,
    PLANT,
    Chain,
    write,
)
from tests.support.pki import DEPLOYMENT, NOW, NOW_MS

LEDGER = snapshot(everyday())


def forged(*ledger: tuple[OrderRecord, VerifiedEvent], instead: Entry | None = None) -> LedgerFault:
    """What is found in a ledger of these events; `instead`: what stands in the place of the last."""
    batches = [event_batch(record, event) for record, event in ledger]
    if instead:
        batches[-1].entries[-1] = instead
    return fault_after(ledger=snapshot(batches))


def drafted() -> tuple[Chain, tuple[OrderRecord, VerifiedEvent]]:
    chain = Chain()
    return chain, (chain.record, chain.record.events[0])


@pytest.mark.parametrize(
    "key",
    [PLANT, HQ, OTHER_PLANT, OPERATOR],
    ids=["the plant", "headquarters", "another plant", "an operator"],
)
def test_an_issue_that_no_dispatcher_signed_is_found(key: SigningKey) -> None:
    chain, draft = drafted()
    found = forged(draft, (Chain.at(State.ISSUED).record, chain.event(Input.ISSUE, by=key)))
    assert found.entry == 2
    assert found.reason.startswith("unauthorised: 'issue' needs the dispatcher of this order")


def test_an_event_with_the_name_of_another_is_found() -> None:
    chain, draft = drafted()
    issue = chain.event(Input.ISSUE)
    signed = issue.signed.model_copy(update={"signature": PLANT.sign(b"dispatch order event 1\x00", b"")})
    found = forged(
        draft,
        (Chain.at(State.ISSUED).record, issue),
        instead=Entry(EVENT, "o-1", NOW_MS, signed.encode(), issue.hash),
    )
    assert (found.entry, found.reason) == (2, "signature: li: the signature does not hold")


def test_an_event_that_the_table_does_not_allow_is_found() -> None:
    chain, draft = drafted()
    found = forged(draft, (Chain.at(State.CONFIRMED).record, chain.event(Input.CONFIRM)))
    assert (found.entry, found.reason) == (2, "illegal: 'confirm' is not possible in state 'drafted'")


def test_a_left_out_event_is_found() -> None:
    record = Chain.at(State.ACCEPTED).record
    found = forged((record, record.events[0]), (record, record.events[2]))
    assert found.entry == 2
    assert found.reason.startswith("stale:")


def test_an_event_of_another_deployment_is_found() -> None:
    found = forged((Chain().record, write(None, Input.DRAFT, deployment="other-grid")))
    assert (found.entry, found.reason) == (1, "signature: event of deployment 'other-grid'")


def test_an_event_under_another_order_is_found() -> None:
    found = fault_after(field(3, "subject", "o-2"), reseal, ledger=LEDGER)
    assert (found.entry, found.reason) == (3, "the event is filed under another order, or twice")


def test_an_event_that_is_there_twice_is_found() -> None:
    chain = Chain.along(Input.ISSUE, Input.ACCEPT, Input.DELIVER, Input.NO_ANSWER)
    batch = whole_order(chain.record)
    twice = event_entry(chain.record.events[-1])
    batch.entries.append(
        Entry(twice.kind, twice.subject, twice.at_ms, twice.body)
    )  # the index would refuse it
    found = fault_after(ledger=snapshot([batch]))
    assert (found.entry, found.reason) == (6, "the event is filed under another order, or twice")


def test_an_event_that_hides_as_a_note_is_found() -> None:
    found = fault_after(field(10, "kind", "note"), reseal, ledger=LEDGER)
    assert (found.entry, found.reason) == (0, "the index of events differs from the ledger")


@pytest.mark.parametrize("body", [b"", b"\xc1", b"hello", bytes(70_000)])
@pytest.mark.parametrize("number", [3, EVERYDAY - 1], ids=["an event", "a peer's checkpoint"])
def test_a_body_that_cannot_be_read_is_found(number: int, body: bytes) -> None:
    assert fault_after(field(number, "body", body), reseal, ledger=LEDGER).entry == number


@pytest.mark.parametrize("facts", [{}, {"entry": 3}, {"entry": "x", "hash": ""}, {"entry": 1, "hash": "zz"}])
def test_a_peers_checkpoint_that_says_nothing_is_found(facts: dict[str, object]) -> None:
    body = note("", "", **facts).body
    assert fault_after(field(EVERYDAY - 1, "body", body), reseal, ledger=LEDGER).entry == EVERYDAY - 1


# --- whose ledger it is ---


def test_a_ledger_that_another_node_signed_is_found_by_whoever_knows_whose_it_is(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    assert verify(path, node="plant-1").node == "plant-1"
    with tampering(path) as db:
        reseal(db, OTHER_PLANT)
    with pytest.raises(LedgerFault, match="signed by 'plant-2', not 'plant-1'") as caught:
        verify(path, node="plant-1")
    assert caught.value.entry == EVERYDAY


# --- revoked keys ---


def test_an_event_of_a_key_that_was_revoked_later_stays_good_without_a_remark(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    trust = AUTHORITY.trust(DISPATCHER, at=NOW + timedelta(seconds=1))
    assert verify_ledger(path, trust, DEPLOYMENT).remarks == []


def test_an_event_of_a_key_that_was_revoked_before_is_told_as_a_remark(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    remarks = verify_ledger(path, AUTHORITY.trust(OPERATOR), DEPLOYMENT).remarks
    assert list(remarks) == [f"entry {n}: signed by wang: the certificate is revoked" for n in (6, 8, 9)]
