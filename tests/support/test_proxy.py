import asyncio
import contextlib
import gc
import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import proxy as proxy_module
from tests.support.proxy import Direction, FaultProxy, Flow, ProxyThread
from tests.support.proxy_pump import BUFFER_LIMIT, CHUNK, Flip, Lane
from tests.support.virtual_loop import Seeded

QUIET_S = 0.05
HANGS_S = 60.0
SMALL_BUFFER = 65_536
BIG = Seeded(1).randbytes(3_000_000)
BOTH = (Direction.TO_TARGET, Direction.TO_CLIENT)


class End:
    """A client's or a target's own end, with nothing between it and the kernel."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        self.sock = sock

    def send_now(self, data: bytes) -> None:
        """Into the kernel, without a turn of the loop."""
        assert self.sock.send(data) == len(data)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = await asyncio.get_running_loop().sock_recv(self.sock, size - len(data))
            assert chunk, f"ended after {bytes(data)!r}"
            data += chunk
        return bytes(data)

    async def rest(self) -> bytes:
        data = bytearray()
        while chunk := await asyncio.get_running_loop().sock_recv(self.sock, CHUNK):
            data += chunk
        return bytes(data)

    async def is_quiet(self) -> bool:
        """Neither bytes nor an end nor an error come."""
        try:
            await asyncio.wait_for(self.receive(1), QUIET_S)
        except TimeoutError:
            return True
        return False

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Rig:
    """A target that accepts when told, the proxy before it, and clients. A leaked task fails the test."""

    def __init__(self, seed: int = 0) -> None:
        self.target = socket.create_server(("127.0.0.1", 0))
        self.target.setblocking(False)
        self.target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self.proxy = FaultProxy("127.0.0.1", self.target.getsockname()[1], seed)
        self.ends = list[End]()
        self.guard = asyncio.timeout(HANGS_S)

    async def __aenter__(self) -> Self:
        await self.guard.__aenter__()
        self.tasks = asyncio.all_tasks()
        await self.proxy.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.guard.__aexit__(kind, error, trace)
        await self.proxy.stop()
        assert asyncio.all_tasks() == self.tasks
        for sock in (self.target, *(end.sock for end in self.ends)):
            sock.close()

    def _keep(self, sock: socket.socket) -> End:
        self.ends.append(End(sock))
        return self.ends[-1]

    def dial(self) -> End:
        """Connected by the kernel; the proxy may not know yet."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        with contextlib.ExitStack() as stack:
            stack.enter_context(sock)
            sock.connect(("127.0.0.1", self.proxy.port))
            stack.pop_all()
        return self._keep(sock)

    async def arrival(self) -> End:
        return self._keep((await asyncio.get_running_loop().sock_accept(self.target))[0])

    async def nobody_arrives(self) -> bool:
        try:
            await asyncio.wait_for(self.arrival(), QUIET_S)
        except TimeoutError:
            return True
        return False

    async def connect(self) -> tuple[End, End]:
        return self.dial(), await self.arrival()

    async def flow(self, direction: Direction) -> Flow:
        return (await self.proxy.counters()).flows[direction]


async def until_received(rig: Rig, direction: Direction, size: int) -> None:
    async def received() -> bool:
        return (await rig.flow(direction)).received >= size

    await until(received)


async def assert_reset(*ends: End) -> None:
    for end in ends:
        with pytest.raises(ConnectionResetError):
            await end.rest()


# Pass-through


async def test_bytes_pass_unchanged_both_ways_at_once_and_are_counted() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await asyncio.gather(
            client.send(BIG), target.send(BIG[::-1]), _expect(target, BIG), _expect(client, BIG[::-1])
        )
        counters = await rig.proxy.counters()
        assert (counters.accepted, counters.present, counters.unreachable) == (1, 1, 0)
        assert counters.flows == dict.fromkeys(BOTH, Flow(received=len(BIG), forwarded=len(BIG)))


async def _expect(end: End, data: bytes) -> None:
    assert await end.receive(len(data)) == data


