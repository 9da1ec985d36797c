"""An asyncio event loop whose clock is virtual: hours of timers in milliseconds, always in the same order.

The selector never blocks: when nothing is ready, the clock jumps to the next timer. What would wait forever
is a named error: :class:`VirtualDeadlock`, :class:`VirtualLivelock`, :class:`VirtualTimeLimit`.
"""

import asyncio
import concurrent.futures
import contextvars
import itertools
import math
import random
import selectors
from collections.abc import Callable, Coroutine, Generator, Mapping
from types import TracebackType
from typing import Any, Final, TypeVar, TypeVarTuple, final

from typing_extensions import override

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

DAY: Final = 86_400.0
SPIN_LIMIT: Final = 1_000_000


class Seeded(random.Random):
    """Randomness that a test can repeat; never for secrets."""


class VirtualLoopError(Exception):
    """The program cannot finish. `at`: virtual seconds; `waiting`: its unfinished tasks, oldest first."""

    def __init__(self, at: float, waiting: tuple[str, ...]) -> None:
        super().__init__(at, waiting)
        self.at = at
        self.waiting = waiting

    def _tell(self, what: str) -> str:
        return "\n  ".join((f"{what} (virtual time {self.at:.6f} s). Unfinished tasks:", *self.waiting))


class VirtualDeadlock(VirtualLoopError):
    """No callback is ready, no timer is set, and the main coroutine is not done."""

    @override
    def __str__(self) -> str:
        return self._tell("Nothing is left that could wake a task: look for the event that nobody sets")


class VirtualLivelock(VirtualLoopError):
    """Callbacks kept each other ready for `SPIN_LIMIT` rounds while the clock stood still."""

    @override
    def __str__(self) -> str:
        return self._tell("The clock stands still: look for a loop that awaits nothing but sleep(0)")


class VirtualTimeLimit(VirtualLoopError):
    """The next timer lies beyond the limit of this run."""

    @override
    def __str__(self) -> str:
        return self._tell("The limit of virtual time is reached: raise it, or look for what never ends")


class RealIoRefused(RuntimeError):
    """A socket, pipe or signal was given to the virtual loop, which can never see it become ready."""

    @override
    def __str__(self) -> str:
        return "The virtual loop has no real input or output: use the in-memory network instead"


class _OrderedFuture(asyncio.Future[Any]):
    """Hashed by its place in the program: sets of futures would otherwise be ordered by memory address."""

    def __init__(self, order: int, loop: asyncio.AbstractEventLoop) -> None:
        self._order = order
        super().__init__(loop=loop)

    @override
    def __hash__(self) -> int:
        return self._order


class _OrderedTask(asyncio.Task[_T]):
    """As :class:`_OrderedFuture`: a TaskGroup keeps its tasks in a set and cancels them in that order."""

    def __init__(
        self,
        order: int,
        coro: Generator[Any, None, _T] | Coroutine[Any, Any, _T],
        loop: asyncio.AbstractEventLoop,
        name: str,
        context: contextvars.Context | None,
    ) -> None:
        self._order = order  # before super(), which hashes the task to register it
        super().__init__(coro, loop=loop, name=name, context=context)

    @override
    def __hash__(self) -> int:
        return self._order


class _IdleSelector(selectors.BaseSelector):
    """Watches nothing; hands each wait of the loop to `on_wait`."""

    def __init__(self, on_wait: Callable[[float | None], None]) -> None:
        self._on_wait = on_wait
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self.sealed = False

    @override
    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.sealed:
            raise RealIoRefused
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        self._keys[fileobj] = selectors.SelectorKey(fileobj, fd, events, data)
        return self._keys[fileobj]

    @override
    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._on_wait(timeout)
        return []

    @override
    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class _Relay:
    """Hands an exception of the enclosed block to `future`, as an executor's thread does."""

    def __init__(self, future: concurrent.futures.Future[_T]) -> None:
        self._future = future

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._future.set_exception(error)
        return True


