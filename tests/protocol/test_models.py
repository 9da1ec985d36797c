"""protocol/models.py: the canonical codec, for every model of the wire."""

import inspect
from contextlib import suppress
from types import ModuleType
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from rich.pretty import pretty_repr

from protocol import items, messages, orders, requests
from protocol.errors import PeerFault, WireCode
from protocol.models import Name, Wire, decode_as
from protocol.orders import Step
from protocol.requests import ProveRequest
from tests.protocol.strategies import values


def models_of(module: ModuleType) -> list[type[Wire]]:
    found = [m for _, m in inspect.getmembers(module, inspect.isclass) if issubclass(m, Wire)]
    return [model for model in found if model.__module__ == module.__name__]


MODELS = [model for module in (messages, items, requests, orders) for model in models_of(module)]


class Probe(Wire):
    """A model with one field of each kind that msgpack can write in several ways."""

    name: Name
    count: int
    ratio: float
    data: bytes


GOOD: dict[str, Any] = {"name": "a", "count": 1, "ratio": 0.5, "data": b"x"}


def refused(data: bytes) -> str:
    with pytest.raises(PeerFault) as caught:
        Probe.decode(data)
    assert caught.value.code is WireCode.MALFORMED
    return caught.value.detail


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_every_model_comes_back_from_its_bytes_as_it_was(model: type[Wire], data: st.DataObject) -> None:
    value = data.draw(values(model))
    encoded = value.encode()
    assert model.decode(encoded) == value
    assert model.decode(encoded).encode() == encoded


@given(st.binary(max_size=200), st.sampled_from(MODELS))
def test_arbitrary_bytes_raise_nothing_but_a_peer_fault(data: bytes, model: type[Wire]) -> None:
    with suppress(PeerFault):
        assert model.decode(data).encode() == data


@given(st.data())
def test_no_other_bytes_stand_for_the_same_value(data: st.DataObject) -> None:
    value = data.draw(values(Probe))
    other = bytearray(value.encode())
    place = data.draw(st.integers(0, len(other) - 1))
    other[place] ^= data.draw(st.integers(1, 255))
    with suppress(PeerFault):
        assert Probe.decode(bytes(other)).encode() == bytes(other)


ENCODED = Probe(**GOOD).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(msgpack.packb(dict(reversed(GOOD.items()))), id="fields in another order"),
        pytest.param(ENCODED.replace(b"\xa5count\x01", b"\xa5count\xcc\x01"), id="a longer integer"),
        pytest.param(ENCODED.replace(b"\xa4name", b"\xd9\x04name"), id="a longer text header"),
        pytest.param(
            ENCODED.replace(b"\xcb\x3f\xe0" + bytes(6), b"\xca\x3f\x00\x00\x00"), id="a short float"
        ),
        pytest.param(msgpack.packb(GOOD | {"ratio": 1}), id="an integer for a float"),
        pytest.param(b"\x85\xa4name\xa1b" + ENCODED[1:], id="a field twice"),
    ],
)
def test_an_encoding_that_is_not_canonical_is_refused(data: bytes) -> None:
    assert data != ENCODED
    assert refused(data) == "not the canonical encoding"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xc1", id="a reserved byte"),
        pytest.param(ENCODED[:-1], id="cut short"),
        pytest.param(ENCODED + b"\x00", id="something behind"),
        pytest.param(b"\x91" * 2_000, id="deep nesting"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="a map that announces four billion fields"),
        pytest.param(b"\x81\xa1\xff\x01", id="text that is not UTF-8"),
        pytest.param(b"\x81\x01\x01", id="a key that is not text"),
        pytest.param(b"\x81\x90\x01", id="a key that is a list"),
        pytest.param(b"\xd6\xff" + bytes(4), id="a timestamp"),
        pytest.param(b"\xc7\x0c\xff" + b"\xff" * 12, id="an impossible timestamp"),
        pytest.param(msgpack.packb([1, 2]), id="a list"),
        pytest.param(msgpack.packb(None), id="null"),
        pytest.param(msgpack.packb(GOOD | {"more": 1}), id="an unknown field"),
        pytest.param(msgpack.packb({k: v for k, v in GOOD.items() if k != "data"}), id="a missing field"),
        pytest.param(msgpack.packb(GOOD | {"count": True}), id="a truth value for a number"),
        pytest.param(msgpack.packb(GOOD | {"count": "1"}), id="text for a number"),
        pytest.param(msgpack.packb(GOOD | {"data": "x"}), id="text for bytes"),
        pytest.param(msgpack.packb(GOOD | {"name": b"a"}), id="bytes for text"),
    ],
)
def test_what_is_not_the_message_is_refused(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize("name", ["", "A", "a\n", "-a", "a_b", "a b", "é", "a" * 33])
def test_a_name_is_short_lower_case_letters_digits_and_hyphens(name: str) -> None:
    assert refused(msgpack.packb(GOOD | {"name": name})) == "field 'name' is not acceptable"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 201, id="too long"),
        pytest.param(" breaker 201", id="a space in front"),
        pytest.param("breaker 201 ", id="a space behind"),
        pytest.param("breaker\n201", id="a new line"),
        pytest.param("breaker\u200b201", id="an invisible sign"),
        pytest.param("breaker\u202e102", id="a sign that turns the direction"),
        pytest.param("cafe\u0301", id="a letter in two parts"),
        pytest.param("\u212b", id="another sign for the same letter"),
    ],
)
def test_a_line_that_could_be_mistaken_for_another_is_refused(text: str) -> None:
    with pytest.raises(PeerFault, match="'device' is not acceptable"):
        Step.decode(msgpack.packb({"device": text, "action": "open"}))


