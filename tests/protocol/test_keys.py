"""protocol/keys.py: which certificates and signatures count."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from dispatch_server import pki
from protocol import keys
from protocol.errors import KeyRefused
from protocol.keys import (
    NODE_ROLES,
    PERSON_ROLES,
    Role,
    SigningKey,
    TrustStore,
    load_signing_key,
    parse_certificate,
    uris,
    verify_signature,
)
from tests.protocol.parties import AUTHORITY, DISPATCHER, OTHER_PLANT, PLANT, TRUST
from tests.support.pki import NOW, NOW_MS, TestAuthority

DAY_MS = 24 * 3_600 * 1_000
FOREIGN = TestAuthority()  # of the same name, with another key
DOMAIN = b"test 1\x00"


def pem(thing: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    return thing.public_bytes(serialization.Encoding.PEM)


def certificate_pem(key: SigningKey) -> bytes:
    return pem(x509.load_der_x509_certificate(key.certificate.der))


def private_pem(key: SigningKey, passphrase: bytes | None = None) -> bytes:
    return pki.private_pem(key._private, passphrase)


def odd_certificate(
    names: Sequence[str] | None, public: Ed25519PublicKey | rsa.RSAPublicKey | None = None
) -> bytes:
    """A certificate of our own authority with any names and any key, DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(AUTHORITY.authority.certificate.subject)
        .public_key(public or Ed25519PrivateKey.generate().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if names is not None:
        alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(n) for n in names])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(AUTHORITY.authority.key, None).public_bytes(serialization.Encoding.DER)


# --- what a certificate says ---


@pytest.mark.parametrize("role", Role)
def test_a_certificate_names_its_holder_as_it_was_issued(role: Role) -> None:
    stations = ("desk-1", "desk-2") if role in PERSON_ROLES else ()
    certificate = AUTHORITY.key(role, "someone", *stations).certificate
    assert (certificate.role, certificate.name) == (role, "someone")
    assert certificate.stations == frozenset(stations)
    assert certificate.is_node == (role in NODE_ROLES)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(None, id="no alternative names"),
        pytest.param([], id="empty alternative names"),
        pytest.param(["https://example.org"], id="a foreign name"),
        pytest.param(["dispatch:node:plant:a", "dispatch:node:plant:b"], id="two nodes"),
        pytest.param(["dispatch:node:hq:a", "dispatch:person:operator:a"], id="node and person"),
        pytest.param(["dispatch:node:plant"], id="no name"),
        pytest.param(["dispatch:node:plant:a:b"], id="too many parts"),
        pytest.param(["dispatch:node:king:a"], id="a role that does not exist"),
        pytest.param(["dispatch:node:plant:"], id="an empty name"),
        pytest.param(["dispatch:node:plant:Plant 1"], id="a name with other signs"),
        pytest.param(["dispatch:node:plant:" + "a" * 33], id="a name that is too long"),
        pytest.param(["dispatch:person:operator:a", "dispatch:station:a\n"], id="a station with other signs"),
        pytest.param(["dispatch:node:dispatcher:a"], id="a person's role for a node"),
        pytest.param(["dispatch:person:hq:a"], id="a node's role for a person"),
    ],
)
def test_a_certificate_that_does_not_name_one_holder_is_refused(names: list[str] | None) -> None:
    with pytest.raises(KeyRefused, match="not of this deployment's form"):
        parse_certificate(odd_certificate(names))


def test_a_certificate_over_another_kind_of_key_is_refused() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    with pytest.raises(KeyRefused, match="not Ed25519"):
        parse_certificate(odd_certificate(uris(Role.PLANT, "plant-1"), key))


