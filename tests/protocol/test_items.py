"""protocol/items.py, messages.py and requests.py: the bodies, their unions and their limits."""

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import OrderRefused, PeerFault, RefusalCode, WireCode
from protocol.items import (
    HEADQUARTERS,
    AnswerItem,
    AskItem,
    EventItem,
    RefusalItem,
    answer_item,
    decode_item,
    event_item,
    order_of,
    refusal_item,
)
from protocol.keys import Role
from protocol.lifecycle import Input, State
from protocol.limits import (
    MAX_CERTIFICATE,
    MAX_EVENT_BODY,
    MAX_ITEM,
    MAX_ITEMS_PER_REPORT,
    MAX_OPEN_REQUESTS,
    MAX_SAMPLES_PER_REPORT,
)
from protocol.messages import (
    Deliver,
    Goodbye,
    Hello,
    LedgerHead,
    Poll,
    Report,
    Sample,
    Signed,
    UpwardItem,
    UpwardRequest,
    Welcome,
)
from protocol.models import Wire
from protocol.orders import GENESIS
from protocol.requests import (
    BeginRequest,
    ChallengeReply,
    DoneReply,
    FactorOffer,
    GrantReply,
    LogoutRequest,
    ProveRequest,
    Purpose,
    RefusedReply,
    SessionReply,
    decode_reply,
    decode_request,
)
from tests.protocol.parties import Chain, write
from tests.protocol.strategies import values

ITEMS: list[type[Wire]] = [EventItem, RefusalItem, AskItem, AnswerItem]
REQUESTS: list[type[Wire]] = [BeginRequest, ProveRequest, LogoutRequest]
REPLIES: list[type[Wire]] = [ChallengeReply, SessionReply, GrantReply, DoneReply, RefusedReply]
UNIONS = [(decode_item, ITEMS), (decode_request, REQUESTS), (decode_reply, REPLIES)]


@pytest.mark.parametrize(("decode", "models"), UNIONS)
@given(data=st.data())
def test_each_member_of_a_union_is_told_by_its_kind(decode: Any, models: Any, data: st.DataObject) -> None:
    value = data.draw(values(data.draw(st.sampled_from(models))))
    assert decode(value.encode()) == value


@pytest.mark.parametrize(("decode", "models"), UNIONS)
def test_what_is_no_member_of_a_union_is_refused(decode: Any, models: Any) -> None:
    others = [model for _, group in UNIONS for model in group if group is not models]
    foreign = [{"kind": model.model_fields["kind"].default} for model in others]
    for data in (b"", b"\xc1", msgpack.packb({}), msgpack.packb({"kind": 7}), *map(msgpack.packb, foreign)):
        with pytest.raises(PeerFault) as caught:
            decode(data)
        assert caught.value.code is WireCode.MALFORMED


def test_an_event_survives_its_journey_as_an_item() -> None:
    signed = write(None, Input.DRAFT).signed
    item = decode_item(event_item(signed, HEADQUARTERS).encode())
    assert isinstance(item, EventItem)
    assert item.signed == signed
    assert item.to == HEADQUARTERS


def test_a_refusal_tells_the_signer_which_event_was_not_taken_and_why() -> None:
    refusal = OrderRefused(RefusalCode.STALE, "x" * 10_000)
    item = decode_item(refusal_item(b"e" * 32, "o-1", "desk-1", refusal).encode())
    assert item == RefusalItem(
        to="desk-1", order="o-1", event=b"e" * 32, code=RefusalCode.STALE, detail="x" * 500
    )


def test_every_item_says_of_which_order_it_speaks() -> None:
    ask = AskItem(to="plant-1", order="o-7", head=bytes(32))
    event = event_item(write(None, Input.DRAFT).signed, HEADQUARTERS)
    assert order_of(ask) == "o-7"
    assert order_of(event) == "o-1"
    assert order_of(event.model_copy(update={"body": b"garbage"})) == ""


def test_a_plant_answers_where_it_stands_with_an_order() -> None:
    chain = Chain.at(State.CONFIRMED)
    known = answer_item("plant-1", "o-1", chain.record)
    assert (known.to, known.head, known.state) == (HEADQUARTERS, chain.record.head, State.CONFIRMED)
    unknown = answer_item("plant-1", "o-2", None)
    assert (unknown.order, unknown.head, unknown.state) == ("o-2", GENESIS, None)
    assert decode_item(unknown.encode()) == unknown


def test_the_largest_item_of_each_kind_can_be_sealed_into_a_frame() -> None:
    wide = "電" * 500
    largest: list[Wire] = [
        EventItem(
            to="p" * 32,
            body=bytes(MAX_EVENT_BODY),
            certificate=bytes(MAX_CERTIFICATE),
            signature=bytes(64),
        ),
        RefusalItem(
            to="p" * 32, order="o" * 48, event=bytes(32), code=RefusalCode.UNKNOWN_ORDER, detail=wide
        ),
        AnswerItem(to="", plant="p" * 32, order="o" * 48, head=bytes(32), state=State.UNKNOWN_EXECUTING),
        ProveRequest(challenge=bytes(16), password="電" * 256, factor="f" * 16, response=bytes(24 * 1024)),
        ChallengeReply(
            challenge=bytes(16),
            expires_in_ms=(1 << 63) - 1,
            factors=(FactorOffer(name="f" * 16, data=bytes(1024)),) * 8,
        ),
    ]
    assert all(len(item.encode()) <= MAX_ITEM for item in largest)


