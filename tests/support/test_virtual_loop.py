import asyncio
import contextlib
import gc
import itertools
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import virtual_loop
from tests.support.virtual_loop import (
    RealIoRefused,
    Seeded,
    VirtualClockLoop,
    VirtualDeadlock,
    VirtualLivelock,
    VirtualLoopError,
    VirtualTimeLimit,
    run,
)

ROOT = Path(__file__).parents[2]


def now() -> float:
    return asyncio.get_running_loop().time()


# The clock


@pytest.mark.parametrize("start", [0.0, 17.25, 1.8e9, 2.0**52])
def test_time_starts_at_start_time_and_sleep_ends_exactly_when_it_is_due(start: float) -> None:
    async def main() -> list[float]:
        seen = [now()]
        for pause in (0.25, 3600.0, 90_000.0):
            await asyncio.sleep(pause)
            seen.append(now())
        return seen

    expected = [start, start + 0.25, start + 0.25 + 3600.0, start + 0.25 + 3600.0 + 90_000.0]
    assert run(main(), start_time=start, limit=100_000.0) == expected


def test_timers_fire_in_the_order_of_their_time_and_never_early() -> None:
    async def main() -> list[tuple[float, float]]:
        loop, fired = asyncio.get_running_loop(), list[tuple[float, float]]()
        rng = Seeded(5)

        def note(due: float) -> None:
            fired.append((due, loop.time()))

        for _ in range(500):
            when = rng.uniform(0, 1e-6) if rng.random() < 0.5 else rng.uniform(0, 100)
            loop.call_at(when, note, when)
        await asyncio.sleep(101)
        return fired

    fired = run(main())
    assert len(fired) == 500
    assert fired == sorted(fired)
    assert all(due == seen for due, seen in fired)


def test_a_timer_that_is_already_due_fires_without_moving_the_clock() -> None:
    async def main() -> float:
        reached = asyncio.Event()
        asyncio.get_running_loop().call_at(now() - 5, reached.set)
        await reached.wait()
        return now()

    assert run(main(), start_time=100.0) == 100.0


def test_a_cancelled_timer_never_moves_the_clock() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        for handle in [loop.call_later(5, pytest.fail, "fired") for _ in range(300)]:
            handle.cancel()
        await asyncio.sleep(10)
        return now()

    assert run(main()) == 10.0