@pytest.mark.parametrize(
    "names", [["dispatch:node:" + "\nx" * 900 + ":a"], ["dispatch:node:hq:" + "\nx" * 900]]
)
def test_what_a_stranger_wrote_into_a_certificate_can_neither_flood_nor_forge_a_log(names: list[str]) -> None:
    with pytest.raises(KeyRefused) as caught:
        TRUST.identify(odd_certificate(names), NOW_MS)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def replaced(der: bytes, old: bytes, new: bytes, occurrence: int = 0) -> bytes:
    parts = der.split(old)
    assert len(parts) > occurrence + 1
    return old.join(parts[: occurrence + 1]) + new + old.join(parts[occurrence + 1 :])


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(PLANT.certificate.der[:-1], id="cut short"),
        pytest.param(PLANT.certificate.der + b"\x00", id="something behind"),
        pytest.param(replaced(PLANT.certificate.der, b"\x02\x01\x02", b"\x02\x01\x07"), id="version 8"),
        pytest.param(
            replaced(PLANT.certificate.der, b"\x06\x03\x2b\x65\x70", b"\x06\x03\x2b\x65\x7f", 1),
            id="an unknown kind of key",
        ),
        pytest.param(
            replaced(odd_certificate(["dispatch:node:plant:" + "a" * 20]), b"\x86\x28", b"\xa3\x28"),
            id="an unknown kind of name",
        ),
    ],
)
def test_bytes_that_are_no_readable_certificate_are_refused(der: bytes) -> None:
    with pytest.raises(KeyRefused):
        TRUST.identify(der, NOW_MS)


@given(st.integers(0, len(PLANT.certificate.der) - 1), st.integers(1, 255))
@example(len(PLANT.certificate.der) - 65, 1)  # the one byte that X.509 parsers may overlook: unused bits
def test_no_altered_byte_changes_what_a_certificate_that_counts_says(place: int, flip: int) -> None:
    der = bytearray(PLANT.certificate.der)
    der[place] ^= flip
    with warnings.catch_warnings(action="ignore"), suppress(KeyRefused):  # it also warns of odd certificates
        seen = TRUST.identify(bytes(der), NOW_MS)
        own = PLANT.certificate
        assert place == len(der) - 65
        assert replace(seen, fingerprint=own.fingerprint, der=own.der) == own
        assert seen.public_key == own.public_key
        assert seen.fingerprint != own.fingerprint


def test_neither_a_key_nor_a_certificate_shows_its_bytes_when_printed() -> None:
    shown = repr(PLANT) + repr(PLANT.certificate)
    assert "public_key" not in shown
    assert "der" not in shown
    assert PLANT._private.private_bytes_raw().hex() not in shown


# --- which certificates count ---


def test_a_certificate_of_our_authority_counts() -> None:
    assert TRUST.identify(PLANT.certificate.der, NOW_MS) == PLANT.certificate


def test_a_certificate_of_another_authority_does_not_count() -> None:
    stranger = FOREIGN.key(Role.HQ, "hq")
    with pytest.raises(KeyRefused, match="not issued by this deployment's authority"):
        TRUST.identify(stranger.certificate.der, NOW_MS)


def test_a_holder_cannot_issue_certificates() -> None:
    impostor = pki.Authority(x509.load_der_x509_certificate(PLANT.certificate.der), PLANT._private)
    der = pki.issue(
        impostor, Ed25519PrivateKey.generate().public_key(), Role.HQ, "hq", now=NOW, days=1
    ).public_bytes(serialization.Encoding.DER)
    with pytest.raises(KeyRefused, match="not issued by"):
        TRUST.identify(der, NOW_MS)


def test_during_a_change_of_authority_both_count() -> None:
    both = TrustStore([AUTHORITY.authority.certificate, FOREIGN.authority.certificate], [])
    stranger = FOREIGN.key(Role.PLANT, "plant-9")
    assert both.identify(stranger.certificate.der, NOW_MS).name == "plant-9"
    assert both.identify(PLANT.certificate.der, NOW_MS).name == "plant-1"


