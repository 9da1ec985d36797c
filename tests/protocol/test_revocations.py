"""protocol/revocations.py and TrustStore.renew: what may take the place of what is in force."""

from datetime import datetime, timedelta
from itertools import count

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server import pki
from protocol.errors import KeyRefused
from protocol.keys import Role, SigningKey, TrustStore
from protocol.revocations import Anchors, Revocations, utc
from tests.protocol.parties import AUTHORITY, DISPATCHER, OTHER_PLANT, PLANT
from tests.support.pki import NOW, NOW_MS, TestAuthority

NEXT = TestAuthority()  # the authority that follows ours, of the same name
_numbers = count(1)


def made(
    *revoked: SigningKey, by: TestAuthority = AUTHORITY, at: datetime = NOW, number: int | None = None
) -> x509.CertificateRevocationList:
    rows = [pki.Revocation(key.certificate.serial, NOW) for key in revoked]
    after = 10**15 + next(_numbers) if number is None else number - 1
    return pki.revocation_list(by.authority, rows, at, days=30, after=after)


def anchors(*lists: x509.CertificateRevocationList, of: tuple[TestAuthority, ...] = (AUTHORITY,)) -> Anchors:
    return Anchors.of([each.authority.certificate for each in of], lists)


def pem(revocations: x509.CertificateRevocationList) -> bytes:
    return revocations.public_bytes(serialization.Encoding.PEM)


