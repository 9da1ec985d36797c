"""What people and programs see of a run: progress, a table, JSON."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TextIO

from chaos_cipher.quality.battery import TESTS
from chaos_cipher.quality.run import Run, RunResult
from chaos_cipher.quality.verdict import Judgement, expected_suspects, false_alarm, interval

BAR: Final = 40
ROW: Final = "  {:<20}{:>6}{:>7}{:>10}{:>12}{:>10}{:>11}\n"


class Progress:
    """A bar on a terminal, elsewhere a line for every tenth."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()

    def __call__(self, run: Run, done: int) -> None:
        text = f"{run.source} seed {run.seed}: {done}/{run.sequences}"
        if self._is_terminal:
            filled = BAR * done // run.sequences
            end = "\n" if done == run.sequences else ""
            self._out.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {text}{end}")
            self._out.flush()
        elif done == run.sequences or 10 * done // run.sequences > 10 * (done - 1) // run.sequences:
            self._out.write(f"{text}\n")


def as_text(result: RunResult) -> str:
    """A heading, one line per test, one per suspect, the verdict."""
    return "".join((*_heading(result), *_rows(result), *_suspects(result), *_ending(result)))


def _heading(result: RunResult) -> Iterator[str]:
    run = result.run
    role = "negative control, must fail" if run.is_control else "must pass"
    low, high = interval(run.sequences)
    yield f"{run.source} ({role}): {run.sequences} sequences of {run.bits} bits, seed {run.seed}\n"
    yield f"  share with P >= 0.01 wanted: {low:.4f} to {high:.4f} (where all sequences apply)\n"
    yield ROW.format("test", "stats", "of", "lowest", "uniformity", "suspect", "confirmed")


def _rows(result: RunResult) -> Iterator[str]:
    confirmed = {each.statistic for each in result.assessment.confirmed}
    for name in TESTS:
        judged = [each for each in result.assessment.first if each.statistic[0] == name]
        if not judged:
            yield f"  {name:<20}not applicable to any sequence\n"
            continue
        uniform = [each.uniformity for each in judged if each.uniformity is not None]
        yield ROW.format(
            name,
            len(judged),
            judged[0].sequences,
            f"{min(each.proportion for each in judged):.4f}",
            f"{min(uniform):.6f}" if uniform else "-",
            sum(each.suspect for each in judged),
            sum(each.statistic in confirmed for each in judged),
        )


def _suspects(result: RunResult) -> Iterator[str]:
    if result.run.is_control:
        return  # nearly everything
    repeated = {each.statistic: each for each in result.assessment.again}
    for each in result.assessment.suspects:
        second = repeated.get(each.statistic)
        outcome = "could not be repeated" if second is None else _described(second)
        yield f"  suspect {' '.join(each.statistic)}: {_described(each)}; with a new seed {outcome}\n"


def _described(judgement: Judgement) -> str:
    uniform = "" if judgement.uniformity is None else f", uniformity {judgement.uniformity:.6f}"
    return f"{judgement.proportion:.4f} of {judgement.sequences}{uniform}"


def _ending(result: RunResult) -> Iterator[str]:
    assessment, count = result.assessment, result.run.sequences
    yield (
        f"  {len(assessment.suspects)} suspect (ideal: {expected_suspects(count):.2f} on average), "
        f"{len(assessment.confirmed)} confirmed (ideal: any with a chance below "
        f"{false_alarm(count):.2g})\n"
    )
    remark = "" if result.is_as_wanted else ", NOT AS WANTED"
    yield f"  verdict: {assessment.verdict}{remark}\n\n"


def as_json(results: Sequence[RunResult]) -> str:
    whole = {
        "as_wanted": all(each.is_as_wanted for each in results),
        "runs": [_run(each) for each in results],
    }
    return json.dumps(whole, indent=1) + "\n"


def _run(result: RunResult) -> dict[str, object]:
    return {
        "source": result.run.source,
        "seed": result.run.seed,
        "sequences": result.run.sequences,
        "bits": result.run.bits,
        "verdict": result.assessment.verdict,
        "as_wanted": result.is_as_wanted,
        "not_judged": list(result.assessment.not_judged),
        "first": _statistics(result.assessment.first),
        "again": _statistics(result.assessment.again),
    }


def _statistics(judgements: Iterable[Judgement]) -> list[dict[str, object]]:
    return [
        {
            "test": each.statistic[0],
            "statistic": each.statistic[1],
            "sequences": each.sequences,
            "failures": each.failures,
            "tail": each.tail,
            "uniformity": each.uniformity,
            "suspect": each.suspect,
        }
        for each in judgements
    ]
