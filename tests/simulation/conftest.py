"""Hands the seeds to the tests, in chunks."""

import pytest

_CHUNK = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `seeds` some of them at a time."""
    if "seeds" not in metafunc.fixturenames:
        return
    alone = metafunc.config.getoption("--seed")
    every = range(metafunc.config.getoption("--seeds")) if alone is None else range(alone, alone + 1)
    chunks = [every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK)]
    metafunc.parametrize("seeds", chunks, ids=[f"{chunk[0]}-{chunk[-1]}" for chunk in chunks])
