"""dispatch_server/links/schedule.py: everybody is called in time, once for each time that counts."""

from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.links.schedule import NEVER, Schedule


class Called:
    """Somebody who waits; `calls` are the times at which it was called."""

    def __init__(self) -> None:
        self.scheduled = NEVER
        self.calls: list[float] = []

    def on_timer(self, now: float) -> None:
        self.calls.append(now)


def run(schedule: Schedule, now: float) -> None:
    while timed := schedule.pop_due(now):
        timed.on_timer(now)


def test_who_is_due_is_called_once_and_in_order() -> None:
    schedule, early, late = Schedule(), Called(), Called()
    schedule.at(late, 2.0)
    schedule.at(early, 1.0)
    assert schedule.next_time() == 1.0
    run(schedule, 1.5)
    assert (early.calls, late.calls) == ([1.5], [])
    assert schedule.next_time() == 2.0
    run(schedule, 2.0)
    run(schedule, 9.0)
    assert (early.calls, late.calls) == ([1.5], [2.0])
    assert schedule.next_time() == NEVER


def test_an_earlier_time_replaces_a_later_one_and_a_later_one_changes_nothing() -> None:
    schedule, timed = Schedule(), Called()
    schedule.at(timed, 5.0)
    schedule.at(timed, 3.0)
    schedule.at(timed, 8.0)
    run(schedule, 3.0)
    run(schedule, 10.0)
    assert timed.calls == [3.0]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100), st.floats(0, 10)), max_size=60),
)
def test_nobody_is_called_late_or_for_a_time_that_was_replaced(steps: list[tuple[int, float, float]]) -> None:
    schedule, everybody = Schedule(), [Called() for _ in range(5)]
    wanted = [NEVER] * 5
    now = 0.0
    for who, when, passes in steps:
        schedule.at(everybody[who], when)
        wanted[who] = min(wanted[who], when)
        now += passes
        for timed in everybody:
            timed.calls.clear()
        run(schedule, now)
        due = [time <= now for time in wanted]
        assert [len(timed.calls) for timed in everybody] == [int(is_due) for is_due in due]
        wanted = [NEVER if is_due else time for is_due, time in zip(due, wanted, strict=True)]
        assert schedule.next_time() == min(wanted)
