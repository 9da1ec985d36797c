from collections.abc import AsyncIterator

import pytest

from dispatch_client.desk import Desk
from dispatch_client.plant import Plant
from tests.dispatch_client.rooms import Room, desk_room, plant_room


@pytest.fixture
async def desk() -> AsyncIterator[Room[Desk]]:
    room = desk_room()
    yield room
    room.close()


@pytest.fixture
async def plant() -> AsyncIterator[Room[Plant]]:
    room = plant_room()
    yield room
    room.close()
