import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from dispatch_server import pki
from dispatch_server.__main__ import app
from protocol.compose import draft
from protocol.journal.batch import Batch, Entry, Head, Notice, OrderRow
from protocol.journal.file import JournalFile
from protocol.journal.verify import EVENT, PEER_CHECKPOINT
from protocol.keys import Role, SigningKey
from protocol.orders import Content, OrderType, Step, Ticket, VerifiedEvent
from protocol.record import apply
from tests.dispatch_server.support import write_config
from tests.support.pki import DEPLOYMENT, NOW, NOW_MS, TestAuthority
from tests.support.terminal import Told, run


@dataclass
class Ledgers:
    """The ledgers of headquarters and a plant that hold the same order."""

    authority: TestAuthority
    event: VerifiedEvent
    hq: Path
    plant: Path
    trust: tuple[object, ...]


def notice(kind: str, subject: str, **facts: object) -> Entry:
    body = Notice(facts=tuple((name, str(value)) for name, value in facts.items())).encode()
    return Entry(kind, subject, NOW_MS, body)


def order(authority: TestAuthority, title: str = "Open 5012") -> VerifiedEvent:
    ticket = Ticket(number="1", title=title, steps=(Step(device="5012", action="open"),))
    content = Content(
        type=OrderType.DIRECT_OPERATION,
        desk="desk-1",
        plant="plant-a",
        ticket=ticket,
        valid_until_ms=NOW_MS + 1000,
    )
    key = authority.key(Role.DISPATCHER, "wang", "desk-1")
    return draft("t-1", content, key, deployment=DEPLOYMENT, at_ms=NOW_MS, session=bytes(16))


def write(path: Path, key: SigningKey, verified: VerifiedEvent, *more: Entry) -> Head:
    record = apply(None, verified)
    file = JournalFile.open(path, key)
    batch = Batch(entries=[notice("term", "x", term=1), *more])
    batch.entries.append(Entry(EVENT, "t-1", NOW_MS, verified.signed.encode(), verified.hash))
    batch.orders["t-1"] = OrderRow("t-1", "plant-a", record.state, record.is_open)
    head = file.write([batch])
    file.close()
    return head


@pytest.fixture
def ledgers(tmp_path: Path) -> Ledgers:
    authority = TestAuthority()
    verified = order(authority)
    hq, plant = tmp_path / "hq.db", tmp_path / "plant.db"
    head = write(plant, authority.key(Role.PLANT, "plant-a"), verified)
    seen = notice(PEER_CHECKPOINT, "plant-a", entry=head.entry, hash=head.hash.hex())
    write(hq, authority.key(Role.HQ, "hq"), verified, seen)
    certificate = tmp_path / "authority.crt"
    certificate.write_bytes(pki.certificate_pem(authority.authority.certificate))
    revocations = tmp_path / "revocations.crl"
    revocations.write_bytes(pki.certificate_pem(pki.revocation_list(authority.authority, [], NOW, 30)))
    trust = ("--authority", certificate, "--revocations", revocations, "--deployment", DEPLOYMENT)
    return Ledgers(authority, verified, hq, plant, trust)


def verify(*arguments: object) -> Told:
    return run(app, "ledger", "verify", *arguments)


