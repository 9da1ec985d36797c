"""Whole deployments under faults: whatever the seed, no invariant breaks."""

from collections.abc import Sequence

import pytest

from tests.simulation.verdict import verdict


def test_no_seed_breaks_an_invariant(seeds: Sequence[int]) -> None:
    failures = [verdict(seed).report() for seed in seeds if verdict(seed).broken]
    if failures:
        pytest.fail("\n\n".join(failures), pytrace=False)
