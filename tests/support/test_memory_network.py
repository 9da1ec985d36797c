import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_network import (
    CAPACITY,
    HARD_LIMIT,
    MemoryNetwork,
    MemoryStream,
    Unreachable,
    WriterOutran,
)
from tests.support.virtual_loop import Seeded, run

ROOT = Path(__file__).parents[2]
FOREVER = 5_000.0


def now() -> float:
    return asyncio.get_running_loop().time()


def network(seed: int = 1, latency: tuple[float, float] = (0.01, 0.05), **options: Any) -> MemoryNetwork:
    return MemoryNetwork(Seeded(seed), latency=latency, **options)


async def pair(net: MemoryNetwork, near: str = "hq", far: str = "plant") -> tuple[MemoryStream, MemoryStream]:
    """Both ends of a fresh connection; the listener is closed again."""
    accepted = asyncio.Queue[MemoryStream]()
    close = net.listen(far, accepted.put)
    dialled = await net.dial(near, far)
    stream = await accepted.get()
    close()
    return dialled, stream


async def read_all(stream: MemoryStream) -> bytes:
    data = b""
    while chunk := await stream.read(4096):
        data += chunk
    return data


async def hangs(waited: Awaitable[object]) -> bool:
    try:
        await asyncio.wait_for(waited, FOREVER)
    except TimeoutError:
        return True
    return False


# Streams


def test_the_ends_know_their_names_and_bytes_pass_both_ways() -> None:
    async def main() -> None:
        net = network()
        near, far = await pair(net, "hq", "plant-7:orders")
        assert (near.local, near.remote) == ("hq", "plant-7")
        assert (far.local, far.remote) == ("plant-7", "hq")
        near.write(b"poll")
        far.write(b"report")
        assert await far.read(100) == b"poll"
        assert await near.read(100) == b"report"

    run(main())


def test_read_gives_at_most_its_limit_and_refuses_a_limit_below_one() -> None:
    async def main() -> None:
        near, far = await pair(network())
        near.write(b"abcdefgh")
        assert [await far.read(3), await far.read(3), await far.read(3)] == [b"abc", b"def", b"gh"]
        with pytest.raises(ValueError, match="0"):
            await far.read(0)

    run(main())


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=30), st.integers(0, 2**32))
def test_bytes_arrive_complete_and_in_order_whatever_the_latencies(chunks: list[bytes], seed: int) -> None:
    async def main() -> bytes:
        near, far = await pair(network(seed, latency=(0.0, 10.0), dial_timeout=20.0))
        for chunk in chunks:
            near.write(chunk)
            await asyncio.sleep(0.1)
        near.close()
        return await read_all(far)

    assert run(main()) == b"".join(chunks)


def test_chunks_that_land_in_the_same_instant_keep_their_order() -> None:
    async def main() -> None:
        near, far = await pair(network(latency=(0.5, 0.5)))
        near.write(b"first, slow")
        for number in range(200):
            near.write(bytes([number]))
        near.close()
        assert await read_all(far) == b"first, slow" + bytes(range(200))

    run(main())


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_each_way_takes_between_the_least_and_the_most_latency(seed: int) -> None:
    async def main() -> None:
        net = network(seed, latency=(0.25, 0.75))
        before = now()
        near, far = await pair(net)
        assert 3 * 0.25 <= now() - before <= 3 * 0.75  # two ways to dial, the third to be accepted
        sent = now()
        near.write(b"x")
        await far.read(1)
        assert 0.25 <= now() - sent <= 0.75

    run(main())


def test_after_the_peers_close_the_rest_is_read_and_then_the_end() -> None:
    async def main() -> None:
        near, far = await pair(network())
        near.write(b"last words")
        near.close()
        await near.wait_closed()
        assert await far.read(4) == b"last"
        assert await far.read(100) == b" words"
        assert [await far.read(100), await far.read(100)] == [b"", b""]

    run(main())


def test_a_closed_end_reads_the_end_and_refuses_to_drain() -> None:
    async def main() -> None:
        near, _ = await pair(network())
        reading = asyncio.create_task(near.read(10))
        await asyncio.sleep(1)
        near.close()
        near.close()
        near.write(b"never sent")
        assert await reading == b""
        with pytest.raises(ConnectionResetError):
            await near.drain()

    run(main())


def test_a_close_drops_what_is_unread_here_and_fails_a_drain_at_once_though_much_is_unsent() -> None:
    async def main() -> None:
        near, far = await pair(network())
        far.write(b"unread")
        await asyncio.sleep(1)
        near.write(bytes(CAPACITY + 1))
        near.close()
        assert await near.read(10) == b""
        with pytest.raises(ConnectionResetError):
            await near.drain()

    run(main())