def test_a_certificate_counts_from_its_first_to_its_last_millisecond() -> None:
    certificate = PLANT.certificate
    for moment in (certificate.not_before_ms, certificate.not_after_ms):
        TRUST.identify(certificate.der, moment)
    for moment in (certificate.not_before_ms - 1, certificate.not_after_ms + 1):
        with pytest.raises(KeyRefused, match="not valid at this time"):
            TRUST.identify(certificate.der, moment)


def test_a_revoked_certificate_counts_only_for_what_was_before() -> None:
    trust = AUTHORITY.trust(PLANT)
    assert trust.identify(PLANT.certificate.der, NOW_MS - 1) == PLANT.certificate
    for moment in (NOW_MS, NOW_MS + DAY_MS):
        with pytest.raises(KeyRefused, match="revoked"):
            trust.identify(PLANT.certificate.der, moment)
    assert trust.identify(OTHER_PLANT.certificate.der, NOW_MS) == OTHER_PLANT.certificate


def test_history_is_judged_without_what_was_revoked_later() -> None:
    history = AUTHORITY.trust(PLANT).for_history()
    assert history.identify(PLANT.certificate.der, NOW_MS + DAY_MS) == PLANT.certificate
    with pytest.raises(KeyRefused, match="not valid at this time"):
        history.identify(PLANT.certificate.der, NOW_MS + 365 * DAY_MS)
    with pytest.raises(KeyRefused, match="not issued by"):
        history.identify(FOREIGN.key(Role.HQ, "hq").certificate.der, NOW_MS)


def test_a_certificate_that_was_checked_before_is_checked_again_for_the_new_time() -> None:
    trust = AUTHORITY.trust()
    trust.identify(PLANT.certificate.der, NOW_MS)
    with pytest.raises(KeyRefused, match="not valid at this time"):
        trust.identify(PLANT.certificate.der, NOW_MS + 365 * DAY_MS)


def test_the_memory_of_checked_certificates_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_CACHE", 2)
    trust = AUTHORITY.trust()
    for key in (PLANT, OTHER_PLANT, DISPATCHER, PLANT):
        assert trust.identify(key.certificate.der, NOW_MS) == key.certificate
        assert len(trust._checked) <= 2


def test_a_refused_certificate_is_not_remembered() -> None:
    trust = AUTHORITY.trust()
    with pytest.raises(KeyRefused):
        trust.identify(FOREIGN.key(Role.HQ, "hq").certificate.der, NOW_MS)
    assert not trust._checked


def test_a_revocation_list_of_another_authority_is_refused() -> None:
    foreign = pki.revocation_list(FOREIGN.authority, [], NOW, days=1)
    with pytest.raises(KeyRefused, match="not signed by an authority of this deployment"):
        TrustStore([AUTHORITY.authority.certificate], [foreign])


def test_a_trust_store_without_an_authority_is_refused() -> None:
    with pytest.raises(KeyRefused, match="no authority"):
        TrustStore([], [])


# --- PEM files ---


def revocations(authority: pki.Authority, *revoked: SigningKey) -> bytes:
    rows = [pki.Revocation(key.certificate.serial, NOW) for key in revoked]
    return pem(pki.revocation_list(authority, rows, NOW, days=1))


def test_a_trust_store_is_read_from_pem() -> None:
    trust = TrustStore.from_pem(pem(AUTHORITY.authority.certificate))
    assert trust.identify(PLANT.certificate.der, NOW_MS) == PLANT.certificate


def test_every_revocation_list_of_a_pem_file_counts() -> None:
    issuers = pem(FOREIGN.authority.certificate) + pem(AUTHORITY.authority.certificate)
    lists = (
        revocations(FOREIGN.authority) + b"# the other authority\n" + revocations(AUTHORITY.authority, PLANT)
    )
    with pytest.raises(KeyRefused, match="revoked"):
        TrustStore.from_pem(issuers, lists).identify(PLANT.certificate.der, NOW_MS)


OWN = pem(AUTHORITY.authority.certificate)


