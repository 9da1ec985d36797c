"""Strategies, fixed inputs and bit counts that the cipher's tests share."""

from hashlib import shake_256

from hypothesis import settings
from hypothesis import strategies as st

# no deadline: the exact reference is slow, and no test here may depend on the machine's speed
few = settings(deadline=None, max_examples=25)
many = settings(deadline=None, max_examples=200)

keys = st.binary(min_size=32, max_size=32)
nonces = st.binary(min_size=16, max_size=16)
segments = st.integers(0, 2**32 - 1)
states = st.integers(0, 2**256 - 1) | st.sampled_from([0, 1, 2**255 - 1, 2**255, 2**256 - 2, 2**256 - 1])
lowest_a, highest_a = 2**128 - 2**96 + 1, 2**128 - 2**95
usable_a = st.integers(lowest_a, highest_a) | st.sampled_from([lowest_a, highest_a])
usable_x0 = st.integers(0, 2**223 - 1).map(lambda top: top * 2**32 + 2**31)
# the two smallest x0, the middle one and the two next to 1/2, at both ends of mu
EXTREMES = [
    (x0, a)
    for x0 in (2**31, 2**32 + 2**31, 2**254 + 2**31, 2**255 - 2**32 - 2**31, 2**255 - 2**31)
    for a in (lowest_a, highest_a)
]

KEY, NONCE = bytes(range(32)), bytes(range(16))


def fixed_bytes(seed: str, length: int) -> bytes:
    return shake_256(seed.encode()).digest(length)


def fixed_bits(seed: str, bits: int) -> int:
    return int.from_bytes(fixed_bytes(seed, 32), "big") % (1 << bits)


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


def differing_share(one: bytes, other: bytes) -> float:
    """Share of the bits that differ, of two strings of one length."""
    difference = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return difference.bit_count() / (8 * len(one))