def test_bytes_that_reach_a_closed_end_reset_the_writer() -> None:
    async def main() -> None:
        near, far = await pair(network())
        near.write(b"bye")
        near.close()
        assert await read_all(far) == b"bye"
        far.write(b"too late")
        await asyncio.sleep(1)
        with pytest.raises(ConnectionResetError):
            await far.drain()

    run(main())


def test_many_chunks_that_reach_a_closed_end_in_the_same_instant_reset_the_writer_once() -> None:
    async def main() -> None:
        near, far = await pair(network(latency=(0.5, 0.5)))
        far.close()
        for number in range(200):
            near.write(bytes([number]))
        await asyncio.sleep(FOREVER)
        with pytest.raises(ConnectionResetError):
            await near.drain()

    run(main())


def test_bytes_that_reach_a_closed_end_end_its_wait_closed() -> None:
    async def main() -> None:
        near, far = await pair(network())
        near.write(bytes(CAPACITY + 1))
        near.close()
        closing = asyncio.create_task(near.wait_closed())
        await asyncio.sleep(1)
        assert not closing.done()
        far.write(b"x")
        await closing

    run(main())


# Bounds


def test_drain_waits_until_the_peer_has_read_down_to_the_capacity() -> None:
    async def main() -> None:
        near, far = await pair(network())
        near.write(bytes(CAPACITY))
        await near.drain()
        near.write(b"xy")
        draining = asyncio.create_task(near.drain())
        await asyncio.sleep(FOREVER)
        await far.read(1)
        await asyncio.sleep(FOREVER)
        assert not draining.done()
        await far.read(1)
        await draining

    run(main())


def test_a_close_gives_room_to_the_peer_that_waits_in_drain() -> None:
    async def main() -> None:
        near, far = await pair(network())
        near.write(bytes(CAPACITY + 1))
        draining = asyncio.create_task(near.drain())
        await asyncio.sleep(FOREVER)
        far.close()
        await draining

    run(main())


def test_wait_closed_waits_for_more_than_the_capacity_to_be_read_and_no_longer() -> None:
    async def main() -> None:
        near, far = await pair(network())
        near.write(bytes(CAPACITY + 1))
        near.close()
        closing = asyncio.create_task(near.wait_closed())
        await asyncio.sleep(FOREVER)
        assert not closing.done()
        await far.read(1)
        await closing

    run(main())


def test_a_writer_that_never_drains_is_refused_with_the_number_of_bytes_it_holds() -> None:
    async def main() -> None:
        near, _ = await pair(network())
        near.write(bytes(HARD_LIMIT))
        near.write(b"x")
        with pytest.raises(WriterOutran, match=r"await drain\(\)") as caught:
            near.write(b"x")
        assert (caught.value.local, caught.value.remote, caught.value.held) == ("hq", "plant", HARD_LIMIT + 1)

    run(main())


def test_a_connection_that_is_over_leaves_nothing_behind() -> None:
    async def main() -> None:
        net = network()
        for end_it in (_close_both, _cut, _crash):
            await end_it(net, *await pair(net))
        await asyncio.sleep(1)
        assert [list(link.streams) for link in net._links.values()] == [[]]
        assert net._handlers == {}

    run(main())


async def _close_both(net: MemoryNetwork, near: MemoryStream, far: MemoryStream) -> None:
    near.close()
    far.close()


async def _cut(net: MemoryNetwork, near: MemoryStream, far: MemoryStream) -> None:
    net.cut("hq", "plant")


async def _crash(net: MemoryNetwork, near: MemoryStream, far: MemoryStream) -> None:
    net.crash("plant", silent=0.0)


# Listening and dialling


def test_a_dial_where_nobody_listens_is_refused() -> None:
    async def main() -> None:
        net = network()
        close = net.listen("plant:a", _ignore)
        with pytest.raises(ConnectionRefusedError):
            await net.dial("hq", "plant:b")
        close()
        with pytest.raises(ConnectionRefusedError):
            await net.dial("hq", "plant:a")

    run(main())


async def _ignore(stream: MemoryStream) -> None:
    pass


def test_an_address_has_one_listener_and_an_old_closer_does_not_close_a_new_one() -> None:
    async def main() -> None:
        net = network()
        close = net.listen("plant", _ignore)
        with pytest.raises(OSError, match="in use"):
            net.listen("plant", _ignore)
        close()
        net.listen("plant", _ignore)
        close()
        await net.dial("hq", "plant")

    run(main())


