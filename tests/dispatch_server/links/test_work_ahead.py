"""A link's real shell at both ends: keystream is ready when a message comes, and gone when the link is."""

import asyncio
import functools

import pytest
from typing_extensions import override

from chaos_cipher import KeystreamCache
from tests.dispatch_server.links.support import PolicyStandIn, Rig, post, until, virtually


class Watched(KeystreamCache):
    """The real cache; the class counts what found its keystream ready and which caches still hold some."""

    ready = cold = 0
    alive: list["Watched"]

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.alive.append(self)

    @override
    def apply(self, nonce: bytes, data: bytes, /) -> bytes:
        if nonce in self._ready:
            Watched.ready += 1
        else:
            Watched.cold += 1
        return super().apply(nonce, data)


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    """All stations of this file use the product's own inner cipher."""
    Watched.ready = Watched.cold = 0
    Watched.alive = []
    monkeypatch.setattr("tests.support.stations.XorStandIn", Watched)
    return Watched


def have_taken(wanted: int, *policies: PolicyStandIn) -> bool:
    return all(len(policy.taken) == wanted for policy in policies)


@virtually
async def test_each_item_but_the_first_finds_its_keystream_ready_at_both_ends_and_both_ways() -> None:
    rig = Rig()
    node, listener, policy = rig.subordinate()
    task = rig.start(rig.link())
    await until(lambda: listener.is_connected)
    for wanted in range(1, 6):
        await asyncio.sleep(0.1)
        post(rig.node, "plant-1")
        post(node, "hq")
        await until(functools.partial(have_taken, wanted, policy, rig.policy))
    assert (Watched.ready, Watched.cold) == (16, 4)
    task.cancel()


@virtually
async def test_items_that_come_at_once_are_made_on_the_spot() -> None:
    rig = Rig()
    _, listener, policy = rig.subordinate()
    task = rig.start(rig.link())
    await until(lambda: listener.is_connected)
    post(rig.node, "plant-1")
    await until(lambda: policy.taken)
    await asyncio.sleep(0.1)
    for _ in range(4):
        post(rig.node, "plant-1")
    await until(lambda: len(policy.taken) == 5)
    assert (Watched.ready, Watched.cold) == (2, 8)
    task.cancel()


@virtually
async def test_no_keystream_is_kept_when_the_link_is_gone() -> None:
    rig = Rig()
    node, listener, _ = rig.subordinate()
    task = rig.start(rig.link())
    await until(lambda: listener.is_connected)
    post(rig.node, "plant-1")
    post(node, "hq")
    await until(lambda: sum(map(len, Watched.alive)) == 4)
    task.cancel()
    await until(lambda: not listener.is_connected)
    assert sum(map(len, Watched.alive)) == 0
