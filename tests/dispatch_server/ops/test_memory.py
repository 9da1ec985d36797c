"""dispatch_server/ops/memory.py: sessions are taken out of the garbage collector's sight, many at a time."""

import gc
from collections.abc import Iterator

import pytest

from dispatch_server.counters import SECONDS, Histogram
from dispatch_server.ops.memory import Sessions


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.parametrize(("links", "enough"), [(5, 100), (2_000, 100), (20_000, 1_000)])
async def test_what_many_new_sessions_are_made_of_is_not_walked_any_more(
    links: int, enough: int, thawed: None
) -> None:
    opened = Histogram(SECONDS)
    sessions = Sessions(opened, links)
    frozen = gc.get_freeze_count()
    for _ in range(enough - 1):
        opened.observe(0.01)
    await sessions.settle()
    assert gc.get_freeze_count() == frozen
    opened.observe(0.01)
    await sessions.settle()
    assert gc.get_freeze_count() > frozen
    frozen = gc.get_freeze_count()
    keep = [[number] for number in range(1_000)]
    await sessions.settle()
    assert gc.get_freeze_count() <= frozen, len(keep)
