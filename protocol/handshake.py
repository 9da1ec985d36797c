"""Hello and Welcome: who is there, under which term, with which keys.

Both sides have already checked the other's certificate in TLS; the signatures here bind the ephemeral
keys to the same nodes. A superior's Hello carries the term of its grant, a subordinate refuses a lower
one than it has ever seen (fencing), and each says up to which cursor it holds the other's items.
"""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol.errors import KeyRefused, PeerFault, TermRefused, WireCode
from protocol.keys import Certificate, Role, SigningKey, verify_signature
from protocol.limits import MAX_TERM_STEP, PROTOCOL_VERSION, Timers
from protocol.messages import Hello, Signed, Welcome
from protocol.outbox import Mark
from protocol.seal import InnerCipherFactory, Sealer, agree

_HELLO_DOMAIN = b"dispatch hello 1\x00"
_WELCOME_DOMAIN = b"dispatch welcome 1\x00"
_SUPERIOR_ROLES = frozenset({Role.HQ, Role.CENTER})
_SUBORDINATE_ROLES = frozenset({Role.CENTER, Role.DESK, Role.PLANT})


@dataclass(frozen=True, slots=True)
class Local:
    """What a node brings to each of its links. `boot`: 16 random bytes of this run."""

    key: SigningKey
    deployment: str
    boot: bytes
    inner: InnerCipherFactory

    @property
    def name(self) -> str:
        """The node's name, as its certificate says."""
        return self.key.certificate.name


@dataclass(frozen=True, slots=True)
class Fresh:
    """The random part of one handshake: an ephemeral X25519 key and a nonce of 16 bytes."""

    key: X25519PrivateKey
    nonce: bytes

    @classmethod
    def of(cls, entropy: bytes) -> "Fresh":
        """From 48 random bytes."""
        return cls(X25519PrivateKey.from_private_bytes(entropy[:32]), entropy[32:48])

    @property
    def public(self) -> bytes:
        """The ephemeral public key, 32 bytes."""
        return self.key.public_key().public_bytes_raw()


@dataclass(frozen=True, slots=True)
class Grant:
    """The highest term under which this node was commanded, and by which run of its superior."""

    term: int = 0
    boot: bytes = b""

    def check(self, term: int, boot: bytes) -> None:
        """Raises TermRefused for a term that is over, that another run holds, or that leaps too far."""
        if term < self.term:
            raise TermRefused(term, self.term, f"term {term} is over: {self.term} was granted since")
        if term == self.term and self.boot and boot != self.boot:
            raise TermRefused(term, self.term, f"term {term} belongs to another run of the superior")
        if term > self.term + MAX_TERM_STEP:  # a stolen key could else fence the true superior for ever
            raise TermRefused(term, self.term, f"term {term} leaps too far ahead of {self.term}")


@dataclass(frozen=True, slots=True)
class Keys:
    """The two directions of an agreed session."""

    down: Sealer
    up: Sealer


def make_hello(local: Local, node: str, fresh: Fresh, *, term: int, timers: Timers, received: Mark) -> bytes:
    """The signed Hello's payload."""
    hello = Hello(
        version=PROTOCOL_VERSION,
        deployment=local.deployment,
        superior=local.name,
        node=node,
        term=term,
        boot=local.boot,
        poll_interval_ms=timers.poll_interval_ms,
        hold_ms=timers.hold_ms,
        acknowledged=received.cursor,
        digest=received.digest,
        ephemeral=fresh.public,
        nonce=fresh.nonce,
    )
    return _sign(local.key, _HELLO_DOMAIN, hello.encode())


def read_hello(payload: bytes, local: Local, superior: Certificate, granted: Grant) -> Hello:
    """Check a Hello. Raises PeerFault(VERSION | DEPLOYMENT | IDENTITY | SIGNATURE | TERM | TIMERS)."""
    signed = Signed.decode(payload)
    hello = Hello.decode(signed.body)
    if hello.version != PROTOCOL_VERSION:
        raise PeerFault(
            WireCode.VERSION, f"version {hello.version}, this node speaks {PROTOCOL_VERSION} only"
        )
    if hello.deployment != local.deployment:
        raise PeerFault(WireCode.DEPLOYMENT, f"deployment '{hello.deployment}' is not ours")
    if superior.role not in _SUPERIOR_ROLES:
        raise PeerFault(WireCode.IDENTITY, f"a {superior.role.value} is nobody's superior")
    if hello.superior != superior.name or hello.node != local.name:
        raise PeerFault(WireCode.IDENTITY, f"'{hello.superior}' calls '{hello.node}', this is '{local.name}'")
    _verify(superior, _HELLO_DOMAIN, signed)
    granted.check(hello.term, hello.boot)
    if hello.hold_ms > hello.poll_interval_ms:
        raise PeerFault(WireCode.TIMERS, "a poll cannot be held longer than the poll interval")
    return hello


def make_welcome(local: Local, hello_payload: bytes, received: Mark, fresh: Fresh) -> tuple[bytes, Keys]:
    """The signed Welcome's payload, and the keys. Raises PeerFault(SEAL)."""
    signed_hello = Signed.decode(hello_payload)
    welcome = Welcome(
        version=PROTOCOL_VERSION,
        node=local.name,
        role=local.key.certificate.role,
        acknowledged=received.cursor,
        digest=received.digest,
        hello=hashlib.sha256(signed_hello.body).digest(),
        ephemeral=fresh.public,
        nonce=fresh.nonce,
    )
    payload = _sign(local.key, _WELCOME_DOMAIN, welcome.encode())
    peer_key = Hello.decode(signed_hello.body).ephemeral
    return payload, _keys(local, fresh, peer_key, hello_payload, payload)


def read_welcome(
    payload: bytes, local: Local, node: Certificate, hello_payload: bytes, fresh: Fresh
) -> tuple[Welcome, Keys]:
    """Check the answer to our Hello. Raises PeerFault(VERSION | IDENTITY | SIGNATURE | SEAL)."""
    signed = Signed.decode(payload)
    welcome = Welcome.decode(signed.body)
    if welcome.version != PROTOCOL_VERSION:
        raise PeerFault(WireCode.VERSION, f"'{node.name}' speaks version {welcome.version}")
    if node.role not in _SUBORDINATE_ROLES:
        raise PeerFault(WireCode.IDENTITY, f"a {node.role.value} is nobody's subordinate")
    if welcome.node != node.name or welcome.role is not node.role:
        raise PeerFault(WireCode.IDENTITY, f"'{node.name}' calls itself '{welcome.node}'")
    _verify(node, _WELCOME_DOMAIN, signed)
    if welcome.hello != hashlib.sha256(Signed.decode(hello_payload).body).digest():
        raise PeerFault(WireCode.SIGNATURE, "the Welcome answers another Hello")
    return welcome, _keys(local, fresh, welcome.ephemeral, hello_payload, payload)


def _sign(key: SigningKey, domain: bytes, body: bytes) -> bytes:
    return Signed(body=body, signature=key.sign(domain, body)).encode()


def _verify(peer: Certificate, domain: bytes, signed: Signed) -> None:
    try:
        verify_signature(peer, domain, signed.body, signed.signature)
    except KeyRefused as error:
        raise PeerFault(WireCode.SIGNATURE, str(error)) from None


def _keys(local: Local, fresh: Fresh, peer_key: bytes, hello: bytes, welcome: bytes) -> Keys:
    down, up = agree(fresh.key, peer_key, hello + welcome)
    return Keys(down=Sealer(down, local.inner), up=Sealer(up, local.inner))
