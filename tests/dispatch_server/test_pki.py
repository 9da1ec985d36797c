from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dispatch_server import pki
from dispatch_server.cli.authority import AuthorityFolder, Row
from protocol.errors import KeyRefused
from protocol.keys import NODE_ROLES, PERSON_ROLES, Role, TrustStore, parse_certificate
from tests.support.pki import DEPLOYMENT, NOW, NOW_MS

DAY_MS = 86_400_000
PASSPHRASE = "correct horse battery"


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def request(key: Ed25519PrivateKey, common: str = "wang") -> bytes:
    made = x509.CertificateSigningRequestBuilder().subject_name(name(common)).sign(key, None)
    return made.public_bytes(serialization.Encoding.PEM)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def trust(authority: pki.Authority, *revoked: pki.Revocation) -> TrustStore:
    revocations = pki.certificate_pem(pki.revocation_list(authority, revoked, NOW, 30))
    return TrustStore.from_pem(pki.certificate_pem(authority.certificate), revocations)


@pytest.fixture(scope="module")
def authority() -> pki.Authority:
    return pki.create_authority(DEPLOYMENT, NOW, 365)


@pytest.mark.parametrize("role", sorted(NODE_ROLES))
def test_a_node_s_certificate_is_believed_for_its_name_and_role(authority: pki.Authority, role: Role) -> None:
    key = Ed25519PrivateKey.generate()
    certificate = pki.issue(authority, key.public_key(), role, "node-1", now=NOW, days=30)
    held = trust(authority).identify(der(certificate), NOW_MS)
    assert (held.name, held.role, held.stations) == ("node-1", role, frozenset())


@pytest.mark.parametrize("role", sorted(PERSON_ROLES))
def test_a_person_s_certificate_names_the_stations_and_opens_no_tls(
    authority: pki.Authority, role: Role
) -> None:
    key = pki.read_request(request(Ed25519PrivateKey.generate()), "wang")
    certificate = pki.issue(authority, key, role, "wang", stations=["desk-1", "desk-2"], now=NOW, days=30)
    held = trust(authority).identify(der(certificate), NOW_MS)
    assert held.stations == {"desk-1", "desk-2"}
    uses = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert not uses & {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}


@pytest.mark.parametrize(
    ("role", "dials", "listens"),
    [(Role.HQ, True, False), (Role.CENTER, True, True), (Role.DESK, False, True), (Role.PLANT, False, True)],
)
def test_a_certificate_can_only_be_used_on_its_node_s_side_of_a_connection(
    authority: pki.Authority, role: Role, *, dials: bool, listens: bool
) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    certificate = pki.issue(authority, key, role, "node-1", now=NOW, days=30)
    uses = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert (ExtendedKeyUsageOID.CLIENT_AUTH in uses) is dials
    assert (ExtendedKeyUsageOID.SERVER_AUTH in uses) is listens


def test_nobody_but_the_authority_can_issue(authority: pki.Authority) -> None:
    key = Ed25519PrivateKey.generate()
    certificate = pki.issue(authority, key.public_key(), Role.PLANT, "plant-a", now=NOW, days=30)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not basic.ca
    assert not usage.key_cert_sign
    forged = pki.issue(pki.Authority(certificate, key), key.public_key(), Role.HQ, "hq", now=NOW, days=30)
    with pytest.raises(KeyRefused, match="not issued by this deployment's authority"):
        trust(authority).identify(der(forged), NOW_MS)


def test_a_certificate_of_another_authority_of_the_same_name_is_not_believed(
    authority: pki.Authority,
) -> None:
    other = pki.create_authority(DEPLOYMENT, NOW, 365)
    key = Ed25519PrivateKey.generate().public_key()
    foreign = pki.issue(other, key, Role.HQ, "hq", now=NOW, days=30)
    with pytest.raises(KeyRefused, match="not issued by"):
        trust(authority).identify(der(foreign), NOW_MS)


@pytest.mark.parametrize("late_ms", [-DAY_MS, 31 * DAY_MS])
def test_a_certificate_counts_only_within_its_time(authority: pki.Authority, late_ms: int) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    certificate = pki.issue(authority, key, Role.PLANT, "plant-a", now=NOW, days=30)
    with pytest.raises(KeyRefused, match="not valid at this time"):
        trust(authority).identify(der(certificate), NOW_MS + late_ms)


