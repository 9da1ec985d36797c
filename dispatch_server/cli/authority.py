"""The folder of a deployment's certificate authority, on a machine that is not on the network.

authority.crt     its certificate
authority.key     its private key, encrypted with a passphrase
revocations.crl   what is revoked, made anew at each revocation
index.jsonl       every certificate issued and revoked, one line each; only ever appended to

A certificate is in the index before it leaves the folder, so none can exist that cannot be revoked.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dispatch_server import pki
from protocol.errors import KeyRefused
from protocol.keys import Role
from protocol.models import Name

_CRL_DAYS = 365
Serial = Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime


class Created(_Line):
    """The authority was made: always the first line."""

    what: Literal["created"] = "created"
    deployment: Name


class Issued(_Line):
    """A certificate was issued."""

    what: Literal["issued"] = "issued"
    serial: Serial
    role: Role
    name: Name
    stations: tuple[Name, ...] = ()
    not_after: datetime


class Revoked(_Line):
    """A certificate was revoked."""

    what: Literal["revoked"] = "revoked"
    serial: Serial


Line = Annotated[Created | Issued | Revoked, Field(discriminator="what")]
_LINES: TypeAdapter[Created | Issued | Revoked] = TypeAdapter(Line)


@dataclass(frozen=True, slots=True)
class Row:
    """A certificate as the index knows it."""

    issued: Issued
    revoked: datetime | None

    def counts(self, now: datetime) -> bool:
        """Whether anybody still believes it."""
        return self.revoked is None and now < self.issued.not_after


class AuthorityFolder:
    """Raises KeyRefused when the folder holds no authority, or its index is not as it was written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        lines = list(self._read())
        if not lines or not isinstance(lines[0], Created):
            raise KeyRefused(str(folder), "there is no authority here: dispatch-server pki init makes one")
        self.deployment = lines[0].deployment
        revoked = {line.serial: line.at for line in lines if isinstance(line, Revoked)}
        self.rows = [Row(line, revoked.get(line.serial)) for line in lines if isinstance(line, Issued)]

    @classmethod
    def create(
        cls, folder: Path, deployment: str, passphrase: str, now: datetime, days: int
    ) -> "AuthorityFolder":
        """A new authority. Raises KeyRefused when there is one already."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = pki.create_authority(deployment, now, days)
        write_new(folder / "authority.key", pki.private_pem(authority.key, passphrase.encode()))
        (folder / "authority.crt").write_bytes(pki.certificate_pem(authority.certificate))
        _append(folder, Created(at=now, deployment=deployment))
        _write_revocations(folder, authority, [], now)
        return cls(folder)

    def unlock(self, passphrase: str) -> pki.Authority:
        """The authority with its key. Raises KeyRefused for a wrong passphrase."""
        try:
            pem = (self._folder / "authority.key").read_bytes()
            key = serialization.load_pem_private_key(pem, passphrase.encode())
            certificate = x509.load_pem_x509_certificate((self._folder / "authority.crt").read_bytes())
        except (ValueError, TypeError):
            raise KeyRefused(str(self._folder), "the passphrase does not open authority.key") from None
        if not isinstance(key, Ed25519PrivateKey) or key.public_key() != certificate.public_key():
            raise KeyRefused(str(self._folder), "authority.key does not belong to authority.crt")
        return pki.Authority(certificate, key)

    def public_files(self) -> Iterator[Path]:
        """What every node needs of the authority."""
        return iter((self._folder / "authority.crt", self._folder / "revocations.crl"))

    def issue(
        self,
        authority: pki.Authority,
        key: Ed25519PublicKey,
        role: Role,
        name: str,
        *,
        stations: tuple[str, ...] = (),
        now: datetime,
        days: int,
        renew: bool = False,
    ) -> bytes:
        """A certificate as PEM. Raises KeyRefused for a name that is taken, unless it is renewed."""
        self._require_free(role, name, now, renew=renew)
        if now + timedelta(days=days) > authority.certificate.not_valid_after_utc:
            until = authority.certificate.not_valid_after_utc.date()
            raise KeyRefused(name, f"the authority itself ends on {until}: choose fewer days")
        certificate = pki.issue(authority, key, role, name, stations=stations, now=now, days=days)
        line = Issued(
            at=now,
            serial=f"{certificate.serial_number:x}",
            role=role,
            name=name,
            stations=stations,
            not_after=certificate.not_valid_after_utc,
        )
        _append(self._folder, line)
        return pki.certificate_pem(certificate)

    def _require_free(self, role: Role, name: str, now: datetime, *, renew: bool) -> None:
        holders = [row.issued.role for row in self.rows if row.issued.name == name and row.counts(now)]
        if any(holder is not role for holder in holders):
            raise KeyRefused(name, f"a {holders[0].value} has this name: names are unique in a deployment")
        if holders and not renew:
            raise KeyRefused(name, "it has a certificate that counts: say --renew, or revoke that one first")

    def revoke(self, authority: pki.Authority, rows: list[Row], now: datetime) -> None:
        """Revoke certificates from now on and write the list anew. What was signed before stays valid.

        Without rows the list says the same again, for longer.
        """
        for row in rows:
            _append(self._folder, Revoked(at=now, serial=row.issued.serial))
        at = {row.issued.serial: row.revoked for row in self.rows if row.revoked}
        at |= {row.issued.serial: now for row in rows}
        revocations = [pki.Revocation(int(serial, 16), moment) for serial, moment in at.items()]
        _write_revocations(self._folder, authority, revocations, now)

    def _read(self) -> Iterator[Created | Issued | Revoked]:
        path = self._folder / "index.jsonl"
        with suppress(FileNotFoundError):
            for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
                try:
                    yield _LINES.validate_json(text)
                except ValidationError:
                    reason = f"line {number} is not as it was written; restore the file from its backup"
                    raise KeyRefused(str(path), reason) from None


def write_new(path: Path, data: bytes) -> None:
    """A new file that only its owner may read, on the disk when this returns. Raises KeyRefused."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyRefused(
            str(path), "it exists already and is never overwritten: choose another folder"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _append(folder: Path, line: _Line) -> None:
    descriptor = os.open(folder / "index.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(line.model_dump(mode="json")) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _write_revocations(
    folder: Path, authority: pki.Authority, revocations: list[pki.Revocation], now: datetime
) -> None:
    path = folder / "revocations.crl"
    made = pki.revocation_list(authority, revocations, now, _CRL_DAYS, after=_number_of(path))
    beside = folder / "revocations.crl.new"
    beside.write_bytes(pki.certificate_pem(made))
    beside.replace(path)


def _number_of(path: Path) -> int:
    """Of the list that is there; 0 if none can be read: its date makes the next one newer all the same."""
    try:
        before = x509.load_pem_x509_crl(path.read_bytes())
        return before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (OSError, ValueError, x509.ExtensionNotFound):
        return 0
