"""Options of the test run, and what holds for all tests."""

import os

import pytest
from hypothesis import settings

# A slow moment of a shared machine is no fault of the code: no example has a time limit.
settings.register_profile("dispatch", settings.default, deadline=None)
settings.load_profile("dispatch")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much the simulator does; see tests/simulation/README.md."""
    group = parser.getgroup("simulation")
    seeds, seed = os.environ.get("SIMULATION_SEEDS", "300"), os.environ.get("SIMULATION_SEED")
    group.addoption("--seeds", type=int, default=int(seeds), help="run the seeds 0 to N-1 (300)")
    group.addoption("--seed", type=int, default=seed and int(seed), help="run this seed alone")
