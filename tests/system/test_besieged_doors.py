"""What strangers, and whoever stole the superior's key, can do at a plant's door: each has its name."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest

from protocol.aio.node import wall_ms
from protocol.errors import RefusalCode, WireCode
from protocol.frames import FrameReader, Kind, encode_frame
from protocol.items import RefusalItem
from protocol.keys import Role
from protocol.limits import MAX_UNACKNOWLEDGED
from protocol.messages import Deliver, Goodbye, LedgerHead, Poll, Reply
from protocol.requests import DoneReply
from protocol.session import header
from tests.system.caller import Caller, PlayedSuperior, hello
from tests.system.credentials import Issuer, of_node
from tests.system.grid import WITHIN, Grid, Topology, until
from tests.system.memory import memory_of

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("plant-a", Role.PLANT, "hq"),
    ("plant-b", Role.PLANT, "hq"),
)
NOWHERE = LedgerHead(entry=0, hash=bytes(32))
PLAIN, WITH_TLS = "127.0.0.2", "127.0.0.3"  # all of 127/8 is this machine


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """Headquarters comes late; plant-b never hears of it, only of the thief of its key."""
    grid = Grid(tmp_path_factory.mktemp("doors") / "grid", (), TOPOLOGY)
    grid.configure("hq", f"port = {grid.nodes['plant-b'].port}\n", "port = 9\n")
    try:
        grid.start("plant-a", "plant-b")
        yield grid
    finally:
        grid.close()


def count_of(grid: Grid, node: str, name: str) -> int:
    return int(grid.status(node)["counters"].get(name, 0))


# --- whoever stole the superior's key ---


@pytest.fixture(scope="module")
def thief(grid: Grid) -> PlayedSuperior:
    return PlayedSuperior(of_node(grid, "hq"), of_node(grid, "plant-b"), grid.nodes["plant-b"].port)


@contextmanager
def counted(grid: Grid, name: str, node: str = "plant-b") -> Iterator[None]:
    """The node counts one more of these."""
    before = count_of(grid, node, name)
    yield
    until(lambda: count_of(grid, node, name) == before + 1, f"{node} counts '{name}'")


def poll(number: int) -> bytes:
    body = Poll(seq=number, hold_ms=0, acknowledged=0, wall_ms=wall_ms(), ledger=NOWHERE)
    return encode_frame(Kind.POLL, body.encode())


def test_polls_without_pause_end_the_link(grid: Grid, thief: PlayedSuperior) -> None:
    with counted(grid, "limit"), thief.session():
        reader, number = FrameReader(), 1
        thief.say(poll(number))
        while True:
            for kind, payload in reader.feed(thief._caller.socket.recv(65_536), frozenset(Kind)):
                if kind is Kind.GOODBYE:
                    assert Goodbye.decode(payload).code == WireCode.LIMIT
                    return
                number += 1
                assert number < 1_000
                thief.say(poll(number))


def replies(thief: PlayedSuperior) -> Iterator[bytes]:
    """Answers to questions that nobody asked."""
    keys = thief._session._open_keys()
    for number in range(1, 1_000):
        sealed = keys.down.seal(DoneReply().encode(), header(b"A", number))
        yield encode_frame(Kind.REPLY, Reply(number=number, sealed=sealed).encode())


def items(thief: PlayedSuperior, cursors: Callable[[int], int]) -> Iterator[bytes]:
    keys = thief._session._open_keys()
    first = thief._outbox.acknowledged
    for number in range(1, 1_000):
        cursor = first + cursors(number)
        item = RefusalItem(
            to="plant-b", order="o", event=bytes(32), code=RefusalCode.STALE, detail=str(cursor)
        )
        sealed = keys.down.seal(item.encode(), header(b"D", cursor))
        yield encode_frame(Kind.DELIVER, Deliver(cursor=cursor, sealed=sealed).encode())


def test_replies_without_questions_end_the_link(grid: Grid, thief: PlayedSuperior) -> None:
    with counted(grid, "limit"), thief.session(), suppress(OSError):
        for frame in replies(thief):
            thief.say(frame)


def test_a_superior_that_says_nothing_after_its_hello_is_given_up(grid: Grid, thief: PlayedSuperior) -> None:
    with counted(grid, "silent"), thief.session():
        assert grid.status("plant-b")["connected"]
        until(lambda: not grid.status("plant-b")["connected"], "the session ended")


def test_the_same_item_twice_in_a_session_ends_the_link(grid: Grid, thief: PlayedSuperior) -> None:
    with counted(grid, "sequence"), thief.session():
        frames = items(thief, lambda _: 1)
        thief.say(next(frames) + next(frames))
        with suppress(OSError):
            assert thief.farewell().code == WireCode.SEQUENCE


def test_items_without_a_poll_end_the_link(grid: Grid, thief: PlayedSuperior) -> None:
    """The last one of the thief: what it sent is not in its own journal."""
    with counted(grid, "limit"), thief.session(), suppress(OSError):
        for frame in items(thief, lambda number: number):
            thief.say(frame)
    assert grid.status("plant-b")["ledger_entry"] < 20 + 4 * MAX_UNACKNOWLEDGED


def test_whoever_dallies_with_tls_or_hello_has_one_deadline(grid: Grid) -> None:
    """A byte a while: five seconds for everything, from the connection on."""
    port = grid.nodes["plant-b"].port
    superior = of_node(grid, "hq")

    def drip(connection: socket.socket, data: bytes) -> None:
        with suppress(OSError):
            for byte in data:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

    with (
        ThreadPoolExecutor() as pool,
        counted(grid, "tls-too-slow"),
        counted(grid, "hello-too-slow"),
        socket.create_connection(("127.0.0.1", port), timeout=WITHIN) as slow,
        Caller(port, superior.context(ssl.PROTOCOL_TLS_CLIENT)) as slower,
    ):
        pool.submit(drip, slow, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(501))
        pool.submit(drip, slower.socket, hello(superior, "plant-b", 1))
        with suppress(OSError):
            slow.recv(100)
        assert slower.hear() == []


# --- floods, while headquarters comes ---


class Flood:
    """Connections without end from one address, as fast as threads can make them."""

    def __init__(self, port: int, source: str, context: ssl.SSLContext | None) -> None:
        self.knocks = 0
        self._port, self._source, self._context = port, source, context
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"flood from {source}")

    def __enter__(self) -> "Flood":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        with ExitStack() as held:
            while not self._is_over.is_set():
                self.knocks += 1
                one = held.enter_context(socket.socket())
                if self._context:
                    one = held.enter_context(self._context.wrap_socket(one))
                with suppress(OSError):
                    one.settimeout(1)
                    one.bind((self._source, 0))
                    one.connect(("127.0.0.1", self._port))
                if self.knocks % 200 == 0:
                    held.close()


def test_headquarters_gets_in_during_a_flood_and_its_link_does_not_notice_the_rest_of_it(
    grid: Grid, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port, pid = grid.nodes["plant-a"].port, grid.processes.of("plant-a").pid
    foreign = Issuer(grid, tmp_path_factory.mktemp("keys")).issue(Role.HQ, "hq", foreign=True)
    before = memory_of(pid)
    with (
        Flood(port, PLAIN, None) as plain,
        Flood(port, WITH_TLS, foreign.context(ssl.PROTOCOL_TLS_CLIENT)) as secured,
    ):
        until(lambda: count_of(grid, "plant-a", "too-often-from-one-address") > 500, "a flood is turned away")
        grid.start("hq")
        grid.wait_linked("plant-a")
        polls = grid.status("plant-a")["polls"]
        until(lambda: grid.status("plant-a")["polls"] >= polls + 5, "polls go on")
        status, link = grid.status("plant-a"), grid.link("plant-a")
        print(f"{plain.knocks} + {secured.knocks} knocks, {status['counters']}")
    assert (link["state"], link["sessions"], link["faults"]) == ("connected", 1, 0)
    assert status["counters"]["identity"] > 0
    assert status["refused_links"] >= status["counters"]["too-often-from-one-address"]
    grown = memory_of(pid) - before
    print(f"memory grew by {grown / 1e6:.1f} MB, {len(grid.logged('plant-a'))} lines in the log")
    assert grown < 32 << 20
    assert len(grid.logged("plant-a")) < 300


def test_streams_without_a_hello_keep_nobody_out_and_are_few(grid: Grid) -> None:
    """With the superior's own certificate, and from its own address."""
    port, stolen = grid.nodes["plant-a"].port, of_node(grid, "hq").context(ssl.PROTOCOL_TLS_CLIENT)
    before = count_of(grid, "plant-a", "too-many-without-hello")
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(Caller(port, stolen))
        until(lambda: count_of(grid, "plant-a", "too-many-without-hello") >= before + 12, "the oldest went")
        grid.kill("hq")
        grid.start("hq")
        grid.wait_linked("plant-a")
