"""The dieharder program on a stream of a source: run, read, repeat what FAILED, judge.

dieharder calls a P-value below 10^-6 FAILED and one below 0.005 (on either side) WEAK. A WEAK is to be
expected about once in a hundred results and is not held against a source. A FAILED is repeated with a new
seed and ten times the samples; it counts if any result of that test and tuple length is FAILED again.
"""

import asyncio
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chaos_cipher.quality.errors import DieharderBroken, DieharderMissing

PROGRAM: Final = "dieharder"
STDIN: Final = "200"  # the generator that reads raw bytes from standard input
FIELDS: Final = ("test_name", "show_num", "ntuple", "psamples", "pvalues", "assessment", "no_whitespace")
MORE: Final = 10


class Assessed(StrEnum):
    PASSED = "PASSED"
    WEAK = "WEAK"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Line:
    """One result that dieharder printed."""

    number: int
    name: str
    tuple_length: int
    samples: int
    p_value: float
    assessed: Assessed

    @property
    def test(self) -> tuple[int, int]:
        return self.number, self.tuple_length


@dataclass(frozen=True, slots=True)
class Examination:
    """What dieharder said of one stream, and of the tests that FAILED on a new one."""

    lines: tuple[Line, ...]
    again: tuple[Line, ...]

    @property
    def confirmed(self) -> tuple[Line, ...]:
        """FAILED in both. A repeated test may print more tuple lengths than were asked for."""
        repeated = {each.test for each in self.lines if each.assessed is Assessed.FAILED}
        return tuple(
            each for each in self.again if each.assessed is Assessed.FAILED and each.test in repeated
        )

    def count(self, assessed: Assessed) -> int:
        return sum(each.assessed is assessed for each in self.lines)


def arguments(test: str) -> tuple[str, ...]:
    """For all tests, or for the one of this number."""
    return ("-a",) if test == "all" else ("-d", test)


def repetition(line: Line) -> tuple[str, ...]:
    return "-d", str(line.number), "-n", str(line.tuple_length), "-p", str(MORE * line.samples)


def parse(text: str) -> tuple[Line, ...]:
    """The result lines; what dieharder prints around them is passed over."""
    return tuple(line for line in map(_parse_line, text.splitlines()) if line is not None)


def _parse_line(text: str) -> Line | None:
    fields = [field.strip() for field in text.split("|")]
    if len(fields) < 6 or fields[5] not in set(Assessed):
        return None
    try:
        numbers = int(fields[1]), int(fields[2]), int(fields[3]), float(fields[4])
    except ValueError:
        return None
    number, tuple_length, samples, p_value = numbers
    return Line(number, fields[0], tuple_length, samples, p_value, Assessed(fields[5]))


def examine(chosen: Sequence[str], data: Iterable[bytes], again: Iterable[bytes]) -> Examination:
    """Runs the program on data, and on again what FAILED. Raises DieharderMissing, DieharderBroken."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise DieharderMissing
    lines = asyncio.run(_run(program, chosen, data))
    new = iter(again)
    failed = {each.test: each for each in lines if each.assessed is Assessed.FAILED}
    repeated = [asyncio.run(_run(program, repetition(each), new)) for each in failed.values()]
    return Examination(lines, tuple(line for each in repeated for line in each))


async def _run(program: str, chosen: Sequence[str], data: Iterable[bytes]) -> tuple[Line, ...]:
    flags = [part for field in FIELDS for part in ("-D", field)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, *chosen, "-g", STDIN, "-c", "|", *flags, stdin=pipe, stdout=pipe, stderr=pipe
    )
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise DieharderBroken(-1, "no pipes")
    out, err = asyncio.create_task(process.stdout.read()), asyncio.create_task(process.stderr.read())
    try:
        await _feed(process.stdin, data)
        told, complaint = (await out).decode(errors="replace"), (await err).decode(errors="replace")
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            process.stdin.close()
            out.cancel()
            err.cancel()
            await process.wait()
    lines = parse(told)
    if status != 0 or not lines:
        raise DieharderBroken(status, (complaint or told)[-300:])
    return lines


async def _feed(pipe: asyncio.StreamWriter, data: Iterable[bytes]) -> None:
    """Until the program has read enough and closes the pipe."""
    try:
        for piece in data:
            pipe.write(piece)
            await pipe.drain()
        pipe.close()
        await pipe.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        return