def test_a_listener_closed_before_it_accepts_resets_the_dialler() -> None:
    async def main() -> None:
        net, accepted = network(), asyncio.Queue[MemoryStream]()
        close = net.listen("plant", accepted.put)
        near = await net.dial("hq", "plant")
        close()
        with pytest.raises(ConnectionResetError):
            await near.read(1)
        assert accepted.empty()

    run(main())


def test_an_accept_that_fails_resets_its_stream_and_tells_the_loop() -> None:
    async def main() -> None:
        told = list[dict[str, Any]]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        net = network()

        async def accept(stream: MemoryStream) -> None:
            raise LookupError(await stream.read(10))

        net.listen("plant", accept)
        near = await net.dial("hq", "plant")
        near.write(b"hello")
        with pytest.raises(ConnectionResetError):
            await near.read(1)
        assert [(str(context["message"]), repr(context["exception"])) for context in told] == [
            ("plant serves hq: accept failed", "LookupError(b'hello')")
        ]

    run(main())


def test_an_accept_that_fails_after_its_close_still_delivers_its_last_words() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        net = network()

        async def accept(stream: MemoryStream) -> None:
            stream.write(b"refused")
            stream.close()
            raise LookupError

        net.listen("plant", accept)
        assert await read_all(await net.dial("hq", "plant")) == b"refused"

    run(main())


# Faults


def test_a_cut_resets_both_ends_at_once_and_loses_what_was_under_way_or_unread() -> None:
    async def main() -> None:
        net = network()
        near, far = await pair(net)
        other, other_far = await pair(net, "hq", "other")
        far.write(b"unread")
        await asyncio.sleep(1)
        near.write(b"under way")
        reading, before = asyncio.create_task(far.read(10)), now()
        await asyncio.sleep(0)
        net.cut("plant", "hq")
        ended = await asyncio.gather(
            reading, near.read(10), near.drain(), far.drain(), return_exceptions=True
        )
        assert [type(error) for error in ended] == [ConnectionResetError] * 4
        assert now() == before
        near.write(b"ignored")
        other.write(b"untouched")
        assert await other_far.read(100) == b"untouched"
        near, far = await pair(net)
        near.write(b"anew")
        assert await far.read(10) == b"anew"

    run(main())


def test_a_cut_ends_a_waiting_drain_and_wait_closed() -> None:
    async def main() -> None:
        net = network()
        near, _ = await pair(net)
        _, far = await pair(net)
        near.write(bytes(CAPACITY + 1))
        far.write(bytes(CAPACITY + 1))
        far.close()
        waiting = asyncio.gather(near.drain(), far.wait_closed(), return_exceptions=True)
        await asyncio.sleep(FOREVER)
        assert not waiting.done()
        net.cut("hq", "plant")
        drained, closed = await waiting
        assert isinstance(drained, ConnectionResetError)
        assert closed is None

    run(main())


def test_a_cut_ends_the_wait_closed_of_one_whose_peer_crashed_silently() -> None:
    async def main() -> None:
        net = network()
        near, _ = await pair(net)
        near.write(bytes(CAPACITY + 1))
        near.close()
        net.crash("plant", silent=1.0)
        closing = asyncio.create_task(near.wait_closed())
        await asyncio.sleep(FOREVER)
        assert not closing.done()
        net.cut("hq", "plant")
        await closing

    run(main())


def test_a_connection_cut_before_its_accept_is_never_accepted() -> None:
    async def main() -> None:
        net, accepted = network(), asyncio.Queue[MemoryStream]()
        net.listen("plant", accepted.put)
        await net.dial("hq", "plant")
        net.cut("hq", "plant")
        await asyncio.sleep(1)
        assert accepted.empty()

    run(main())


def test_a_partition_swallows_bytes_and_closes_and_tells_nobody() -> None:
    async def main() -> None:
        net = network()
        near, far = await pair(net)
        near.write(b"under way")
        net.partition("hq", "plant", on=True)
        far.write(b"later")
        await far.drain()
        assert await hangs(near.read(1))
        assert await hangs(far.read(1))
        near.close()
        await near.wait_closed()
        assert await hangs(far.read(1))

    run(main(), limit=10 * FOREVER)


def test_lost_bytes_stay_unacknowledged_so_that_drain_blocks_at_the_capacity() -> None:
    async def main() -> None:
        net = network()
        near, _ = await pair(net)
        near.write(b"under way")
        net.partition("hq", "plant", on=True)
        near.write(bytes(CAPACITY - 9))
        await near.drain()
        near.write(b"x")
        assert await hangs(near.drain())

    run(main())