async def test_the_end_of_one_direction_passes_and_the_other_direction_goes_on() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await client.send(b"request")
        client.sock.shutdown(socket.SHUT_WR)
        assert await target.rest() == b"request"
        await target.send(b"answer")
        target.sock.close()
        assert await client.rest() == b"answer"
        await _until_gone(rig)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in itertools.count():
        if await condition():
            return
        await asyncio.sleep(0.001)


async def _until_gone(rig: Rig) -> None:
    async def gone() -> bool:
        return (await rig.proxy.counters()).present == 0

    await until(gone)


async def test_a_slow_reader_gets_all_that_was_sent_before_an_orderly_end() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        client.sock.shutdown(socket.SHUT_WR)
        await target.send(BIG[:200_000])
        target.sock.shutdown(socket.SHUT_WR)
        await _until_gone(rig)
        assert await client.rest() == BIG[:200_000]


@pytest.mark.parametrize("breaks", ["client", "target"])
async def test_a_reset_by_one_side_is_a_reset_for_the_other(breaks: str) -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        broken, other = (client, target) if breaks == "client" else (target, client)
        broken.reset()
        await assert_reset(other)
        await _until_gone(rig)


async def test_a_client_of_an_unreachable_target_is_reset_and_counted() -> None:
    async with Rig() as rig:
        rig.target.close()
        await assert_reset(rig.dial())
        counters = await rig.proxy.counters()
        assert (counters.accepted, counters.present, counters.unreachable) == (1, 0, 1)


# Cut and refuse


async def test_a_cut_resets_both_sides_of_all_present_connections_and_of_no_later_one() -> None:
    async with Rig() as rig:
        ends = [end for _ in range(3) for end in await rig.connect()]
        await rig.proxy.cut()
        await assert_reset(*ends)
        client, target = await rig.connect()
        await client.send(b"anew")
        assert await target.receive(4) == b"anew"


async def test_a_cut_also_takes_a_client_that_only_the_kernel_has_connected() -> None:
    async with Rig() as rig:
        client = rig.dial()
        await rig.proxy.cut()
        await assert_reset(client)
        assert (await rig.proxy.counters()).accepted == 1


async def test_a_cut_without_reset_ends_both_sides_in_order() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.cut(reset=False)
        assert (await client.rest(), await target.rest()) == (b"", b"")


async def test_while_refusing_new_connections_are_refused_and_present_ones_go_on() -> None:
    async with Rig() as rig:
        client = rig.dial()  # connected by the kernel alone
        await rig.proxy.refuse(True)
        await rig.proxy.refuse(True)
        with pytest.raises(ConnectionRefusedError):
            rig.dial()
        target = await rig.arrival()
        await client.send(b"still here")
        assert await target.receive(10) == b"still here"
        await rig.proxy.refuse(False)
        client, target = await rig.connect()
        await target.send(b"same port")
        assert await client.receive(9) == b"same port"


async def test_while_refusing_nobody_else_can_take_the_port() -> None:
    async with Rig() as rig:
        await rig.proxy.refuse(True)
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", rig.proxy.port))


# Half open


async def test_a_black_hole_passes_neither_bytes_nor_ends_nor_resets() -> None:
    async with Rig() as rig:
        pairs = [await rig.connect() for _ in range(3)]
        await rig.proxy.half_open(True)
        await pairs[0][0].send(b"up")
        await pairs[0][1].send(b"down")
        pairs[1][0].sock.close()
        pairs[2][1].reset()
        assert await pairs[0][0].is_quiet()
        assert await pairs[0][1].is_quiet()
        assert await pairs[1][1].is_quiet()
        assert await pairs[2][0].is_quiet()


async def test_released_connections_that_hold_something_stale_are_reset_and_the_others_go_on() -> None:
    async with Rig() as rig:
        pairs = [await rig.connect() for _ in range(4)]
        await rig.proxy.half_open(True)
        await pairs[0][0].send(b"stale order")
        await pairs[1][1].send(b"stale report")
        pairs[2][0].sock.close()
        await asyncio.sleep(QUIET_S)
        await rig.proxy.half_open(False)
        await assert_reset(*pairs[0], *pairs[1], pairs[2][1])
        client, target = pairs[3]
        await client.send(b"fresh")
        assert await target.receive(5) == b"fresh"


