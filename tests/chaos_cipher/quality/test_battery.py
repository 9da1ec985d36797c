import numpy as np
import pytest

from chaos_cipher.quality.battery import STATISTICS, TESTS, evaluate
from chaos_cipher.quality.errors import SequenceTooShort
from chaos_cipher.quality.excursions import NotApplicable, Reason
from tests.chaos_cipher.quality.expansions import HUNDRED, e
from tests.chaos_cipher.support import fixed_bytes


def test_the_fifteen_tests_have_188_statistics() -> None:
    assert (len(TESTS), len(STATISTICS), len(set(STATISTICS))) == (15, 188, 188)


def test_a_million_bits_of_e_give_a_p_value_for_each_statistic() -> None:
    outcomes = evaluate(np.packbits(e()).tobytes(), 1_000_000)
    assert list(outcomes) == list(TESTS)
    for name, outcome in outcomes.items():
        assert isinstance(outcome, tuple)
        assert len(outcome) == len(TESTS[name].statistics)
        assert all(0.0 <= p_value <= 1.0 for p_value in outcome)


def test_the_highest_bit_of_a_byte_comes_first_and_the_rest_of_the_last_is_left_out() -> None:
    data = np.packbits(np.tile(HUNDRED, 11)).tobytes()
    outcome = evaluate(data, 1_001, ["runs"])
    assert outcome["runs"] == TESTS["runs"].function(np.tile(HUNDRED, 11)[:1_001])


def test_only_the_named_tests_are_run() -> None:
    assert list(evaluate(bytes(200), 1_600, ["runs", "frequency"])) == ["frequency", "runs"]


def test_a_test_that_needs_more_bits_says_so_and_gives_no_p_value() -> None:
    outcomes = evaluate(fixed_bytes("short", 2_000), 16_000)
    short = {name for name, outcome in outcomes.items() if outcome == NotApplicable(Reason.TOO_FEW_BITS)}
    assert short == {name for name, test in TESTS.items() if test.least_bits > 16_000}
    assert {"matrix-rank", "linear-complexity", "random-excursions"} < short


@pytest.mark.parametrize("name", [name for name, test in TESTS.items() if test.least_bits < 100_000])
def test_each_test_works_at_its_least_length(name: str) -> None:
    bits = max(1_000, TESTS[name].least_bits)
    assert isinstance(evaluate(fixed_bytes(name, -(-bits // 8)), bits, [name])[name], tuple)


@pytest.mark.parametrize(
    ("length", "bits", "has", "needed"), [(1_000, 999, 999, 1_000), (124, 1_000, 992, 1_000)]
)
def test_too_short_a_sequence_is_refused(length: int, bits: int, has: int, needed: int) -> None:
    with pytest.raises(SequenceTooShort, match="raise --bits") as refused:
        evaluate(bytes(length), bits)
    assert (refused.value.bits, refused.value.needed) == (has, needed)
