"""dispatch_server/orders/checks.py: each objection, and that there is none without its reason."""

from dataclasses import replace

import pytest

from dispatch_server.orders.checks import Rules, Surroundings, needs_second_person, objection
from protocol.lifecycle import Input, State
from protocol.orders import OrderType, Step
from protocol.record import OrderRecord, apply
from situational import Posture
from tests.protocol.parties import CONTENT, VALID_UNTIL_MS, Chain, write
from tests.support.pki import NOW_MS

RULES = Rules()
CALM = Surroundings(
    now_ms=NOW_MS, posture=Posture.NORMAL, plant_is_known=True, plant_is_crowded=False, others=()
)
ISSUED = Chain.at(State.ISSUED).record
OTHER_STATES = sorted(set(State) - {State.ISSUED})


def order(name: str, *, plant: str = "plant-1", devices: tuple[str, ...] = ("断路器 201",)) -> OrderRecord:
    """Another order with the same equipment unless a test says otherwise."""
    steps = tuple(Step(device=device, action="合上") for device in devices)
    ticket = CONTENT.ticket.model_copy(update={"steps": steps})
    content = CONTENT.model_copy(update={"plant": plant, "ticket": ticket})
    return apply(None, write(None, Input.DRAFT, order=name, content=content))


def of_type(kind: OrderType) -> OrderRecord:
    """An order of one of the eight types."""
    return replace(ISSUED, content=CONTENT.model_copy(update={"type": kind}))


def test_nothing_is_objected_to_an_order_that_is_in_order() -> None:
    assert objection(ISSUED, RULES, CALM) is None


def test_a_plant_that_no_route_leads_to_is_objected_to_by_name() -> None:
    assert "'plant-1'" in (objection(ISSUED, RULES, replace(CALM, plant_is_known=False)) or "")


@pytest.mark.parametrize("late_ms", [0, 1, 86_400_000])
def test_an_order_whose_validity_is_over_is_objected_to(late_ms: int) -> None:
    around = replace(CALM, now_ms=VALID_UNTIL_MS + late_ms)
    assert "validity is over" in (objection(ISSUED, RULES, around) or "")


def test_the_last_millisecond_of_the_validity_counts() -> None:
    assert objection(ISSUED, RULES, replace(CALM, now_ms=VALID_UNTIL_MS - 1)) is None


def test_a_validity_longer_than_the_rules_allow_is_objected_to_and_the_limit_is_told() -> None:
    strict = Rules(max_validity_ms=2 * 3_600_000)
    long = replace(CALM, now_ms=VALID_UNTIL_MS - 2 * 3_600_000)
    assert objection(ISSUED, strict, long) is None
    assert "2 h" in (objection(ISSUED, strict, replace(long, now_ms=long.now_ms - 1)) or "")


def test_a_plant_for_which_too_much_waits_is_objected_to() -> None:
    assert "too much waits" in (objection(ISSUED, RULES, replace(CALM, plant_is_crowded=True)) or "")


@pytest.mark.parametrize("kind", OrderType)
def test_nothing_is_issued_while_the_posture_is_held(kind: OrderType) -> None:
    assert "telephone" in (objection(of_type(kind), RULES, replace(CALM, posture=Posture.HELD)) or "")


@pytest.mark.parametrize("kind", OrderType)
def test_only_the_listed_types_pass_a_restricted_posture(kind: OrderType) -> None:
    found = objection(of_type(kind), RULES, replace(CALM, posture=Posture.RESTRICTED))
    if kind in {OrderType.OUTAGE_NOTICE, OrderType.MAINTENANCE_WORK}:
        assert found is None
    else:
        assert kind.value in (found or "")


@pytest.mark.parametrize("posture", [Posture.NORMAL, Posture.HEIGHTENED])
def test_a_milder_posture_stops_no_order(posture: Posture) -> None:
    assert objection(ISSUED, RULES, replace(CALM, posture=posture)) is None


@pytest.mark.parametrize("posture", Posture)
def test_every_posture_but_the_normal_one_asks_for_a_second_person_once(posture: Posture) -> None:
    assert needs_second_person(ISSUED, posture) == (posture is not Posture.NORMAL)
    approved = Chain.along(Input.ISSUE, Input.ASK_APPROVAL, Input.APPROVE)
    assert not needs_second_person(approved.record, posture)


def test_equipment_under_another_order_is_objected_to_with_device_and_order() -> None:
    found = objection(ISSUED, RULES, replace(CALM, others=[order("o-9")])) or ""
    assert "断路器 201" in found
    assert "o-9" in found


def test_one_shared_device_among_many_is_enough() -> None:
    other = order("o-9", devices=("刀闸 1", "断路器 201", "刀闸 2"))
    assert "断路器 201" in (objection(ISSUED, RULES, replace(CALM, others=[other])) or "")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(ISSUED, id="the order itself"),
        pytest.param(order("o-9", devices=("断路器 202",)), id="other equipment"),
        pytest.param(order("o-9", plant="plant-2"), id="the same name at another plant"),
    ],
)
def test_what_does_not_share_equipment_is_no_obstacle(other: OrderRecord) -> None:
    assert objection(ISSUED, RULES, replace(CALM, others=[other])) is None


@pytest.mark.parametrize("state", OTHER_STATES)
def test_the_checks_speak_of_the_content_whatever_the_state(state: State) -> None:
    record = Chain.at(state).record
    assert objection(record, RULES, CALM) is None
    assert objection(record, RULES, replace(CALM, posture=Posture.HELD)) is not None
