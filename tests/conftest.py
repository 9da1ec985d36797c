"""Options of the test run."""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much the simulator does; see tests/simulation/README.md."""
    group = parser.getgroup("simulation")
    seeds, seed = os.environ.get("SIMULATION_SEEDS", "300"), os.environ.get("SIMULATION_SEED")
    group.addoption("--seeds", type=int, default=int(seeds), help="run the seeds 0 to N-1 (300)")
    group.addoption("--seed", type=int, default=seed and int(seed), help="run this seed alone")
