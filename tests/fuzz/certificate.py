"""Certificates, any bytes or any contents that the authority signed: `python -m tests.fuzz.certificate`.

With an even first byte the rest is the certificate; with an odd one the rest is what the authority signed.
"""

import warnings

from cryptography.utils import CryptographyDeprecationWarning

from protocol.errors import KeyRefused
from protocol.keys import TrustStore, parse_certificate
from tests.fuzz.engine import run
from tests.fuzz.plainly import told_plainly
from tests.fuzz.stage import AUTHORITY, AUTHORITY_KEY
from tests.support.pki import NOW_MS

_ED25519 = bytes.fromhex("300506032b6570")


def one(data: bytes) -> None:
    """Whoever is identified has said so in a certificate that this authority signed."""
    der = sealed(data[1:]) if data and data[0] & 1 else data[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # of serial numbers; told once a run
        try:
            parsed = parse_certificate(der)
            identified = TrustStore([AUTHORITY], ()).identify(der, NOW_MS)
        except KeyRefused as refusal:
            told_plainly(refusal)
            return
    assert identified == parsed
    assert parsed.name
    assert all(parsed.stations)


def tlv(tag: int, content: bytes) -> bytes:
    """One value of DER."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def sealed(tbs: bytes) -> bytes:
    """What the authority makes of this content: SEQUENCE { content, algorithm, signature }."""
    signature = b"\x00" + AUTHORITY_KEY.sign(tbs)
    return tlv(0x30, tbs + _ED25519 + tlv(0x03, signature))


if __name__ == "__main__":
    run(one)
