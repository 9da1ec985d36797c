"""Who else knocks at a plant's door: each is turned away with a named error, and its link does not notice."""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.errors import WireCode
from protocol.frames import Kind, encode_frame
from protocol.keys import Role
from protocol.messages import LedgerHead, Poll
from protocol.models import Wire
from tests.system.caller import Caller, hello
from tests.system.credentials import Credentials, Issuer, of_node
from tests.system.grid import WITHIN, Grid, Topology

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("plant-a", Role.PLANT, "hq"),
    ("plant-b", Role.PLANT, "hq"),
)


class Door:
    """The port of plant-a, with what its program and its superior say of it."""

    def __init__(self, grid: Grid, folder: Path) -> None:
        self.grid = grid
        self.port = grid.nodes["plant-a"].port
        issuer = Issuer(grid, folder)
        self.hq = of_node(grid, "hq")
        self.strangers: Mapping[str, Credentials] = {
            "foreign": issuer.issue(Role.HQ, "hq", foreign=True),
            "plant": of_node(grid, "plant-b"),
            "person": issuer.issue(Role.DISPATCHER, "wang", "desk-1"),
            "expired": issuer.issue(Role.HQ, "hq", age_days=3),
            "revoked": issuer.issue(Role.HQ, "hq"),
            "center": issuer.issue(Role.CENTER, "hq-2"),
            "other-hq": issuer.issue(Role.HQ, "hq-2"),
        }
        issuer.revoke(self.strangers["revoked"].certificate)

    @contextmanager
    def turns_away(self, code: WireCode, why: str = "") -> Iterator[None]:
        """A stranger comes: it is counted and named, and the plant's real link goes on as it was."""
        said = len(self.grid.logged("plant-a"))
        refused = self.grid.status("plant-a")["refused_links"]
        sessions = self.grid.link("plant-a")["sessions"]
        yield
        assert self.grid.wait_logged("plant-a", "link refused", why, after=said)["code"] == code.name
        assert self.grid.status("plant-a")["refused_links"] == refused + 1
        link = self.grid.link("plant-a")
        assert (link["state"], link["sessions"], link["faults"]) == ("connected", sessions, 0)

    def knock(self, context: ssl.SSLContext, data: bytes = b"") -> bytes:
        """Come in, say something, and hear what is said."""
        try:
            with Caller(self.port, context) as caller:
                caller.socket.sendall(data)
                return b"".join(payload for _, payload in caller.hear())
        except (ssl.SSLError, OSError):
            return b""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("strangers")
    grid = Grid(folder / "grid", (), TOPOLOGY)
    door = Door(grid, folder)
    try:
        grid.start()
        grid.wait_linked()
        yield door
    finally:
        grid.close()


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("foreign", "certificate verify failed: unable to get local issuer certificate"),
        ("plant", "certificate verify failed: unsuitable certificate purpose"),
        ("person", "certificate verify failed: unsuitable certificate purpose"),
        ("expired", "hq: the certificate is not valid at this time, "),
        ("revoked", "hq: the certificate is revoked"),
        ("center", "'hq-2' is not the superior of this node"),
        ("other-hq", "'hq-2' is not the superior of this node"),
    ],
)
def test_a_certificate_that_is_not_the_superiors_opens_no_link(door: Door, who: str, why: str) -> None:
    with door.turns_away(WireCode.IDENTITY, why):
        door.knock(door.strangers[who].context(ssl.PROTOCOL_TLS_CLIENT), hello(door.hq, "plant-a", term=2))


def without_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_tls_without_a_certificate_opens_no_link(door: Door) -> None:
    with door.turns_away(WireCode.IDENTITY, "peer did not return a certificate"):
        door.knock(without_certificate())


