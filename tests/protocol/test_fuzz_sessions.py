"""protocol/superior.py, subordinate.py: whatever a peer says, and however it is cut, a link may only end.

The invariants stand in tests/fuzz/sessions.py and hold in every play; the same plays are fuzzed for longer by
`python -m tests.fuzz.superior` and `python -m tests.fuzz.subordinate`.
"""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.errors import WireCode
from protocol.frames import Kind
from protocol.limits import MAX_HANDSHAKE_FRAME, MAX_SESSION_FRAME
from protocol.messages import Report, UpwardItem
from protocol.outbox import START
from tests.fuzz import corpus, script
from tests.fuzz.mutations import altered, altered_deeds
from tests.fuzz.sessions import (
    DELIVER,
    HANDSHAKE,
    ORDERS,
    POLL,
    RAW,
    REPLY,
    REPORT,
    TURN,
    Outcome,
    Play,
    SubordinatePlay,
    SuperiorPlay,
    held_bytes,
    hello_body,
    play,
)
from tests.protocol.links import LEDGER, frame, place

Deeds = Sequence[script.Deed]

ROLES: dict[str, type[Play]] = {"superior": SuperiorPlay, "subordinate": SubordinatePlay}
SCRIPTS = {
    role: [list(script.read(data[1:])) for name, data in corpus.make().items() if name.startswith(f"{role}/")]
    for role in ROLES
}
SIGNED = {role: next(script.read(corpus.make()[f"{role}/signed"][1:]))[1] for role in ROLES}
BY_ROLE = st.sampled_from(sorted(ROLES))
CUTS = st.integers(1, 255)


def as_heard(role: str, deeds: Deeds) -> list[script.Deed]:
    """The same play in the bytes that came over the wire, with nobody's keys left in it."""
    played = ROLES[role](0)
    played.perform(script.write(deeds))
    return played.heard


HEARD = {role: [as_heard(role, deeds) for deeds in scripts] for role, scripts in SCRIPTS.items()}


def outcome(role: str, deeds: Deeds, cut: int = 1) -> Outcome:
    return play(ROLES[role], bytes([cut]) + script.write(deeds))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("number", range(9))
def test_every_recorded_play_comes_out_the_same_from_its_bytes_alone(role: str, number: int) -> None:
    assert outcome(role, HEARD[role][number]) == outcome(role, SCRIPTS[role][number])


def test_the_plays_lead_to_the_ends_that_they_are_meant_for() -> None:
    ends = {role: {outcome(role, deeds).code for deeds in SCRIPTS[role]} for role in ROLES}
    common = {None, WireCode.SILENT, WireCode.SEQUENCE}
    assert ends["superior"] >= common | {WireCode.CURSOR, WireCode.MALFORMED, WireCode.STOPPING}
    assert ends["subordinate"] >= common | {WireCode.CURSOR, WireCode.SEAL, WireCode.REPLACED}


def stream(deeds: Deeds) -> list[script.Deed]:
    """The same with everything joined that comes without a turn of the other side between."""
    joined: list[script.Deed] = []
    for deed, payload in deeds:
        if joined and deed == joined[-1][0] == RAW:
            joined[-1] = (RAW, joined[-1][1] + payload)
        else:
            joined.append((deed, payload))
    return joined


