"""protocol/keys.py, revocations.py, orders.py: bytes of strangers are refused by name, whatever they say."""

import base64
import warnings
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.errors import KeyRefused, OrderRefused, RefusalCode
from protocol.keys import TrustStore, parse_certificate
from protocol.models import decode_as
from protocol.orders import EVENTS as EVENT
from protocol.orders import verify_event
from tests.fuzz import corpus
from tests.fuzz.events import by, rewritten
from tests.fuzz.revocations import AUTHORITY_PEM, pem
from tests.fuzz.stage import AUTHORITY, EVENTS, OPERATOR, PLANT, SIGNERS, TRUST
from tests.support.pki import DEPLOYMENT, NOW_MS

LIST = corpus.make()["revocations/der"][1:]
VERSION = LIST.index(b"\x02\x01\x01") + 2


@pytest.fixture(autouse=True)
def _serials_that_are_not_positive() -> Iterator[None]:
    """The library warns of them once in a run; what counts here is that no such certificate is believed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


@settings(max_examples=300)
@given(st.data())
def test_no_altered_byte_of_a_certificate_makes_another_holder(data: st.DataObject) -> None:
    der = data.draw(st.sampled_from([signer.certificate.der for signer in SIGNERS]))
    place, value = data.draw(st.integers(0, len(der) - 1)), data.draw(st.integers(0, 255))
    altered = der[:place] + bytes([value]) + der[place + 1 :]
    try:
        found = TrustStore(TRUST.anchors.authorities, ()).identify(altered, NOW_MS)
    except KeyRefused:
        return
    right = parse_certificate(der)
    assert (found.role, found.name, found.stations) == (right.role, right.name, right.stations)
    assert (found.serial, found.public_key) == (right.serial, right.public_key)


@given(st.integers(0, (1 << 63) - 1))
@example(1_000_000_000_000_000)  # a year that no calendar has
@example((1 << 63) - 1)
@example(0)
def test_an_event_of_any_time_is_verified_or_refused(at_ms: int) -> None:
    body = rewritten(EVENTS[5].signed.body, OPERATOR, at_ms=at_ms)
    try:
        verified = verify_event(by(OPERATOR, body), TRUST, DEPLOYMENT)
    except OrderRefused as refusal:
        outcome: object = refusal.code
    else:
        outcome = verified.event.at_ms
    valid = PLANT.certificate.not_before_ms <= at_ms <= PLANT.certificate.not_after_ms
    assert outcome == (at_ms if valid else RefusalCode.SIGNATURE)
    assert decode_as(EVENT, body).at_ms == at_ms


@settings(max_examples=200)
@given(st.integers(0, len(LIST) - 1), st.integers(0, 255))
@example(VERSION, 46)  # a version that no list has
def test_an_altered_revocation_list_is_refused_by_name(place: int, value: int) -> None:
    altered = LIST[:place] + bytes([value]) + LIST[place + 1 :]
    try:
        store = TrustStore.from_pem(AUTHORITY_PEM, pem(altered))
    except KeyRefused:
        return
    with pytest.raises(KeyRefused, match="revoked"):  # it still takes back what it took back
        store.identify(SIGNERS[1].certificate.der, NOW_MS)


def test_an_authority_whose_key_nobody_knows_is_refused_by_name() -> None:
    der = AUTHORITY.public_bytes(Encoding.DER)
    strange = der.replace(bytes.fromhex("2b6570032100"), bytes.fromhex("2b6572032100"))  # 1.3.101.114
    assert strange != der
    text = base64.encodebytes(strange)
    with pytest.raises(KeyRefused, match="key is unusable"):
        TrustStore.from_pem(b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n")