def test_after_the_healing_a_stream_that_lost_nothing_goes_on() -> None:
    async def main() -> None:
        net = network()
        near, far = await pair(net)
        near.write(b"before ")
        await asyncio.sleep(1)
        net.partition("hq", "plant", on=True)
        await asyncio.sleep(60)
        net.partition("hq", "plant", on=False)
        near.write(b"after")
        near.close()
        assert await read_all(far) == b"before after"

    run(main())


@pytest.mark.parametrize("lost", ["under way", "written into it"])
def test_after_the_healing_a_stream_that_lost_bytes_delivers_no_later_ones_and_is_reset_by_a_write(
    lost: str,
) -> None:
    async def main() -> None:
        net = network()
        near, far = await pair(net)
        if lost == "under way":
            near.write(b"lost")
        net.partition("hq", "plant", on=True)
        if lost == "written into it":
            near.write(b"lost")
        net.partition("hq", "plant", on=False)
        assert await hangs(far.read(1))
        near.write(b"gap before this")
        ended = await asyncio.gather(near.read(1), far.read(1), return_exceptions=True)
        assert [type(error) for error in ended] == [ConnectionResetError] * 2

    run(main(), limit=10 * FOREVER)


def test_a_dial_into_a_partition_hangs_and_then_times_out() -> None:
    async def main() -> None:
        net = network(dial_timeout=30.0)
        net.listen("plant", _ignore)
        net.partition("hq", "plant", on=True)
        before = now()
        with pytest.raises(TimeoutError):
            await net.dial("hq", "plant")
        assert now() - before == 30.0

    run(main())


def test_a_hanging_dial_gets_through_when_the_partition_heals_in_time() -> None:
    async def main() -> None:
        net = network(dial_timeout=30.0)
        net.listen("plant", _ignore)
        net.partition("hq", "plant", on=True)
        dialling = asyncio.create_task(net.dial("hq", "plant"))
        await asyncio.sleep(10)
        net.partition("hq", "plant", on=False)
        assert (await dialling).remote == "plant"

    run(main())


def test_a_dial_into_a_partition_is_refused_if_so_chosen() -> None:
    async def main() -> None:
        net = network()
        net.listen("plant", _ignore)
        net.partition("hq", "plant", on=True, unreachable=Unreachable.REFUSED)
        with pytest.raises(ConnectionRefusedError):
            await net.dial("hq", "plant")
        assert (await net.dial("other", "plant")).remote == "plant"

    run(main())


def test_a_crash_ends_listeners_accept_tasks_and_streams_and_the_told_peer_sees_a_reset_later() -> None:
    async def main() -> None:
        net, ended = network(), list[str]()

        async def accept(stream: MemoryStream) -> None:
            try:
                await asyncio.sleep(FOREVER)
            finally:
                ended.append("accept")

        net.listen("plant:orders", accept)
        near = await net.dial("hq", "plant:orders")
        up, down = await pair(net, "plant", "desk")
        up.write(b"on the wire before the crash")
        await asyncio.sleep(1)
        up.write(b", all of it")
        before = now()
        net.crash("plant", silent=0.0)
        with pytest.raises(ConnectionResetError):
            await up.read(1)
        assert now() == before
        assert await down.read(100) == b"on the wire before the crash"
        with pytest.raises(ConnectionResetError):
            await near.read(1)
        assert before < now()
        await asyncio.sleep(1)
        with pytest.raises(ConnectionResetError):
            await down.read(1)
        assert ended == ["accept"]
        with pytest.raises(ConnectionRefusedError):
            await net.dial("hq", "plant:orders")
        assert (await pair(net))[0].remote == "plant"

    run(main())


def test_the_peers_of_a_silent_crash_never_hear_of_it() -> None:
    async def main() -> None:
        net = network()
        near, _ = await pair(net)
        net.crash("plant", silent=1.0)
        near.write(bytes(CAPACITY))
        await near.drain()
        near.write(b"x")
        assert await hangs(near.drain())
        net.partition("hq", "plant", on=True)
        near.write(b"x")
        net.partition("hq", "plant", on=False)
        near.write(b"x")
        assert await hangs(near.read(1))

    run(main(), limit=10 * FOREVER)