HEAD = LedgerHead(entry=1, hash=bytes(32))
SAMPLE = Sample(
    node="plant-1", at_ms=1, logged_in_nodes=1.0, network_flow=None, external_connections=2.0, memory_used=3.5
)
GOOD: list[Wire] = [
    Signed(body=b"", signature=bytes(64)),
    Hello(
        version=1,
        deployment="grid",
        superior="hq",
        node="plant-1",
        term=1,
        boot=bytes(16),
        poll_interval_ms=5_000,
        hold_ms=4_800,
        acknowledged=0,
        digest=bytes(32),
        ephemeral=bytes(32),
        nonce=bytes(16),
    ),
    Welcome(
        version=1,
        node="plant-1",
        role=Role.PLANT,
        acknowledged=0,
        digest=bytes(32),
        hello=bytes(32),
        ephemeral=bytes(32),
        nonce=bytes(16),
    ),
    Poll(seq=1, hold_ms=5_000, acknowledged=0, wall_ms=1, ledger=HEAD),
    SAMPLE,
    UpwardItem(cursor=1, sealed=bytes(16)),
    UpwardRequest(number=1, sealed=bytes(16)),
    Report(seq=1, acknowledged=0, ledger=HEAD),
    Deliver(cursor=1, sealed=bytes(MAX_ITEM + 16)),
    Goodbye(code=1, detail="x" * 500),
    AnswerItem(to="", plant="plant-1", order="o-1", head=bytes(32), state=None),
    BeginRequest(person="li", purpose=Purpose.LOGIN, session=b"", digest=bytes(32)),
    ProveRequest(challenge=bytes(16), password="x", factor="totp", response=b"x"),
    FactorOffer(name="face", data=b""),
]
UP = {"cursor": 1, "sealed": bytes(16)}
ASK = {"number": 1, "sealed": bytes(16)}

BAD: list[tuple[type[Wire], str, object]] = [
    (Signed, "body", bytes(2_049)),
    (Signed, "signature", bytes(63)),
    (Signed, "signature", bytes(65)),
    (Hello, "version", -1),
    (Hello, "deployment", "Grid"),
    (Hello, "superior", ""),
    (Hello, "node", "x" * 33),
    (Hello, "term", -1),
    (Hello, "term", 1 << 63),
    (Hello, "poll_interval_ms", 19),
    (Hello, "poll_interval_ms", 5_001),
    (Hello, "hold_ms", -1),
    (Hello, "hold_ms", 5_001),
    (Hello, "ephemeral", bytes(31)),
    (Hello, "nonce", bytes(17)),
    (Welcome, "role", "king"),
    (Hello, "boot", bytes(15)),
    (Hello, "digest", bytes(31)),
    (Welcome, "digest", b""),
    (Welcome, "acknowledged", -1),
    (Welcome, "hello", bytes(33)),
    (Poll, "seq", -1),
    (Poll, "hold_ms", 5_001),
    (Poll, "acknowledged", 1 << 63),
    (Poll, "wall_ms", -1),
    (Poll, "ledger", None),
    (Sample, "network_flow", -1.0),
    (Sample, "network_flow", float("inf")),
    (Sample, "network_flow", float("nan")),
    (Sample, "at_ms", -1),
    (UpwardItem, "sealed", bytes(15)),
    (UpwardItem, "sealed", bytes(MAX_ITEM + 17)),
    (UpwardRequest, "number", 1 << 32),
    (Report, "ledger", None),
    (Report, "items", (UP,) * (MAX_ITEMS_PER_REPORT + 1)),
    (Report, "requests", (ASK,) * (MAX_OPEN_REQUESTS + 1)),
    (Report, "samples", (SAMPLE.model_dump(),) * (MAX_SAMPLES_PER_REPORT + 1)),
    (Deliver, "cursor", -1),
    (Deliver, "sealed", bytes(MAX_ITEM + 17)),
    (Goodbye, "detail", "x" * 501),
    (AnswerItem, "state", "nowhere"),
    (AnswerItem, "order", "O 1"),
    (BeginRequest, "purpose", "fun"),
    (BeginRequest, "session", bytes(17)),
    (ProveRequest, "password", "x" * 257),
    (ProveRequest, "factor", "Face ID"),
    (ProveRequest, "response", bytes(24 * 1024 + 1)),
    (FactorOffer, "data", bytes(1_025)),
]


@pytest.mark.parametrize("value", GOOD, ids=lambda value: type(value).__name__)
def test_a_good_body_passes(value: Wire) -> None:
    assert type(value).decode(value.encode()) == value


@pytest.mark.parametrize(("model", "field", "bad"), BAD, ids=lambda part: str(part)[:30])
def test_a_body_with_one_field_out_of_bounds_is_refused(model: type[Wire], field: str, bad: object) -> None:
    (good,) = [value for value in GOOD if type(value) is model]
    with pytest.raises(PeerFault, match=f"'{field}") as caught:
        model.decode(msgpack.packb(good.model_dump() | {field: bad}))
    assert caught.value.code is WireCode.MALFORMED
