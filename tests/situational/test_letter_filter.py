import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import NO_TREND, BadSettingError, Letter, LetterFilter
from tests.situational.support import trend_of, unhurried

LETTER = st.sampled_from(list(Letter))


def named(name: str) -> Letter:
    return Letter.NONE if name == "-" else Letter[name]


def pushed(filtered: LetterFilter, shapes: str, regimes: str | None = None) -> LetterFilter:
    for number, (shape, regime) in enumerate(zip(shapes, regimes or shapes, strict=True)):
        filtered = filtered.push(trend_of(named(shape), named(regime), rise=float(number)))
    return filtered


def test_nothing_is_adopted_at_the_start() -> None:
    assert LetterFilter().trend is NO_TREND
    assert pushed(LetterFilter(), "BBBBBBBB").trend.shape is Letter.NONE


def test_the_ninth_agreeing_vote_of_twelve_adopts_a_letter() -> None:
    assert pushed(LetterFilter(), "ABBBBBBBB").trend.shape is Letter.NONE
    assert pushed(LetterFilter(), "ABBBBBBBBB").trend.shape is Letter.B
    assert pushed(LetterFilter(), "BBBBAAABBBBB").trend.shape is Letter.B
    assert pushed(LetterFilter(), "BBBBAAAABBBB").trend.shape is Letter.NONE


def test_shape_and_regime_are_adopted_each_by_its_own_votes() -> None:
    filtered = pushed(LetterFilter(), "B" * 12, "AAA" + "C" * 9)
    assert (filtered.trend.shape, filtered.trend.regime) == (Letter.B, Letter.C)
    filtered = pushed(LetterFilter(), "B" * 12, "AAAA" + "C" * 8)
    assert (filtered.trend.shape, filtered.trend.regime) == (Letter.B, Letter.NONE)
    filtered = pushed(pushed(LetterFilter(), "B" * 12, "C" * 12), "DDDD", "CCCC")
    assert (filtered.trend.shape, filtered.trend.regime) == (Letter.B, Letter.C)


def test_each_answer_keeps_what_its_newest_vote_said_of_it() -> None:
    filtered = pushed(LetterFilter(), "B" * 12, "C" * 12).push(trend_of(Letter.A, Letter.C, rise=50.0))
    assert (filtered.trend.shape, filtered.trend.rise) == (Letter.B, 11.0)
    assert (filtered.trend.regime, filtered.trend.regime_curve.rise) == (Letter.C, 50.0)
    filtered = filtered.push(trend_of(Letter.B, Letter.F, rise=77.0))
    assert (filtered.trend.rise, filtered.trend.regime_curve.rise) == (77.0, 50.0)


def test_single_windows_of_another_letter_do_not_change_the_adopted_one() -> None:
    assert pushed(LetterFilter(), "A" * 12 + "BBBBBBBB").trend.shape is Letter.A
    assert pushed(LetterFilter(), "A" * 12 + "B" * 9).trend.shape is Letter.B


def test_not_knowing_must_last_as_long_as_any_letter_before_it_is_adopted() -> None:
    assert pushed(LetterFilter(), "B" * 12 + "-" * 8).trend.shape is Letter.B
    assert pushed(LetterFilter(), "B" * 12 + "-" * 9).trend.shape is Letter.NONE


@unhurried
@given(st.lists(st.tuples(LETTER, LETTER), max_size=60))
def test_only_a_letter_with_nine_of_twelve_votes_ever_replaces_another(
    votes: list[tuple[Letter, Letter]],
) -> None:
    filtered = LetterFilter()
    for count, (shape, regime) in enumerate(votes, start=1):
        after = filtered.push(trend_of(shape, regime))
        recent = votes[max(0, count - 12) : count]
        if after.trend.shape is not filtered.trend.shape:
            assert [vote[0] for vote in recent].count(after.trend.shape) >= 9
        if after.trend.regime is not filtered.trend.regime:
            assert [vote[1] for vote in recent].count(after.trend.regime) >= 9
        assert list(zip(after.shapes, after.regimes, strict=True)) == recent
        filtered = after


@pytest.mark.parametrize(("need", "of"), [(6, 12), (13, 12), (0, 1), (-3, 4)])
def test_settings_that_two_letters_or_none_could_meet_are_refused(need: int, of: int) -> None:
    with pytest.raises(BadSettingError):
        LetterFilter(need=need, of=of)
