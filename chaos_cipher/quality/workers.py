"""Pure work spread over processes, results in order, only a little of it under way at a time."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import Final, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD: Final = 4  # pieces of work per process: endless streams must not pile up


class Workers(Protocol):
    """Applies a function (importable by name, as another process has to find it) to each item, in order."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]: ...


class OneProcess:
    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return map(function, items)


class ManyProcesses:
    def __init__(self, pool: ProcessPoolExecutor, jobs: int) -> None:
        self._pool = pool
        self._ahead = AHEAD * jobs

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        waiting = iter(items)
        under_way: deque[Future[Result]] = deque()
        for item in islice(waiting, self._ahead):
            under_way.append(self._pool.submit(function, item))
        while under_way:
            yield under_way.popleft().result()
            for item in islice(waiting, 1):
                under_way.append(self._pool.submit(function, item))


@contextmanager
def workers(jobs: int) -> Iterator[Workers]:
    """This process alone, or as many new ones (spawn: the same on every system, safe beside threads)."""
    if jobs == 1:
        yield OneProcess()
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_ctrl_c_to_the_parent)
    try:
        yield ManyProcesses(pool, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
