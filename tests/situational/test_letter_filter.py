from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import NO_TREND, BadSettingError, Letter, LetterFilter, Trend
from tests.situational.support import unhurried


def pushed(filtered: LetterFilter, letters: str) -> LetterFilter:
    for number, letter in enumerate(letters):
        filtered = filtered.push(trend_of(Letter[letter] if letter != "-" else Letter.NONE, float(number)))
    return filtered


def trend_of(letter: Letter, rise: float = 1.0) -> Trend:
    return replace(NO_TREND, letter=letter, rise=rise, n=60)


def test_nothing_is_adopted_at_the_start() -> None:
    assert LetterFilter().trend is NO_TREND
    assert pushed(LetterFilter(), "BBBBBBBB").trend is NO_TREND


def test_the_ninth_agreeing_vote_of_twelve_adopts_a_letter() -> None:
    assert pushed(LetterFilter(), "ABBBBBBBB").trend.letter is Letter.NONE
    assert pushed(LetterFilter(), "ABBBBBBBBB").trend.letter is Letter.B
    assert pushed(LetterFilter(), "BBBBAAABBBBB").trend.letter is Letter.B
    assert pushed(LetterFilter(), "BBBBAAAABBBB").trend.letter is Letter.NONE


def test_single_windows_of_another_letter_do_not_change_the_adopted_one() -> None:
    assert pushed(LetterFilter(), "A" * 12 + "BBBBBBBB").trend.letter is Letter.A
    assert pushed(LetterFilter(), "A" * 12 + "B" * 9).trend.letter is Letter.B


def test_while_a_letter_is_adopted_its_newest_trend_is_given() -> None:
    filtered = pushed(LetterFilter(), "B" * 12).push(trend_of(Letter.A, 50.0))
    assert (filtered.trend.letter, filtered.trend.rise) == (Letter.B, 11.0)
    filtered = pushed(filtered, "CCDCC").push(trend_of(Letter.B, 77.0))
    assert (filtered.trend.letter, filtered.trend.rise) == (Letter.B, 77.0)


def test_not_knowing_must_last_as_long_as_any_letter_before_it_is_adopted() -> None:
    assert pushed(LetterFilter(), "B" * 12 + "-" * 8).trend.letter is Letter.B
    assert pushed(LetterFilter(), "B" * 12 + "-" * 9).trend.letter is Letter.NONE


@unhurried
@given(st.lists(st.sampled_from(list(Letter)), max_size=60))
def test_only_a_letter_with_nine_of_twelve_votes_ever_replaces_another(letters: list[Letter]) -> None:
    filtered = LetterFilter()
    for count, letter in enumerate(letters, start=1):
        after = filtered.push(trend_of(letter))
        if after.trend.letter is not filtered.trend.letter:
            assert letters[max(0, count - 12) : count].count(after.trend.letter) >= 9
        assert after.recent == tuple(letters[max(0, count - 12) : count])
        filtered = after


@pytest.mark.parametrize(("need", "of"), [(6, 12), (13, 12), (0, 1), (-3, 4)])
def test_settings_that_two_letters_or_none_could_meet_are_refused(need: int, of: int) -> None:
    with pytest.raises(BadSettingError):
        LetterFilter(need=need, of=of)
