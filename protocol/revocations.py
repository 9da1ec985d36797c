"""What trust hangs on: our authorities' certificates and what each has taken back (RFC 5280 section 5)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol.errors import KeyRefused

_BEGIN = b"-----BEGIN"
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class Revocations:
    """What one authority has revoked: serial -> since when (ms). `authority`: its public key, raw.

    `number`: the list's own (section 5.2.3); `next_update_ms`: when a newer list is due, if it says so.
    """

    authority: bytes
    number: int | None
    this_update_ms: int
    next_update_ms: int | None
    revoked: Mapping[int, int] = field(repr=False)

    def is_older_than(self, other: "Revocations") -> bool:
        """Whether the authority made the other one later: by their numbers, without these by their dates."""
        if self.number is not None and other.number is not None:
            return self.number < other.number
        return self.this_update_ms < other.this_update_ms

    def is_overdue(self, at_ms: int) -> bool:
        """Whether a newer list should have come before `at_ms`."""
        return self.next_update_ms is not None and self.next_update_ms < at_ms

    @property
    def label(self) -> str:
        """For people: its number and date."""
        number = "without number" if self.number is None else f"number {self.number}"
        return f"{number}, of {utc(self.this_update_ms)}"


def milliseconds(moment: datetime) -> int:
    """Unix ms of a time with zone."""
    return int(moment.timestamp() * 1000)


def utc(at_ms: int) -> str:
    """A time for people who compare the clocks of two machines: to the second, in UTC."""
    try:
        return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # a peer may name any time, also one that no calendar has
        return f"{at_ms} ms"


@dataclass(frozen=True, slots=True)
class Anchors:
    """The authorities of a deployment (during a change more than one), and their lists by their keys."""

    authorities: tuple[x509.Certificate, ...]
    lists: Mapping[bytes, Revocations] = field(default_factory=dict)

    @classmethod
    def of(
        cls, authorities: Sequence[x509.Certificate], lists: Iterable[x509.CertificateRevocationList]
    ) -> "Anchors":
        """Raises KeyRefused for a list that none of the authorities signed."""
        if not authorities:
            raise KeyRefused("trust store", "no authority certificate is configured")
        try:
            keys = [authority.public_key() for authority in authorities]
        except _UNREADABLE as error:
            why = f"an authority's key is unusable ({str(error)[:100]!a})"
            raise KeyRefused("trust store", why) from None
        ours = [key for key in keys if isinstance(key, Ed25519PublicKey)]
        return cls(tuple(authorities), _join(_read(each, ours) for each in lists))

    @classmethod
    def from_pem(cls, authorities: bytes, revocations: bytes | None = None) -> "Anchors":
        """Read PEM texts. Raises KeyRefused."""
        try:
            found = x509.load_pem_x509_certificates(authorities)
        except _UNREADABLE as error:
            raise KeyRefused("trust store", f"PEM cannot be read ({str(error)[:100]!a})") from None
        return cls.of(found, () if revocations is None else _parse_lists(revocations))

    def with_revocations(self, pem: bytes) -> "Anchors":
        """The same authorities with other lists. Raises KeyRefused."""
        return Anchors.of(self.authorities, _parse_lists(pem))

    def check_follows(self, before: "Anchors") -> None:
        """Raises KeyRefused unless these may take the place of `before`: or who is revoked would count again.

        A list goes together with its authority, or not at all.
        """
        keys = {_raw(authority.public_key()) for authority in self.authorities}
        for ours in before.lists.values():
            theirs = self.lists.get(ours.authority)
            if theirs is None and ours.authority in keys:
                raise KeyRefused(
                    "revocation list",
                    f"that of an authority is missing ({ours.label}, is in force): put both into the file",
                )
            if theirs and theirs.is_older_than(ours):
                raise KeyRefused(
                    "revocation list",
                    f"{theirs.label}, is older than the one in force, {ours.label}: carry the newest here",
                )

    def revoked(self) -> dict[int, int]:
        """Serial -> since when (ms), of all lists."""
        return {serial: at_ms for each in self.lists.values() for serial, at_ms in each.revoked.items()}


def _raw(key: object) -> bytes:
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b""


def _parse_lists(pem: bytes) -> list[x509.CertificateRevocationList]:
    blocks = [_BEGIN + block for block in pem.split(_BEGIN)[1:]]
    try:
        return [
            x509.load_pem_x509_crl(block) for block in blocks or [pem]
        ]  # without any: let the parser say so
    except _UNREADABLE as error:
        raise KeyRefused("revocation list", f"PEM cannot be read ({str(error)[:100]!a})") from None


def _read(given: x509.CertificateRevocationList, keys: Iterable[Ed25519PublicKey]) -> Revocations:
    for key in keys:
        if given.is_signature_valid(key):
            return _facts(key.public_bytes_raw(), given)
    raise KeyRefused("revocation list", "it is not signed by an authority of this deployment")


def _facts(authority: bytes, given: x509.CertificateRevocationList) -> Revocations:
    try:
        number = given.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        number = None
    except _UNREADABLE as error:
        raise KeyRefused("revocation list", f"its extensions cannot be read ({str(error)[:100]!a})") from None
    until = given.next_update_utc
    return Revocations(
        authority=authority,
        number=number,
        this_update_ms=milliseconds(given.last_update_utc),
        next_update_ms=None if until is None else milliseconds(until),
        revoked={entry.serial_number: milliseconds(entry.revocation_date_utc) for entry in given},
    )


def _join(lists: Iterable[Revocations]) -> dict[bytes, Revocations]:
    """A file may hold several lists of one authority: what any of them revokes is revoked."""
    joined: dict[bytes, Revocations] = {}
    for each in lists:
        other = joined.get(each.authority, each)
        newer, older = (other, each) if each.is_older_than(other) else (each, other)
        joined[each.authority] = replace(newer, revoked={**older.revoked, **newer.revoked})
    return joined