async def test_bytes_of_the_last_moment_before_the_release_are_stale_too() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.half_open(True)
        client.send_now(b"stale")
        await rig.proxy.half_open(False)
        await assert_reset(client, target)


async def test_a_reset_of_the_last_moment_before_the_release_is_a_reset_after_it() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.half_open(True)
        client.reset()
        await rig.proxy.half_open(False)
        await assert_reset(target)


async def test_a_direction_that_ended_before_the_hole_is_not_stale() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        client.sock.shutdown(socket.SHUT_WR)
        assert await target.rest() == b""
        await rig.proxy.half_open(True)
        await rig.proxy.half_open(False)
        await target.send(b"answer")
        assert await client.receive(6) == b"answer"


@pytest.mark.parametrize("sends", [True, False])
async def test_a_client_that_connected_just_before_the_hole_is_reset_only_if_it_sent_bytes(
    sends: bool,
) -> None:
    async with Rig() as rig:
        client = rig.dial()
        await rig.proxy.half_open(True)
        if sends:
            client.send_now(b"stale")
        await rig.proxy.half_open(False)
        if sends:
            await assert_reset(client)
            assert await rig.nobody_arrives()
        else:
            await client.send(b"fresh")
            assert await (await rig.arrival()).receive(5) == b"fresh"


async def test_bytes_already_in_the_proxy_when_the_hole_opens_are_stale_at_its_release() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.delay(QUIET_S / 2)
        await client.send(b"under way")
        await until_received(rig, Direction.TO_TARGET, 9)
        await rig.proxy.half_open(True)
        assert await target.is_quiet()
        await rig.proxy.half_open(False)
        await assert_reset(client, target)


async def test_a_release_that_delivers_hands_over_everything_held_and_the_ends_too() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.half_open(True)
        await client.send(b"late but ")
        await target.send(b"report")
        assert await target.is_quiet()
        client.sock.shutdown(socket.SHUT_WR)
        await rig.proxy.half_open(False, deliver=True)
        assert await target.rest() == b"late but "
        assert await client.receive(6) == b"report"


async def test_connections_made_into_a_black_hole_are_taken_but_never_reach_the_target() -> None:
    async with Rig() as rig:
        await rig.proxy.half_open(True)
        client = rig.dial()
        await client.send(b"hello")
        assert await client.is_quiet()
        unnoticed = rig.dial()
        await rig.proxy.half_open(False)
        await assert_reset(client, unnoticed)
        assert await rig.nobody_arrives()


async def test_connections_made_into_a_black_hole_reach_the_target_after_a_release_that_delivers() -> None:
    async with Rig() as rig:
        await rig.proxy.half_open(True)
        client = rig.dial()
        await client.send(b"hello")
        assert await rig.nobody_arrives()
        await rig.proxy.half_open(False, deliver=True)
        assert await (await rig.arrival()).receive(5) == b"hello"


async def test_a_hole_stops_a_transfer_that_is_blocked_in_the_middle() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        sending = asyncio.create_task(client.send(BIG * 4))
        await _until_stuck(rig, Direction.TO_TARGET)
        await rig.proxy.half_open(True)
        forwarded = (await rig.flow(Direction.TO_TARGET)).forwarded
        await _expect(target, (BIG * 4)[:forwarded])
        assert await target.is_quiet()
        assert not sending.done()
        await rig.proxy.half_open(False)
        await assert_reset(target)
        with pytest.raises(ConnectionError):
            await sending


async def _until_stuck(rig: Rig, direction: Direction) -> None:
    """Until all buffers on the way are full."""
    seen = [Flow()]

    async def stuck() -> bool:
        await asyncio.sleep(0.02)
        seen.append(await rig.flow(direction))
        return seen[-1] == seen[-2] and seen[-1].held >= BUFFER_LIMIT

    await until(stuck)


