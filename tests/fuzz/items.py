"""Everything that is decoded from a message: `python -m tests.fuzz.items [corpus] [libFuzzer flags]`."""

from collections.abc import Callable

from protocol.errors import PeerFault, WireCode
from protocol.items import EventItem, decode_item, order_of
from protocol.journal.batch import Notice
from protocol.messages import Deliver, Goodbye, Hello, Poll, Reply, Report, Signed, Welcome
from protocol.models import Wire, decode_as
from protocol.orders import EVENTS, SignedEvent
from protocol.requests import decode_reply, decode_request
from tests.fuzz.engine import run
from tests.fuzz.plainly import told_plainly

DECODERS: tuple[Callable[[bytes], Wire], ...] = (
    decode_item,
    decode_request,
    decode_reply,
    lambda data: decode_as(EVENTS, data),
    *(model.decode for model in (Signed, Hello, Welcome, Poll, Report, Deliver, Reply, Goodbye)),
    *(model.decode for model in (SignedEvent, Notice)),
)


def one(data: bytes) -> None:
    """What is taken was canonical; what is not taken is a malformed message and nothing else."""
    for decode in DECODERS:
        try:
            value = decode(data)
        except PeerFault as fault:
            told_plainly(fault, WireCode.MALFORMED)
        else:
            assert value.encode() == data
            if isinstance(value, EventItem):
                order_of(value)


if __name__ == "__main__":
    run(one)
