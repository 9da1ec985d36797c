from fractions import Fraction
from itertools import islice

import pytest

from chaos_cipher.fold import Leading, NoStateError, TooFewBlocksError, recover
from chaos_cipher.fold.equations import equations, system
from chaos_cipher.fold.keystream import fold_blocks, states
from chaos_cipher.fold.recover import lattice
from chaos_cipher.fold.trials import draw_parameters, hash_blocks
from chaos_cipher.logistic import Parameters

BITS, KNOWN = 64, 9


def true_state(parameters: Parameters, n: int = 1) -> int:
    return next(islice(states(parameters.x0, parameters.a), n - 1, None))


def hints(parameters: Parameters, bits: int = BITS, n: int = 1) -> tuple[Leading, Leading]:
    return Leading.of(true_state(parameters, n) >> 128, bits), Leading.of(parameters.a, bits)


def known(parameters: Parameters, count: int = KNOWN) -> list[int]:
    return fold_blocks(parameters.x0, parameters.a, count)


@pytest.mark.parametrize("number", range(4))
def test_state_and_a_follow_from_9_blocks_and_64_leading_bits(number: int) -> None:
    parameters = draw_parameters(11, number)
    found = recover(known(parameters), *hints(parameters))
    assert (found.x, found.a) == (true_state(parameters), parameters.a)
    assert found.equations <= KNOWN
    assert found.dimension > found.equations
    assert found.told > 2 * (128 - BITS)
    assert f"{found.a}" not in repr(found)


@pytest.mark.parametrize("n", [2, 3_000])
def test_blocks_from_anywhere_in_a_segment_will_do(n: int) -> None:
    parameters = draw_parameters(12, 0)
    blocks = known(parameters, n + KNOWN)[n - 1 :]
    found = recover(blocks, *hints(parameters, n=n), first=n)
    assert (found.x, found.a) == (true_state(parameters, n), parameters.a)
    with pytest.raises(NoStateError):
        recover(blocks, *hints(parameters, n=n), first=n + 1)


@pytest.mark.parametrize(("bits_hi", "bits_a"), [(72, 58), (58, 72)])
def test_the_two_hints_need_not_be_equally_long(bits_hi: int, bits_a: int) -> None:
    parameters = draw_parameters(13, 1)
    hi, a = Leading.of(true_state(parameters) >> 128, bits_hi), Leading.of(parameters.a, bits_a)
    found = recover(known(parameters, 10), hi, a)
    assert (found.x, found.a) == (true_state(parameters), parameters.a)


@pytest.mark.parametrize(("flip_hi", "flip_a"), [(1 << 20, 0), (0, 1 << 20), (1 << 63, 0), (1 << 8, 1 << 8)])
def test_wrong_leading_bits_give_no_state(flip_hi: int, flip_a: int) -> None:
    parameters = draw_parameters(14, 2)
    hi, a = hints(parameters)
    with pytest.raises(NoStateError, match="leading bits are wrong"):
        recover(known(parameters), Leading(hi.value ^ flip_hi, BITS), Leading(a.value ^ flip_a, BITS))


@pytest.mark.parametrize("place", [0, 1, KNOWN - 1])
def test_one_wrong_bit_of_a_known_block_leaves_no_state(place: int) -> None:
    parameters = draw_parameters(15, 0)
    blocks = known(parameters)
    blocks[place] ^= 1
    with pytest.raises(NoStateError):
        recover(blocks, *hints(parameters))


@pytest.mark.parametrize("number", range(3))
def test_blocks_of_lm256_2_give_no_state_even_with_true_leading_bits(number: int) -> None:
    parameters = draw_parameters(16, number)
    with pytest.raises(NoStateError):
        recover(hash_blocks(parameters, KNOWN), *hints(parameters))


@pytest.mark.parametrize(("count", "bits"), [(0, 60), (1, 120), (2, 60), (20, 4)])
def test_blocks_that_tell_too_little_are_refused_by_name(count: int, bits: int) -> None:
    parameters = draw_parameters(17, 0)
    hi = Leading.of(true_state(parameters) >> 128, bits)
    with pytest.raises(TooFewBlocksError, match="know more blocks or more leading bits") as refused:
        recover(known(parameters, count), hi, Leading.of(parameters.a, bits))
    assert refused.value.blocks == count


def test_the_true_unknowns_are_a_short_vector_of_the_lattice() -> None:
    parameters = draw_parameters(18, 0)
    hi, a = hints(parameters)
    blocks, true = known(parameters), true_state(parameters)
    chosen = system(list(equations(blocks, hi, a)))
    rows = lattice(chosen)
    one, count = rows[-1][-1], len(chosen.equations)
    u, v = within(true, hi.low << 128, hi.high << 128), within(parameters.a, a.low, a.high)
    short = list(rows[-1])
    for place, (row, (i, j)) in enumerate(zip(rows, chosen.monomials, strict=False), start=count):
        steps = round(u**i * v**j * one * 2 ** (i + j - 1) / row[place])
        short = [entry + steps * other for entry, other in zip(short, row, strict=True)]
    moduli = [rows[-2 - place][place] for place in range(count)]
    misses = [(entry + m // 2) % m - m // 2 for entry, m in zip(short, moduli, strict=False)]
    assert all(abs(miss) < 3 * one for miss in misses)
    assert all(abs(entry) <= one << 3 for entry in short[count:])


def within(number: int, low: int, high: int) -> Fraction:
    """Where in the range it is, from -1 to 1: the true value of an unknown."""
    return Fraction(2 * number - low - high, high - low)