async def test_opening_or_closing_a_hole_twice_changes_nothing() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.half_open(False)
        await rig.proxy.half_open(True)
        await rig.proxy.half_open(True)
        await rig.proxy.half_open(False)
        client.send_now(b"x")
        await rig.proxy.half_open(False)
        assert await target.receive(1) == b"x"


# Delay, throttle, stall


async def test_each_way_is_delayed_at_least_as_asked() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.delay(0.04)
        sent = time.monotonic()
        await client.send(b"there")
        assert await target.receive(5) == b"there"
        await target.send(b"back")
        assert await client.receive(4) == b"back"
        assert time.monotonic() - sent >= 0.08


async def test_jitter_keeps_the_order_and_turning_the_delay_off_lets_nothing_overtake() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.delay(0.0, jitter=0.03, direction=Direction.TO_TARGET)
        for number in range(60):
            await client.send(bytes([number]))
            await asyncio.sleep(0)
        await until_received(rig, Direction.TO_TARGET, 60)
        await rig.proxy.delay(0.0)
        await client.send(b"!")
        assert await target.receive(61) == bytes(range(60)) + b"!"


def test_jitter_lies_between_the_delay_and_the_delay_plus_jitter_and_follows_the_seed() -> None:
    def draw(seed: int) -> list[float]:
        lane = Lane(Seeded(seed), delay=2.0, jitter=0.5)
        return [lane.draw_delay() for _ in range(100)]

    assert all(2.0 <= delay <= 2.5 for delay in draw(1))
    assert max(draw(1)) - min(draw(1)) > 0.4
    assert draw(1) == draw(1) != draw(2)


async def test_a_throttled_direction_is_no_faster_than_its_rate_until_released() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.throttle(50_000, Direction.TO_TARGET)
        started = time.monotonic()
        await client.send(BIG[:9_000])
        await target.send(b"not throttled")
        assert await client.receive(13) == b"not throttled"
        await _expect(target, BIG[:9_000])
        assert time.monotonic() - started >= (9_000 - 1_000) / 50_000  # the first slice of 20 ms is free
        await rig.proxy.throttle(0.001)
        sending = asyncio.create_task(client.send(BIG))
        assert len(await target.receive(1)) == 1
        await rig.proxy.throttle(None)
        await _expect(target, BIG[1:])
        await sending


async def test_a_stalled_direction_holds_its_bytes_while_the_other_goes_on_and_loses_none() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.stall(Direction.TO_CLIENT, True)
        await target.send(b"report")
        await client.send(b"poll")
        assert await target.receive(4) == b"poll"
        assert await client.is_quiet()
        target.sock.close()
        assert await client.is_quiet()
        await rig.proxy.stall(Direction.TO_CLIENT, False)
        assert await client.rest() == b"report"


@pytest.mark.parametrize("held_up", ["stall", "half_open", "slow reader"])
async def test_what_is_held_is_bounded_and_the_sender_is_made_to_wait(held_up: str) -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        if held_up == "stall":
            await rig.proxy.stall(Direction.TO_TARGET, True)
        elif held_up == "half_open":
            await rig.proxy.half_open(True)
        sending = asyncio.create_task(client.send(BIG * 5))
        await _until_stuck(rig, Direction.TO_TARGET)
        assert BUFFER_LIMIT <= (await rig.flow(Direction.TO_TARGET)).held < BUFFER_LIMIT + 2 * CHUNK
        assert not sending.done()
        await rig.proxy.stall(Direction.TO_TARGET, False)
        await rig.proxy.half_open(False, deliver=True)
        await _expect(target, BIG * 5)
        await sending
        assert (await rig.flow(Direction.TO_TARGET)).held == 0


# Flipped bits and duplicates


def bits_changed(before: bytes, after: bytes) -> list[int]:
    """The positions of bytes that differ, once per differing bit."""
    assert len(before) == len(after)
    return [
        at
        for at, (old, new) in enumerate(zip(before, after, strict=True))
        for _ in range((old ^ new).bit_count())
    ]


