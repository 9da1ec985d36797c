"""The paper's literal float64 cipher (P1 section 2.2) and the known-plaintext attack that breaks it."""

from chaos_cipher.paper.attack import LEAST_KNOWN, Broken, Prediction, attack
from chaos_cipher.paper.cipher import PaperKey, draw_key, paper_apply, paper_keystream
from chaos_cipher.paper.errors import (
    NoKeyError,
    PaperError,
    PaperKeyError,
    TextTooShortError,
    TooFewKnownBytesError,
    UndecidedKeyError,
)

__all__ = [
    "LEAST_KNOWN",
    "Broken",
    "NoKeyError",
    "PaperError",
    "PaperKey",
    "PaperKeyError",
    "Prediction",
    "TextTooShortError",
    "TooFewKnownBytesError",
    "UndecidedKeyError",
    "attack",
    "draw_key",
    "paper_apply",
    "paper_keystream",
]