def alter(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    for (trigger,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute(statement)
    db.commit()
    db.close()


def test_good_ledgers_verify_and_agree(ledgers: Ledgers) -> None:
    told = verify(ledgers.hq, ledgers.plant, *ledgers.trust)
    assert told.exit_code == 0, told
    assert "verified: 2" in told.out
    report = verify(ledgers.hq, ledgers.plant, *ledgers.trust, "--json").json
    assert report["fault"] is None
    first, second = report["verified"]
    assert (first["node"], first["entries"], first["events"], first["orders"]) == ("hq", 3, 1, 1)
    assert (second["node"], second["entries"], second["orders_agreeing_with_first"]) == ("plant-a", 2, 1)
    assert len(bytes.fromhex(first["head"])) == 32


def test_an_altered_entry_is_found(ledgers: Ledgers) -> None:
    alter(ledgers.hq, "UPDATE ledger SET at_ms = at_ms + 1 WHERE entry = 2")
    told = verify(ledgers.hq, *ledgers.trust)
    assert told.exit_code == 1
    assert "entry 2: its content is not what was written" in told.err
    assert told.err.count("\n") == 1


def test_a_tail_that_was_cut_off_with_its_index_is_found_by_the_superior(ledgers: Ledgers) -> None:
    ledgers.plant.unlink()
    write(ledgers.plant, ledgers.authority.key(Role.PLANT, "plant-a"), order(ledgers.authority, "Another"))
    told = verify(ledgers.hq, ledgers.plant, *ledgers.trust, "--json")
    assert told.exit_code == 1
    assert [row["node"] for row in told.json["verified"]] == ["hq"]
    assert "'hq' saw another entry here" in told.json["fault"]


def test_verification_ends_at_the_first_fault_but_tells_what_held_before(ledgers: Ledgers) -> None:
    alter(ledgers.plant, "DELETE FROM ledger WHERE entry = 1")
    told = verify(ledgers.hq, ledgers.plant, *ledgers.trust)
    assert told.exit_code == 1
    assert "verified: 1" in told.out
    assert "entry 1: it is missing" in told.err


def test_another_deployment_and_another_authority_are_not_believed(ledgers: Ledgers, tmp_path: Path) -> None:
    authority = ledgers.trust[1]
    other = verify(ledgers.hq, "--authority", authority, "--deployment", "other-grid")
    assert other.exit_code == 1
    assert "event of deployment 'test-grid'" in other.err
    foreign = tmp_path / "foreign.crt"
    foreign.write_bytes(pki.certificate_pem(pki.create_authority(DEPLOYMENT, NOW, 365).certificate))
    told = verify(ledgers.hq, "--authority", foreign, "--deployment", DEPLOYMENT)
    assert told.exit_code == 1
    assert "not issued by this deployment's authority" in told.err


def test_an_event_of_a_revoked_signer_is_remarked_upon(ledgers: Ledgers, tmp_path: Path) -> None:
    revoked = [pki.Revocation(ledgers.event.signer.serial, NOW)]
    path = tmp_path / "new.crl"
    path.write_bytes(pki.certificate_pem(pki.revocation_list(ledgers.authority.authority, revoked, NOW, 30)))
    believing = ("--authority", ledgers.trust[1], "--revocations", path, "--deployment", DEPLOYMENT)
    told = verify(ledgers.hq, *believing)
    assert told.exit_code == 0
    assert "remark: " in told.err
    assert "wang: the certificate is revoked" in told.err
    (row,) = verify(ledgers.hq, *believing, "--json").json["verified"]
    assert len(row["remarks"]) == 1


@pytest.mark.parametrize("content", [None, b"", b"not a database, but long enough to look at"])
def test_what_is_no_ledger_is_one_line(ledgers: Ledgers, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "no.db"
    if content is not None:
        path.write_bytes(content)
    told = verify(path, *ledgers.trust)
    assert told.exit_code == 1
    assert told.err.count("\n") == 1
    assert str(path) in told.err


def test_a_configuration_names_authority_deployment_and_ledger(ledgers: Ledgers, tmp_path: Path) -> None:
    config = write_config(tmp_path, replaced='journal = "journal.db"', by='journal = "hq.db"')
    told = verify("--config", config, "--json")
    assert told.exit_code == 0, told
    assert [row["node"] for row in told.json["verified"]] == ["hq"]
    both = verify(ledgers.hq, ledgers.plant, "--config", config, "--json")
    assert [row["node"] for row in both.json["verified"]] == ["hq", "plant-a"]


def test_the_ledger_of_a_configuration_must_be_that_node_s(ledgers: Ledgers, tmp_path: Path) -> None:
    config = write_config(tmp_path, replaced='journal = "journal.db"', by='journal = "plant.db"')
    told = verify("--config", config)
    assert told.exit_code == 1
    assert "signed by 'plant-a', not 'hq'" in told.err


def test_a_client_s_configuration_serves_as_well(ledgers: Ledgers, tmp_path: Path) -> None:
    config = tmp_path / "plant.toml"
    place = 'role = "plant"\nnode = "plant-a"\njournal = "plant.db"\n'
    keys = '[keys]\nauthority = "authority.crt"\ncertificate = "n"\nkey = "n"\n'
    config.write_text(f'{place}deployment = "{DEPLOYMENT}"\n{keys}')
    assert verify("--config", config).exit_code == 0
    config.write_text(place + keys)
    told = verify("--config", config)
    assert told.exit_code == 1
    assert "deployment" in told.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x.db"],
        ["x.db", "--deployment", "d"],
        ["--authority", "a", "--deployment", "d"],
        ["x.db", "--config", "c", "--deployment", "d"],
    ],
)
def test_it_must_be_said_whom_to_believe(arguments: list[str]) -> None:
    told = verify(*arguments)
    assert told.exit_code == 2
    assert "--authority" in told.err
