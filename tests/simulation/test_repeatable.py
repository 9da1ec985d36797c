"""The runs are worth their name: everything occurs in them, and each can be had again."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from protocol.lifecycle import Input
from tests.simulation.verdict import judge, verdict

_ROOT = Path(__file__).parents[2]
_SAMPLE = range(60)  # enough for everything rare to have occurred
_REPEATED = (1, 7, 23)
_OCCURRENCES = (
    "crashes",
    "items that came again",
    "aimed at a commit",
    "aimed at an acknowledgement",
    "fault: cut",
    "fault: partition",
    "fault: spike",
    "fault: crash",
    "fault: step",
    "attack: _replay",
    "attack: _alter",
    "attack: _forge",
    "attack: _write_for_another",
    "attack: _begin_early",
    "attack: _issue_without_factors",
    "attack: _approve_without_factors",
    "attack: _confuse",
)


@pytest.mark.parametrize("what", [*(f"input: {given.value}" for given in Input), *_OCCURRENCES])
def test_the_first_seeds_alone_meet_every_input_of_the_table_every_fault_and_every_attack(what: str) -> None:
    assert sum((verdict(seed).counts for seed in _SAMPLE), Counter())[what] > 0


@pytest.mark.parametrize("seed", _REPEATED)
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    assert judge(seed).digest == verdict(seed).digest


def test_another_seed_gives_another_trace() -> None:
    assert len({verdict(seed).digest for seed in _SAMPLE}) == len(_SAMPLE)


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_a_fresh_interpreter_with_other_hashes_and_other_keys_gives_the_same_trace(hash_seed: str) -> None:
    program = (
        "from tests.simulation.world import simulate\n"
        f"for seed in {_REPEATED}: print(simulate(seed).trace.digest)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=_ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [verdict(seed).digest for seed in _REPEATED]
