"""situational/alarms/errors.py"""

import copy

import pytest

from situational import SituationalError
from situational.alarms import errors
from situational.alarms.errors import AlarmError

ERRORS: list[tuple[AlarmError, str]] = [
    (
        errors.AlarmInputImpossibleError("normal", "clear"),
        "'clear' is not possible for an alarm that is 'normal'",
    ),
    (errors.AlarmInputMisfitError("raise", "incident", "given"), "incident of 'raise' must be given"),
    (errors.PersonMissingError("shelve"), "'shelve' needs the person"),
    (errors.ReasonMissingError("shelve"), "'shelve' needs a reason"),
    (errors.MajorShelvedError("plant-1", "hazard"), "hazard of plant-1 is major"),
    (errors.ShelfTimeError(None, 5, 10), "at most 10 ms away"),
    (errors.ShelfNotOverError(9, 5), "it is 5 ms, the shelf lasts until 9 ms"),
    (errors.AlarmTextError("reason", 501, 500), "at most 500"),
    (errors.AlarmInconsistentError("shelved", "an end"), "'shelved' must have an end"),
    (errors.BoardFullError("plant-1", "hazard", 7), "7 alarms are kept"),
    (errors.AlarmClockError(9, 5), "5 ms is before 9 ms"),
    (errors.AlarmStateError("alarm 3, state", "text"), "alarm 3, state: must be text"),
    (
        errors.AlarmHistoryError("plant-1", "hazard", 5, "it is forged"),
        "at 5 ms does not follow: it is forged",
    ),
]


def test_every_error_is_listed_here_and_in_the_tree() -> None:
    named = {
        error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, AlarmError)
    }
    assert named - {AlarmError} == {type(error) for error, _ in ERRORS}
    assert all(error.__name__ in (errors.__doc__ or "") for error in named)
    assert issubclass(AlarmError, SituationalError)


@pytest.mark.parametrize(("error", "part"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_tells_its_data(error: AlarmError, part: str) -> None:
    assert part in str(error)


@pytest.mark.parametrize(("error", "part"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_survives_being_rebuilt_from_its_arguments(error: AlarmError, part: str) -> None:
    assert str(copy.copy(error)) == str(error)
