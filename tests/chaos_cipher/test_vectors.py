import hashlib
from collections.abc import Callable

import pytest

import chaos_cipher
from chaos_cipher import (
    ChaosParameterError,
    LogisticCipher,
    Parameters,
    Weakness,
    derive_parameters,
    keystream,
)
from tests.chaos_cipher import make_vectors as made

VALID = made.ValidVectors.model_validate_json(made.VALID_FILE.read_bytes())
INVALID = made.InvalidVectors.model_validate_json(made.INVALID_FILE.read_bytes())


def test_the_files_hold_what_the_reference_makes_today() -> None:
    assert made.VALID_FILE.read_text(encoding="utf-8") == made.as_text(made.valid_vectors())
    assert made.INVALID_FILE.read_text(encoding="utf-8") == made.as_text(made.invalid_vectors())


@pytest.mark.parametrize("vector", VALID.orbits, ids=lambda vector: vector.name)
def test_parameters_and_keystream_are_those_of_the_vector(vector: made.OrbitVector) -> None:
    parameters = derive_parameters(bytes.fromhex(vector.key), bytes.fromhex(vector.nonce), vector.segment)
    assert (hex(parameters.x0), hex(parameters.a)) == (vector.x0, vector.a)
    assert keystream(parameters, 96).hex() == vector.keystream


@pytest.mark.parametrize("vector", VALID.extremes, ids=lambda vector: f"{vector.x0}, {vector.a}")
def test_the_keystream_of_extreme_parameters_is_that_of_the_vector(vector: made.ExtremeVector) -> None:
    assert keystream(Parameters(int(vector.x0, 16), int(vector.a, 16)), 96).hex() == vector.keystream


@pytest.mark.parametrize("vector", VALID.messages, ids=lambda vector: f"{vector.length} bytes")
def test_the_ciphertext_is_that_of_the_vector(vector: made.MessageVector) -> None:
    cipher = LogisticCipher(bytes.fromhex(vector.key))
    hidden = cipher.apply(bytes.fromhex(vector.nonce), made.plaintext(vector.length))
    assert hidden[-16:].hex() == vector.last_16
    assert hashlib.sha256(hidden).hexdigest() == vector.sha256


@pytest.mark.parametrize("vector", INVALID.parameters, ids=lambda vector: vector.name)
def test_weak_parameters_are_refused_by_the_name_in_the_vector(vector: made.WeakParameters) -> None:
    with pytest.raises(ChaosParameterError, match=vector.weakness) as refused:
        Parameters(int(vector.x0, 16), int(vector.a, 16))
    assert refused.value.weakness == vector.weakness


def test_the_vectors_show_every_weakness() -> None:
    assert {vector.weakness for vector in INVALID.parameters} == set(Weakness)


@pytest.mark.parametrize("vector", INVALID.inputs, ids=lambda vector: f"{vector.call}, {vector.name}")
def test_inputs_outside_the_limits_are_refused_with_the_error_in_the_vector(
    vector: made.RefusedInput,
) -> None:
    key, nonce = bytes(vector.key_bytes), bytes(vector.nonce_bytes)
    usable = Parameters(made.QUARTER, made.GOOD_A)
    calls: dict[str, Callable[[], object]] = {
        "apply": lambda: LogisticCipher(key).apply(nonce, bytes(vector.length)),
        "derive_parameters": lambda: derive_parameters(key, nonce, vector.segment),
        "keystream": lambda: keystream(usable, vector.length),
    }
    with pytest.raises(getattr(chaos_cipher, vector.error)):
        calls[vector.call]()
