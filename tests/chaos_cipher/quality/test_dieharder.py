import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from chaos_cipher.quality.dieharder import Assessed, Line, arguments, examine, parse, repetition
from chaos_cipher.quality.errors import DieharderBroken, DieharderMissing

PRINTED = """\
diehard_birthdays|0|0|100|0.72|PASSED
#=====#
sts_serial|102|3|100|0.9996|WEAK
sts_serial|102|3|100|0.00000000|FAILED
a line of something else | 1 | 2
sts_serial|x|3|100|0.1|PASSED
"""
FAILED = Line(102, "sts_serial", 3, 100, 0.0, Assessed.FAILED)

FAKE = """\
#!{python}
import sys
from pathlib import Path
log = Path({log!r})
calls = log.read_text().count("\\n") if log.exists() else 0
first = sys.stdin.buffer.read(4)
log.write_text((log.read_text() if calls else "") + " ".join(sys.argv[1:]) + " < " + first.hex() + "\\n")
sys.stdout.write(Path({answers!r}).joinpath(str(calls)).read_text())
"""


class Fake:
    """A program called dieharder on the PATH that reads four bytes and prints what it was given to print."""

    def __init__(self, folder: Path) -> None:
        self._log, self._answers = folder / "log", folder / "answers"
        self._answers.mkdir()
        program = folder / "dieharder"
        program.write_text(FAKE.format(python=sys.executable, log=str(self._log), answers=str(self._answers)))
        program.chmod(0o755)

    def prints(self, *answers: str) -> None:
        for place, answer in enumerate(answers):
            (self._answers / str(place)).write_text(answer)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Fake(tmp_path)


def endless(piece: bytes) -> Iterator[bytes]:
    return repeat(piece * 25_000)


def test_result_lines_are_read_and_all_others_passed_over() -> None:
    birthdays = Line(0, "diehard_birthdays", 0, 100, 0.72, Assessed.PASSED)
    weak = Line(102, "sts_serial", 3, 100, 0.9996, Assessed.WEAK)
    assert parse(PRINTED) == (birthdays, weak, FAILED)


def test_all_tests_or_one_are_asked_for() -> None:
    assert (arguments("all"), arguments("15")) == (("-a",), ("-d", "15"))


def test_a_repetition_takes_ten_times_the_samples() -> None:
    assert repetition(FAILED) == ("-d", "102", "-n", "3", "-p", "1000")


def test_without_a_failure_nothing_is_repeated_and_weak_does_not_count(fake: Fake) -> None:
    fake.prints("a|1|0|100|0.001|WEAK\nb|2|0|100|0.5|PASSED\n")
    examination = examine(("-a",), endless(b"abcd"), endless(b"efgh"))
    assert [examination.count(each) for each in Assessed] == [1, 1, 0]
    assert examination.confirmed == ()
    (call,) = fake.calls
    assert call.startswith("-a -g 200 ")
    assert call.endswith("< " + b"abcd".hex())


def test_what_failed_is_repeated_on_the_new_stream_and_counts_if_it_fails_again(fake: Fake) -> None:
    fake.prints(PRINTED, "sts_serial|102|2|1000|0.0|FAILED\nsts_serial|102|3|1000|0.0|FAILED\n")
    examination = examine(("-a",), endless(b"abcd"), endless(b"efgh"))
    assert examination.confirmed == (Line(102, "sts_serial", 3, 1_000, 0.0, Assessed.FAILED),)
    assert fake.calls[1].startswith("-d 102 -n 3 -p 1000 -g 200")
    assert fake.calls[1].endswith("< " + b"efgh".hex())


def test_a_failure_that_does_not_come_again_does_not_count(fake: Fake) -> None:
    fake.prints(PRINTED, "sts_serial|102|3|1000|0.3|PASSED\n")
    examination = examine(("-a",), endless(b"abcd"), endless(b"efgh"))
    assert (examination.count(Assessed.FAILED), examination.confirmed) == (1, ())


def test_a_program_that_prints_no_results_is_named_with_what_it_said(fake: Fake) -> None:
    fake.prints("Error: EOF")
    with pytest.raises(DieharderBroken, match="Error: EOF"):
        examine(("-a",), endless(b"abcd"), endless(b"efgh"))


def test_a_stream_that_ends_does_not_hang(fake: Fake) -> None:
    fake.prints("b|2|0|100|0.5|PASSED\n")
    assert len(examine(("-d", "2"), [b"ab"], []).lines) == 1


def test_without_the_program_one_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DieharderMissing, match="install"):
        examine(("-a",), [], [])