def test_a_person_without_a_station_gets_no_certificate(authority: pki.Authority) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(KeyRefused, match="at least one station"):
        pki.issue(authority, key, Role.DISPATCHER, "wang", now=NOW, days=30)


def test_a_revoked_certificate_is_in_the_list_and_is_refused_from_then_on(authority: pki.Authority) -> None:
    keys = [Ed25519PrivateKey.generate().public_key() for _ in range(2)]
    kept, gone = (pki.issue(authority, k, Role.PLANT, "plant-a", now=NOW, days=30) for k in keys)
    store = trust(authority, pki.Revocation(gone.serial_number, NOW + timedelta(days=1)))
    store.identify(der(kept), NOW_MS + 2 * DAY_MS)
    store.identify(der(gone), NOW_MS + DAY_MS - 1)
    with pytest.raises(KeyRefused, match="revoked"):
        store.identify(der(gone), NOW_MS + DAY_MS)


def test_a_revocation_list_of_somebody_else_is_refused(authority: pki.Authority) -> None:
    other = pki.create_authority(DEPLOYMENT, NOW, 365)
    foreign = pki.certificate_pem(pki.revocation_list(other, [], NOW, 30))
    with pytest.raises(KeyRefused, match="not signed by an authority"):
        TrustStore.from_pem(pki.certificate_pem(authority.certificate), foreign)


def test_a_request_with_another_kind_of_key_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(name("wang")).sign(key, hashes.SHA256())
    with pytest.raises(KeyRefused, match="Ed25519"):
        pki.read_request(made.public_bytes(serialization.Encoding.PEM))


def test_a_request_that_its_key_did_not_sign_is_refused() -> None:
    text = x509.load_pem_x509_csr(request(Ed25519PrivateKey.generate())).public_bytes(
        serialization.Encoding.DER
    )
    forged = x509.load_der_x509_csr(text[:-1] + bytes([text[-1] ^ 1]))
    with pytest.raises(KeyRefused, match="signed by it"):
        pki.read_request(forged.public_bytes(serialization.Encoding.PEM))


def test_a_request_of_somebody_else_is_refused() -> None:
    with pytest.raises(KeyRefused, match="it is not li's: it names 'wang'"):
        pki.read_request(request(Ed25519PrivateKey.generate()), "li")