STREAMS = {role: [*heard, *map(stream, heard)] for role, heard in HEARD.items()}
UNSEALED = Report(seq=1, acknowledged=3, ledger=LEDGER, items=(UpwardItem(cursor=1, sealed=bytes(20)),))
NEWS, ORDER, LONG = b"news", b"order", b"x" * 4_000
HONEST = {
    "superior": {START, *(place(*items) for items in ([NEWS], [NEWS, NEWS], [NEWS] * 3, [LONG] * 3))},
    "subordinate": {START, *(place(*items) for items in ([ORDER], [ORDER, ORDER], [LONG]))},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("cut", [*range(1, 12), 16, 64, 255])
def test_whole_streams_come_out_the_same_in_pieces_of_any_size(role: str, cut: int) -> None:
    for heard in HEARD[role]:
        assert outcome(role, stream(heard), cut) == outcome(role, heard)


def test_a_report_right_behind_the_welcome_is_refused_alike_in_one_piece_and_in_two() -> None:
    report = frame(Kind.REPORT, UNSEALED)
    (_, welcome), *_ = HEARD["superior"][0]
    joined, apart = ([(RAW, welcome + report)], [(RAW, welcome), (RAW, report)])
    assert outcome("superior", joined).code is outcome("superior", apart).code


def test_what_honest_peers_sent_is_all_that_recorded_plays_take() -> None:
    for role, plays in HEARD.items():
        taken = {outcome(role, deeds).taken for deeds in plays}
        assert len(taken) > 2
        assert taken <= HONEST[role]


@settings(max_examples=200)
@given(st.data(), BY_ROLE, CUTS)
def test_altered_traffic_ends_the_link_or_gives_what_was_sent(
    data: st.DataObject, role: str, cut: int
) -> None:
    assert outcome(role, data.draw(altered_deeds(STREAMS[role])), cut).taken in HONEST[role]


def forged(*deeds: int) -> st.SearchStrategy[script.Deed]:
    small = st.builds(
        lambda a, b, c, d, plain: struct.pack("!bbbB", a, b, c, d) + plain,
        *[st.integers(-2, 4)] * 3,
        st.integers(0, 255),
        st.binary(max_size=40),
    )
    return st.tuples(st.sampled_from(deeds), small)


COMMON = [
    st.tuples(st.just(RAW), st.binary(max_size=60)),
    st.tuples(st.just(TURN), st.sampled_from([b"\x00\x00", b"\x12\xc0", b"\xff\xff"])),
    st.tuples(st.just(HANDSHAKE), st.just(b"")),
]
TRAITORS = {
    "superior": st.lists(st.one_of(*COMMON, forged(REPORT), forged(REPORT)), max_size=8),
    "subordinate": st.lists(st.one_of(*COMMON, forged(POLL), forged(DELIVER), forged(REPLY)), max_size=8),
}


@settings(max_examples=80)
@given(st.data(), BY_ROLE, st.booleans(), CUTS)
def test_a_traitor_with_every_key_of_its_node_can_only_end_the_link(
    data: st.DataObject, role: str, is_open: bool, cut: int
) -> None:
    deeds = data.draw(TRAITORS[role])
    outcome(role, [(HANDSHAKE, b""), (TURN, b"\x00\x00"), *deeds] if is_open else deeds, cut)


@settings(max_examples=60)
@given(st.data(), BY_ROLE, CUTS)
def test_any_half_of_a_handshake_under_a_right_signature_is_answered_or_refused(
    data: st.DataObject, role: str, cut: int
) -> None:
    body = data.draw(altered([SIGNED[role]]))
    outcome(role, [(HANDSHAKE, body), (TURN, b"\x00\x00")], cut)


def test_a_degenerate_key_under_a_right_signature_ends_the_link() -> None:
    weak = outcome("subordinate", [(HANDSHAKE, hello_body(ephemeral=bytes(32)))])
    assert (weak.code, weak.said) == (WireCode.SEAL, b"")


# --- memory ---

KINDS = {"superior": (Kind.WELCOME, Kind.REPORT), "subordinate": (Kind.HELLO, Kind.DELIVER)}


@pytest.mark.parametrize("role", ROLES)
def test_an_unfinished_frame_of_the_largest_size_is_all_that_is_kept(role: str) -> None:
    before, after = KINDS[role]
    stranger, friend = ROLES[role](0), ROLES[role](0)
    friend.perform(script.write([(HANDSHAKE, b""), (TURN, b"\x00\x00")]))
    for played, kind, most in ((stranger, before, MAX_HANDSHAKE_FRAME), (friend, after, MAX_SESSION_FRAME)):
        played.feed(struct.pack("!IB", most, kind) + bytes(most - 1))
        assert held_bytes(played.session._reader) == 5 + most - 1


@settings(max_examples=60)
@given(BY_ROLE, st.sampled_from(Kind), st.integers(0, 0xFFFF_FFFF), st.booleans(), CUTS)
@example("superior", Kind.REPORT, MAX_SESSION_FRAME, True, 1)
@example("subordinate", Kind.POLL, 257, True, 1)
def test_whatever_length_is_announced_no_more_is_kept_than_its_kind_may_have(
    role: str, kind: Kind, length: int, is_open: bool, cut: int
) -> None:
    opening = [(HANDSHAKE, b""), (TURN, b"\x00\x00")] if is_open else []
    stream = struct.pack("!IB", length, kind) + bytes(20_000)
    outcome(role, [*opening, (RAW, stream), (RAW, stream), (RAW, stream)], cut)


# --- what its program is told ---


def told_and_forgotten(role: str, deeds: Deeds) -> tuple[int, int]:
    """Up to where the peer's acknowledgements were told of, and up to where our items were forgotten."""
    played = ROLES[role](0)
    end = played.perform(script.write(deeds))
    return played.told, end.acknowledged.cursor


def test_a_superior_forgets_no_item_for_a_report_whose_seals_do_not_hold() -> None:
    assert told_and_forgotten("superior", [*OPENING, (RAW, frame(Kind.REPORT, UNSEALED))]) == (0, 0)


HELD = place(*ORDERS)
OPENING = [(HANDSHAKE, b""), (TURN, b"\x00\x00")]


@settings(max_examples=50)
@given(TRAITORS["superior"])
def test_a_superior_forgets_no_item_without_telling_its_program(deeds: Deeds) -> None:
    told, forgotten = told_and_forgotten("superior", [*OPENING, *deeds])
    assert told == forgotten


@settings(max_examples=50)
@given(TRAITORS["subordinate"])
@example([(HANDSHAKE, hello_body(ephemeral=bytes(32), acknowledged=HELD.cursor, digest=HELD.digest))])
def test_a_subordinate_forgets_no_item_without_telling_its_program(deeds: Deeds) -> None:
    told, forgotten = told_and_forgotten("subordinate", deeds)
    assert told == forgotten