def test_one_who_closed_before_a_silent_crash_answers_late_bytes_with_nothing() -> None:
    async def main() -> None:
        net = network()
        near, far = await pair(net)
        far.close()
        assert await near.read(1) == b""
        net.crash("plant", silent=1.0)
        near.write(b"late")
        await asyncio.sleep(FOREVER)
        await near.drain()

    run(main())


def test_which_peers_hear_of_a_crash_follows_the_seed() -> None:
    async def main(seed: int) -> list[bool]:
        net = network(seed)
        streams = [(await pair(net, f"peer-{number}"))[0] for number in range(20)]
        net.crash("plant")
        ended = asyncio.gather(*(hangs(stream.read(1)) for stream in streams), return_exceptions=True)
        return [isinstance(error, ConnectionResetError) for error in await ended]

    heard = [run(main(seed)) for seed in range(8)]
    assert heard == [run(main(seed)) for seed in range(8)]
    assert all(True in told and False in told for told in heard)
    assert all(told != heard[0] for told in heard[1:])


def test_a_crash_before_the_accept_leaves_nothing_to_accept() -> None:
    async def main() -> None:
        net, accepted = network(), asyncio.Queue[MemoryStream]()
        net.listen("plant", accepted.put)
        near = await net.dial("hq", "plant")
        net.crash("plant", silent=0.0)
        with pytest.raises(ConnectionResetError):
            await near.read(1)
        assert accepted.empty()

    run(main())


def test_a_spike_delays_what_is_sent_while_it_lasts_and_keeps_the_order() -> None:
    async def main() -> None:
        net = network(latency=(0.01, 0.02))
        near, far = await pair(net)
        net.spike("plant", "hq", seconds=5.0, lasting=1.0)
        start = now()
        near.write(b"late ")
        await asyncio.sleep(2)
        near.write(b"held up behind it")
        assert await far.read(5) == b"late "
        assert 5.01 <= now() - start <= 5.02
        assert await far.read(100) == b"held up behind it"
        assert now() - start <= 5.02
        sent = now()
        near.write(b"over")
        await far.read(100)
        assert now() - sent <= 0.02

    run(main())


# Determinism


def trace_of_faults(seed: int) -> list[str]:
    """Twelve nodes talk, dial again and again, and suffer every fault for a virtual minute."""
    rng, trace = Seeded(seed), list[str]()
    names = [f"node-{number}" for number in range(12)]

    async def serve(stream: MemoryStream) -> None:
        while data := await stream.read(50):
            trace.append(f"{now()!r} {stream.local} {data!r}")
            stream.write(data[::-1])

    async def talk(net: MemoryNetwork, name: str) -> None:
        while True:
            try:
                async with asyncio.timeout(4):
                    stream = await net.dial(name, rng.choice(names))
                    for _ in range(rng.randrange(10)):
                        stream.write(rng.randbytes(20))
                        trace.append(f"{now()!r} {name} {await stream.read(20)!r}")
                    stream.close()
            except OSError as error:
                trace.append(f"{now()!r} {name} {error!r}")
                await asyncio.sleep(rng.random())

    def restart(net: MemoryNetwork, name: str) -> None:
        net.crash(name)
        net.listen(name, serve)

    def strike(net: MemoryNetwork) -> None:
        a, b = rng.sample(names, 2)
        faults: list[Callable[[], object]] = [
            lambda: net.cut(a, b),
            lambda: net.partition(a, b, rng.random() < 0.7, rng.choice(list(Unreachable))),
            lambda: net.spike(a, b, rng.random(), 3),
            lambda: restart(net, a),
        ]
        rng.choice(faults)()

    async def main() -> None:
        net = MemoryNetwork(rng)
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: trace.append(f"{now()!r} {context['exception']!r}")
        )
        for name in names:
            net.listen(name, serve)
        async with asyncio.TaskGroup() as group:
            talkers = [group.create_task(talk(net, name)) for name in names]
            for _ in range(600):
                await asyncio.sleep(0.1)
                strike(net)
            for talker in talkers:
                talker.cancel()

    run(main())
    return trace


def test_the_same_seed_gives_the_same_bytes_and_faults_at_the_same_times() -> None:
    first = trace_of_faults(seed=3)
    assert len(first) > 1000
    assert any("ConnectionReset" in line for line in first)
    assert any("TimeoutError" in line for line in first)
    assert trace_of_faults(seed=3) == first
    assert trace_of_faults(seed=4) != first


def test_the_same_seed_gives_the_same_trace_in_another_process() -> None:
    program = "from tests.support.test_memory_network import *; print(*trace_of_faults(3), sep='\\n')"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines() == trace_of_faults(3)
