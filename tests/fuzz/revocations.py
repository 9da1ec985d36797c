"""Revocation lists and authorities' files: `python -m tests.fuzz.revocations [corpus] [libFuzzer flags]`.

By the first byte modulo 4: 0 a PEM text of lists; 1 one list in DER; 2 what the authority signed of one;
3 a PEM text of authorities.
"""

import base64
import warnings

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from protocol.errors import KeyRefused
from protocol.keys import TrustStore
from tests.fuzz.certificate import sealed
from tests.fuzz.engine import run
from tests.fuzz.plainly import told_plainly
from tests.fuzz.stage import AUTHORITY, HQ
from tests.support.pki import NOW_MS

AUTHORITY_PEM = AUTHORITY.public_bytes(Encoding.PEM)


def one(data: bytes) -> None:
    """A trust store is made and works, or it is refused."""
    kind, rest = (data[0] & 3 if data else 0), data[1:]
    lists = rest if kind == 0 else pem(sealed(rest) if kind == 2 else rest)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            if kind == 3:
                TrustStore.from_pem(rest)
            else:
                TrustStore.from_pem(AUTHORITY_PEM, lists).identify(HQ.certificate.der, NOW_MS)
        except KeyRefused as refusal:
            told_plainly(refusal)


def pem(der: bytes) -> bytes:
    """One revocation list as its file."""
    return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(der) + b"-----END X509 CRL-----\n"


if __name__ == "__main__":
    run(one)
