import copy

import pytest

from chaos_cipher import (
    ChaosError,
    ChaosKeyError,
    ChaosLengthError,
    ChaosNonceError,
    ChaosNonceReuseError,
    ChaosParameterError,
    Weakness,
)

CASES = [
    (ChaosKeyError(31, 32), ["31 bytes", "derive one of exactly 32"]),
    (ChaosNonceError(12, 16), ["12 bytes", "exactly 16"]),
    (ChaosNonceReuseError(bytes(16), b"\x01" * 16), ["00" * 16, "01" * 16, "agree a new key"]),
    (ChaosLengthError("message length", 9, 8), ["message length is 9", "0 to 8"]),
    (ChaosParameterError(Weakness.FIXED_POINT), ["fixed-point", "derive_parameters"]),
]


@pytest.mark.parametrize(("error", "parts"), CASES, ids=lambda case: type(case).__name__)
def test_an_error_says_what_is_wrong_and_what_to_do(error: ChaosError, parts: list[str]) -> None:
    for part in parts:
        assert part in str(error)


@pytest.mark.parametrize("error", [case[0] for case in CASES], ids=lambda error: type(error).__name__)
def test_an_error_can_be_made_again_from_its_data(error: ChaosError) -> None:
    again = copy.copy(error)
    assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))
