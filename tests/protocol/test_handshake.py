"""protocol/handshake.py: who is there, under which term, with which keys."""

from collections.abc import Callable
from typing import Any

import pytest

from protocol.errors import PeerFault, WireCode
from protocol.handshake import Fresh, Grant, make_hello, make_welcome, read_hello, read_welcome
from protocol.keys import Role, SigningKey
from protocol.limits import MAX_TERM_STEP, PROTOCOL_VERSION, Timers
from protocol.messages import Hello, Signed, Welcome
from protocol.outbox import START, Mark
from tests.protocol.links import BOOT, fresh, local
from tests.protocol.parties import (
    AUTHORITY,
    CENTER,
    DESK,
    DISPATCHER,
    HQ,
    OPERATOR,
    OTHER_PLANT,
    PLANT,
    SUPERVISOR,
)
from tests.support.pki import DEPLOYMENT

GRANTED = Grant(5, BOOT)
HELD = Mark(17, b"d" * 32)
HELLO_DOMAIN = b"dispatch hello 1\x00"
WELCOME_DOMAIN = b"dispatch welcome 1\x00"
OTHER_HQ = AUTHORITY.key(Role.HQ, "hq")  # a key of the same name: renewed, or stolen


def signed(key: SigningKey, domain: bytes, body: bytes) -> bytes:
    return Signed(body=body, signature=key.sign(domain, body)).encode()


def hello(by: SigningKey = HQ, domain: bytes = HELLO_DOMAIN, **fields: Any) -> bytes:
    right: dict[str, Any] = {
        "version": PROTOCOL_VERSION,
        "deployment": DEPLOYMENT,
        "superior": "hq",
        "node": "plant-1",
        "term": 5,
        "boot": BOOT,
        "poll_interval_ms": 5_000,
        "hold_ms": 4_800,
        "acknowledged": 0,
        "digest": bytes(32),
        "ephemeral": fresh(1).public,
        "nonce": fresh(1).nonce,
    }
    return signed(by, domain, Hello(**right | fields).encode())


def answered(payload: bytes | None = None, seed: int = 2) -> bytes:
    return make_welcome(local(PLANT), payload or hello(), START, fresh(seed))[0]


def changed(payload: bytes, by: SigningKey = PLANT, domain: bytes = WELCOME_DOMAIN, **fields: Any) -> bytes:
    """A Welcome with other fields, signed again."""
    welcome = Welcome.decode(Signed.decode(payload).body)
    return signed(by, domain, welcome.model_copy(update=fields).encode())


def refused(read: Callable[[], object]) -> PeerFault:
    with pytest.raises(PeerFault) as caught:
        read()
    return caught.value


def hello_refused(payload: bytes, superior: SigningKey = HQ) -> WireCode:
    return refused(lambda: read_hello(payload, local(PLANT), superior.certificate, GRANTED)).code


def welcome_refused(payload: bytes, node: SigningKey = PLANT, own: bytes | None = None) -> WireCode:
    own = own or hello()
    return refused(lambda: read_welcome(payload, local(HQ), node.certificate, own, fresh(1))).code


# --- Hello ---


def test_a_hello_says_who_calls_whom_under_which_term_and_timers() -> None:
    payload = make_hello(local(HQ), "plant-1", fresh(1), term=5, timers=Timers(1_000, 800), received=HELD)
    read = read_hello(payload, local(PLANT), HQ.certificate, GRANTED)
    assert (read.superior, read.node, read.term, read.boot) == ("hq", "plant-1", 5, BOOT)
    assert (read.acknowledged, read.digest) == HELD
    assert (read.poll_interval_ms, read.hold_ms) == (1_000, 800)
    assert payload == hello(poll_interval_ms=1_000, hold_ms=800, acknowledged=17, digest=b"d" * 32)


def test_a_poll_may_be_held_for_the_whole_interval() -> None:
    payload = hello(poll_interval_ms=100, hold_ms=100)
    assert read_hello(payload, local(PLANT), HQ.certificate, GRANTED).hold_ms == 100


def test_a_center_is_a_superior_too() -> None:
    payload = hello(CENTER, superior="center-1")
    assert read_hello(payload, local(PLANT), CENTER.certificate, GRANTED).superior == "center-1"


@pytest.mark.parametrize("term", [5, 6, 5 + MAX_TERM_STEP])
def test_the_same_or_a_newer_term_is_accepted(term: int) -> None:
    assert read_hello(hello(term=term), local(PLANT), HQ.certificate, GRANTED).term == term


def test_a_newer_term_may_be_that_of_another_run() -> None:
    payload = hello(term=6, boot=b"another run here")
    assert read_hello(payload, local(PLANT), HQ.certificate, GRANTED).term == 6


