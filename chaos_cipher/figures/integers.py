"""LM256's integer map measured: how soon a changed bit shows, how orbits cycle, merge and climb."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2
from statistics import mean, median
from typing import Final

import numpy as np

from chaos_cipher.logistic import GUARD, HALF, HIGHEST_A, LOWEST_A, step
from chaos_cipher.schedule import DROPPED_BITS

VISIBLE: Final = (1 << 256) // 10  # a tenth of the interval, one bin of Table 4
NEVER: Final = 2000  # iterations after which a difference counts as never seen
X0_UNIT: Final = 1 << 32  # neighbouring starts: 2^-224 of the interval
A_BITS: Final = 128
Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class Visibility:
    """Iterations until two orbits differ by a tenth, over random parameters."""

    trials: int
    mean: float
    worst: int


@dataclass(frozen=True, slots=True)
class Cycles:
    """Cycle lengths of the map on words of few bits, without the block counter, over random x0 and mu."""

    word_bits: int
    starts: int
    mean: float
    median: float
    mean_below_half: float  # log2(mean) - word_bits / 2
    median_below_half: float


@dataclass(frozen=True, slots=True)
class Merging:
    """Shares of neighbouring starts with the same image after one iteration."""

    trials: int
    without_guard: float  # neighbours 1 apart, over all of x0 < 1/2
    guarded_near_half: float  # neighbours 2^32 apart, within 2^221 of 1/2: a 2^-34 part of all starts
    guarded_elsewhere: float  # the same, from 2^221 to 2^222 of 1/2, where slopes are the next smallest


@dataclass(frozen=True, slots=True)
class Climb:
    """Iterations from the smallest x0 to 2^224 (worst mu) and the band that no orbit leaves afterwards."""

    steps: int
    lowest_log2: float  # smallest image of any X in [2^224, 2^256 - 2^223]
    gap_to_one_log2: float  # 2^256 - largest image of any X


def random_bits(rng: Generator, bits: int) -> int:
    return int.from_bytes(rng.bytes(-(-bits // 8)), "big") >> (-bits % 8)


def random_x0(rng: Generator) -> int:
    return random_bits(rng, 256 - DROPPED_BITS) << 32 | GUARD


def random_a(rng: Generator) -> int:
    """As the schedule draws it: (4 - 2^-30, 4 - 2^-31] in units of 2^-126."""
    return (1 << A_BITS) - (1 << 95 | random_bits(rng, A_BITS - DROPPED_BITS))


def visible_after(x: int, a: int, other_x: int, other_a: int) -> int:
    """The first iteration after which the two orbits differ by a tenth of the interval."""
    for n in range(1, NEVER):
        x, other_x = step(x, a), step(other_x, other_a)
        if abs(x - other_x) >= VISIBLE:
            return n
    return NEVER


def visibility_of_x0(trials: int, rng: Generator) -> Visibility:
    """Starts that differ by the smallest possible change, 2^-224."""
    pairs = ((random_x0(rng), random_a(rng)) for _ in range(trials))
    return _visibility([visible_after(x, a, x ^ X0_UNIT, a) for x, a in pairs])


def visibility_of_mu(trials: int, rng: Generator) -> Visibility:
    """mu that differ by the smallest possible change, 2^-126."""
    pairs = ((random_x0(rng), random_a(rng)) for _ in range(trials))
    return _visibility([visible_after(x, a, x, a ^ 1) for x, a in pairs])


def small_step(x: int, a: int, word_bits: int) -> int:
    """logistic.step() with word_bits in place of 256."""
    return x * ((1 << word_bits) - 1 - x) * a >> (word_bits + A_BITS - 2)


def cycle_length(x: int, a: int, word_bits: int) -> int:
    """The length of the cycle that x falls into (Brent 1980)."""
    power = length = 1
    tortoise, hare = x, small_step(x, a, word_bits)
    while tortoise != hare:
        if power == length:
            tortoise, power, length = hare, power * 2, 0
        hare = small_step(hare, a, word_bits)
        length += 1
    return length


def cycles(word_bits: int, starts: int, rng: Generator) -> Cycles:
    """Over x0 < 1/2 and mu in (4 - 2^-8, 4 - 2^-9]: wide enough that few bits of x still tell mu apart."""
    lengths = [
        cycle_length(
            1 + random_bits(rng, word_bits) % ((1 << (word_bits - 1)) - 1),
            (1 << A_BITS) - (1 << 117 | random_bits(rng, 117)),
            word_bits,
        )
        for _ in range(starts)
    ]
    middle = median(lengths)
    half = word_bits / 2
    return Cycles(word_bits, starts, mean(lengths), middle, log2(mean(lengths)) - half, log2(middle) - half)


def merging(trials: int, rng: Generator) -> Merging:
    plain = (random_bits(rng, 255) for _ in range(trials))
    near = (HALF - GUARD - (random_bits(rng, 189) << 32) for _ in range(trials))
    beyond = (HALF - GUARD - (1 << 221) - (random_bits(rng, 189) << 32) for _ in range(trials))
    return Merging(
        trials,
        _merged(plain, 1, trials, rng),
        _merged(near, X0_UNIT, trials, rng),
        _merged(beyond, X0_UNIT, trials, rng),
    )


def climb() -> Climb:
    """The image grows with mu, and over x it is smallest at the ends and largest in the middle."""
    low, high = 1 << 224, (1 << 256) - (1 << 223)
    x, steps = GUARD, 0
    while x < low:
        x, steps = step(x, LOWEST_A), steps + 1
    smallest = min(step(low, LOWEST_A), step(high, LOWEST_A))
    return Climb(steps, log2(smallest), log2((1 << 256) - step(HALF, HIGHEST_A)))


def _visibility(steps: list[int]) -> Visibility:
    return Visibility(len(steps), mean(steps), max(steps))


def _merged(starts: Iterable[int], apart: int, trials: int, rng: Generator) -> float:
    """Away from 1/2, so that no pair straddles the top of the map."""
    met = 0
    for x in starts:
        a = random_a(rng)
        met += step(x, a) == step(x - apart, a)
    return met / trials
