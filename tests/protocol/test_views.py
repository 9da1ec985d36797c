import json

import pytest

from protocol.lifecycle import OFF_CHAIN, Input, State
from protocol.timeline import Timeline
from protocol.views import order_row, order_view
from tests.protocol.parties import VALID_UNTIL_MS, Chain
from tests.support.pki import NOW_MS


def no_times() -> Timeline:
    return Timeline(lambda: 0.0)


@pytest.mark.parametrize("state", State)
def test_an_order_in_any_state_can_be_shown_as_json(state: State) -> None:
    record = Chain.at(state).record
    view = order_view(record, no_times())
    assert json.loads(json.dumps(view)) == view
    assert (view["state"], view["custody"]) == (state.value, record.custody.value)
    assert [event["input"] for event in view["events"]] == [
        event.event.input.value for event in record.events
    ]


def test_a_row_says_which_order_it_is() -> None:
    record = Chain().record
    assert order_row(record) == {
        "order": "o-1",
        "type": "permitted-operation",
        "type_zh": "许可操作",
        "state": "drafted",
        "custody": "headquarters",
        "desk": "desk-1",
        "plant": "plant-1",
        "title": "线路停电",
        "valid_until_ms": VALID_UNTIL_MS,
        "digest": record.content_hash.hex(),
    }


def test_a_view_shows_the_ticket_and_every_step() -> None:
    view = order_view(Chain().record, no_times())
    assert view | order_row(Chain().record) == view
    assert (view["ticket"], view["steps"]) == ("2026-17", [{"device": "断路器 201", "action": "断开"}])


def test_each_event_shows_who_did_what_and_in_which_words() -> None:
    chain = Chain.along(
        Input.ISSUE, Input.ACCEPT, Input.DELIVER, Input.NO_ANSWER, Input.READ_BACK, Input.REFUSE
    )
    shown = {event["input"]: event for event in order_view(chain.record, no_times())["events"]}
    assert {name: event["text"] for name, event in shown.items()} == {
        "draft": "线路停电",
        "issue": "",
        "accept": "",
        "deliver": "",
        "no-answer": "",
        "read-back": "断开 201",
        "refuse": "because",
    }
    assert (shown["draft"]["signer"], shown["draft"]["role"]) == ("li", "dispatcher")
    assert (shown["deliver"]["signer"], shown["deliver"]["role"]) == ("plant-1", "plant")
    assert {name for name, event in shown.items() if not event["on_chain"]} == {
        given.value for given in OFF_CHAIN & {Input.NO_ANSWER}
    }
    assert {event["at_ms"] for event in shown.values()} == {NOW_MS}


def test_the_reason_of_an_issue_is_shown() -> None:
    chain = Chain()
    chain.add(Input.ISSUE, reason="the line is clear")
    assert order_view(chain.record, no_times())["events"][1]["text"] == "the line is clear"


@pytest.mark.parametrize("given", [Input.APPROVE, Input.DECLINE])
def test_what_a_second_person_says_is_shown_with_name_and_role(given: Input) -> None:
    chain = Chain.along(Input.ISSUE, Input.ASK_APPROVAL)
    chain.add(given, reason="I looked at the line")
    shown = order_view(chain.record, no_times())["events"][-1]
    assert (shown["text"], shown["signer"], shown["role"]) == ("I looked at the line", "zhao", "supervisor")


def test_the_times_are_this_stations_own() -> None:
    timeline, record = Timeline(lambda: 7.5), Chain().record
    timeline.on_signed(record.events[0].hash)
    (event,) = order_view(record, timeline)["events"]
    assert (event["signed_ms"], event["seen_ms"]) == (7.5, None)
    timeline.on_order(record)
    (event,) = order_view(record, timeline)["events"]
    assert event["seen_ms"] == 7.5
