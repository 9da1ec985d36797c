import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos_cipher.quality import command
from chaos_cipher.quality.sources import Source, sequence

ROOT = Path(__file__).parents[3]
PROGRAM = """\
import argparse, sys
from chaos_cipher.quality import command
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    command.configure(parser)
    sys.exit(command.run(parser.parse_args()))
"""


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args(words)


def run(*words: str) -> int:
    return command.run(parsed("--jobs", "1", *words))


def test_the_control_alone_fails_as_wanted_and_the_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    # 16,000 bits are too few for most tests, and enough to fail the frequency test
    assert run("--source", "float-bytes", "--sequences", "4", "--bits", "16000") == 0
    shown = capsys.readouterr()
    assert "verdict: FAIL\n" in shown.out
    assert "linear-complexity   not applicable to any sequence" in shown.out
    assert shown.err.endswith("float-bytes seed 1/again: 4/4\n")


def test_a_cipher_whose_verdict_is_not_pass_makes_the_exit_status_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--source", "lm256", "--sequences", "2", "--bits", "16000") == 1
    assert "verdict: INCOMPLETE, NOT AS WANTED" in capsys.readouterr().out


def test_json_holds_every_statistic_of_every_source_and_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--sequences", "2", "--bits", "16000", "--seed", "a", "b", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [(each["seed"], each["source"]) for each in told["runs"]] == [
        (seed, source) for seed in ("a", "b") for source in Source
    ]
    assert told["as_wanted"] is False
    assert {"test", "statistic", "sequences", "failures", "tail", "uniformity", "suspect"} == set(
        told["runs"][0]["first"][0]
    )


def test_full_is_a_thousand_sequences_of_a_million_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[tuple[object, ...]] = []

    class Planned(Exception):
        pass

    def record(*run: object) -> None:
        planned.append(run)
        raise Planned

    monkeypatch.setattr(command, "planned", record)
    for words in (["--full"], [], ["--sequences", "7"]):
        with pytest.raises(Planned):
            run(*words)
    assert planned == [(Source.LM256, "1", count, 1_000_000) for count in (1_000, 60, 7)]


@pytest.mark.parametrize(
    "words",
    [("--bits", "999"), ("--sequences", "0"), ("--jobs", "0"), ("--jobs", "x"), ("--source", "other"),
     ("--raw", "--dieharder")],
)  # fmt: skip
def test_nonsense_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert "error" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--source", "all"), ("--seed", "1", "2")])
def test_raw_bytes_of_several_streams_are_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--raw", *words) == 2
    assert "--raw writes one stream" in capsys.readouterr().err


def test_without_dieharder_the_exit_status_is_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("--dieharder") == 2
    assert "dieharder is not installed" in capsys.readouterr().err


def fake_dieharder(folder: Path, monkeypatch: pytest.MonkeyPatch, assessed: str) -> None:
    program = folder / "dieharder"
    program.write_text(f"#!{sys.executable}\nprint('birthdays|0|0|100|0.000001|{assessed}')\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("source", "assessed", "status"),
    [
        ("lm256", "PASSED", 0),
        ("lm256", "FAILED", 1),
        ("float-bytes", "FAILED", 0),
        ("float-bytes", "WEAK", 1),
    ],
)
def test_dieharder_decides_the_exit_status(
    source: str,
    assessed: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_dieharder(tmp_path, monkeypatch, assessed)
    assert run("--dieharder", "0", "--source", source) == status
    assert f"1 {assessed}" in capsys.readouterr().out


def test_raw_bytes_come_from_several_fresh_processes_and_stop_quietly_when_the_reader_has_enough(
    tmp_path: Path,
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    words = [sys.executable, str(tmp_path / "program.py"), "--raw", "--jobs", "2", "--seed", "s"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        read = process.stdout.read((1 << 20) + 1_000)
        process.stdout.close()
        complaint = process.stderr.read()
    assert read[: 1 << 20] == sequence(Source.LM256, "s", 0, 1 << 20)
    assert read[1 << 20 :] == sequence(Source.LM256, "s", 1, 1 << 20)[:1_000]
    assert (complaint, process.returncode) == (b"", 0)