@pytest.mark.parametrize("pem", [b"", b"rubbish", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_rubbish_is_no_request(pem: bytes) -> None:
    with pytest.raises(KeyRefused, match="cannot be read"):
        pki.read_request(pem)


# The folder


@pytest.fixture
def folder(tmp_path: Path) -> AuthorityFolder:
    return AuthorityFolder.create(tmp_path / "authority", DEPLOYMENT, PASSPHRASE, NOW, 365)


def issue(
    folder: AuthorityFolder, role: Role = Role.PLANT, holder: str = "plant-a", *, renew: bool = False
) -> bytes:
    opened = folder.unlock(PASSPHRASE)
    key = Ed25519PrivateKey.generate().public_key()
    return folder.issue(opened, key, role, holder, now=NOW, days=30, renew=renew)


def again(tmp_path: Path) -> AuthorityFolder:
    return AuthorityFolder(tmp_path / "authority")


def test_the_authority_s_key_is_encrypted_and_private(folder: AuthorityFolder, tmp_path: Path) -> None:
    path = tmp_path / "authority" / "authority.key"
    assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyRefused, match="passphrase does not open"):
        folder.unlock("wrong")


def test_an_authority_is_never_overwritten(folder: AuthorityFolder, tmp_path: Path) -> None:
    before = (tmp_path / "authority" / "authority.key").read_bytes()
    with pytest.raises(KeyRefused, match="never overwritten"):
        AuthorityFolder.create(tmp_path / "authority", DEPLOYMENT, PASSPHRASE, NOW, 365)
    assert (tmp_path / "authority" / "authority.key").read_bytes() == before


def test_a_new_authority_revokes_nobody(folder: AuthorityFolder, tmp_path: Path) -> None:
    revocations = x509.load_pem_x509_crl((tmp_path / "authority" / "revocations.crl").read_bytes())
    assert len(revocations) == 0
    assert again(tmp_path).deployment == DEPLOYMENT


def test_the_index_keeps_what_was_issued_and_revoked(folder: AuthorityFolder, tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(issue(folder))
    issue(folder, Role.DESK, "desk-1")
    first, _ = again(tmp_path).rows
    assert int(first.issued.serial, 16) == certificate.serial_number
    again(tmp_path).revoke(folder.unlock(PASSPHRASE), [first], NOW + timedelta(days=1))
    rows = again(tmp_path).rows
    assert [row.revoked is not None for row in rows] == [True, False]
    store = TrustStore.from_pem(
        (tmp_path / "authority" / "authority.crt").read_bytes(),
        (tmp_path / "authority" / "revocations.crl").read_bytes(),
    )
    with pytest.raises(KeyRefused, match="revoked"):
        store.identify(der(certificate), NOW_MS + DAY_MS)


def test_a_second_revocation_keeps_the_first_in_the_list(folder: AuthorityFolder, tmp_path: Path) -> None:
    issue(folder)
    issue(folder, Role.DESK, "desk-1")
    opened = folder.unlock(PASSPHRASE)
    for place in (0, 1):
        at = again(tmp_path)
        at.revoke(opened, [at.rows[place]], NOW + timedelta(days=place))
    revocations = x509.load_pem_x509_crl((tmp_path / "authority" / "revocations.crl").read_bytes())
    dates = [entry.revocation_date_utc for entry in revocations]
    assert sorted(dates) == [NOW, NOW + timedelta(days=1)]


def test_a_name_has_one_holder(folder: AuthorityFolder, tmp_path: Path) -> None:
    issue(folder)
    with pytest.raises(KeyRefused, match="names are unique"):
        issue(again(tmp_path), Role.DESK, renew=True)
    with pytest.raises(KeyRefused, match="--renew"):
        issue(again(tmp_path))
    issue(again(tmp_path), renew=True)
    assert len(again(tmp_path).rows) == 2


def test_a_name_is_free_again_once_its_certificate_is_revoked(
    folder: AuthorityFolder, tmp_path: Path
) -> None:
    issue(folder)
    revoking = again(tmp_path)
    revoking.revoke(folder.unlock(PASSPHRASE), revoking.rows, NOW)
    issue(again(tmp_path), Role.DESK)


def test_no_certificate_outlives_the_authority(folder: AuthorityFolder) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(KeyRefused, match="choose fewer days"):
        folder.issue(folder.unlock(PASSPHRASE), key, Role.PLANT, "plant-a", now=NOW, days=366)
    assert folder.rows == []


@pytest.mark.parametrize("line", ["rubbish", "{}", '{"what": "issued", "serial": "zz"}'])
def test_an_index_that_was_altered_is_refused_by_line(
    folder: AuthorityFolder, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "authority" / "index.jsonl"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(KeyRefused, match="line 2"):
        again(tmp_path)


def test_a_folder_without_an_authority_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="pki init"):
        AuthorityFolder(tmp_path)


def test_a_key_of_another_authority_is_noticed(folder: AuthorityFolder, tmp_path: Path) -> None:
    AuthorityFolder.create(tmp_path / "other", DEPLOYMENT, PASSPHRASE, NOW, 365)
    (tmp_path / "authority" / "authority.key").write_bytes(
        (tmp_path / "other" / "authority.key").read_bytes()
    )
    with pytest.raises(KeyRefused, match="does not belong"):
        folder.unlock(PASSPHRASE)


def test_a_row_counts_until_it_ends_or_is_revoked(folder: AuthorityFolder, tmp_path: Path) -> None:
    issue(folder)
    (row,) = again(tmp_path).rows
    assert row.counts(NOW + timedelta(days=29))
    assert not row.counts(NOW + timedelta(days=30))
    assert not Row(row.issued, NOW).counts(NOW)


def test_what_is_issued_can_be_parsed(folder: AuthorityFolder) -> None:
    assert parse_certificate(der(x509.load_pem_x509_certificate(issue(folder)))).name == "plant-a"
