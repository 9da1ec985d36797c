"""The simulator finds real defects: each of these is found by one of the first seeds."""

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.verdict import judge

_WITHIN = 60  # seeds


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_defect_put_in_on_purpose_breaks_the_invariant_that_it_should(mutation: Mutation) -> None:
    seen: list[str] = []
    for seed in range(_WITHIN):
        with mutation.apply():
            seen += judge(seed).broken
        if any(mutation.breaks in line for line in seen):
            return
    pytest.fail(f"{_WITHIN} seeds never saw '{mutation.breaks}', only {seen[:10]}")
