import copy

import pytest

from situational import (
    BadSettingError,
    PlaybookIncompleteError,
    PlaybookNotMonotoneError,
    SampleNotFiniteError,
    SituationalError,
    TimeWentBackwardsError,
    TooManyNodesError,
    WindowShapeError,
)

ERRORS: list[tuple[SituationalError, str]] = [
    (SampleNotFiniteError(3.0, float("inf")), "inf"),
    (TimeWentBackwardsError(10.0, 9.0), "9.0 s is older"),
    (TooManyNodesError("plant-7", 500), "'plant-7': 500 nodes"),
    (WindowShapeError((3,), (4,)), "(3,)"),
    (BadSettingError("capacity", 0, "at least 1"), "capacity = 0 must be at least 1"),
    (PlaybookIncompleteError(("HIGH", "MAJOR")), "HIGH, MAJOR"),
    (PlaybookNotMonotoneError("MEDIUM", "HIGH"), "HIGH is weaker than the one for MEDIUM"),
]


@pytest.mark.parametrize(("error", "part"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_tells_its_data(error: SituationalError, part: str) -> None:
    assert part in str(error)


@pytest.mark.parametrize(("error", "part"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_survives_being_rebuilt_from_its_arguments(error: SituationalError, part: str) -> None:
    assert str(copy.copy(error)) == str(error)  # copies as pickle does: by the arguments