def test_an_hour_with_a_thousand_periodic_timers_needs_no_real_sleep() -> None:
    async def tick(period: float) -> int:
        rounds = 0
        while now() < 3600.0:
            await asyncio.sleep(period)
            rounds += 1
        return rounds

    async def main() -> int:
        return sum(await asyncio.gather(*(tick(30.0 + number / 10) for number in range(1000))))

    assert run(main()) == sum(-(-36_000 // (300 + number)) for number in range(1000))


# What waits forever


def test_a_deadlock_is_an_error_that_names_the_waiting_tasks_in_their_order() -> None:
    async def forever(event: asyncio.Event) -> None:
        await event.wait()

    async def main() -> None:
        event = asyncio.Event()
        others = [asyncio.create_task(forever(event), name=f"waiter-{number}") for number in range(12)]
        await asyncio.sleep(7)
        await asyncio.gather(*others)

    with pytest.raises(VirtualDeadlock, match=r"7\.000000 s") as caught:
        run(main())
    assert caught.value.at == 7.0
    names = [line.split()[0] for line in caught.value.waiting]
    assert names[1:] == [f"waiter-{number}" for number in range(12)]
    assert "forever, line" in caught.value.waiting[1]
    assert "waiter-11" in str(caught.value)


def test_a_deadlocked_program_is_cancelled_so_that_its_clean_up_runs_and_may_take_virtual_time() -> None:
    steps = list[float]()

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(30)
            steps.append(now())

    with pytest.raises(VirtualDeadlock):
        run(main(), start_time=4.0)
    assert steps == [34.0]


def test_passing_the_limit_of_virtual_time_is_an_error_and_reaching_it_is_not() -> None:
    async def main(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return now()

    assert run(main(60.0), start_time=1000.0, limit=60.0) == 1060.0
    with pytest.raises(VirtualTimeLimit, match="raise it") as caught:
        run(main(60.001), start_time=1000.0, limit=60.0)
    assert caught.value.at == 1000.0


def test_clean_up_after_the_limit_gets_the_same_time_again_but_not_forever() -> None:
    steps = list[str]()

    async def main(clean_up: float) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(clean_up)
            steps.append("cleaned")

    with pytest.raises(VirtualTimeLimit):
        run(main(9.0), limit=10.0)
    assert steps == ["cleaned"]
    with pytest.raises(VirtualTimeLimit) as caught:
        run(main(11.0), limit=10.0)
    assert isinstance(caught.value.__context__, VirtualTimeLimit)
    del caught
    gc.collect()  # the abandoned task complains here, within this test
    assert steps == ["cleaned"]


def test_tasks_that_keep_each_other_busy_while_the_clock_stands_still_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(virtual_loop, "SPIN_LIMIT", 1000)

    async def main() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(VirtualLivelock, match="sleep") as caught:
        run(main(), start_time=3.0)
    assert caught.value.at == 3.0


def test_many_rounds_are_no_livelock_as_long_as_the_clock_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "SPIN_LIMIT", 20)

    async def main() -> float:
        for _ in range(100):
            await asyncio.sleep(0)
            await asyncio.sleep(1)
        return now()

    assert run(main()) == 100.0


def test_the_named_errors_share_one_base() -> None:
    assert {VirtualDeadlock, VirtualLivelock, VirtualTimeLimit} == set(VirtualLoopError.__subclasses__())


# Executors and real input


def test_an_executor_function_runs_on_the_thread_of_the_loop_before_anything_else() -> None:
    async def main() -> list[str]:
        seen = [threading.current_thread().name]
        asyncio.get_running_loop().call_soon(seen.append, "next callback")
        future = asyncio.get_running_loop().run_in_executor(None, seen.append, "function")
        seen.append("after call")
        await future
        return seen

    assert run(main()) == [threading.current_thread().name, "function", "after call", "next callback"]


def test_an_executor_function_hands_its_result_and_its_exception_to_who_awaits_it() -> None:
    async def main() -> None:
        assert await asyncio.to_thread(int, "20880") == 20880
        future = asyncio.get_running_loop().run_in_executor(None, int, "plant")
        with pytest.raises(ValueError, match="plant"):
            await future

    run(main())


def test_an_exit_inside_an_executor_function_ends_the_program() -> None:
    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, sys.exit, 3)
        await asyncio.sleep(5)
        pytest.fail("went on")

    with pytest.raises(SystemExit, match="3"):
        run(main())


def test_awaiting_an_executor_lets_others_run_and_cancelling_it_does_not_undo_the_function() -> None:
    async def main() -> list[str]:
        seen = list[str]()
        task = asyncio.create_task(asyncio.to_thread(seen.append, "written"))
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return seen

    assert run(main()) == ["written"]


def test_real_sockets_are_refused_by_name() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            with pytest.raises(RealIoRefused, match="in-memory network"):
                await asyncio.get_running_loop().sock_recv(ours, 1)

    run(main())


# asyncio as usual


def test_timeout_cuts_off_at_its_virtual_second() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(100), 2.5)
        return now()

    assert run(main()) == 7.5


def test_a_task_group_ends_with_its_slowest_task_and_cancels_all_when_one_fails() -> None:
    ended = list[tuple[str, float]]()

    async def worker(name: str, seconds: float, *, fails: bool = False) -> None:
        try:
            await asyncio.sleep(seconds)
            if fails:
                raise ConnectionResetError(name)
        finally:
            ended.append((name, now()))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker("a", 2))
            group.create_task(worker("b", 1))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(worker("c", 50))
                group.create_task(worker("d", 1, fails=True))
        except* ConnectionResetError:
            ended.append(("group failed", now()))

    run(main())
    assert ended == [("b", 1.0), ("a", 2.0), ("d", 3.0), ("c", 3.0), ("group failed", 3.0)]


