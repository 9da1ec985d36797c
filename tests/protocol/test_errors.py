"""protocol/errors.py: what errors say, and the codes that cross the wire."""

import pytest

from protocol.errors import (
    ConfigurationRefused,
    DispatchError,
    KeyRefused,
    LinkError,
    LinkLost,
    LocalMisuse,
    OrderRefused,
    PeerFault,
    RefusalCode,
    WireCode,
)

# Both ends of a link know these numbers: a number is never given a second meaning.
WIRE_CODES = (
    "stopping version deployment identity term oversized malformed unexpected sequence seal cursor signature "
    "limit silent replaced lost timers internal"
)


def test_the_wire_codes_keep_their_numbers() -> None:
    assert [(code.name.lower(), int(code)) for code in WireCode] == list(
        zip(WIRE_CODES.split(), range(1, 19), strict=True)
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PeerFault(WireCode.SEAL, "does not verify"), "seal: does not verify"),
        (LinkLost(WireCode.SILENT, "no answer"), "silent: no answer"),
        (OrderRefused(RefusalCode.STALE, "look again"), "stale: look again"),
        (KeyRefused("hq", "revoked"), "hq: revoked"),
        (ConfigurationRefused("nodes.toml", "a loop", "Remove one"), "nodes.toml: a loop. Remove one"),
        (LocalMisuse("not open"), "not open"),
    ],
)
def test_an_error_tells_a_person_what_happened(error: DispatchError, text: str) -> None:
    assert str(error) == text


def test_whose_fault_it_is_can_be_told_apart() -> None:
    assert issubclass(PeerFault, LinkError)
    assert issubclass(LinkLost, LinkError)
    assert not issubclass(PeerFault, LinkLost)
    assert not issubclass(LocalMisuse, LinkError)
    assert not issubclass(OrderRefused, LinkError)
