"""Each border of the product, with the good traffic of its fuzz target and with that traffic altered.

The default run takes seconds; `pytest -m long tests/fuzz` lets atheris, where it is installed, look longer.
"""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from tests.fuzz.engine import Target
from tests.fuzz.mutations import altered

MADE = corpus.make()
COMMITTED = {
    str(path.relative_to(corpus.FOLDER)): path for path in corpus.FOLDER.rglob("*") if path.is_file()
}
SECONDS = 20  # of each target in a long run


def target(name: str) -> Target:
    one: Target = importlib.import_module(f"tests.fuzz.{name}").one
    return one


TARGETS = {name: target(name) for name in corpus.MAKERS}


def test_the_corpus_is_what_its_generator_makes_and_small() -> None:
    assert COMMITTED.keys() == MADE.keys(), "python -m tests.fuzz.corpus writes it anew"
    assert sum(path.stat().st_size for path in COMMITTED.values()) < 200 * 1024


def test_the_generator_makes_the_same_bytes_every_time() -> None:
    assert corpus.make() == MADE


@pytest.mark.parametrize("name", sorted(MADE))
def test_nothing_in_the_corpus_is_a_crash(name: str) -> None:
    one = TARGETS[name.partition("/")[0]]
    one(MADE[name])
    one(COMMITTED[name].read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(st.data())
def test_no_mishap_to_good_bytes_is_a_crash(name: str, data: st.DataObject) -> None:
    good = [seed for path, seed in MADE.items() if path.startswith(f"{name}/")]
    TARGETS[name](data.draw(altered(good)))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=30)
@given(st.binary(max_size=300))
def test_no_noise_is_a_crash(name: str, noise: bytes) -> None:
    TARGETS[name](noise)


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed here")
@pytest.mark.parametrize("name", TARGETS)
def test_atheris_finds_no_crash(name: str, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-W", "ignore", "-m", f"tests.fuzz.{name}"),
        *(str(tmp_path), str(corpus.FOLDER / name)),
        *(f"-max_total_time={SECONDS}", "-rss_limit_mb=1024", f"-artifact_prefix={tmp_path}/"),
    ]
    root = Path(__file__).parent.parent.parent
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4_000:]
