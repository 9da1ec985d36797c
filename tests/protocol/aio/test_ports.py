import asyncio

import pytest

from protocol.aio.ports import first_of, rest, send, wait_until
from protocol.superior import SuperiorSession
from tests.protocol.aio.callers import ProvenStream
from tests.protocol.links import Link
from tests.support.memory_network import MemoryNetwork, MemoryStream
from tests.support.virtual_loop import Seeded, run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_the_first_part_that_ends_ends_the_others() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def part(name: str, seconds: float) -> None:
            try:
                await asyncio.sleep(seconds)
                seen.append(f"{name} ends")
            finally:
                seen.append(f"{name} is over")

        await first_of(part("short", 1), part("long", 60))
        assert now() == 1
        return seen

    assert run(main()) == ["short ends", "short is over", "long is over"]


def test_the_first_part_that_fails_fails_the_whole_after_the_others_have_ended() -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def fails() -> None:
            raise LookupError

        async def tidies_up() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(5)
                ended.set()

        with pytest.raises(LookupError):
            await first_of(tidies_up(), fails())
        assert ended.is_set()
        assert now() == 5

    run(main())


def test_whoever_is_cancelled_while_waiting_for_the_first_part_cancels_all_parts() -> None:
    async def main() -> None:
        ended: list[int] = []

        async def part(number: int) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(number)

        task = asyncio.create_task(first_of(part(1), part(2)))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [1, 2]

    run(main())


@pytest.mark.parametrize(("when", "at"), [(2.0, 2.0), (5.0, 3.0), (None, 3.0), (0.0, 0.0)])
def test_waiting_for_an_event_ends_with_it_or_with_its_time(when: float | None, at: float) -> None:
    async def main() -> float:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(3, event.set)
        await wait_until(event, when)
        return now()

    assert run(main()) == at


async def pair() -> ProvenStream:
    """A stream whose far end reads nothing."""
    network = MemoryNetwork(Seeded(1))

    async def ignore(_: MemoryStream) -> None:
        await asyncio.sleep(1_000)

    network.listen("deaf", ignore)
    return ProvenStream(await network.dial("speaker", "deaf"), b"")


def test_a_peer_that_takes_nothing_costs_the_patience_and_no_more() -> None:
    async def main() -> float:
        stream = await pair()
        begun = now()
        with pytest.raises(TimeoutError):
            await send(stream, bytes(1_000_000), patience=7)
        return now() - begun

    assert run(main()) == pytest.approx(7)


def test_nothing_to_send_never_waits() -> None:
    async def main() -> None:
        stream = await pair()
        stream.write(bytes(1_000_000))
        await send(stream, b"", patience=0)

    run(main())


def is_ready(session: SuperiorSession) -> bool:
    """Asked anew each time: a call between two questions may change the answer."""
    return session.is_prepared


def open_session() -> SuperiorSession:
    """A session of which a message has used up what was made ahead."""
    session = Link().opened().superior
    session.reply(1, b"a message")
    return session


def test_a_quiet_session_is_used_to_work_ahead_and_the_timer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        session, wake = open_session(), asyncio.Event()
        monkeypatch.setattr(SuperiorSession, "next_timer", lambda _: 3.0)
        assert not is_ready(session)
        await rest(session, wake)
        assert is_ready(session)
        assert now() == 3.0

    run(main())


def test_whoever_waits_for_a_session_does_not_wait_for_work_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        session, wake = open_session(), asyncio.Event()
        monkeypatch.setattr(SuperiorSession, "next_timer", lambda _: 3.0)
        asyncio.get_running_loop().call_later(0.001, wake.set)
        await rest(session, wake)
        assert not is_ready(session)
        assert now() == 0.001

    run(main())


def test_news_that_comes_after_the_work_ahead_ends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        session, wake = open_session(), asyncio.Event()
        monkeypatch.setattr(SuperiorSession, "next_timer", lambda _: None)
        asyncio.get_running_loop().call_later(2, wake.set)
        await rest(session, wake)
        assert is_ready(session)
        assert now() == 2

    run(main())
