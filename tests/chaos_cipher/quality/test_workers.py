from collections.abc import Iterator
from itertools import islice

import pytest

from chaos_cipher.quality.workers import AHEAD, workers


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_from_any_number_of_processes(jobs: int) -> None:
    with workers(jobs) as crew:
        assert list(crew.map(abs, range(-30, 0))) == list(range(30, 0, -1))
        assert list(crew.map(abs, [])) == []


def test_an_endless_stream_is_taken_up_only_a_little_ahead() -> None:
    taken = 0

    def numbers() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with workers(2) as crew:
        assert list(islice(crew.map(abs, numbers()), 5)) == [1, 2, 3, 4, 5]
    assert taken <= 5 + 2 * AHEAD


def test_what_goes_wrong_in_a_process_is_raised_here() -> None:
    with workers(2) as crew, pytest.raises(ValueError, match="no number"):
        list(crew.map(int, ["1", "no number"]))