async def test_one_bit_of_the_next_chunk_in_that_direction_is_flipped_and_no_other() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.flip_bit(Direction.TO_TARGET)
        await target.send(bytes(100))
        assert await client.receive(100) == bytes(100)
        await client.send(bytes(100))
        assert len(bits_changed(bytes(100), await target.receive(100))) == 1
        await client.send(bytes(100))
        assert await target.receive(100) == bytes(100)
        assert [(await rig.flow(direction)).flipped for direction in BOTH] == [1, 0]


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1), st.integers(0, 60), st.integers(0, 2**32))
def test_the_nth_byte_from_now_is_flipped_however_the_stream_is_cut(
    chunks: list[bytes], nth: int, seed: int
) -> None:
    rng = Seeded(seed)
    lane = Lane(rng, flip=Flip(nth, None, rng))
    before, after = b"".join(chunks), b"".join(map(lane.alter, chunks))
    assert bits_changed(before, after) == ([nth] if nth < len(before) else [])
    assert lane.flow.flipped == (nth < len(before))


async def test_with_a_probability_each_chunk_takes_its_chance_until_told_otherwise() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.flip_bit(Direction.TO_TARGET, probability=1.0)
        for _ in range(3):
            await client.send(bytes(50))
            assert len(bits_changed(bytes(50), await target.receive(50))) == 1
        await rig.proxy.flip_bit(Direction.TO_TARGET, probability=0.0)
        await client.send(bytes(50))
        assert await target.receive(50) == bytes(50)
        rng = Seeded(4)
        lane = Lane(rng, flip=Flip(None, 0.5, rng))
        assert 50 < sum(lane.alter(b"chunk") != b"chunk" for _ in range(200)) < 150


async def test_a_byte_and_a_probability_together_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        await FaultProxy("127.0.0.1", 1).flip_bit(Direction.TO_TARGET, nth_byte=1, probability=0.5)


def test_the_flipped_bit_follows_the_seed() -> None:
    def flip(rng: random.Random) -> bytes:
        return Lane(rng, flip=Flip(None, None, rng)).alter(bytes(1000))

    assert flip(Seeded(1)) == flip(Seeded(1)) != flip(Seeded(2))


async def test_a_duplicated_chunk_arrives_twice_in_a_row_and_later_ones_once() -> None:
    async with Rig() as rig:
        client, target = await rig.connect()
        await rig.proxy.duplicate(Direction.TO_CLIENT, times=2)
        for chunk in (b"one", b"two", b"six"):
            await target.send(chunk)
            await client.receive(3 if chunk == b"six" else 6)
        await rig.proxy.duplicate(Direction.TO_TARGET)
        await client.send(b"order")
        assert await target.receive(10) == b"orderorder"
        assert [(await rig.flow(direction)).duplicated for direction in BOTH] == [1, 2]


# Stopping


async def test_a_stop_under_load_resets_everybody_frees_the_port_and_keeps_no_descriptor() -> None:
    gc.collect()
    descriptors = count_descriptors()
    async with Rig() as rig:
        pairs = [await rig.connect() for _ in range(5)]
        sending = [asyncio.create_task(client.send(BIG * 3)) for client, _ in pairs]
        await rig.proxy.delay(1.0)
        await pairs[0][1].send(b"delayed")
        await _until_stuck(rig, Direction.TO_TARGET)
        rig.dial()
        await rig.proxy.stop()
        assert all(
            isinstance(error, ConnectionError)
            for error in await asyncio.gather(*sending, return_exceptions=True)
        )
        await assert_reset(*(target for _, target in pairs))
        socket.create_server(("127.0.0.1", rig.proxy.port)).close()
        assert (await rig.proxy.counters()).present == 0
    assert count_descriptors() == descriptors


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_proxy_that_never_started_can_be_stopped() -> None:
    await FaultProxy("127.0.0.1", 1).stop()


async def test_a_proxy_is_a_context_manager() -> None:
    async with FaultProxy("127.0.0.1", 1) as proxy:
        socket.create_connection(("127.0.0.1", proxy.port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))


# The thread


