"""A run of the battery on one source: first round, and the suspects once more on new sequences."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from chaos_cipher.quality.battery import TESTS, Outcomes, evaluate
from chaos_cipher.quality.sources import CONTROL, Source, sequence
from chaos_cipher.quality.verdict import Assessment, Verdict, assess, judge, suspect_tests
from chaos_cipher.quality.workers import Workers

MOST_CONTROLS: Final = 20  # the control breaks most statistics in every sequence: more would show nothing new
STREAM_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """sequences of bits each, from a source and a seed."""

    source: Source
    seed: str
    sequences: int
    bits: int

    @property
    def is_control(self) -> bool:
        return self.source is CONTROL


@dataclass(frozen=True, slots=True)
class RunResult:
    run: Run
    assessment: Assessment

    @property
    def is_as_wanted(self) -> bool:
        """A cipher's source passes every test; the control fails."""
        wanted = Verdict.FAILED if self.run.is_control else Verdict.PASSED
        return self.assessment.verdict is wanted


@dataclass(frozen=True, slots=True)
class _Task:
    run: Run
    index: int
    tests: tuple[str, ...]


def planned(source: Source, seed: str, sequences: int, bits: int) -> Run:
    return Run(source, seed, min(sequences, MOST_CONTROLS) if source is CONTROL else sequences, bits)


def carry_out(run: Run, workers: Workers, told: Callable[[Run, int], None]) -> RunResult:
    """Told hears after each sequence how many are done. Raises SequenceTooShort."""
    first = _outcomes(run, tuple(TESTS), workers, told)
    suspects = suspect_tests(judge(first))
    fresh = Run(run.source, f"{run.seed}/again", run.sequences, run.bits)
    again = _outcomes(fresh, suspects, workers, told) if suspects else []
    return RunResult(run, assess(first, again))


def _outcomes(
    run: Run, tests: Collection[str], workers: Workers, told: Callable[[Run, int], None]
) -> list[Outcomes]:
    tasks = (_Task(run, index, tuple(tests)) for index in range(run.sequences))
    outcomes: list[Outcomes] = []
    for outcome in workers.map(_evaluate, tasks):
        outcomes.append(outcome)
        told(run, len(outcomes))
    return outcomes


def _evaluate(task: _Task) -> Outcomes:
    run = task.run
    data = sequence(run.source, run.seed, task.index, -(-run.bits // 8))
    return evaluate(data, run.bits, task.tests)


def stream(source: Source, seed: str, workers: Workers) -> Iterator[bytes]:
    """An endless stream in pieces of 1 MiB: sequence after sequence."""
    return workers.map(_piece, ((source, seed, index) for index in count()))


def _piece(what: tuple[Source, str, int]) -> bytes:
    source, seed, index = what
    return sequence(source, seed, index, STREAM_PIECE)
