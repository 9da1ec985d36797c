"""The issue's sentence: LM256 and streams of neighbouring parameters pass, the paper's float cipher fails."""

import pytest

from chaos_cipher.quality.battery import TESTS
from chaos_cipher.quality.run import MOST_CONTROLS, Run, carry_out, planned, stream
from chaos_cipher.quality.sources import CONTROL, Source, sequence
from chaos_cipher.quality.verdict import Verdict
from chaos_cipher.quality.workers import OneProcess
from tests.chaos_cipher.quality.test_sources import CIPHERS

BITS = 1_000_000


def silent(run: Run, done: int) -> None:
    assert 0 < done <= run.sequences


@pytest.mark.parametrize("source", CIPHERS)
def test_the_cipher_passes_eight_sequences(source: Source) -> None:
    result = carry_out(planned(source, "default tests", 8, BITS), OneProcess(), silent)
    assert result.assessment.confirmed == ()
    assert result.assessment.verdict is Verdict.PASSED
    assert result.is_as_wanted


def test_the_negative_control_fails_nearly_everything_in_four_sequences() -> None:
    result = carry_out(planned(CONTROL, "default tests", 4, BITS), OneProcess(), silent)
    assert result.assessment.verdict is Verdict.FAILED
    assert result.is_as_wanted
    failed = {each.statistic[0] for each in result.assessment.confirmed}
    assert {"frequency", "runs", "non-overlapping", "matrix-rank", "serial", "approximate-entropy"} <= failed


@pytest.mark.long
@pytest.mark.parametrize("source", CIPHERS)
def test_the_cipher_passes_200_sequences(source: Source) -> None:
    result = carry_out(planned(source, "long tests", 200, BITS), OneProcess(), silent)
    assert result.assessment.confirmed == ()
    assert result.is_as_wanted


def test_a_control_that_passed_would_not_be_as_wanted() -> None:
    passed = carry_out(Run(Source.LM256, "x", 2, BITS), OneProcess(), silent)
    assert passed.is_as_wanted
    assert not type(passed)(Run(CONTROL, "x", 2, BITS), passed.assessment).is_as_wanted


def test_too_short_sequences_leave_the_run_incomplete_and_not_as_wanted() -> None:
    result = carry_out(Run(Source.LM256, "x", 2, 50_000), OneProcess(), silent)
    assert result.assessment.verdict is Verdict.INCOMPLETE
    assert not result.is_as_wanted


def test_only_the_tests_of_suspects_are_run_again() -> None:
    told: list[str] = []
    result = carry_out(Run(CONTROL, "x", 4, 20_000), OneProcess(), lambda run, _: told.append(run.seed))
    assert told == ["x"] * 4 + ["x/again"] * 4
    suspects = {each.statistic for each in result.assessment.suspects}
    assert {each.statistic for each in result.assessment.again} == suspects
    assert {name for name, _ in suspects} < set(TESTS)


def test_the_control_is_capped() -> None:
    assert planned(CONTROL, "1", 1_000, BITS).sequences == MOST_CONTROLS
    assert planned(Source.LM256, "1", 1_000, BITS).sequences == 1_000


def test_a_stream_is_sequence_after_sequence() -> None:
    pieces = stream(Source.FLOAT_BYTES, "1", OneProcess())
    for index in range(2):
        assert next(pieces) == sequence(Source.FLOAT_BYTES, "1", index, 1 << 20)