@pytest.mark.parametrize("term", [0, 1, MAX_TERM_STEP])
def test_a_node_that_was_never_commanded_takes_any_first_term(term: int) -> None:
    payload = hello(term=term, boot=b"whichever run it")
    assert read_hello(payload, local(PLANT), HQ.certificate, Grant()).term == term


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        pytest.param(hello(version=PROTOCOL_VERSION + 1), WireCode.VERSION, id="a newer version"),
        pytest.param(hello(version=0), WireCode.VERSION, id="an older version"),
        pytest.param(hello(deployment="other-grid"), WireCode.DEPLOYMENT, id="another deployment"),
        pytest.param(hello(superior="center-1"), WireCode.IDENTITY, id="another superior's name"),
        pytest.param(hello(node="plant-2"), WireCode.IDENTITY, id="a call for another node"),
        pytest.param(hello(OTHER_HQ), WireCode.SIGNATURE, id="another key of the same name"),
        pytest.param(hello(DISPATCHER), WireCode.SIGNATURE, id="a person's signature"),
        pytest.param(hello(PLANT), WireCode.SIGNATURE, id="our own signature"),
        pytest.param(hello(domain=WELCOME_DOMAIN), WireCode.SIGNATURE, id="a signature for a Welcome"),
        pytest.param(hello(domain=b""), WireCode.SIGNATURE, id="a signature without a domain"),
        pytest.param(hello(term=4), WireCode.TERM, id="an older term"),
        pytest.param(hello(boot=b"another run here"), WireCode.TERM, id="a term that another run holds"),
        pytest.param(hello(term=6 + MAX_TERM_STEP), WireCode.TERM, id="a term that leaps too far"),
        pytest.param(
            hello(poll_interval_ms=100, hold_ms=101), WireCode.TIMERS, id="a hold over the interval"
        ),
        pytest.param(b"", WireCode.MALFORMED, id="nothing"),
        pytest.param(b"garbage", WireCode.MALFORMED, id="garbage"),
        pytest.param(signed(HQ, HELLO_DOMAIN, b"garbage"), WireCode.MALFORMED, id="signed garbage"),
        pytest.param(answered(), WireCode.MALFORMED, id="a Welcome"),
    ],
)
def test_a_hello_is_refused(payload: bytes, code: WireCode) -> None:
    assert hello_refused(payload) is code


@pytest.mark.parametrize("key", [DESK, OTHER_PLANT, DISPATCHER, SUPERVISOR, OPERATOR])
def test_only_headquarters_and_centers_are_superiors(key: SigningKey) -> None:
    payload = hello(key, superior=key.certificate.name)
    assert hello_refused(payload, superior=key) is WireCode.IDENTITY


@pytest.mark.parametrize("field", ["term", "boot", "acknowledged", "digest", "ephemeral", "nonce"])
def test_a_hello_that_was_altered_after_it_was_signed_is_refused(field: str) -> None:
    values: dict[str, Any] = {"term": 9, "acknowledged": 3, "boot": bytes(16), "nonce": bytes(16)}
    body = Signed.decode(hello(**{field: values.get(field, b"x" * 32)})).body
    payload = Signed(body=body, signature=Signed.decode(hello()).signature).encode()
    assert hello_refused(payload) is WireCode.SIGNATURE


# --- Welcome ---


def test_a_welcome_says_who_answers_and_what_it_holds() -> None:
    payload, _ = make_welcome(local(PLANT), hello(), HELD, fresh(2))
    welcome, _ = read_welcome(payload, local(HQ), PLANT.certificate, hello(), fresh(1))
    assert (welcome.node, welcome.role) == ("plant-1", Role.PLANT)
    assert (welcome.acknowledged, welcome.digest) == HELD


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        pytest.param(
            changed(answered(), version=PROTOCOL_VERSION + 1), WireCode.VERSION, id="another version"
        ),
        pytest.param(changed(answered(), node="plant-2"), WireCode.IDENTITY, id="another node's name"),
        pytest.param(changed(answered(), role=Role.CENTER), WireCode.IDENTITY, id="another role"),
        pytest.param(changed(answered(), OTHER_PLANT), WireCode.SIGNATURE, id="another node's signature"),
        pytest.param(changed(answered(), OPERATOR), WireCode.SIGNATURE, id="a person's signature"),
        pytest.param(changed(answered(), HQ), WireCode.SIGNATURE, id="our own signature"),
        pytest.param(changed(answered(), domain=HELLO_DOMAIN), WireCode.SIGNATURE, id="signed as a Hello"),
        pytest.param(changed(answered(), hello=bytes(32)), WireCode.SIGNATURE, id="an answer to nothing"),
        pytest.param(answered(hello(nonce=bytes(16))), WireCode.SIGNATURE, id="an answer to another Hello"),
        pytest.param(changed(answered(), ephemeral=bytes(32)), WireCode.SEAL, id="a degenerate key"),
        pytest.param(b"", WireCode.MALFORMED, id="nothing"),
        pytest.param(signed(PLANT, WELCOME_DOMAIN, b"garbage"), WireCode.MALFORMED, id="signed garbage"),
        pytest.param(hello(), WireCode.MALFORMED, id="our own Hello"),
    ],
)
def test_a_welcome_is_refused(payload: bytes, code: WireCode) -> None:
    assert welcome_refused(payload) is code


