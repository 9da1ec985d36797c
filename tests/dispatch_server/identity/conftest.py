from collections.abc import Iterator

import pytest

from tests.dispatch_server.identity.support import World


@pytest.fixture
def world() -> Iterator[World]:
    """In memory, with alice and bob."""
    world = World()
    world.add("alice")
    world.add("bob")
    yield world
    world.store.close()
