"""What the shell needs from outside, so that a whole system also runs inside a simulator."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from protocol.subordinate import SubordinateSession
from protocol.superior import SuperiorSession

R = TypeVar("R")

_QUIET_S = 0.002  # when a message is out and no other follows within this, nobody waits for us


class Stream(Protocol):
    """An authenticated byte stream; `peer_certificate` is the DER that the transport proved."""

    peer_certificate: bytes

    async def read(self, limit: int) -> bytes:
        """At most `limit` bytes; b"" at the end. Raises OSError."""
        ...

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        ...

    async def drain(self) -> None:
        """Wait until the peer takes what is queued. Raises OSError."""
        ...

    def close(self) -> None:
        """Close now."""
        ...


WallClock = Callable[[], int]  # ms since the epoch: for records only, timers use the loop's time
Accept = Callable[[Stream], Coroutine[Any, Any, None]]


RandomBytes = Callable[[int], bytes]
RunBlocking = Callable[[Callable[[], R]], Awaitable[R]]


async def first_of(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all; when one ends or fails, cancel the others and end or fail the same way."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        await task


async def wait_until(event: asyncio.Event, when: float | None) -> None:
    """Wait for the event, but not beyond the loop time `when`."""
    try:
        async with asyncio.timeout_at(when):
            await event.wait()
    except TimeoutError:
        pass


async def rest(session: SuperiorSession | SubordinateSession, wake: asyncio.Event) -> None:
    """Wait for `wake` or the session's timer; a quiet moment is used to work ahead."""
    if not session.is_prepared:
        await wait_until(wake, asyncio.get_running_loop().time() + _QUIET_S)
        if not wake.is_set():
            session.prepare()
    await wait_until(wake, session.next_timer())


async def send(stream: Stream, data: bytes, patience: float) -> None:
    """Write and wait at most `patience` s for the peer to take it. Raises OSError, TimeoutError."""
    if data:
        stream.write(data)
        async with asyncio.timeout(patience):
            await stream.drain()
