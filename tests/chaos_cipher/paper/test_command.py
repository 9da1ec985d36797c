import json

import pytest

from chaos_cipher.__main__ import main
from chaos_cipher.paper.command import ORDER
from chaos_cipher.paper.trials import Outcome, try_lm256, try_paper

FOUND = {
    "stages", "position", "candidates", "exhaustive", "survivors", "agreeing", "found_mu", "found_state",
    "true_state", "sure_bytes", "right_bytes", "predicted_text",
}  # fmt: skip
ALWAYS = {
    "seed", "text_bytes", "known_bytes", "outcome", "fell", "bits_per_byte", "cpu_seconds",
    "calibration_ratio", "true_mu", "lm256",
}  # fmt: skip


def test_the_default_order_has_more_than_400_bytes_of_two_scripts() -> None:
    assert len(ORDER.encode()) > 400
    assert len(ORDER) < len(ORDER.encode())


def test_the_json_of_one_run_has_every_field_and_the_secret_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack-paper", "--seed", "1", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == FOUND | ALWAYS
    assert data["outcome"] == "key"
    assert data["fell"] is True
    assert (data["found_mu"], data["found_state"]) == (data["true_mu"], data["true_state"])
    assert data["right_bytes"] == data["text_bytes"] - 256
    assert data["predicted_text"] == ORDER.encode()[256:].decode()
    assert data["lm256"]["stood"] is True
    assert {tuple(stage) for stage in data["stages"]} == {("known", "cell", "mu_left")}


def test_the_table_tells_each_step_in_plain_english(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack-paper", "--seed", "1"]) == 0
    told = capsys.readouterr().out
    for sentence in (
        "repeat with --seed 1)", "What the attacker knows", "of 4,300,544 on the grid",
        "Key found and true key",
        "hang the sign: do not close", "the cipher is broken", "It is no proof that LM256 is secure",
    ):  # fmt: skip
        assert sentence in told


def test_a_run_without_a_seed_draws_a_fresh_one_and_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = set()
    for _ in range(2):
        assert main(["attack-paper", "--json"]) in {0, 1}  # 1: a weak key, about one in thirteen
        seeds.add(json.loads(capsys.readouterr().out)["seed"])
    assert len(seeds) == 2


def test_trials_count_outcomes_and_tell_their_progress_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack-paper", "--seed", "1", "--trials", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert data["trials"] == sum(data["outcomes"].values()) == data["fell"] == data["lm256_stood"] == 3
    assert set(data["cpu_seconds"]) == set(data["calibration_ratio"]) == {"median", "p95", "max"}
    assert err == "3 of 3 keys tried, 3 fell\n"


def test_a_key_that_does_not_fall_makes_the_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    weak = next(n for n in range(100) if not try_paper(n, 0, ORDER.encode(), 256).fell)
    assert main(["attack-paper", "--seed", str(weak)]) == 1
    assert "know more bytes (--known)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["--text", "short"], "give a longer text"), (["--known", "100"], "hand in at least 128")],
)
def test_misuse_is_told_and_gives_two(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attack-paper", *words]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.long
def test_of_200_keys_every_one_that_tells_enough_falls_and_lm256_always_stands() -> None:
    text = ORDER.encode()
    trials = [try_paper(2023, number, text, 256) for number in range(200)]
    strong = [trial for trial in trials if trial.told_enough]
    assert len(strong) > 150
    assert all(trial.outcome is Outcome.KEY for trial in strong)
    assert sum(trial.fell for trial in trials) >= 180
    assert all(try_lm256(2023, number, text, 256).stood for number in range(200))


@pytest.mark.parametrize("known", [-5, 0, 1, 127])
def test_too_few_known_bytes_are_refused_before_anything_is_tried(
    known: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attack-paper", "--seed", "1", "--known", str(known)]) == 2
    assert "hand in at least 128" in capsys.readouterr().err
