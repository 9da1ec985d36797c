import copy

import pytest

from situational import SituationalError
from situational.risk import (
    BadBoardError,
    BadCellError,
    BadIntervalError,
    BadShapeError,
    BadWeightsError,
    CounterError,
    FiguresMissingError,
    RiskError,
    UnreadableError,
)

ERRORS: list[tuple[RiskError, str]] = [
    (UnreadableError("JSON", "cut off"), "cannot be read as JSON: cut off"),
    (BadCellError("experts[1] / name", "is missing"), "experts[1] / name: is missing"),
    (CounterError("polls", -1.0), "counter polls = -1.0: needed"),
    (FiguresMissingError(), "pip install '.[figures]'"),
    (BadIntervalError(2.0, 1.0), "[2.0, 1.0] is no interval"),
    (BadWeightsError((0.5,), 2), "weights (0.5,) of 2 items"),
    (BadShapeError("factors", "18", "19"), "factors: 18; needed: 19"),
    (BadBoardError(("A",), ("B",)), "the board shows A, the assessment has B"),
]


@pytest.mark.parametrize(("error", "part"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_tells_its_data_and_survives_being_rebuilt(error: RiskError, part: str) -> None:
    assert isinstance(error, SituationalError)
    assert part in str(error)
    assert str(copy.copy(error)) == str(error)
