"""How far a peer may acknowledge: what left in any session of this or an earlier run, no more."""

import pytest

from protocol.errors import PeerFault, WireCode
from protocol.outbox import START, Inbox, Outbox
from protocol.session import Session
from tests.protocol.aio.stand_ins import local
from tests.protocol.links import box


def session(outbox: Outbox) -> Session:
    return Session(local(), outbox, Inbox())


def refused(of: Session, cursor: int) -> str:
    with pytest.raises(PeerFault) as caught:
        of._acknowledge(cursor)
    assert caught.value.code is WireCode.CURSOR
    return caught.value.detail


def test_what_is_durable_but_never_left_cannot_be_acknowledged() -> None:
    outbox = box(b"d1", b"d2", b"d3")
    here = session(outbox)
    here._mark_sent(1)
    assert refused(here, 2) == "acknowledges 2, sent was 1"
    assert here._acknowledge(1)
    assert len(outbox) == 2


def test_what_an_earlier_session_sent_may_be_acknowledged_before_it_is_sent_again() -> None:
    outbox = box(b"d1", b"d2", b"d3")
    session(outbox)._mark_sent(2)
    later = session(outbox)
    assert later._acknowledge(2)
    assert later._sent == 2, "it is not sent once more"
    assert refused(later, 3) == "acknowledges 3, sent was 2"


def test_a_later_session_that_has_sent_less_takes_nothing_of_the_bound_back() -> None:
    outbox = box(b"d1", b"d2", b"d3")
    session(outbox)._mark_sent(3)
    later = session(outbox)
    later._mark_sent(1)
    assert outbox.sent == 3
    assert later._acknowledge(3)


def test_after_a_restart_all_that_was_in_the_journal_may_have_left_and_nothing_newer() -> None:
    outbox = Outbox(START, [b"d1", b"d2"])
    outbox.mark_durable(outbox.add(b"d3"))
    later = session(outbox)
    assert refused(later, 3) == "acknowledges 3, sent was 2"
    assert later._acknowledge(2)
