from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher import LogisticCipher, Parameters, keystream
from chaos_cipher.logistic import GUARD, HIGHEST_A
from chaos_cipher.quality import sources
from chaos_cipher.quality.sources import Source, sequence
from tests.chaos_cipher.support import few

CIPHERS = [source for source in Source if source is not sources.CONTROL]


@few
@given(st.sampled_from(list(Source)), st.integers(0, 9), st.integers(1, 20_000))
def test_a_source_gives_as_many_bytes_as_asked_always_the_same(
    source: Source, index: int, length: int
) -> None:
    made = sequence(source, "seed", index, length)
    assert len(made) == length
    assert made == sequence(source, "seed", index, length)


@pytest.mark.parametrize("source", list(Source))
def test_seed_and_index_change_everything(source: Source) -> None:
    made = {sequence(source, seed, index, 1_000) for seed in ("1", "2", "1/again") for index in range(8)}
    assert len(made) == 24


def test_lm256_is_the_cipher_itself_with_the_index_as_nonce() -> None:
    key = sources._digest("key", "seed", 0)
    for index in (0, 1, 2**40):
        cipher = LogisticCipher(key)
        assert sequence(Source.LM256, "seed", index, 100_000) == cipher.apply(
            index.to_bytes(16, "big"), bytes(100_000)
        )


def neighbours(count: int) -> list[Parameters]:
    return [Parameters((1_000 + j << 32) | GUARD, HIGHEST_A - 5) for j in range(count)]


def test_pieces_of_neighbours_lie_side_by_side() -> None:
    near = neighbours(4)
    mixed = sources._interleaved(lambda j, size: keystream(near[j], size), 16, 4, 192)
    assert mixed[:64] == b"".join(keystream(each, 16) for each in near)
    assert mixed[64:128] == b"".join(keystream(each, 32)[16:] for each in near)


def test_when_a_group_of_neighbours_is_used_up_the_next_follows() -> None:
    far = Parameters(GUARD, HIGHEST_A)
    asked: list[int] = []

    def stream(j: int, size: int) -> bytes:
        asked.append(j)
        return keystream(far, size)

    assert len(sources._interleaved(stream, 65_536, 1, 150_000)) == 150_000
    assert asked == [0, 1, 2]


def test_differences_are_those_of_successive_neighbours() -> None:
    near = neighbours(3)
    streams = [np.frombuffer(keystream(each, 4_096), dtype=np.uint8) for each in near]
    expected = (streams[0] ^ streams[1]).tobytes() + (streams[1] ^ streams[2]).tobytes()
    assert sources._differences(lambda j, size: keystream(near[j], size), 8_192) == expected


@pytest.mark.parametrize(("source", "step"), [(Source.ADJACENT_X0, (2**32, 0)), (Source.ADJACENT_MU, (0, 1))])
def test_adjacent_parameters_are_one_step_of_the_grid_apart(
    source: Source, step: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Parameters] = []

    def recorded(parameters: Parameters, length: int) -> bytes:
        used.append(parameters)
        return bytes(length)

    monkeypatch.setattr(sources, "keystream", recorded)
    for index in range(4):
        used.clear()
        sequence(source, "seed", index, 300_000)
        steps = {(b.x0 - a.x0, b.a - a.a) for a, b in pairwise(used)}
        assert steps == {step}


def test_the_bare_map_shows_the_folded_states_whose_hashes_are_the_blocks() -> None:
    x, a = GUARD, HIGHEST_A
    for _ in range(300):
        x = x * (2**256 - 1 - x) * a >> 382
    folds, blocks = [], []
    for n in (1, 2, 3):
        x = (x * (2**256 - 1 - x) * a >> 382) ^ n
        folds.append((x // 2**128 ^ x % 2**128).to_bytes(16, "little"))
        blocks.append(sha256(x.to_bytes(32, "big")).digest())
    assert sources.folded_states(Parameters(GUARD, HIGHEST_A), 45) == b"".join(folds)[:45]
    assert keystream(Parameters(GUARD, HIGHEST_A), 96) == b"".join(blocks)


def test_the_bare_map_takes_neighbours_in_x0_and_in_mu_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Parameters] = []

    def recorded(parameters: Parameters, length: int) -> bytes:
        used.append(parameters)
        return bytes(length)

    monkeypatch.setattr(sources, "folded_states", recorded)
    for index in range(8):
        used.clear()
        sequence(Source.BARE_MAP, "seed", index, 300_000)
        steps = {(b.x0 - a.x0, b.a - a.a) for a, b in pairwise(used)}
        assert steps == {(2**32, 0) if index % 2 else (0, 1)}


@pytest.mark.parametrize("index", range(4))
def test_each_byte_of_the_control_gives_the_next_one_and_mu_away(index: int) -> None:
    made = np.frombuffer(sequence(Source.FLOAT_BYTES, "seed", index, 20_000), dtype=np.uint8)
    x = (made.astype(np.float64) + 0.5) / 256
    middle = (x[:-1] > 0.2) & (x[:-1] < 0.8)
    mu = (x[1:] / (x[:-1] * (1 - x[:-1])))[middle]
    assert 3.56 < np.median(mu) < 4.01
    assert np.abs(mu - np.median(mu)).max() < 0.08  # half a byte here, half a byte there