@final
class VirtualClockLoop(asyncio.SelectorEventLoop):
    """`start_time`: the first `time()`. `limit`: virtual seconds that may pass before VirtualTimeLimit."""

    _scheduled: list[asyncio.TimerHandle]  # of BaseEventLoop: the heap of timers, cancelled ones off its head
    _clock_resolution: float  # of BaseEventLoop: a timer fires when it is due before time() + this

    def __init__(self, start_time: float = 0.0, limit: float = math.inf) -> None:
        self._now = start_time
        self._limit = limit
        self._deadline = start_time + limit
        self._spins = 0
        self._order = itertools.count(1)
        self.unhandled: list[BaseException] = []
        selector = _IdleSelector(self._wait)
        super().__init__(selector)  # registers its wake-up pipe, the only descriptor allowed
        selector.sealed = True
        self._clock_resolution = math.ulp(start_time)

    @override
    def time(self) -> float:
        return self._now

    @override
    def create_future(self) -> asyncio.Future[Any]:
        return _OrderedFuture(next(self._order), self)

    @override
    def create_task(
        self,
        coro: Generator[Any, None, _T] | Coroutine[Any, Any, _T],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[_T]:
        order = next(self._order)
        return _OrderedTask(order, coro, self, f"Task-{order}" if name is None else str(name), context)

    @override
    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[*_Ts], _T],
        *args: *_Ts,
    ) -> asyncio.Future[_T]:
        """Calls `func` here and now; as from a thread, its result arrives one round of the loop later."""
        outcome: concurrent.futures.Future[_T] = concurrent.futures.Future()
        with _Relay(outcome):
            outcome.set_result(func(*args))
        return asyncio.wrap_future(outcome, loop=self)

    @override
    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.unhandled.append(context.get("exception") or RuntimeError(context["message"]))
        super().default_exception_handler(context)

    def _write_to_self(self) -> None:
        """Nobody sleeps in the selector, so nobody has to be woken."""

    def _wait(self, timeout: float | None) -> None:
        """The loop would now sleep `timeout` seconds (None: until input): move the clock instead."""
        if timeout is None:
            raise VirtualDeadlock(self._now, self._unfinished())
        if timeout > 0:
            self._advance(self._scheduled[0].when())
            return
        self._spins += 1
        if self._spins > SPIN_LIMIT:
            self._spins = 0  # so that the clean-up of the run can still happen
            raise VirtualLivelock(self._now, self._unfinished())

    def _advance(self, when: float) -> None:
        if when > self._deadline:
            self._deadline = self._now + self._limit  # the clean-up of the run gets the same time again
            raise VirtualTimeLimit(self._now, self._unfinished())
        self._now = when
        self._clock_resolution = math.ulp(when)  # exactly the timers due at `when` fire, however large it is
        self._spins = 0

    def _unfinished(self) -> tuple[str, ...]:
        tasks = sorted(asyncio.all_tasks(self), key=hash)
        return tuple(_describe(task) for task in tasks)


def _describe(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    where = f" in {frames[0].f_code.co_qualname}, line {frames[0].f_lineno}" if frames else ""
    return f"{task.get_name()}{where}"


def run(main: Coroutine[Any, Any, _T], *, start_time: float = 0.0, limit: float = DAY) -> _T:
    """Run `main` under a fresh virtual clock, cancel what it leaves behind, and return its result.

    `start_time` and `limit` are virtual seconds. Raises what `main` raises, VirtualDeadlock, VirtualLivelock,
    and VirtualTimeLimit once more than `limit` seconds would pass. When `main` succeeded, but a callback or
    an abandoned task failed and no exception handler was set, raises these errors in an exception group.
    """
    loop = VirtualClockLoop(start_time, limit)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
    if loop.unhandled:
        raise BaseExceptionGroup("errors that nobody handled", loop.unhandled)
    return result