def test_an_older_tls_opens_no_link(door: Door) -> None:
    context = door.hq.context(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with door.turns_away(WireCode.IDENTITY, "unsupported protocol"):
        door.knock(context)


def test_what_is_not_tls_opens_no_link(door: Door) -> None:
    with (
        door.turns_away(WireCode.IDENTITY, "http request"),
        socket.create_connection(("127.0.0.1", door.port), timeout=WITHIN) as plain,
    ):
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_to_the_end(plain) == b""


def read_to_the_end(plain: socket.socket) -> bytes:
    try:
        return b"".join(iter(lambda: plain.recv(4_096), b""))
    except ConnectionResetError:
        return b""


def bad_signature(hq: Credentials, term: int) -> bytes:
    data = bytearray(hello(hq, "plant-a", term))
    data[-1] ^= 1
    return bytes(data)


def as_frame(kind: Kind, body: Wire) -> bytes:
    return encode_frame(kind, body.encode())


NOWHERE = LedgerHead(entry=0, hash=bytes(32))
# What is wrong, with which code it is refused, and the words: they may need a term that would do.
FIRST_WORDS: Sequence[tuple[str, WireCode, Callable[[Credentials, int], bytes]]] = (
    ("version 9", WireCode.VERSION, lambda hq, term: hello(hq, "plant-a", term, version=9)),
    ("deployment", WireCode.DEPLOYMENT, lambda hq, term: hello(hq, "plant-a", term, deployment="other")),
    ("another node", WireCode.IDENTITY, lambda hq, term: hello(hq, "plant-b", term)),
    ("another superior", WireCode.IDENTITY, lambda hq, term: hello(hq, "plant-a", term, superior="south")),
    ("signature", WireCode.SIGNATURE, bad_signature),
    ("a term that is over", WireCode.TERM, lambda hq, term: hello(hq, "plant-a", term - 2)),
    ("a term of another run", WireCode.TERM, lambda hq, term: hello(hq, "plant-a", term - 1)),
    ("a term far ahead", WireCode.TERM, lambda hq, term: hello(hq, "plant-a", 1 << 62)),
    (
        "timers",
        WireCode.TIMERS,
        lambda hq, term: hello(hq, "plant-a", term, poll_interval_ms=100, hold_ms=200),
    ),
    ("a cursor never reached", WireCode.CURSOR, lambda hq, term: hello(hq, "plant-a", term, acknowledged=99)),
    ("other items", WireCode.CURSOR, lambda hq, term: hello(hq, "plant-a", term, digest=b"x" * 32)),
    ("size", WireCode.OVERSIZED, lambda *_: (1 << 30).to_bytes(4) + bytes([Kind.HELLO])),
    ("garbage", WireCode.MALFORMED, lambda *_: b"GET / HTTP/1.1\r\n\r\n"),
    ("noise in a frame", WireCode.MALFORMED, lambda *_: encode_frame(Kind.HELLO, b"\xc1" * 100)),
    (
        "a poll",
        WireCode.UNEXPECTED,
        lambda *_: as_frame(Kind.POLL, Poll(seq=1, hold_ms=0, acknowledged=0, wall_ms=0, ledger=NOWHERE)),
    ),
)


@pytest.mark.parametrize(
    ("code", "words"), [pytest.param(code, words, id=name) for name, code, words in FIRST_WORDS]
)
def test_even_the_superiors_certificate_opens_no_link_with_wrong_first_words(
    door: Door, code: WireCode, words: Callable[[Credentials, int], bytes]
) -> None:
    context = door.hq.context(ssl.PROTOCOL_TLS_CLIENT)
    with door.turns_away(code), Caller(door.port, context) as caller:
        caller.socket.sendall(words(door.hq, door.grid.status("hq")["term"] + 1))
        assert caller.farewell().code == code


def test_a_crowd_of_silent_strangers_cannot_keep_the_superior_out(door: Door) -> None:
    crowd = [socket.create_connection(("127.0.0.1", door.port), timeout=WITHIN) for _ in range(40)]
    try:
        door.grid.kill("hq")
        door.grid.start("hq")
        door.grid.wait_linked("plant-a")
    finally:
        for one in crowd:
            one.close()