@pytest.mark.parametrize(
    ("authorities", "lists"),
    [
        pytest.param(b"", None, id="no authority"),
        pytest.param(b"garbage", None, id="an authority that is garbage"),
        pytest.param(OWN[:200], None, id="an authority that is cut short"),
        pytest.param(OWN, b"garbage", id="a list that is garbage"),
        pytest.param(OWN, OWN, id="a certificate for a list"),
        pytest.param(OWN, revocations(AUTHORITY.authority)[:100], id="a list that is cut short"),
        pytest.param(
            OWN, revocations(AUTHORITY.authority) * 2 + b"-----BEGIN X509", id="a second one cut short"
        ),
    ],
)
def test_a_trust_file_that_cannot_be_read_is_refused(authorities: bytes, lists: bytes | None) -> None:
    with pytest.raises(KeyRefused, match="PEM cannot be read"):
        TrustStore.from_pem(authorities, lists)


def test_a_key_pair_is_read_from_pem() -> None:
    key = load_signing_key(private_pem(PLANT), certificate_pem(PLANT))
    assert key.certificate == PLANT.certificate
    verify_signature(PLANT.certificate, DOMAIN, b"data", key.sign(DOMAIN, b"data"))


def rsa_pem() -> bytes:
    return rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("key_pem", "certificate", "reason"),
    [
        pytest.param(b"garbage", certificate_pem(PLANT), "PEM cannot be read", id="a key that is garbage"),
        pytest.param(
            private_pem(PLANT), b"garbage", "PEM cannot be read", id="a certificate that is garbage"
        ),
        pytest.param(
            private_pem(PLANT, b"pass"), certificate_pem(PLANT), "PEM cannot", id="an encrypted key"
        ),
        pytest.param(rsa_pem(), certificate_pem(PLANT), "not Ed25519", id="another kind of key"),
        pytest.param(private_pem(PLANT), certificate_pem(OTHER_PLANT), "does not belong", id="another's key"),
    ],
)
def test_a_key_pair_that_does_not_fit_is_refused(key_pem: bytes, certificate: bytes, reason: str) -> None:
    with pytest.raises(KeyRefused, match=reason):
        load_signing_key(key_pem, certificate)


# --- signatures ---

SIGNATURE = PLANT.sign(DOMAIN, b"data")


def test_a_signature_of_a_certificate_that_counts_holds() -> None:
    assert TRUST.verify(PLANT.certificate.der, DOMAIN, b"data", SIGNATURE, NOW_MS) == PLANT.certificate


@pytest.mark.parametrize(
    ("signer", "domain", "data", "signature"),
    [
        pytest.param(PLANT, b"test 2\x00", b"data", SIGNATURE, id="for another purpose"),
        pytest.param(PLANT, DOMAIN, b"Data", SIGNATURE, id="altered data"),
        pytest.param(
            PLANT, DOMAIN, b"data", bytes([SIGNATURE[0] ^ 1]) + SIGNATURE[1:], id="altered signature"
        ),
        pytest.param(PLANT, DOMAIN, b"data", b"", id="no signature"),
        pytest.param(OTHER_PLANT, DOMAIN, b"data", SIGNATURE, id="another's signature"),
    ],
)
def test_a_signature_does_not_hold(signer: SigningKey, domain: bytes, data: bytes, signature: bytes) -> None:
    with pytest.raises(KeyRefused, match="the signature does not hold"):
        TRUST.verify(signer.certificate.der, domain, data, signature, NOW_MS)


def test_a_good_signature_of_a_certificate_that_does_not_count_is_refused() -> None:
    stranger = FOREIGN.key(Role.PLANT, "plant-1")
    with pytest.raises(KeyRefused, match="not issued by"):
        TRUST.verify(stranger.certificate.der, DOMAIN, b"data", stranger.sign(DOMAIN, b"data"), NOW_MS)


def test_a_refusal_says_whom_it_concerns() -> None:
    assert str(KeyRefused("plant-1", "the certificate is revoked")) == "plant-1: the certificate is revoked"