def without_number(at: datetime) -> x509.CertificateRevocationList:
    """As it was made before lists had numbers."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(AUTHORITY.authority.certificate.subject)
    return builder.last_update(at).next_update(at + timedelta(days=1)).sign(AUTHORITY.authority.key, None)


def counts(trust: TrustStore, key: SigningKey, at_ms: int = NOW_MS) -> bool:
    try:
        trust.identify(key.certificate.der, at_ms)
    except KeyRefused:
        return False
    return True


# --- what comes into force ---


def test_what_a_new_list_revokes_counts_no_longer_though_it_was_found_good_before() -> None:
    trust = TrustStore.of(anchors(made()))
    history = trust.for_history()
    assert counts(trust, PLANT)
    trust.renew(anchors(made(PLANT)))
    assert not counts(trust, PLANT)
    assert counts(trust, PLANT, NOW_MS - 1)
    assert counts(trust, OTHER_PLANT)
    assert counts(history, PLANT)


def test_the_known_holders_who_are_revoked_can_be_told_also_those_of_the_past() -> None:
    trust = TrustStore.of(anchors(made()))
    counts(trust, PLANT)
    counts(trust.for_history(), DISPATCHER)
    trust.renew(anchors(made(PLANT, DISPATCHER, OTHER_PLANT)))
    assert trust.revoked_holders() == {PLANT.certificate: NOW_MS, DISPATCHER.certificate: NOW_MS}
    assert not counts(trust, OTHER_PLANT)  # who is turned away is known from then on
    assert OTHER_PLANT.certificate in trust.revoked_holders()


def test_a_list_says_its_number_and_when_the_next_one_is_due() -> None:
    trust = TrustStore.of(anchors(made(PLANT, number=NOW_MS + 5)))
    (held,) = trust.revocations
    assert (held.number, held.this_update_ms) == (NOW_MS + 5, NOW_MS - 300_000)
    due_ms = NOW_MS + 30 * 24 * 3_600_000
    assert held.next_update_ms == due_ms
    assert not held.is_overdue(due_ms)
    assert held.is_overdue(due_ms + 1)
    assert counts(trust, OTHER_PLANT)  # an overdue list refuses nobody


def test_of_two_lists_of_one_authority_in_a_file_both_count() -> None:
    both = Anchors.from_pem(
        AUTHORITY.authority.certificate.public_bytes(serialization.Encoding.PEM),
        pem(made(PLANT)) + pem(made(OTHER_PLANT)),
    )
    assert both.revoked().keys() == {PLANT.certificate.serial, OTHER_PLANT.certificate.serial}
    assert len(both.lists) == 1


# --- what is refused ---


def test_a_list_with_a_lower_number_is_refused_and_the_one_in_force_stays() -> None:
    trust = TrustStore.of(anchors(made(PLANT, number=NOW_MS + 20)))
    with pytest.raises(KeyRefused, match=f"number {NOW_MS + 19}, .* is older than the one in force"):
        trust.renew(anchors(made(number=NOW_MS + 19, at=NOW + timedelta(microseconds=1000))))
    assert not counts(trust, PLANT)
    trust.renew(anchors(made(PLANT, OTHER_PLANT, number=NOW_MS + 20)))
    assert not counts(trust, OTHER_PLANT)


def test_lists_without_number_are_held_against_each_other_by_their_dates() -> None:
    trust = TrustStore.of(anchors(without_number(NOW)))
    with pytest.raises(KeyRefused, match="without number, of 2026-11-20 11:59:59 UTC, is older"):
        trust.renew(anchors(without_number(NOW - timedelta(seconds=1))))
    trust.renew(anchors(without_number(NOW + timedelta(seconds=1))))
    with pytest.raises(KeyRefused, match="is older"):
        trust.renew(anchors(made(at=NOW)))  # a number does not make an old list new
    trust.renew(anchors(made(at=NOW + timedelta(minutes=10))))


@pytest.mark.parametrize("gone", [(), (NEXT,)], ids=["no list at all", "only the other's"])
def test_an_authority_that_has_a_list_cannot_lose_it(gone: tuple[TestAuthority, ...]) -> None:
    trust = TrustStore.of(anchors(made(PLANT)))
    with pytest.raises(KeyRefused, match="put both into the file"):
        trust.renew(anchors(*(made(by=each) for each in gone), of=(AUTHORITY, NEXT)))
    assert not counts(trust, PLANT)


def test_a_list_of_a_stranger_is_refused_before_anything_changes() -> None:
    trust = TrustStore.of(anchors(made(PLANT)))
    with pytest.raises(KeyRefused, match="not signed by an authority of this deployment"):
        trust.anchors.with_revocations(pem(made(by=NEXT)))
    with pytest.raises(KeyRefused, match="PEM cannot be read"):
        trust.anchors.with_revocations(pem(made())[:200])
    with pytest.raises(KeyRefused, match="PEM cannot be read"):
        trust.anchors.with_revocations(b"")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_whatever_lists_come_the_number_in_force_never_falls(given_lists: list[tuple[int, int]]) -> None:
    key = AUTHORITY.authority.key.public_key().public_bytes_raw()
    held = Anchors((AUTHORITY.authority.certificate,), {key: Revocations(key, 5, 0, None, {})})
    for number, at_ms in given_lists:
        offered = Anchors(held.authorities, {key: Revocations(key, number, at_ms, None, {})})
        try:
            offered.check_follows(held)
        except KeyRefused:
            assert number < (held.lists[key].number or 0)
        else:
            held = offered
    assert (held.lists[key].number or 0) >= 5


# --- authorities ---


def test_an_authority_is_replaced_by_way_of_both_and_history_keeps_the_old_one() -> None:
    trust = TrustStore.of(anchors(made(OTHER_PLANT)))
    history, newcomer = trust.for_history(), NEXT.key(Role.PLANT, "plant-1")
    assert counts(trust, PLANT)
    assert not counts(trust, newcomer)
    trust.renew(anchors(made(OTHER_PLANT), made(by=NEXT), of=(AUTHORITY, NEXT)))
    assert counts(trust, PLANT)
    assert counts(trust, newcomer)
    assert not counts(trust, OTHER_PLANT)
    trust.renew(anchors(made(by=NEXT), of=(NEXT,)))
    assert not counts(trust, PLANT)
    assert counts(trust, newcomer)
    assert counts(history, PLANT)
    assert counts(history, newcomer)
    assert trust.for_history() is history


def test_a_certificate_does_not_outlive_its_authority() -> None:
    authority = pki.create_authority("test-grid", NOW, days=1)
    holder = TestAuthority()
    holder.authority = authority
    key = holder.key(Role.PLANT, "plant-1", days=9)
    trust = TrustStore([authority.certificate], [])
    day_ms = 24 * 3_600_000
    trust.identify(key.certificate.der, NOW_MS + day_ms)
    with pytest.raises(KeyRefused, match="its authority's certificate ended at 2026-11-21 12:00:00 UTC"):
        trust.identify(key.certificate.der, NOW_MS + day_ms + 1)


@pytest.mark.parametrize("is_first", [True, False])
def test_what_an_authority_issued_lives_on_when_its_certificate_is_renewed_with_its_key(
    is_first: bool,
) -> None:
    holder = TestAuthority()
    holder.authority = pki.create_authority("test-grid", NOW, days=1)
    old, at_ms = holder.authority.certificate, NOW_MS + 2 * 24 * 3_600_000
    key = holder.key(Role.PLANT, "plant-1", days=9)
    trust = TrustStore([old], [])
    assert counts(trust, key)
    both = (renewed(holder.authority), old) if is_first else (old, renewed(holder.authority))
    trust.renew(Anchors(both))
    assert counts(trust, key, at_ms)
    assert not counts(trust, key, NOW_MS + 8 * 24 * 3_600_000)  # not longer than the renewed one either


def renewed(authority: pki.Authority) -> x509.Certificate:
    """The same name and key for a week."""
    old = authority.certificate
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), serial_number=7)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=7))
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
        authority.key, None
    )


# --- clocks ---


def test_a_certificate_that_is_not_valid_yet_names_both_times_and_the_clocks() -> None:
    trust = TrustStore.of(anchors())
    at_ms = PLANT.certificate.not_before_ms - 3_600_000
    with pytest.raises(KeyRefused) as caught:
        trust.identify(PLANT.certificate.der, at_ms)
    assert caught.value.reason == (
        "the certificate is not valid at this time, 2026-11-20 10:55:00 UTC: "
        "it begins at 2026-11-20 11:55:00 UTC: check the clocks"
    )


def test_one_that_is_over_names_both_times_too() -> None:
    trust = TrustStore.of(anchors())
    with pytest.raises(KeyRefused) as caught:
        trust.identify(PLANT.certificate.der, PLANT.certificate.not_after_ms + 1)
    assert caught.value.reason.endswith(
        "2026-12-20 12:00:00 UTC: it ended at 2026-12-20 12:00:00 UTC: renew it, or check the clocks"
    )


def test_a_time_is_told_in_utc_to_the_second() -> None:
    assert utc(NOW_MS + 999) == "2026-11-20 12:00:00 UTC"