def test_events_and_queues_hand_over_between_tasks() -> None:
    async def main() -> list[tuple[int, float]]:
        queue, done = asyncio.Queue[int](maxsize=2), asyncio.Event()
        got = list[tuple[int, float]]()

        async def produce() -> None:
            for number in range(5):
                await queue.put(number)
            await queue.join()
            done.set()

        async def consume() -> None:
            while True:
                await asyncio.sleep(10)
                got.append((await queue.get(), now()))
                queue.task_done()

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            consumer = group.create_task(consume())
            await done.wait()
            consumer.cancel()
        return got

    assert run(main()) == [(number, 10.0 * (number + 1)) for number in range(5)]


def test_run_returns_the_result_raises_the_error_and_cancels_what_was_left_behind() -> None:
    left = list[str]()

    async def straggler() -> None:
        try:
            await asyncio.sleep(10_000)
        except asyncio.CancelledError:
            left.append("cancelled")
            raise

    async def main(*, fails: bool) -> str:
        kept = asyncio.create_task(straggler())
        await asyncio.sleep(1)
        if fails:
            raise LookupError(kept.get_name())
        return "done"

    assert run(main(fails=False)) == "done"
    with pytest.raises(LookupError):
        run(main(fails=True))
    assert left == ["cancelled", "cancelled"]


def test_errors_of_callbacks_and_abandoned_tasks_fail_a_run_whose_main_succeeds() -> None:
    def fail(name: str) -> None:
        raise LookupError(name)

    async def stubborn() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            fail("task")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(fail, "callback")
        kept = asyncio.create_task(stubborn())
        await asyncio.sleep(1)
        assert not kept.done()

    with pytest.raises(ExceptionGroup, match="nobody handled") as caught:
        run(main())
    assert [repr(error) for error in caught.value.exceptions] == [
        "LookupError('callback')",
        "LookupError('task')",
    ]


def test_errors_that_an_exception_handler_takes_do_not_fail_the_run() -> None:
    taken = list[str]()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: taken.append(repr(context["exception"])))
        loop.call_soon(int, "plant")
        await asyncio.sleep(1)

    run(main())
    assert len(taken) == 1


def test_the_loop_closes_like_any_other() -> None:
    loop = VirtualClockLoop(start_time=2.0)
    assert loop.run_until_complete(asyncio.sleep(3, "slept")) == "slept"
    assert loop.time() == 5.0
    loop.close()
    assert loop.is_closed()


# Same program, same interleaving


def trace_of_a_crowd(seed: int) -> list[str]:
    """Everything that may follow memory addresses: a group's abort, sets of tasks, left-over tasks."""
    rng, trace = Seeded(seed), list[str]()

    async def worker(number: int) -> None:
        try:
            for step in range(3):
                await asyncio.sleep(rng.choice((0, 0, 0.5, 1)))
                trace.append(f"{now()} {number}.{step}")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            trace.append(f"{now()} {number} cancelled, {asyncio.current_task()}".partition(" coro=")[0])
            raise

    async def main() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5), asyncio.TaskGroup() as group:
                for number in range(40):
                    group.create_task(worker(number))
        futures = [asyncio.get_running_loop().create_future() for _ in range(40)]
        for place, future in enumerate(set(futures)):
            future.set_result(f"future at place {place}")
        trace.extend(future.result() for future in futures)
        trace.extend(task.get_name() for task in {asyncio.create_task(worker(99)) for _ in range(40)})
        await asyncio.sleep(0)

    run(main())
    return trace


def test_the_same_program_interleaves_in_the_same_way_wherever_its_objects_lie_in_memory() -> None:
    ballast, traces = list[object](), list[list[str]]()
    for _ in range(3):
        traces.append(trace_of_a_crowd(seed=1))
        ballast.extend(bytearray(Seeded(len(ballast)).randrange(20, 900)) for _ in range(500))
    assert len(traces[0]) > 200
    assert traces[0] == traces[1] == traces[2]
    assert trace_of_a_crowd(seed=2) != traces[0]


def test_the_same_program_interleaves_in_the_same_way_in_another_process() -> None:
    program = "from tests.support.test_virtual_loop import *; print(*trace_of_a_crowd(seed=1), sep='\\n')"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines() == trace_of_a_crowd(seed=1)
