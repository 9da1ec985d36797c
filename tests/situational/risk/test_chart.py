import struct
import sys

import pytest

from situational.risk import FiguresMissingError, assess, chart, panel_from
from situational.risk.chart import CHINESE_FONTS, choose_font
from situational.texts import Language
from tests.situational.risk.support import document

ASSESSMENT = assess(panel_from(document()))


@pytest.mark.parametrize("language", list(Language))
def test_the_chart_is_a_png_with_or_without_a_chinese_font(language: Language) -> None:
    pytest.importorskip("matplotlib")
    image = chart(ASSESSMENT, language)
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", image[16:24]) == (1650, 1050)
    assert image.endswith(b"IEND\xaeB`\x82")


def test_a_title_is_text_and_never_a_formula() -> None:
    pytest.importorskip("matplotlib")
    odd = assess(panel_from(document() | {"title": r"costs $\frac{$ 演示"}))
    assert chart(odd).startswith(b"\x89PNG")


def test_the_first_known_chinese_font_is_chosen() -> None:
    assert choose_font(["DejaVu Sans", CHINESE_FONTS[4], CHINESE_FONTS[1]]) == CHINESE_FONTS[1]
    assert choose_font(["DejaVu Sans"]) is None


def test_without_the_drawing_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FiguresMissingError, match=r"pip install '\.\[figures\]'"):
        chart(ASSESSMENT)
