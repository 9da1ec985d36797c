import json
import re

import pytest

from chaos_cipher.__main__ import main
from chaos_cipher.fold.command import HELP
from chaos_cipher.fold.report import guess_bits
from chaos_cipher.fold.trials import blocks_needed, draw_parameters, search, try_fold, try_hash

FAST = ["attack-fold", "--bits", "68", "--seed", "1"]


def test_one_run_tells_every_step_and_what_it_does_not_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FAST, "--search", "1"]) == 0
    out, err = capsys.readouterr()
    told = re.sub(r"\s+", " ", out)
    for sentence in (
        "repeat with --seed 1", "2^103 guesses. THIS SEARCH IS NOT RUN", "true bits are handed over here",
        "the true ones, all 256 and 128 bits", "65,408 of the other 65,408 bytes are right",
        "The true guess gave the true state: yes", "with the fold 8 of 8", "No state found.",
        "AT MOST the strength of about 2^103", "stay behind HMAC-SHA256",
        "SHA-256's, not the map's",
    ):  # fmt: skip
        assert sentence in told
    assert err == "1 of 1 segments tried\n4 of 4 guesses tried\n"


def test_the_json_of_trials_counts_them_and_searches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FAST, "--trials", "2", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["trials"] == data["fell"] == data["lm256_2_stood"] == len(data["runs"]) == 2
    assert (data["known_bytes"], data["log2_guesses_not_run"]) == (128, 103)
    assert "search" not in data
    for one in data["runs"]:
        assert one["bytes_right"] == one["bytes_unknown"] == 65_536 - 128
        assert one["true_of_the_fold"] == one["equations"]
        assert one["true_of_the_hash"] < one["equations"] / 2


def test_trials_without_json_are_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FAST, "--trials", "1"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^fell +1$", told, re.MULTILINE)
    assert "the full search is not run" in told


def test_an_attack_that_fails_makes_the_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FAST, "--blocks", "5", "--search", "0"]) == 1
    told = capsys.readouterr().out
    assert "gave no state" in told
    assert "more --blocks" in told


@pytest.mark.parametrize(
    "words", [["--bits", "33"], ["--bits", "91"], ["--blocks", "1"], ["--search", "-1"], ["--search", "9"]]
)
def test_misuse_is_told_and_gives_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack-fold", *words]) == 2
    assert "is out of range" in capsys.readouterr().err


def test_blocks_that_tell_too_little_are_told_and_give_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack-fold", "--bits", "34", "--blocks", "2"]) == 2
    assert "know more blocks" in capsys.readouterr().err


def test_a_run_without_a_seed_draws_a_fresh_one_and_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = set()
    for _ in range(2):
        assert main(["attack-fold", "--bits", "72", "--search", "0", "--json"]) in {0, 1}
        seeds.add(json.loads(capsys.readouterr().out)["seed"])
    assert len(seeds) == 2


def test_50_leading_bits_are_2_to_the_67_guesses_as_33_of_a_are_public() -> None:
    assert guess_bits(50) == 67
    assert HELP


def test_in_a_search_the_true_guess_alone_or_with_its_neighbours_gives_the_true_state() -> None:
    guesses = list(search(draw_parameters(2, 0), 68, 7, 2))
    assert len(guesses) == 16
    assert sum(guess.true for guess in guesses) == 1
    assert next(guess for guess in guesses if guess.true).right
    assert all(guess.right for guess in guesses if guess.found)
    assert sum(guess.found for guess in guesses) <= 4


@pytest.mark.parametrize("bits", [72, 64])
def test_the_blocks_given_by_default_are_enough(bits: int) -> None:
    parameters = draw_parameters(3, 1)
    trial = try_fold(parameters, bits, blocks_needed(bits))
    assert trial.fell
    assert trial.bytes_right == trial.bytes_unknown == 65_536 - trial.known_bytes
    assert try_hash(parameters, bits, blocks_needed(bits)).stood


@pytest.mark.long
@pytest.mark.parametrize(("bits", "least"), [(50, 10), (52, 10), (54, 11), (56, 12), (60, 12), (68, 12)])
def test_of_12_segments_nearly_all_fall_and_the_hash_always_stands(bits: int, least: int) -> None:
    drawn = [draw_parameters(2024, number) for number in range(12)]
    assert sum(try_fold(one, bits, blocks_needed(bits)).fell for one in drawn) >= least
    assert all(try_hash(one, bits, blocks_needed(bits)).stood for one in drawn)


@pytest.mark.long
def test_of_256_guesses_on_each_of_3_segments_only_the_true_one_and_neighbours_give_a_state() -> None:
    for number in range(3):
        guesses = list(search(draw_parameters(2024, number), 68, 7, 4))
        assert next(guess for guess in guesses if guess.true).right
        assert all(guess.right for guess in guesses if guess.found)
        assert sum(guess.found for guess in guesses) <= 16