@pytest.mark.parametrize("field", ["acknowledged", "digest", "ephemeral", "nonce"])
def test_a_welcome_that_was_altered_after_it_was_signed_is_refused(field: str) -> None:
    values: dict[str, Any] = {"acknowledged": 3, "nonce": bytes(16)}
    body = Signed.decode(changed(answered(), **{field: values.get(field, b"x" * 32)})).body
    payload = Signed(body=body, signature=Signed.decode(answered()).signature).encode()
    assert welcome_refused(payload) is WireCode.SIGNATURE


def test_a_welcome_of_an_earlier_link_cannot_be_replayed() -> None:
    old = answered(hello(nonce=b"yesterday's one!"))
    assert welcome_refused(old, own=hello()) is WireCode.SIGNATURE


def test_the_certificate_of_another_node_is_refused() -> None:
    assert welcome_refused(answered(), node=OTHER_PLANT) is WireCode.IDENTITY


def welcome_of(key: SigningKey) -> bytes:
    return changed(answered(), key, node=key.certificate.name, role=key.certificate.role)


@pytest.mark.parametrize("key", [DISPATCHER, OPERATOR, SUPERVISOR, HQ])
def test_neither_a_person_nor_headquarters_is_a_subordinate(key: SigningKey) -> None:
    assert welcome_refused(welcome_of(key), node=key) is WireCode.IDENTITY


@pytest.mark.parametrize("key", [DESK, PLANT, CENTER])
def test_desks_plants_and_centers_are_subordinates(key: SigningKey) -> None:
    own = hello(node=key.certificate.name)
    payload, _ = make_welcome(local(key), own, START, fresh(2))
    welcome, _ = read_welcome(payload, local(HQ), key.certificate, own, fresh(1))
    assert welcome.role is key.certificate.role


def test_a_degenerate_key_in_a_hello_is_refused() -> None:
    payload = hello(ephemeral=bytes(32))
    read_hello(payload, local(PLANT), HQ.certificate, GRANTED)
    assert refused(lambda: make_welcome(local(PLANT), payload, START, fresh(2))).code is WireCode.SEAL


# --- keys ---


def test_both_sides_hold_the_same_keys_one_per_direction() -> None:
    payload, theirs = make_welcome(local(PLANT), hello(), START, fresh(2))
    _, ours = read_welcome(payload, local(HQ), PLANT.certificate, hello(), fresh(1))
    down, up = ours.down.seal(b"text", b"h"), theirs.up.seal(b"text", b"h")
    assert down != up
    assert theirs.down.open(down, b"h") == ours.up.open(up, b"h") == b"text"


def test_what_goes_down_cannot_be_sent_back_up() -> None:
    _, theirs = make_welcome(local(PLANT), hello(), START, fresh(2))
    assert refused(lambda: theirs.up.open(theirs.down.seal(b"text", b"h"), b"h")).code is WireCode.SEAL


@pytest.mark.parametrize("changes", [{"nonce": bytes(16)}, {"term": 6}, {"acknowledged": 1}])
def test_whatever_was_said_in_the_handshake_goes_into_the_keys(changes: dict[str, Any]) -> None:
    sealed = {
        make_welcome(local(PLANT), payload, START, fresh(2))[1].down.seal(b"text", b"h")
        for payload in (hello(), hello(**changes))
    }
    assert len(sealed) == 2


def test_each_answer_to_the_same_hello_gives_new_keys() -> None:
    first, second = (make_welcome(local(PLANT), hello(), START, fresh(seed))[1] for seed in (2, 3))
    assert refused(lambda: second.down.open(first.down.seal(b"text", b"h"), b"h")).code is WireCode.SEAL


def test_the_random_part_is_made_of_48_bytes() -> None:
    entropy = bytes(range(48))
    assert Fresh.of(entropy).nonce == entropy[32:]
    assert len(Fresh.of(entropy).public) == 32
    assert Fresh.of(entropy).public == Fresh.of(entropy).public != Fresh.of(bytes(48)).public


def test_a_private_key_does_not_show_when_a_handshake_is_printed() -> None:
    assert fresh(1).key.private_bytes_raw().hex() not in repr(fresh(1))
    assert repr(fresh(1).key.private_bytes_raw()) not in repr(fresh(1))
