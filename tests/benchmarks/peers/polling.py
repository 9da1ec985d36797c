"""The poller of the peers that live on an asyncio loop: links in, loads out."""

import asyncio
import gc
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.benchmarks.peers.row import Load, Row, load_of, resident

OUTSTANDING = 64
INTERVAL = 5.0  # s; the rhythm of P1 §1
_PROBE = 0.005  # s; how often the saturated loop is asked whether it still comes round

PollOnce = Callable[[], Awaitable[None]]
Dial = Callable[[AsyncExitStack], Awaitable[PollOnce]]


@dataclass(frozen=True, slots=True)
class Ask:
    """What the command line asked for; `loop` is "uvloop" or "asyncio"."""

    links: int
    seconds: float
    variant: str
    loop: str
    rhythm: bool


async def measure(peer: str, setup: str, ask: Ask, dial: Dial) -> Row:
    """Dial all links, poll each once, then measure. `dial` leaves the closing of its link on the stack."""
    async with AsyncExitStack() as stack:
        before = resident()
        links = await _dial_all(ask.links, dial, stack)
        rss = (resident() - before) / 1024 / ask.links
        gc.freeze()  # a full collection would walk all links again and again
        saturated = await _saturated(links, ask.seconds)
        rhythm = await _rhythm(links, ask.seconds) if ask.rhythm else None
    return Row(peer, setup, ask.links, rss, saturated, rhythm)


async def _dial_all(count: int, dial: Dial, stack: AsyncExitStack) -> list[PollOnce]:
    links: list[PollOnce] = []
    numbers = iter(range(count))

    async def work() -> None:
        for _ in numbers:
            poll = await dial(stack)
            await poll()
            links.append(poll)

    async with asyncio.TaskGroup() as group:
        for _ in range(OUTSTANDING):
            group.create_task(work())
    return links


async def _saturated(links: Sequence[PollOnce], seconds: float) -> Load:
    taken: list[float] = []
    clock = time.perf_counter
    until = clock() + seconds

    async def work(own: Sequence[PollOnce]) -> None:
        for poll in itertools.cycle(own):
            began = clock()
            if began >= until:
                return
            await poll()
            taken.append(clock() - began)

    cpu, began = time.process_time(), clock()
    async with _probe() as stall, asyncio.TaskGroup() as group:
        for number in range(min(OUTSTANDING, len(links))):
            group.create_task(work(links[number::OUTSTANDING]))
    return load_of(
        taken, seconds=clock() - began, cpu=time.process_time() - cpu, stall=max(stall, default=0.0)
    )


@asynccontextmanager
async def _probe() -> AsyncIterator[list[float]]:
    """How late a timer is, again and again: that long nothing else of the loop could run."""
    late: list[float] = []

    async def look() -> None:
        while True:
            due = time.perf_counter() + _PROBE
            await asyncio.sleep(_PROBE)
            late.append(time.perf_counter() - due)

    task = asyncio.create_task(look())
    try:
        yield late
    finally:
        task.cancel()


async def _rhythm(links: Sequence[PollOnce], seconds: float) -> Load:
    """Each link once in an interval, evenly spread, for whole intervals; no probe, it would be a load."""
    rounds = max(1, round(seconds / INTERVAL))
    taken: list[float] = []
    late: list[float] = []
    clock = time.perf_counter
    start = clock() + 1.0

    async def work(number: int, poll: PollOnce) -> None:
        for turn in range(rounds):
            due = start + (turn + number / len(links)) * INTERVAL
            await asyncio.sleep(due - clock())
            began = clock()
            late.append(began - due)
            await poll()
            taken.append(clock() - began)

    async with asyncio.TaskGroup() as group:
        for number, poll in enumerate(links):
            group.create_task(work(number, poll))
        await asyncio.sleep(start - clock())
        cpu, began = time.process_time(), clock()
    return load_of(taken, seconds=clock() - began, cpu=time.process_time() - cpu, stall=max(late))
