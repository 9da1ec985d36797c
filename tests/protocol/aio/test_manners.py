"""What a superior may say in a session: never too little for an honest one, never without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.aio.manners import MAX_UNASKED, Manners, Volume
from protocol.errors import PeerFault, WireCode
from protocol.limits import MAX_UNACKNOWLEDGED, Timers

TIMERS = Timers(poll_interval_ms=1_000, hold_ms=400)


class News:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        return self.count


def manners(timers: Timers = TIMERS, news: News | None = None) -> Manners:
    return Manners(timers, 0.0, news or News())


def test_polls_without_pause_end_the_session() -> None:
    judge = manners()
    for _ in range(64):
        judge.polled(0.0)
    with pytest.raises(PeerFault, match="polls faster") as caught:
        judge.polled(0.0)
    assert caught.value.code is WireCode.LIMIT


@pytest.mark.parametrize("timers", [TIMERS, Timers(5_000, 4_800), Timers(20, 0), Timers(1_000, 1)])
@given(late=st.lists(st.floats(0, 3), max_size=300))
def test_an_honest_superior_is_never_refused_however_late_its_polls_come(
    timers: Timers, late: list[float]
) -> None:
    judge, now = manners(timers), 0.0
    wait = timers.hold_ms / 2000 or 0.99 * timers.poll_interval_ms / 1000
    for delay in late:
        now += wait + delay
        judge.polled(now)


def test_each_piece_of_news_may_bring_a_poll_at_once() -> None:
    news = News()
    judge = manners(news=news)
    for _ in range(1_000):
        news.count += 1
        judge.polled(0.0)


def test_news_of_the_past_is_no_credit_for_ever() -> None:
    news = News()
    judge = manners(news=news)
    news.count = 1_000_000
    for _ in range(64):
        judge.polled(0.0)
    with pytest.raises(PeerFault, match="polls faster"):
        judge.polled(0.0)


def test_two_windows_of_items_between_two_polls_are_the_most() -> None:
    judge = manners()
    for start in (0, 1_000):
        for number in range(2 * MAX_UNACKNOWLEDGED):
            judge.delivered(start + number + 1)
        judge.polled(start)
    for number in range(2 * MAX_UNACKNOWLEDGED):
        judge.delivered(10_000 + number)
    with pytest.raises(PeerFault, match="without a poll") as caught:
        judge.delivered(20_000)
    assert caught.value.code is WireCode.LIMIT


@pytest.mark.parametrize("again", [5, 4, 1])
def test_an_item_is_said_once_in_a_session(again: int) -> None:
    judge = manners()
    judge.delivered(5)
    with pytest.raises(PeerFault, match="in one session") as caught:
        judge.delivered(again)
    assert caught.value.code is WireCode.SEQUENCE


def test_replies_that_nobody_asked_for_are_dropped_and_a_flood_of_them_ends_the_session() -> None:
    judge = manners()
    for _ in range(MAX_UNASKED):
        judge.replied(asked=True)
        judge.replied(asked=False)
    with pytest.raises(PeerFault, match="nobody asked for"):
        judge.replied(asked=False)


def test_a_flood_takes_few_lines_of_the_log_and_none_of_it_goes_uncounted() -> None:
    volume = Volume()
    said = [volume.say(second / 1_000) for second in range(60_000)]
    lines = [unsaid for unsaid in said if unsaid is not None]
    assert len(lines) == pytest.approx(30 + 60 * 0.2, abs=1)
    assert sum(lines) + len(lines) + volume.unsaid == len(said)
