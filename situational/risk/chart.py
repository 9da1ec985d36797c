"""The factors as a chart like P2's figure 3: in order of risk, in the three groups. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING

from situational.risk.assess import Assessment, FactorRisk, Group
from situational.risk.errors import FiguresMissingError
from situational.risk.factors import FACTORS
from situational.risk.report import group_text
from situational.texts import Language

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {Group.MAJOR: "#b5482f", Group.GENERAL: "#d9a441", Group.LOW: "#4f7a9f"}
CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Noto Sans CJK JP",  # how Debian's collection of all CJK languages is listed
    "Droid Sans Fallback",
)
LAST_LATIN = "\u024f"
_AXIS = {
    Language.ZH: "风险值区间（点为中值，右侧为排序向量 ρ）",
    Language.EN: "risk value, interval (dot: middle; right: ranking vector ρ)",
}
_TITLES = {Language.ZH: "风险因素排序", Language.EN: "Risk factors in order"}


def chart(assessment: Assessment, language: Language = Language.EN) -> bytes:
    """A PNG. Chinese needs a Chinese font on this machine; without one the labels are English.

    Raises FiguresMissingError.
    """
    try:
        figures = import_module("matplotlib.figure")
        fonts = import_module("matplotlib.font_manager").fontManager
    except ModuleNotFoundError as error:
        raise FiguresMissingError from error
    chinese = choose_font(fonts.get_font_names())
    if chinese is None:
        language = Language.EN
    families = ["DejaVu Sans", *([chinese] if chinese else [])]
    if language is Language.ZH:
        families.reverse()
    figure: Figure = figures.Figure(figsize=(11, 7), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    _draw(axes, assessment.factors, language, families)
    title = f"{_TITLES[language]}: {assessment.title}" if assessment.title else _TITLES[language]
    legible = title if chinese else "".join(sign for sign in title if sign <= LAST_LATIN)
    axes.set_title(legible, loc="left", fontsize=12, fontfamily=families, parse_math=False)
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def choose_font(installed: Collection[str]) -> str | None:
    """The first known font with simplified Chinese."""
    return next((font for font in CHINESE_FONTS if font in installed), None)


def _draw(axes: Axes, factors: tuple[FactorRisk, ...], language: Language, families: list[str]) -> None:
    largest = max(factor.value.upper for factor in factors) or 1.0
    named: set[Group] = set()
    for place, factor in enumerate(factors):
        value, colour = factor.value, COLOURS[factor.group]
        label = "" if factor.group in named else group_text(factor.group, language)
        named.add(factor.group)
        axes.barh(place, value.upper - value.lower, left=value.lower, height=0.62, color=colour, label=label)
        axes.plot(value.middle, place, "o", color="white", markersize=4)
        axes.text(value.upper + 0.01 * largest, place, f"{factor.rho:.4f}", va="center", fontsize=8)
    names = [f"{factor.code} {FACTORS[factor.code].name(language)}" for factor in factors]
    axes.set_yticks(range(len(factors)), names, fontsize=9, fontfamily=families)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1 * largest)
    axes.set_xlabel(_AXIS[language], fontsize=9, fontfamily=families)
    axes.legend(loc="lower right", frameon=False, prop={"family": families, "size": 9})
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
