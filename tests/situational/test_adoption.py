import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from situational.adoption import KEEP, NEED, OF, Votes, among, no_votes, pushed
from situational.letters import LETTERS, NONE_CODE, Letter
from tests.situational.support import unhurried

A, B = LETTERS.index(Letter.A), LETTERS.index(Letter.B)


def voted(votes: Votes, *codes: int) -> Votes:
    for code in codes:
        votes = pushed(votes, np.array([code]), np.array([True]))
    return votes


def test_a_letter_is_adopted_by_nine_of_twelve_votes_and_not_by_eight() -> None:
    assert (NEED, OF) == (9, 12)
    assert voted(no_votes(1), *[B] * 8).adopted[0] == NONE_CODE
    assert voted(no_votes(1), *[B] * 9).adopted[0] == B
    assert voted(no_votes(1), *[B] * 4, *[A] * 4, *[B] * 4).adopted[0] == NONE_CODE


def test_an_adopted_letter_stays_until_hardly_any_vote_speaks_for_it() -> None:
    votes = voted(no_votes(1), *[B] * 12)
    mixed = [A, NONE_CODE] * 6
    assert voted(votes, *mixed[: OF - KEEP]).adopted[0] == B
    assert voted(votes, *mixed[: OF - KEEP + 1]).adopted[0] == NONE_CODE


def test_a_series_that_does_not_vote_keeps_its_votes() -> None:
    votes = voted(no_votes(1), *[B] * 8)
    still = pushed(votes, np.array([A]), np.array([False]))
    assert (still.cast == votes.cast).all()
    assert voted(still, B).adopted[0] == B


def test_letters_are_found_among_codes() -> None:
    codes = np.array([[A, B], [NONE_CODE, 255]], dtype=np.uint8)
    assert among(codes, (Letter.B, Letter.NONE)).tolist() == [[False, True], [True, False]]


@unhurried
@given(st.lists(st.lists(st.integers(0, 7), min_size=3, max_size=3), max_size=40))
def test_series_pushed_together_are_as_pushed_alone_and_what_is_adopted_has_votes(
    rounds: list[list[int]],
) -> None:
    together, alone = no_votes(3), [no_votes(1) for _ in range(3)]
    for codes in rounds:
        together = pushed(together, np.array(codes), np.ones(3, dtype=np.bool_))
        alone = [voted(one, code) for one, code in zip(alone, codes, strict=True)]
    assert together.adopted.tolist() == [int(one.adopted[0]) for one in alone]
    for cast, adopted in zip(together.cast.tolist(), together.adopted.tolist(), strict=True):
        assert adopted == NONE_CODE or cast.count(adopted) >= KEEP
