"""One attack on one drawn key, judged against the truth, with its counterpart on LM256."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import shake_256
from itertools import islice
from math import log2
from typing import Final

from chaos_cipher.cipher import LogisticCipher
from chaos_cipher.paper.attack import LEAST_KNOWN, Broken, Prediction, attack
from chaos_cipher.paper.cipher import PaperKey, draw_key, orbit, paper_apply, xor
from chaos_cipher.paper.errors import NoKeyError, TextTooShortError, TooFewKnownBytesError, UndecidedKeyError

CALIBRATION_STEPS: Final = 1_000_000
KEY_BITS: Final = 75  # 22 of mu's grid and 53 of a float64 state


class Outcome(StrEnum):
    """What the attack came to; the first two are a success."""

    KEY = "key"  # the true mu, and every later byte predicted
    EQUIVALENT = "equivalent"  # another mu, and every later byte predicted
    WRONG = "wrong"  # keys fit the known bytes, but the prediction fails
    UNDECIDED = "undecided"  # too many keys fit, and no sampled one exactly
    NO_KEY = "no-key"  # every key was excluded


@dataclass(frozen=True, slots=True)
class Trial:
    """An attack on the paper's cipher; `broken` and `prediction` are there unless it ended without a key."""

    key: PaperKey
    text: bytes
    known: int
    outcome: Outcome
    broken: Broken | None
    prediction: Prediction | None
    decrypted: bytes  # the text after the known bytes, as the attack reads it
    bits_per_byte: float
    seconds: float  # CPU time of attack and prediction

    @property
    def fell(self) -> bool:
        return self.outcome in {Outcome.KEY, Outcome.EQUIVALENT}

    @property
    def told_enough(self) -> bool:
        """Whether the known bytes tell as much as a key holds: 8 bits once, then the exponent per byte."""
        return 8 + self.bits_per_byte * self.known >= KEY_BITS


@dataclass(frozen=True, slots=True)
class Stand:
    """The attack on LM256: whether every key was excluded, after how many bytes, and what each stage left."""

    stood: bool
    excluded_after: int
    left: tuple[tuple[int, int], ...]


def try_paper(seed: int, number: int, text: bytes, known: int) -> Trial:
    """Encrypts under the key with this number, then attacks from the first `known` bytes.

    Raises TextTooShortError, TooFewKnownBytesError.
    """
    if known < LEAST_KNOWN:
        raise TooFewKnownBytesError(known, LEAST_KNOWN)
    if len(text) <= known:
        raise TextTooShortError(len(text), known)
    key = draw_key(seed, number)
    ciphertext = paper_apply(key, text)
    bits = bits_per_byte(key, known)
    start = time.process_time()
    try:
        broken = attack(xor(text[:known], ciphertext[:known]))
        prediction = broken.predict(len(text) - known)
    except (NoKeyError, UndecidedKeyError) as error:
        spent = time.process_time() - start
        outcome = Outcome.NO_KEY if isinstance(error, NoKeyError) else Outcome.UNDECIDED
        return Trial(key, text, known, outcome, None, None, b"", bits, spent)
    spent = time.process_time() - start
    decrypted = xor(ciphertext[known:], prediction.stream)
    outcome = _judge(key, prediction, right=decrypted == text[known:])
    return Trial(key, text, known, outcome, broken, prediction, decrypted, bits, spent)


def _judge(key: PaperKey, prediction: Prediction, *, right: bool) -> Outcome:
    if not right:
        return Outcome.WRONG
    return Outcome.KEY if prediction.mu_index == key.mu_index else Outcome.EQUIVALENT


def try_lm256(seed: int, number: int, text: bytes, known: int) -> Stand:
    """The same attack on as many known bytes of an LM256 message. Raises TooFewKnownBytesError."""
    secret = shake_256(f"LM256 key {seed} {number}".encode()).digest(48)
    ciphertext = LogisticCipher(secret[:32]).apply(secret[32:], text)
    try:
        attack(xor(text[:known], ciphertext[:known]))
    except NoKeyError as error:
        return Stand(stood=True, excluded_after=error.excluded_after, left=error.left)
    except UndecidedKeyError:
        return Stand(stood=False, excluded_after=0, left=())
    return Stand(stood=False, excluded_after=0, left=())


def bits_per_byte(key: PaperKey, length: int) -> float:
    """Mean log2 of the map's slope along the orbit: what a byte tells of the state; below 0: periodic."""
    slopes = (abs(key.mu * (1 - 2 * x)) for x in islice(orbit(key), length))
    return sum(log2(max(slope, 2.0**-60)) for slope in slopes) / length


def calibrate() -> float:
    """CPU seconds of a million iterations of the map in plain Python: the unit of the reported ratios."""
    start = time.process_time()
    x = 0.1
    for _ in range(CALIBRATION_STEPS):
        x = 3.9999 * x * (1 - x)
    return time.process_time() - start


def run_trials(seed: int, count: int, text: bytes, known: int) -> Iterator[tuple[Trial, Stand]]:
    for number in range(count):
        yield try_paper(seed, number, text, known), try_lm256(seed, number, text, known)
