from collections.abc import AsyncIterator

import pytest

from tests.dispatch_server.orders.support import Center, Office


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = Office()
    yield office
    office.close()


@pytest.fixture
async def center() -> AsyncIterator[Center]:
    center = Center()
    yield center
    center.close()