@pytest.fixture(name="echo")
def echo_server() -> Iterator[int]:
    """The port of a synchronous echo server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_echo_forever, args=(server,))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _echo_forever(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            with server.accept()[0] as sock, contextlib.suppress(ConnectionError):
                while data := sock.recv(CHUNK):
                    sock.sendall(data)


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def receive(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (chunk := sock.recv(size - len(data))):
        data += chunk
    return bytes(data)


def echoed(sock: socket.socket, data: bytes) -> bytes:
    sock.sendall(data)
    return receive(sock, len(data))


def test_synchronous_code_switches_faults_on_and_off(echo: int) -> None:
    with ProxyThread("127.0.0.1", echo) as proxy:
        with dial(proxy.port) as sock:
            assert echoed(sock, b"plain") == b"plain"
            proxy.flip_bit(Direction.TO_CLIENT, nth_byte=2)
            assert bits_changed(b"plain", echoed(sock, b"plain")) == [2]
            proxy.duplicate(Direction.TO_TARGET)
            sock.sendall(b"twice")
            assert receive(sock, 10) == b"twicetwice"
            started = time.monotonic()
            proxy.delay(0.02)
            assert echoed(sock, b"slow") == b"slow"
            proxy.delay(0.0)
            proxy.throttle(10_000)
            assert echoed(sock, bytes(1_000)) == bytes(1_000)
            assert time.monotonic() - started >= 0.02 * 2 + (1_000 - 200) / 10_000
            proxy.throttle(None)
            proxy.stall(Direction.TO_TARGET, True)
            sock.sendall(b"held")
            sock.settimeout(QUIET_S)
            with pytest.raises(TimeoutError):
                sock.recv(4)
            proxy.stall(Direction.TO_TARGET, False)
            sock.settimeout(20)
            assert receive(sock, 4) == b"held"
            proxy.half_open(True)
            sock.sendall(b"stale")
            proxy.half_open(False)
            with pytest.raises(ConnectionResetError):
                sock.recv(5)
        with dial(proxy.port) as sock:
            proxy.cut()
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        proxy.refuse(True)
        with pytest.raises(ConnectionRefusedError):
            dial(proxy.port)
        proxy.refuse(False)
        with dial(proxy.port) as sock:
            assert echoed(sock, b"again") == b"again"
        assert proxy.counters().accepted == 3


def test_controls_may_be_called_from_many_threads_while_bytes_flow(echo: int) -> None:
    with ProxyThread("127.0.0.1", echo) as proxy, dial(proxy.port) as sock:
        stop, failed = threading.Event(), list[Exception]()

        def fiddle(seed: int) -> None:
            rng = Seeded(seed)
            while not stop.is_set():
                try:
                    proxy.delay(0.0, jitter=rng.random() / 1000)
                    proxy.stall(rng.choice(BOTH), rng.random() < 0.3)
                    proxy.throttle(rng.choice((None, 1e7)))
                    proxy.half_open(rng.random() < 0.3, deliver=True)
                    proxy.counters()
                except OSError as error:
                    failed.append(error)

        threads = [threading.Thread(target=fiddle, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        sender = threading.Thread(target=sock.sendall, args=(BIG[:500_000],))
        sender.start()
        got = receive(sock, 500_000)
        stop.set()
        for thread in (*threads, sender):
            thread.join()
        assert got == BIG[:500_000]
        assert failed == []


def test_the_thread_ends_with_its_block_also_when_the_block_fails(echo: int) -> None:
    threads = set(threading.enumerate())
    proxy = ProxyThread("127.0.0.1", echo)
    with contextlib.suppress(LookupError), proxy, dial(proxy.port) as sock:
        assert echoed(sock, b"up") == b"up"
        raise LookupError
    assert set(threading.enumerate()) == threads
    assert proxy.loop.is_closed()
    with pytest.raises(ConnectionRefusedError):
        dial(proxy.port)


def test_the_thread_ends_when_the_proxy_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_port(port: int) -> socket.socket:
        raise OSError("no port left")

    monkeypatch.setattr(proxy_module, "_bind", no_port)
    threads = set(threading.enumerate())
    proxy = ProxyThread("127.0.0.1", 1)
    with pytest.raises(OSError, match="no port left"):
        proxy.__enter__()
    assert set(threading.enumerate()) == threads
    assert proxy.loop.is_closed()
