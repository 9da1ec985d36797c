"""protocol/seal.py and protocol/session.py: the inner cipher works ahead while nobody waits."""

import pytest
from typing_extensions import override

from protocol import seal
from protocol.seal import Sealer
from protocol.session import Session
from tests.protocol.links import Link, XorStandIn, put

SECRET = b"s" * 32


def is_ready(subject: Sealer | Session) -> bool:
    """Asked anew each time: a call between two questions may change the answer."""
    return subject.is_prepared


class Ahead(XorStandIn):
    """An inner cipher that tells in which order it is used."""

    def __init__(self, key: bytes, log: list[tuple[str, bytes]]) -> None:
        super().__init__(key)
        self.log = log

    @override
    def apply(self, nonce: bytes, data: bytes, /) -> bytes:
        self.log.append(("apply", nonce))
        return super().apply(nonce, data)

    @override
    def prepare(self, nonce: bytes, /) -> None:
        self.log.append(("prepare", nonce))

    @override
    def wipe(self) -> None:
        self.log.append(("wipe", b""))


def sealer_with_log() -> tuple[Sealer, list[tuple[str, bytes]]]:
    log: list[tuple[str, bytes]] = []
    return Sealer(SECRET, lambda key: Ahead(key, log)), log


def used_sealer_with_log() -> tuple[Sealer, list[tuple[str, bytes]]]:
    """One that has sealed a first message: from then on it works ahead."""
    sealer, log = sealer_with_log()
    sealer.seal(b"first", b"h")
    log.clear()
    return sealer, log


def test_what_is_prepared_is_the_nonce_of_the_next_message() -> None:
    sealer, log = used_sealer_with_log()
    for _ in range(3):
        sealer.prepare()
        sealer.seal(b"open breaker 201", b"h")
    assert [what for what, _ in log] == ["prepare", "apply"] * 3
    assert all(log[i][1] == log[i + 1][1] for i in (0, 2, 4))


def test_a_sealer_that_never_sealed_works_nothing_ahead_and_derives_no_key() -> None:
    made: list[bytes] = []

    def make(key: bytes) -> XorStandIn:
        made.append(key)
        return XorStandIn(key)

    sealer = Sealer(SECRET, make)
    sealer.prepare()
    sealer.wipe()
    assert is_ready(sealer)
    assert made == []
    sealer.seal(b"x", b"h")
    assert len(made) == 1


def test_preparing_twice_is_preparing_once() -> None:
    sealer, log = used_sealer_with_log()
    assert not is_ready(sealer)
    sealer.prepare()
    sealer.prepare()
    assert is_ready(sealer)
    assert len(log) == 1
    sealer.seal(b"x", b"h")
    assert not is_ready(sealer)


def test_a_prepared_sealer_and_an_unprepared_opener_understand_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seal, "REKEY_AFTER", 2)
    (sealer, log), opener = sealer_with_log(), Sealer(SECRET, XorStandIn)
    for number in range(5):
        sealer.prepare()
        assert opener.open(sealer.seal(b"message %d" % number, b"h"), b"h") == b"message %d" % number
    # What an epoch prepared is forgotten when the next one's keys come.
    assert [what for what, _ in log].count("wipe") == 2


def test_a_wiped_sealer_has_forgotten_what_it_prepared_and_goes_on() -> None:
    sealer, log = sealer_with_log()
    opener = Sealer(SECRET, XorStandIn)
    opener.open(sealer.seal(b"first", b"h"), b"h")
    sealer.prepare()
    sealer.wipe()
    assert not is_ready(sealer)
    assert log[-1] == ("wipe", b"")
    assert opener.open(sealer.seal(b"x", b"h"), b"h") == b"x"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the inner ciphers of a Link were asked to work ahead or to forget."""
    told: list[str] = []
    monkeypatch.setattr(XorStandIn, "prepare", lambda self, nonce: told.append("prepare"))
    monkeypatch.setattr(XorStandIn, "wipe", lambda self: told.append("wipe"))
    return told


def test_a_session_that_is_not_open_has_nothing_to_prepare(calls: list[str]) -> None:
    link = Link()
    for session in (link.superior, link.subordinate):
        assert is_ready(session)
        session.prepare()
        session.end()
    assert calls == []


def used_both_ways() -> Link:
    """An open session that carried a message in each direction."""
    link = Link().opened()
    put(link.down_outbox, b"down")
    put(link.up_outbox, b"up")
    link.settle()
    link.run(1)
    return link


def test_a_session_that_carried_nothing_works_nothing_ahead(calls: list[str]) -> None:
    link = Link().opened()
    for session in (link.superior, link.subordinate):
        assert is_ready(session)
        session.prepare()
        session.end()
    assert calls == []


def test_a_session_works_ahead_in_both_directions_once(calls: list[str]) -> None:
    link = used_both_ways()
    for session in (link.superior, link.subordinate):
        assert not is_ready(session)
        session.prepare()
        assert is_ready(session)
        session.prepare()
    assert calls == ["prepare"] * 4


def test_a_message_uses_up_what_both_its_ends_prepared_and_polls_use_up_nothing(calls: list[str]) -> None:
    link = used_both_ways()
    link.superior.prepare()
    link.subordinate.prepare()
    link.run(60)
    assert is_ready(link.superior)
    assert is_ready(link.subordinate)
    put(link.down_outbox, b"an item")
    link.settle()
    assert link.taken_down == [b"down", b"an item"]
    assert not is_ready(link.superior)
    assert not is_ready(link.subordinate)


def test_the_end_of_a_session_wipes_both_directions(calls: list[str]) -> None:
    link = used_both_ways()
    link.superior.end()
    assert calls == ["wipe"] * 2
