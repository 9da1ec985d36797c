"""A node's own key, whom it trusts, and the TLS contexts made of both: all can be renewed while it runs.

A renewal makes new contexts instead of changing those in use. A new certificate loaded into a context in use
is shown in new handshakes, but a peer that resumes an older TLS session (RFC 8446 section 2.2) would go on
seeing the old one, which does not fit what the new key signs; and no authority could ever be taken away.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from protocol.aio.tls import tls_context
from protocol.errors import ConfigurationRefused, KeyRefused
from protocol.keys import Role, SigningKey, TrustStore, load_signing_key
from protocol.revocations import Anchors
from protocol.settings import KeySettings, resolve

_AGAIN = "it was being changed: reload again when it is in place"


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The content of the files, as it was read."""

    authority: bytes
    certificate: bytes
    key: bytes = field(repr=False)
    revocations: bytes | None

    def is_same_node(self, other: "KeyFiles") -> bool:
        """Whether key, certificate and authorities are the same."""
        return (self.authority, self.certificate, self.key) == (other.authority, other.certificate, other.key)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was read anew and found good, not in force yet. `contexts`: by side, as far as they are in use."""

    files: KeyFiles
    key: SigningKey
    anchors: Anchors
    contexts: Mapping[ssl._SSLMethod, ssl.SSLContext]


class Keyring:
    """Raises ConfigurationRefused or KeyRefused when the files do not hold what this node needs."""

    def __init__(
        self, keys: KeySettings, base: Path, node: str, role: Role, wall_ms: Callable[[], int]
    ) -> None:
        self.on_renewed: list[Callable[[], None]] = []  # called when key or contexts are others than before
        self._authority = resolve(base, keys.authority)
        self._certificate = resolve(base, keys.certificate)
        self._private = resolve(base, keys.key)
        self.revocations = resolve(base, keys.revocations) if keys.revocations else None
        self._node, self._role, self._wall_ms = node, role, wall_ms
        self._contexts: dict[ssl._SSLMethod, ssl.SSLContext] = {}
        self._files = self._read()
        self.trust = TrustStore.from_pem(self._files.authority, self._files.revocations)
        self.key = self._own_key(self._files, self.trust)

    def context(self, side: ssl._SSLMethod) -> ssl.SSLContext:
        """The TLS context for this side, as new handshakes have to use it now. Raises KeyRefused."""
        if side not in self._contexts:
            made = self._make_context(side)
            if not self._read().is_same_node(self._files):  # TLS would show another than signs
                raise KeyRefused(str(self._certificate), "it was being changed: start again")
            self._contexts[side] = made
        return self._contexts[side]

    def prepare(self) -> Prepared:
        """Read all files anew and check them; nothing is changed yet. It may take long: use a thread.

        Raises ConfigurationRefused, KeyRefused.
        """
        files = self._read()
        anchors = Anchors.from_pem(files.authority, files.revocations)
        anchors.check_follows(self.trust.anchors)
        if files.is_same_node(self._files):  # a key that has run out must not keep a revocation list from us
            return Prepared(files, self.key, anchors, dict(self._contexts))
        key = self._own_key(files, TrustStore.of(anchors))
        contexts = {side: self._make_context(side) for side in tuple(self._contexts)}
        if self._read() != files:  # TLS reads them by itself: it must have seen what we have checked
            raise KeyRefused(str(self._certificate), _AGAIN)
        return Prepared(files, key, anchors, contexts)

    def prepare_revocations(self) -> Anchors:
        """Read the revocation lists alone. Use a thread. Raises ConfigurationRefused, KeyRefused."""
        if self.revocations is None:
            return self.trust.anchors
        anchors = self.trust.anchors.with_revocations(content(self.revocations))
        anchors.check_follows(self.trust.anchors)
        return anchors

    def renew(self, prepared: Prepared) -> bool:
        """Put it in force; tells whether key or authorities are others than before.

        Raises KeyRefused, and changes nothing, when another renewal came in between.
        """
        self.trust.renew(prepared.anchors)
        is_same = prepared.files.is_same_node(self._files)
        self._files, self.key = prepared.files, prepared.key
        if not is_same:
            self._contexts = dict(prepared.contexts)
            for tell in self.on_renewed:
                tell()
        return not is_same

    def _own_key(self, files: KeyFiles, trust: TrustStore) -> SigningKey:
        key = load_signing_key(files.key, files.certificate)
        held = trust.identify(key.certificate.der, self._wall_ms())
        if held.name != self._node or held.role is not self._role:
            raise ConfigurationRefused(
                str(self._certificate),
                f"it names {held.role.value} '{held.name}', "
                f"the configuration says {self._role.value} '{self._node}'",
                "Use this node's own certificate",
            )
        return key

    def _read(self) -> KeyFiles:
        return KeyFiles(
            content(self._authority),
            content(self._certificate),
            _private(self._private),
            content(self.revocations) if self.revocations else None,
        )

    def _make_context(self, side: ssl._SSLMethod) -> ssl.SSLContext:
        return tls_context(side, self._authority, self._certificate, self._private)


def content(path: Path) -> bytes:
    """Of a file that the configuration names. Raises ConfigurationRefused."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationRefused(
            str(path), f"cannot be read ({error.strerror})", "Check the path"
        ) from None


def _private(path: Path) -> bytes:
    data = content(path)
    try:
        is_open = path.stat().st_mode & 0o077
    except OSError as error:  # gone since: somebody renews it now
        raise ConfigurationRefused(
            str(path), f"cannot be read ({error.strerror})", "Check the path"
        ) from None
    if is_open:
        raise ConfigurationRefused(str(path), "others may read this private key", f"Run: chmod 600 {path}")
    return data
