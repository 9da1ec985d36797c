"""Questions about people go up with a poll and are answered on the same link, or not at all."""

import asyncio

import pytest

from protocol.errors import LinkLost, WireCode
from protocol.limits import MAX_ITEM, MAX_OPEN_REQUESTS
from protocol.requests import (
    AnyReply,
    DoneReply,
    LogoutRequest,
    RefusedReply,
    SessionReply,
    decode_request,
)
from tests.protocol.aio.callers import Caller, Scene
from tests.support.virtual_loop import run

DONE = DoneReply()


def question(number: int = 1) -> LogoutRequest:
    return LogoutRequest(person="wang", session=number.to_bytes(16))


async def asked(scene: Scene, count: int = 1) -> list["asyncio.Task[AnyReply]"]:
    """People who ask and wait for their answers."""
    tasks = [asyncio.create_task(scene.listener.ask(question(n + 1))) for n in range(count)]
    await asyncio.sleep(0)
    return tasks


async def lost(task: "asyncio.Task[AnyReply]") -> WireCode:
    with pytest.raises(LinkLost) as caught:
        await task
    return caught.value.code


async def requests_of(caller: Caller) -> list[tuple[int, bytes]]:
    """What the node asks, however many reports it takes."""
    found: list[tuple[int, bytes]] = []
    while not found:
        found += (await caller.report()).requests
    return found


def test_a_question_is_answered() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        (asking,) = await asked(scene)
        ((number, body),) = await requests_of(caller)
        assert decode_request(body) == question()
        reply = SessionReply(session=bytes(16), expires_ms=1)
        caller.session.reply(number, reply.encode())
        caller.flush()
        assert await asking == reply

    run(main())


def test_answers_find_their_questions_in_any_order() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        tasks = await asked(scene, 3)
        for number, body in reversed(await requests_of(caller)):
            given = decode_request(body)
            assert isinstance(given, LogoutRequest)
            reply = SessionReply(session=given.session, expires_ms=number)
            caller.session.reply(number, reply.encode())
        caller.flush()
        replies = await asyncio.gather(*tasks)
        sessions = [reply.session for reply in replies if isinstance(reply, SessionReply)]
        assert sessions == [question(number).session for number in (1, 2, 3)]

    run(main())


def test_without_a_link_nothing_can_be_asked() -> None:
    async def main() -> None:
        scene = Scene()
        with pytest.raises(LinkLost, match="'hq' is not connected to this node now") as caught:
            await scene.listener.ask(question())
        assert caught.value.code is WireCode.LOST

    run(main())


@pytest.mark.parametrize("how", ["close", "cut", "replace", "stop", "silence"])
def test_a_question_dies_with_its_link(how: str) -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        tasks = await asked(scene, 3)
        await requests_of(caller)
        if how == "close":
            caller.stream.close()
        elif how == "cut":
            scene.network.cut("hq", "plant-1")
        elif how == "replace":
            await scene.open()
        elif how == "stop":
            await scene.listener.stop()
        assert [await lost(task) for task in tasks] == [WireCode.LOST] * 3
        assert scene.listener.is_connected == (how == "replace")

    run(main())


def test_a_question_that_was_not_yet_sent_is_not_asked_on_the_next_link() -> None:
    async def main() -> None:
        scene = Scene()
        await scene.open()
        (asking,) = await asked(scene)
        later = await scene.open()
        assert await lost(asking) is WireCode.LOST
        assert (await later.report()).requests == ()

    run(main())


def test_a_late_reply_is_dropped() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        (asking,) = await asked(scene)
        ((number, _),) = await requests_of(caller)
        asking.cancel()
        await asyncio.sleep(1)
        for which in (number, number, 4_711):
            caller.session.reply(which, DONE.encode())
        caller.flush()
        await caller.report()
        assert (scene.listener.is_connected, scene.listener.refused) == (True, 0)

    run(main())


def test_a_reply_to_an_earlier_link_answers_nobody() -> None:
    async def main() -> None:
        scene = Scene()
        older = await scene.open()
        (first,) = await asked(scene)
        ((number, _),) = await requests_of(older)
        newer = await scene.open()
        assert await lost(first) is WireCode.LOST
        (second,) = await asked(scene)
        newer.session.reply(number, DONE.encode())
        newer.flush()
        await requests_of(newer)
        assert not second.done()

    run(main())


def test_too_many_questions_at_once_are_refused_here_and_not_by_the_superior() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        tasks = await asked(scene, MAX_OPEN_REQUESTS)
        numbers = [number for number, _ in await requests_of(caller)]
        assert len(numbers) == MAX_OPEN_REQUESTS
        with pytest.raises(LinkLost, match="too many questions wait for an answer: try again") as caught:
            await scene.listener.ask(question())
        assert caught.value.code is WireCode.LIMIT
        caller.session.reply(numbers[0], DONE.encode())
        caller.flush()
        assert await tasks[0] == DONE
        (another,) = await asked(scene)
        assert len(await requests_of(caller)) == 1
        assert not another.done()

    run(main())


def test_a_question_that_nobody_waits_for_still_counts_until_it_is_answered() -> None:
    """The superior is at work on it, and ends the link of a node that asks too much."""

    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        for task in await asked(scene, MAX_OPEN_REQUESTS):
            task.cancel()
        with pytest.raises(LinkLost, match="too many"):
            await scene.listener.ask(question())
        ((number, _), *_) = await requests_of(caller)
        caller.session.reply(number, DONE.encode())
        caller.flush()
        await asyncio.sleep(1)
        (asking,) = await asked(scene)
        await requests_of(caller)
        assert not asking.done()

    run(main())


def test_a_question_that_no_frame_can_carry_is_refused_here() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        huge = LogoutRequest.model_construct(kind="logout", person="x" * MAX_ITEM, session=bytes(16))
        with pytest.raises(LinkLost, match="over the limit"):
            await scene.listener.ask(huge)
        assert (await caller.report()).requests == ()

    run(main())


@pytest.mark.parametrize("body", [b"", b"garbage", question().encode()])
def test_a_reply_that_cannot_be_read_ends_the_link(body: bytes) -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        (asking,) = await asked(scene)
        ((number, _),) = await requests_of(caller)
        caller.session.reply(number, body)
        caller.flush()
        ended = await caller.end()
        assert ended
        assert ended.code is WireCode.MALFORMED
        assert await lost(asking) is WireCode.LOST

    run(main())


def test_a_refusal_is_an_answer() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        (asking,) = await asked(scene)
        ((number, _),) = await requests_of(caller)
        reply = RefusedReply(code="locked", detail="too many attempts", retry_after_s=60)
        caller.session.reply(number, reply.encode())
        caller.flush()
        assert await asking == reply

    run(main())
