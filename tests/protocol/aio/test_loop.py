"""protocol/aio/loop.py: the loop of the real programs."""

import asyncio
import gc
import importlib.util
import sys
from collections.abc import Iterator

import pytest

from protocol.aio.loop import loop_factory, run


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)
    gc.unfreeze()


async def which() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_uvloop_is_the_loop_where_it_is_installed() -> None:
    assert (importlib.util.find_spec("uvloop") is None) == (loop_factory() is None)
    if sys.platform == "linux":
        assert run(which()) == "uvloop"


def test_asyncios_own_loop_serves_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert loop_factory() is None
    assert run(which()).startswith("asyncio")


def test_the_journals_thread_does_not_wait_5_ms_for_a_busy_loop() -> None:
    run(which())
    assert sys.getswitchinterval() == pytest.approx(0.0005)
