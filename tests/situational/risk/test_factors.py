from situational.risk import COUNTERS, FACTORS, LINKS, SOURCES
from situational.texts import Language


def test_there_are_five_links_and_nineteen_factors() -> None:
    assert [(link.code, len(link.factors)) for link in LINKS] == [
        ("C1", 2),
        ("C2", 4),
        ("C3", 5),
        ("C4", 3),
        ("C5", 5),
    ]
    assert all(factor.code[:2] == link.code for link in LINKS for factor in link.factors)
    assert [link.code for link in LINKS if link.common] == ["C5"]


def test_fourteen_factors_are_observable() -> None:
    assert len(SOURCES) == 14
    assert set(FACTORS) - set(SOURCES) == {"C31", "C52", "C53", "C54", "C55"}


def test_names_differ_and_are_in_their_language() -> None:
    chinese = [factor.name(Language.ZH) for factor in FACTORS.values()]
    english = [factor.name(Language.EN) for factor in FACTORS.values()]
    assert len(set(chinese)) == len(set(english)) == 19
    assert all(name.isascii() for name in english)
    assert not any(name.isascii() for name in chinese)


def test_no_event_speaks_for_two_factors_and_no_exposure_is_an_event() -> None:
    events = [name for source in SOURCES.values() for name in source.events]
    assert len(events) == len(set(events))
    assert not set(events) & {source.exposure for source in SOURCES.values()}
    assert set(COUNTERS) == {name for source in SOURCES.values() for name in source.counters}
