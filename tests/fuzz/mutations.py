"""What can happen to good bytes: flipped, cut, repeated, reordered, spliced, made to promise too much."""

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.fuzz.script import Deed

_WRONG = [b"\xff", b"\xff\xff\xff\xff", b"\x00", b"\x7f", b"\x80", b"\xdd\x00\x04\x00\x00", b"\xc1"]


@st.composite
def altered(draw: st.DrawFn, good: Sequence[bytes]) -> bytes:
    """One of these, after one to four mishaps."""
    data = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(data) - 1)))
        end = min(len(data), start + draw(st.integers(0, 64)))
        patch = draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([*_WRONG, *_flips(data[start : start + 1])]))
        )
        middle, rest = draw(
            st.sampled_from(
                [
                    (patch, start + len(patch)),  # overwritten
                    (patch, start),  # pushed in
                    (b"", end),  # lost
                    (b"", len(data)),  # cut off
                    (data[start:end], start),  # repeated
                    (draw(st.sampled_from(good))[start:], len(data)),  # spliced
                ]
            )
        )
        data = data[:start] + middle + data[rest:]
    return data


def _flips(byte: bytes) -> list[bytes]:
    """A byte with each of its bits wrong."""
    return [bytes([value ^ 1 << bit]) for value in byte for bit in range(8)]


@st.composite
def altered_deeds(draw: st.DrawFn, good: Sequence[Sequence[Deed]]) -> list[Deed]:
    """One of these scripts with deeds dropped, repeated, exchanged, spliced in, joined or altered."""
    deeds = list(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 3))):
        if not deeds:
            break
        place, other = (draw(st.integers(0, len(deeds) - 1)) for _ in range(2))
        deed, payload = deeds[place]
        match draw(
            st.sampled_from(["flip", "drop", "repeat", "exchange", "splice", "join", "flip", "alter"])
        ):
            case "drop":
                del deeds[place]
            case "repeat":
                deeds.insert(other, deeds[place])
            case "exchange":
                deeds[place], deeds[other] = deeds[other], deeds[place]
            case "splice":
                deeds[place:] = draw(st.sampled_from(good))[other:]
            case "join":
                deeds[place : place + 2] = [(deed, b"".join(each for _, each in deeds[place : place + 2]))]
            case "flip" if payload:
                at = draw(st.integers(0, len(payload) - 1))
                flipped = draw(st.sampled_from(_flips(payload[at : at + 1])))
                deeds[place] = (deed, payload[:at] + flipped + payload[at + 1 :])
            case _:
                deeds[place] = (deed, draw(altered([payload])))
    return deeds
