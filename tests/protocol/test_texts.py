import re
from collections.abc import Mapping
from typing import Any

import pytest

from protocol import texts
from protocol.keys import Role
from protocol.lifecycle import Custody, Input, State
from protocol.orders import OrderType
from protocol.texts import Language, Words, say

TABLES: list[Mapping[Any, Words]] = [
    texts.STATES,
    texts.INPUTS,
    texts.ORDER_TYPES,
    texts.ROLES,
    texts.CUSTODIES,
    texts.LINK_STATES,
    texts.OUTCOMES,
    texts.HEADS,
    texts.SENTENCES,
    *texts.NEXT_STEPS.values(),
]


def test_every_state_input_type_role_and_custody_has_words() -> None:
    assert texts.STATES.keys() == set(State)
    assert texts.INPUTS.keys() == set(Input)
    assert texts.ORDER_TYPES.keys() == set(OrderType)
    assert texts.ROLES.keys() == set(Role)
    assert texts.CUSTODIES.keys() == set(Custody)


@pytest.mark.parametrize("table", TABLES)
def test_both_languages_say_something_and_name_the_same_values(table: Mapping[Any, Words]) -> None:
    for chinese, english in table.values():
        assert chinese
        assert english
        assert set(re.findall(r"{\w+}", chinese)) == set(re.findall(r"{\w+}", english))


@pytest.mark.parametrize("table", [texts.STATES, texts.INPUTS, texts.ORDER_TYPES, texts.ROLES])
def test_no_two_codes_of_a_table_read_the_same(table: Mapping[Any, Words]) -> None:
    for place in (0, 1):
        said = [words[place] for words in table.values()]
        assert len(set(said)) == len(said)


def test_values_are_filled_in() -> None:
    assert say(("{n}号", "number {n}"), Language.ZH, n=5) == "5号"
    assert say(("{n}号", "number {n}"), Language.EN, n=5) == "number 5"
