import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from dispatch_client.keyfile import WrappingCost, create_key
from dispatch_server.__main__ import app
from protocol.aio.node import load_keys, wall_ms
from protocol.errors import KeyRefused
from protocol.keys import Role, TrustStore, parse_certificate
from protocol.settings import KeySettings
from tests.support.terminal import Told, run

PASSPHRASE = "correct horse battery"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    told = run(
        *(app, "pki", "init", "--folder", tmp_path / "ca", "--deployment", "test-grid"),
        typed=f"{PASSPHRASE}\n{PASSPHRASE}\n",
    )
    assert told.exit_code == 0, told
    return tmp_path / "ca"


def pki(folder: Path, command: str, *arguments: object, typed: str = f"{PASSPHRASE}\n") -> Told:
    return run(app, "pki", command, "--folder", folder, *arguments, typed=typed)


def request(folder: Path, person: str = "wang") -> Path:
    return create_key(person, "irrelevant here", folder, os.urandom, WrappingCost(memory_kib=8, iterations=1))


def trust(folder: Path) -> TrustStore:
    return TrustStore.from_pem(
        (folder / "authority.crt").read_bytes(), (folder / "revocations.crl").read_bytes()
    )


def certificate(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def test_the_passphrase_is_asked_for_twice_and_must_be_long(tmp_path: Path) -> None:
    for typed in ("short\nshort\n", f"{PASSPHRASE}\nother one here\n", ""):
        told = run(app, "pki", "init", "--folder", tmp_path / "ca", "--deployment", "d", typed=typed)
        assert told.exit_code == 1
    assert not (tmp_path / "ca").exists()


def test_an_authority_that_exists_is_kept(folder: Path) -> None:
    before = (folder / "authority.key").read_bytes()
    told = pki(folder, "init", "--deployment", "d", typed=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert told.exit_code == 1
    assert "never overwritten" in told.err
    assert (folder / "authority.key").read_bytes() == before


@pytest.mark.parametrize("role", ["hq", "center", "desk", "plant"])
def test_a_node_s_folder_is_all_that_the_node_needs(folder: Path, tmp_path: Path, role: str) -> None:
    out = tmp_path / "out"
    assert pki(folder, "node", "--role", role, "--name", "node-1", "--out", out).exit_code == 0
    assert (out / "node.key").stat().st_mode & 0o777 == 0o600
    keys = KeySettings(
        authority=out / "authority.crt",
        certificate=out / "node.crt",
        key=out / "node.key",
        revocations=out / "revocations.crl",
    )
    key, _ = load_keys(keys, out, "node-1", Role(role))
    assert key.certificate.name == "node-1"


def test_a_wrong_passphrase_issues_nothing(folder: Path, tmp_path: Path) -> None:
    arguments = ("--role", "plant", "--name", "plant-a", "--out", tmp_path / "out")
    told = pki(folder, "node", *arguments, typed="wrong\n")
    assert told.exit_code == 1
    assert "passphrase" in told.err
    assert not (tmp_path / "out").exists()
    assert pki(folder, "list", "--json").json == []


def test_a_node_s_key_is_never_overwritten(folder: Path, tmp_path: Path) -> None:
    arguments = ("--role", "plant", "--name", "plant-a", "--out", tmp_path / "out")
    assert pki(folder, "node", *arguments).exit_code == 0
    before = (tmp_path / "out" / "node.key").read_bytes()
    told = pki(folder, "node", *arguments, "--renew")
    assert told.exit_code == 1
    assert "never overwritten" in told.err
    assert (tmp_path / "out" / "node.key").read_bytes() == before
    assert len(pki(folder, "list", "--json").json) == 1


@pytest.mark.parametrize("arguments", [("--name", "../x"), ("--name", "X"), ("--name", "a:b")])
def test_names_that_could_mean_something_else_are_wrong_usage(
    folder: Path, tmp_path: Path, arguments: tuple[str, str]
) -> None:
    told = pki(folder, "node", "--role", "plant", "--out", tmp_path / "out", *arguments)
    assert told.exit_code == 2
    assert "lower-case" in told.err


def test_a_role_of_a_person_is_none_for_a_node(folder: Path, tmp_path: Path) -> None:
    out = ("--name", "x", "--out", tmp_path / "out")
    assert pki(folder, "node", "--role", "dispatcher", *out).exit_code == 2


def person(folder: Path, tmp_path: Path, csr: Path, *more: object, name: str = "wang") -> Told:
    given = ("--role", "dispatcher", "--name", name, "--station", "desk-1", "--station", "desk-2")
    return pki(folder, "person", *given, "--request", csr, "--out", tmp_path / f"{name}.crt", *more)


def test_a_person_s_request_becomes_a_certificate_with_stations(folder: Path, tmp_path: Path) -> None:
    assert person(folder, tmp_path, request(tmp_path)).exit_code == 0
    held = trust(folder).identify(certificate(tmp_path / "wang.crt"), wall_ms())
    assert (held.role, held.name) == (Role.DISPATCHER, "wang")
    assert held.stations == {"desk-1", "desk-2"}


def test_a_mixed_up_or_missing_request_is_refused(folder: Path, tmp_path: Path) -> None:
    told = person(folder, tmp_path, request(tmp_path), name="li")
    assert told.exit_code == 1
    assert "it is not li's" in told.err
    assert person(folder, tmp_path, tmp_path / "none.csr").exit_code == 1
    (tmp_path / "rubbish.csr").write_text("rubbish")
    assert "cannot be read" in person(folder, tmp_path, tmp_path / "rubbish.csr").err
    assert pki(folder, "list", "--json").json == []


def test_an_existing_certificate_file_is_kept(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wang.crt").write_text("precious")
    told = person(folder, tmp_path, request(tmp_path))
    assert told.exit_code == 1
    assert (tmp_path / "wang.crt").read_text() == "precious"


def test_a_person_s_station_must_be_a_name_and_there_must_be_one(folder: Path, tmp_path: Path) -> None:
    csr = request(tmp_path)
    assert person(folder, tmp_path, csr, "--station", "Desk 1").exit_code == 2
    given = ("--role", "operator", "--name", "wang", "--request", csr, "--out", tmp_path / "x.crt")
    assert pki(folder, "person", *given).exit_code == 2


def test_a_revoked_name_is_in_the_list_and_trusted_no_more(folder: Path, tmp_path: Path) -> None:
    assert person(folder, tmp_path, request(tmp_path)).exit_code == 0
    der = certificate(tmp_path / "wang.crt")
    assert pki(folder, "revoke", "--name", "wang").exit_code == 0
    revocations = x509.load_pem_x509_crl((folder / "revocations.crl").read_bytes())
    serial = parse_certificate(der).serial
    assert revocations.get_revoked_certificate_by_serial_number(serial) is not None
    with pytest.raises(KeyRefused, match="revoked"):
        trust(folder).identify(der, wall_ms())
    (row,) = pki(folder, "list", "--json").json
    assert (row["name"], row["state"], int(row["serial"], 16)) == ("wang", "revoked", serial)


def test_one_of_two_certificates_of_a_name_is_revoked_by_its_serial(folder: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        more = ("--renew",) if out == "two" else ()
        told = pki(folder, "node", "--role", "plant", "--name", "plant-a", "--out", tmp_path / out, *more)
        assert told.exit_code == 0
    serial = parse_certificate(certificate(tmp_path / "one" / "node.crt")).serial
    assert pki(folder, "revoke", "--serial", f"{serial:X}").exit_code == 0
    trust(folder).identify(certificate(tmp_path / "two" / "node.crt"), wall_ms())
    with pytest.raises(KeyRefused, match="revoked"):
        trust(folder).identify(certificate(tmp_path / "one" / "node.crt"), wall_ms())


def test_revoking_nothing_or_two_things_at_once_is_refused(folder: Path) -> None:
    assert pki(folder, "revoke", "--name", "nobody").exit_code == 1
    assert pki(folder, "revoke").exit_code == 2
    assert pki(folder, "revoke", "--name", "x", "--serial", "1").exit_code == 2


def test_the_list_is_a_table_for_people(folder: Path, tmp_path: Path) -> None:
    pki(folder, "node", "--role", "plant", "--name", "plant-a", "--out", tmp_path / "out")
    told = pki(folder, "list", typed="")
    assert "test-grid" in told.out
    assert "plant-a" in told.out
    assert "valid" in told.out


def test_the_passphrase_is_never_shown(folder: Path, tmp_path: Path) -> None:
    told = pki(folder, "node", "--role", "plant", "--name", "plant-a", "--out", tmp_path / "out")
    assert PASSPHRASE not in told.out + told.err


def number(folder: Path) -> int:
    made = x509.load_pem_x509_crl((folder / "revocations.crl").read_bytes())
    return made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_each_revocation_list_has_a_higher_number_also_within_one_second(
    folder: Path, tmp_path: Path
) -> None:
    numbers, stores = [number(folder)], [trust(folder)]
    for name in ("plant-a", "plant-b"):
        pki(folder, "node", "--role", "plant", "--name", name, "--out", tmp_path / name)
        told = pki(folder, "revoke", "--name", name)
        assert "takes it within seconds" in told.out
        numbers.append(number(folder))
        stores.append(trust(folder))
    assert numbers == sorted(set(numbers))
    stores[0].renew(stores[2].anchors)
    with pytest.raises(KeyRefused, match="is older than the one in force"):
        stores[0].renew(stores[1].anchors)


def test_a_list_is_made_anew_with_the_same_content_before_it_runs_out(folder: Path, tmp_path: Path) -> None:
    pki(folder, "node", "--role", "plant", "--name", "plant-a", "--out", tmp_path / "out")
    pki(folder, "revoke", "--name", "plant-a")
    before, index = trust(folder), (folder / "index.jsonl").read_bytes()
    assert pki(folder, "refresh", typed="wrong\n").exit_code == 1
    assert number(folder) == before.revocations[0].number
    assert pki(folder, "refresh").exit_code == 0
    (old,), (new,) = before.revocations, trust(folder).revocations
    assert old.is_older_than(new)
    assert new.revoked.keys() == old.revoked.keys()
    assert (folder / "index.jsonl").read_bytes() == index


def test_a_list_that_is_lost_or_damaged_is_followed_by_a_newer_one(folder: Path) -> None:
    before = trust(folder)
    for content in (b"garbage", None):
        path = folder / "revocations.crl"
        path.unlink() if content is None else path.write_bytes(content)
        assert pki(folder, "refresh").exit_code == 0
        before.renew(trust(folder).anchors)
