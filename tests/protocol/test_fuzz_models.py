"""protocol/models.py: what a message promises costs nothing before it is there."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest

from protocol.errors import PeerFault
from protocol.items import decode_item
from protocol.limits import MAX_HANDSHAKE_FRAME, MAX_ITEM, MAX_ITEMS_PER_REPORT, MAX_SESSION_FRAME
from protocol.messages import Report, Signed, UpwardItem
from protocol.models import Wire
from tests.protocol.links import LEDGER

DECODERS: dict[str, tuple[Callable[[bytes], Wire], int]] = {
    "handshake": (Signed.decode, MAX_HANDSHAKE_FRAME),
    "report": (Report.decode, MAX_SESSION_FRAME),
    "item": (decode_item, MAX_ITEM),
}
ENOUGH = 4 << 20  # bytes, for any message
UNLIMITED = "models._decode lets msgpack make room for any number of entries, up to 1,024 levels deep"


def memory_for(decode: Callable[[bytes], object], data: bytes) -> int:
    """Bytes at the peak of one decoding, beyond what there was before."""
    with suppress(PeerFault):
        decode(data)  # what is made once
    tracemalloc.start()
    try:
        with suppress(PeerFault):
            decode(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", DECODERS)
def test_arrays_that_only_promise_their_entries_take_no_room(name: str) -> None:
    decode, limit = DECODERS[name]
    deep = (b"\xdd" + limit.to_bytes(4)) * 1_000
    assert memory_for(decode, deep[:limit].ljust(limit, b"\xc0")) < ENOUGH


def test_a_report_full_of_unknown_fields_takes_little_more_than_its_size() -> None:
    fields = [b"\xa5%05d\xc0" % number for number in range(MAX_SESSION_FRAME // 7 - 1)]
    data = b"\xdf" + len(fields).to_bytes(4) + b"".join(fields)
    assert memory_for(Report.decode, data) < ENOUGH


def test_the_largest_report_takes_little_more_than_its_size() -> None:
    items = tuple(UpwardItem(cursor=number, sealed=bytes(7_000)) for number in range(MAX_ITEMS_PER_REPORT))
    data = Report(seq=1, acknowledged=0, ledger=LEDGER, items=items).encode()
    assert MAX_SESSION_FRAME * 3 // 4 < len(data) <= MAX_SESSION_FRAME
    assert memory_for(Report.decode, data) < ENOUGH
