"""Signed order events, forged ones and those of a traitor: `python -m tests.fuzz.events [corpus] [flags]`.

The first byte says whose key signs the rest (see stage.SIGNERS); with any other value the rest is the signed
event itself.
"""

from protocol.errors import OrderRefused, PeerFault
from protocol.keys import SigningKey
from protocol.models import decode_as
from protocol.orders import EVENTS, SignedEvent, verify_event
from protocol.record import OrderRecord, apply
from tests.fuzz.engine import run
from tests.fuzz.plainly import told_plainly
from tests.fuzz.stage import RECORDS, SIGNERS, TRUST
from tests.support.pki import DEPLOYMENT

_DOMAIN = b"dispatch order event 1\x00"
_KNOWN: tuple[OrderRecord | None, ...] = (None, *RECORDS)


def one(data: bytes) -> None:
    """An event is refused, or it is what was signed and moves its order by the one table."""
    try:
        signed = _signed(data)
        verified = verify_event(signed, TRUST, DEPLOYMENT)
    except (PeerFault, OrderRefused) as error:
        told_plainly(error)
        return
    assert verified.event.encode() == signed.body
    for known in _KNOWN:
        try:
            after = apply(known, verified)
        except OrderRefused as refusal:
            told_plainly(refusal)
        else:
            assert after.events[-1] is verified
            assert known is None or after.events[:-1] == known.events


def _signed(data: bytes) -> SignedEvent:
    if not data or data[0] >= len(SIGNERS):
        return SignedEvent.decode(data[1:])
    return by(SIGNERS[data[0]], data[1:])


def by(key: SigningKey, body: bytes) -> SignedEvent:
    """Any bytes under somebody's right signature."""
    signature = key.sign(_DOMAIN, body)
    return SignedEvent.model_construct(body=body, certificate=key.certificate.der, signature=signature)


def rewritten(body: bytes, key: SigningKey, **fields: object) -> bytes:
    """An event's body as `key`'s holder would write it, with other values in some fields."""
    named = {"signer": key.certificate.name, "certificate": key.certificate.fingerprint}
    return decode_as(EVENTS, body).model_copy(update=named | fields).encode()


if __name__ == "__main__":
    run(one)
