"""What headquarters told of the postures of dispatching, in words."""

from collections.abc import Mapping

from protocol.texts import Language
from situational import Posture
from situational.texts import Language as TrendLanguage
from situational.texts import posture_text


def posture_text_of(postures: Mapping[str, str], language: Language) -> str:
    """Node by node, those that are not normal; "" when all are."""
    return "; ".join(f"{node}: {_name(posture, language)}" for node, posture in sorted(postures.items()))


def _name(posture: str, language: Language) -> str:
    known = posture.upper()
    if known not in Posture.__members__:  # a newer headquarters may know more of them
        return posture
    return posture_text(Posture[known], TrendLanguage(language.value))
