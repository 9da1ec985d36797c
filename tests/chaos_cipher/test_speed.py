"""chaos_cipher/speed.py: the measurement measures what it says; no test here has a time limit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos_cipher.__main__ import COMMANDS, main
from chaos_cipher.speed import BULK_BYTES, ORDER_BYTES, measure


def test_every_row_is_timed_against_both_standards_of_its_own_size() -> None:
    rows = {(row.name, row.size): row for row in measure(1)}
    for size in (ORDER_BYTES, BULK_BYTES):
        chacha, aes = rows["ChaCha20", size], rows["AES-256-CTR", size]
        assert chacha.times_chacha20 == aes.times_aes_ctr == 1
        for (_, own_size), row in rows.items():
            if own_size == size:
                assert row.times_chacha20 == pytest.approx(row.microseconds / chacha.microseconds)
                assert row.times_aes_ctr == pytest.approx(row.microseconds / aes.microseconds)
                assert row.megabytes_per_s == pytest.approx(size / row.microseconds)


def test_the_table_and_the_json_name_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed", "--rounds", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["speed", "--rounds", "1"]) == 0
    table = capsys.readouterr().out
    assert len(told["rows"]) == 8
    for row in told["rows"]:
        assert row["name"] in table
        assert row["target"] in table
    assert told["machine"] in table


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert COMMANDS[command][1] in " ".join(capsys.readouterr().out.split())


def test_an_unknown_command_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["quantum"])
    assert left.value.code == 2
    assert "attack-paper" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["chaos_cipher speed --rounds 1", "chaos_cipher attack-paper --seed 1"])
def test_a_reader_that_has_seen_enough_costs_no_traceback(package: str) -> None:
    command = f"{sys.executable} -m {package} | head -n 1 > /dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode in {0, 141}  # 0: it was done before the reader went away
    assert done.stderr == ""


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "chaos_cipher", "speed", "--rounds", "1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr.splitlines()[0]