@pytest.mark.parametrize("text", ["断路器 201", "caf\u00e9", "x" * 200])
def test_a_line_that_looks_like_what_it_is_passes(text: str) -> None:
    assert Step.decode(Step(device=text, action="open").encode()).device == text


def test_a_refusal_names_the_field_that_is_wrong() -> None:
    bad = messages.Report.model_construct(
        seq=1,
        acknowledged=0,
        ledger=messages.LedgerHead.model_construct(entry=1, hash=b"short"),
        samples=(),
        items=(),
        requests=(),
    )
    with pytest.raises(PeerFault, match=r"'ledger\.hash'"):
        messages.Report.decode(bad.encode())


def test_a_field_name_of_the_peer_can_neither_flood_nor_forge_a_log() -> None:
    detail = refused(msgpack.packb(GOOD | {"x\nWARNING all is well ": 1}))
    assert "\n" not in detail
    assert len(refused(msgpack.packb(GOOD | {"y" * 10_000: 1}))) < 200


def test_a_value_cannot_be_changed() -> None:
    probe = Probe(**GOOD)
    for name, value in GOOD.items():
        with pytest.raises(ValidationError, match="frozen"):
            setattr(probe, name, value)


SECRET = "correct horse battery"
PROOF = ProveRequest(challenge=bytes(16), password=SECRET, factor="totp", response=SECRET.encode())


@pytest.mark.parametrize("shown", [repr(PROOF), str(PROOF), f"{PROOF}", pretty_repr(PROOF), repr([PROOF])])
def test_no_way_of_printing_a_message_shows_what_is_in_it(shown: str) -> None:
    assert "ProveRequest" in shown
    assert "horse" not in shown


def test_a_refused_value_is_not_quoted_in_the_error() -> None:
    with pytest.raises(ValidationError) as caught:
        ProveRequest(challenge=bytes(16), password=SECRET * 20, factor="totp", response=b"")
    assert "horse" not in str(caught.value)


def test_a_union_is_decoded_to_the_member_that_was_encoded() -> None:
    adapter: TypeAdapter[Wire] = TypeAdapter(messages.Poll | messages.Goodbye)
    assert decode_as(adapter, messages.Goodbye(code=1, detail="").encode()) == messages.Goodbye(
        code=1, detail=""
    )
