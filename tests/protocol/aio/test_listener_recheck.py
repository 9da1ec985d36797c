"""A superior whose certificate is revoked or runs out while its link is up: the link ends, by name."""

import asyncio

import pytest

from protocol.errors import LinkLost, WireCode
from protocol.keys import Role, TrustStore
from tests.protocol.aio.callers import Scene
from tests.protocol.aio.stand_ins import settle
from tests.protocol.parties import AUTHORITY, HQ, PLANT
from tests.support.virtual_loop import run


def fresh_trust() -> TrustStore:
    return AUTHORITY.trust()


def test_a_revoked_superior_hears_why_its_link_ends() -> None:
    async def main() -> None:
        trust = fresh_trust()
        scene = Scene(trust=trust)
        caller = await scene.open()
        trust.renew(AUTHORITY.trust(HQ).anchors)
        scene.listener.recheck()
        reason = await caller.end()
        assert reason
        assert reason.code is WireCode.IDENTITY
        assert "hq: the certificate is revoked" in reason.detail
        await settle()
        assert (scene.listener.is_connected, scene.listener.refused) == (False, 1)
        again = await scene.call()
        ended = await again.end()
        assert ended
        assert ended.code is WireCode.IDENTITY

    run(main())


def test_a_superior_that_counts_keeps_its_link() -> None:
    async def main() -> None:
        trust = fresh_trust()
        scene = Scene(trust=trust)
        caller = await scene.open()
        trust.renew(AUTHORITY.trust(PLANT).anchors)
        scene.listener.recheck()
        await settle()
        assert scene.listener.is_connected
        await caller.report()

    run(main())


def test_a_certificate_that_runs_out_ends_its_link() -> None:
    async def main() -> None:
        scene = Scene(trust=fresh_trust())
        short = AUTHORITY.key(Role.HQ, "hq", days=0.5)
        caller = await (await scene.call(short)).open()
        now_ms = scene.station.wall_ms
        scene.station.wall_ms = lambda: now_ms() + 13 * 3_600_000
        scene.listener.recheck()
        reason = await caller.end()
        assert reason
        assert "it ended at 2026-11-21 00:00:00 UTC" in reason.detail

    run(main())


def test_one_that_is_revoked_between_tls_and_hello_gets_no_session() -> None:
    async def main() -> None:
        trust = fresh_trust()
        scene = Scene(trust=trust)
        caller = await scene.call()
        await settle()
        await asyncio.sleep(0.1)
        trust.renew(AUTHORITY.trust(HQ).anchors)
        scene.listener.recheck()  # there is no session yet
        with pytest.raises(LinkLost) as caught:
            await caller.open()
        assert caught.value.code is WireCode.IDENTITY
        assert not scene.listener.is_connected

    run(main())


def test_without_a_link_there_is_nothing_to_end() -> None:
    async def main() -> None:
        scene = Scene()
        scene.listener.recheck()
        assert scene.listener.refused == 0

    run(main())
