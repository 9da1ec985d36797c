"""protocol/record.py: what may come next on an order."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from protocol.errors import OrderRefused, RefusalCode
from protocol.keys import Role, SigningKey
from protocol.lifecycle import CUSTODY, ISSUING, OFF_CHAIN, TERMINAL, TRANSITIONS, Custody, Input, State
from protocol.limits import CLOCK_SKEW_MS, MAX_VALIDITY_MS
from protocol.orders import GENESIS, VerifiedEvent
from protocol.record import OrderRecord, apply, capacities, replay
from tests.protocol.parties import (
    AUTHORITY,
    CENTER,
    CONTENT,
    DESK,
    DISPATCHER,
    HQ,
    OPERATOR,
    OTHER_DISPATCHER,
    OTHER_OPERATOR,
    OTHER_PLANT,
    OTHER_SUPERVISOR,
    PLANT,
    SUPERVISOR,
    VALID_UNTIL_MS,
    Chain,
    last_recall,
    right_key,
    write,
)
from tests.support.pki import NOW_MS

EVERYBODY = [
    HQ, CENTER, DESK, PLANT, OTHER_PLANT, DISPATCHER, OPERATOR, SUPERVISOR, OTHER_DISPATCHER, OTHER_OPERATOR,
    OTHER_SUPERVISOR,
]  # fmt: skip
PAIRS = [(state, given) for state, given in TRANSITIONS if state]
EXECUTED = {
    State.EXECUTING,
    State.UNKNOWN_EXECUTING,
    State.COMPLETED,
    State.CLOSED,
    State.FAILED,
    State.SETTLED,
}


def before(state: State, given: Input) -> Chain:
    """An order in `state` in which `given` makes sense."""
    if given is not Input.RECALLED:
        return Chain.at(state)
    chain = Chain.at(State.RECALLING)
    for step in (Input.LOSE, Input.FIND):
        if chain.record.state is not state:
            chain.add(step)
    assert chain.record.state is state
    return chain


def refused(record: OrderRecord | None, event: VerifiedEvent) -> OrderRefused:
    with pytest.raises(OrderRefused) as caught:
        apply(record, event)
    return caught.value


def head_of(record: OrderRecord) -> tuple[bytes, int]:
    return record.head, record.position


# --- the table, through signed events ---


@pytest.mark.parametrize(("state", "given"), PAIRS)
def test_every_transition_of_the_table_works_with_the_right_signature(state: State, given: Input) -> None:
    chain = before(state, given)
    chain.add(given)
    assert chain.record.state is TRANSITIONS[state, given]
    assert chain.record.is_open == (chain.record.state not in TERMINAL)
    assert chain.record.custody is CUSTODY[chain.record.state]


@pytest.mark.parametrize("given", set(Input) - {Input.DRAFT})
@pytest.mark.parametrize("state", State)
def test_every_other_pair_is_refused_whoever_signs(state: State, given: Input) -> None:
    if (state, given) not in TRANSITIONS:
        chain = Chain.at(state)
        error = refused(chain.record, chain.event(given))
        assert error.code is RefusalCode.ILLEGAL
        assert f"'{given.value}' is not possible in state '{state.value}'" in error.detail


@pytest.mark.parametrize(("state", "given"), PAIRS)
def test_every_transition_is_refused_from_everybody_else(state: State, given: Input) -> None:
    chain = before(state, given)
    right = right_key(state, given)
    for key in EVERYBODY:
        if key is not right:
            error = refused(chain.record, chain.event(given, by=key))
            assert error.code is RefusalCode.UNAUTHORISED
            assert f"'{key.certificate.name}'" in error.detail


def test_only_a_dispatcher_of_the_desk_may_draft() -> None:
    for key in EVERYBODY:
        if key is not DISPATCHER:
            assert refused(None, write(None, Input.DRAFT, by=key)).code is RefusalCode.UNAUTHORISED


@pytest.mark.parametrize(
    ("state", "wrong"), [(State.READ_BACK, PLANT), (State.CONFIRMED, HQ), (State.UNKNOWN, HQ)]
)
def test_an_order_expires_only_by_the_word_of_who_holds_it(state: State, wrong: SigningKey) -> None:
    chain = Chain.at(state)
    assert refused(chain.record, chain.event(Input.EXPIRE, by=wrong)).code is RefusalCode.UNAUTHORISED


def test_a_person_works_only_at_the_stations_of_the_certificate() -> None:
    content = CONTENT.model_copy(update={"plant": "plant-2"})
    event = write(None, Input.DRAFT, content=content)
    both = AUTHORITY.key(Role.OPERATOR, "both", "plant-1", "plant-2")
    other = AUTHORITY.key(Role.OPERATOR, "other", "plant-1")
    chain = Chain.along(Input.ISSUE)
    assert capacities(content, chain.event(Input.REFUSE, by=both))
    assert not capacities(content, chain.event(Input.REFUSE, by=other))
    assert apply(None, event).content.plant == "plant-2"


def test_a_supervisor_of_another_desk_a_desk_or_a_center_holds_no_capacity_towards_an_order() -> None:
    chain = Chain()
    for key in (OTHER_SUPERVISOR, DESK, CENTER):
        assert capacities(CONTENT, chain.event(Input.ISSUE, by=key)) == frozenset()


# --- the place in the chain ---


@pytest.mark.parametrize(("state", "given"), PAIRS)
def test_an_event_on_another_place_of_the_chain_is_stale(state: State, given: Input) -> None:
    chain = before(state, given)
    record = chain.record
    right = record.position + (given not in OFF_CHAIN)
    for event in (
        chain.event(given, previous=bytes(32)),
        chain.event(given, previous=record.content_hash if record.position else GENESIS),
        chain.event(given, position=right + 1),
        chain.event(given, position=right - 1 if right else right + 2),
    ):
        assert refused(record, event).code is RefusalCode.STALE


def test_an_event_of_another_order_is_stale() -> None:
    chain = Chain()
    assert refused(chain.record, chain.event(Input.ISSUE, order="o-2")).code is RefusalCode.STALE


def test_the_same_event_is_never_taken_twice() -> None:
    chain = Chain()
    issued = chain.add(Input.ISSUE)
    assert chain.record.has(issued.hash)
    assert not chain.record.has(bytes(32))
    assert refused(chain.record, issued).code is RefusalCode.STALE


def test_of_two_events_on_the_same_head_only_the_first_is_taken() -> None:
    chain = Chain.at(State.DELIVERED)
    read_back, cancelled = chain.event(Input.READ_BACK), chain.event(Input.CANCEL)
    record = apply(chain.record, cancelled)
    assert refused(record, read_back).code is RefusalCode.STALE


def test_a_draft_cannot_be_put_on_a_known_order() -> None:
    chain = Chain()
    assert refused(chain.record, write(None, Input.DRAFT)).code is RefusalCode.STALE


def test_an_unknown_order_begins_with_its_draft() -> None:
    error = refused(None, Chain().event(Input.ISSUE))
    assert error.code is RefusalCode.UNKNOWN_ORDER
    assert "'o-1'" in error.detail


@pytest.mark.parametrize("fields", [{"previous": b"\x01" * 32}, {"position": 1}])
def test_a_draft_with_a_past_is_refused(fields: dict[str, Any]) -> None:
    assert refused(None, write(None, Input.DRAFT, **fields)).code is RefusalCode.ILLEGAL


@pytest.mark.parametrize(("state", "given"), [pair for pair in PAIRS if pair[1] in OFF_CHAIN])
def test_an_observation_hangs_off_the_chain_and_leaves_its_head(state: State, given: Input) -> None:
    chain = Chain.at(state)
    known = head_of(chain.record)
    seen = chain.add(given)
    assert head_of(chain.record) == known
    assert chain.record.has(seen.hash)
    assert seen not in chain.record.after(GENESIS)


@pytest.mark.parametrize(
    ("seen", "done"),
    [
        ([Input.NO_ANSWER], Input.READ_BACK),
        ([Input.NO_ANSWER], Input.REFUSE),
        ([Input.LOSE], Input.BEGIN),
        ([Input.RECALL], Input.BEGIN),
        ([Input.RECALL, Input.LOSE], Input.BEGIN),
        ([Input.LOSE, Input.FIND, Input.LOSE], Input.EXPIRE),
    ],
)
def test_what_headquarters_saw_meanwhile_never_collides_with_what_the_plant_does(
    seen: list[Input], done: Input
) -> None:
    start = Chain.at(State.DELIVERED if Input.NO_ANSWER in seen else State.CONFIRMED)
    by_plant = start.event(done, at_ms=VALID_UNTIL_MS - (done is not Input.EXPIRE))
    headquarters = Chain(start.record)
    for given in seen:
        headquarters.add(given)
    assert head_of(apply(headquarters.record, by_plant)) == head_of(apply(start.record, by_plant))


# --- what the events must say ---


def test_what_is_read_back_must_be_what_was_drafted() -> None:
    chain = Chain.at(State.DELIVERED)
    error = refused(chain.record, chain.event(Input.READ_BACK, content_hash=b"\x01" * 32))
    assert error.code is RefusalCode.ILLEGAL
    assert "read back" in error.detail


def test_a_read_back_after_a_reissue_is_still_held_against_the_draft() -> None:
    chain = Chain.at(State.READ_BACK)
    for given in (Input.REISSUE, Input.ACCEPT, Input.DELIVER):
        chain.add(given)
    assert chain.record.content_hash == chain.record.events[0].hash
    wrong = chain.event(Input.READ_BACK, content_hash=chain.record.head)
    assert refused(chain.record, wrong).code is RefusalCode.ILLEGAL


def test_nothing_is_recalled_that_nobody_asked_for() -> None:
    chain = Chain.at(State.CONFIRMED)
    for asked in (bytes(32), chain.record.head, chain.record.content_hash):
        assert refused(chain.record, chain.event(Input.RECALLED, recall=asked)).code is RefusalCode.ILLEGAL


def test_a_recall_names_the_request_that_it_answers() -> None:
    chain = Chain.at(State.CONFIRMED)
    request = chain.add(Input.RECALL)
    assert last_recall(chain.record) == request.hash
    assert refused(chain.record, chain.event(Input.RECALLED, recall=bytes(32))).code is RefusalCode.ILLEGAL
    chain.add(Input.RECALLED, recall=request.hash)
    assert chain.record.state is State.CANCELLED


def test_a_second_recall_does_not_void_the_answer_to_the_first() -> None:
    plant = Chain.at(State.CONFIRMED)
    headquarters = Chain(plant.record)
    first = headquarters.add(Input.RECALL, reason="first")
    second = headquarters.add(Input.RECALL, reason="second")
    plant.record = apply(plant.record, first)
    answer = plant.add(Input.RECALLED, recall=first.hash)
    assert second.hash == last_recall(headquarters.record) != first.hash
    headquarters.record = apply(headquarters.record, answer)
    assert plant.record.state is headquarters.record.state is State.CANCELLED
    assert plant.record.head == headquarters.record.head


# --- the order's time ---

TIMELY = [
    (State.DRAFTED, Input.ISSUE),
    (State.READ_BACK, Input.REISSUE),
    (State.ISSUED, Input.ACCEPT),
    (State.ISSUED, Input.ASK_APPROVAL),
    (State.AWAITING, Input.APPROVE),
    (State.READ_BACK, Input.CONFIRM),
    (State.CONFIRMED, Input.BEGIN),
    (State.RECALLING, Input.BEGIN),
    (State.UNKNOWN, Input.BEGIN),
]


@pytest.mark.parametrize(("state", "given"), TIMELY)
def test_nothing_is_issued_approved_confirmed_or_begun_when_the_time_of_the_order_is_over(
    state: State, given: Input
) -> None:
    chain = Chain.at(state)
    for late in (VALID_UNTIL_MS, VALID_UNTIL_MS + 1):
        assert refused(chain.record, chain.event(given, at_ms=late)).code is RefusalCode.EXPIRED
    chain.add(given, at_ms=VALID_UNTIL_MS - 1)


@pytest.mark.parametrize("given", [Input.COMPLETE, Input.FAIL])
def test_what_was_begun_in_time_may_end_after_it(given: Input) -> None:
    chain = Chain.at(State.EXECUTING)
    chain.add(given, at_ms=VALID_UNTIL_MS + 1)
    assert chain.record.custody is Custody.HEADQUARTERS


def test_no_order_is_valid_for_longer_than_a_week() -> None:
    longest = CONTENT.model_copy(update={"valid_until_ms": NOW_MS + MAX_VALIDITY_MS})
    assert apply(None, write(None, Input.DRAFT, content=longest)).content == longest
    longer = CONTENT.model_copy(update={"valid_until_ms": NOW_MS + MAX_VALIDITY_MS + 1})
    assert refused(None, write(None, Input.DRAFT, content=longer)).code is RefusalCode.LIMIT


# --- the record itself ---


def test_a_record_of_a_whole_history_is_the_record_that_grew() -> None:
    chain = Chain.along(
        *(Input.ISSUE, Input.ACCEPT, Input.DELIVER, Input.NO_ANSWER, Input.READ_BACK, Input.REISSUE),
        *(Input.ACCEPT, Input.DELIVER, Input.READ_BACK, Input.CONFIRM, Input.LOSE, Input.RECALL),
        *(Input.FIND, Input.BEGIN, Input.LOSE, Input.FIND, Input.COMPLETE, Input.CLOSE),
    )
    assert chain.record.state is State.CLOSED
    assert chain.record.custody is Custody.NOBODY
    assert replay(chain.record.events) == chain.record


def test_a_history_with_a_missing_or_exchanged_event_is_refused() -> None:
    events = Chain.at(State.CONFIRMED).record.events
    for index in range(len(events) - 1):
        with pytest.raises(OrderRefused):
            replay(events[:index] + events[index + 1 :])
        with pytest.raises(OrderRefused):
            replay((*events[:index], events[index + 1], events[index], *events[index + 2 :]))


def test_no_history_is_no_order() -> None:
    with pytest.raises(OrderRefused, match="no events"):
        replay([])


def test_what_follows_a_head_is_the_rest_of_the_chain_without_observations() -> None:
    chain = Chain.at(State.UNANSWERED)
    on_chain = [event for event in chain.record.events if event.event.input not in OFF_CHAIN]
    assert chain.record.after(GENESIS) == tuple(on_chain)
    for index, event in enumerate(on_chain):
        assert chain.record.after(event.hash) == tuple(on_chain[index + 1 :])
    assert chain.record.after(b"\x07" * 32) == ()


def test_a_refused_event_changes_nothing() -> None:
    chain = Chain.at(State.CONFIRMED)
    known = chain.record
    refused(known, chain.event(Input.BEGIN, by=OTHER_OPERATOR))
    assert known == Chain.at(State.CONFIRMED).record


# --- whatever happens ---

ONWARD, LEGAL, ANY, FORGED = "onward", "legal", "any", "forged"
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from([ONWARD] * 9 + [LEGAL, ANY, FORGED]),
        st.integers(0, 1_000),
        st.sampled_from(EVERYBODY),
    ),
    min_size=5,
    max_size=25,
)


def choose(record: OrderRecord, how: str, number: int) -> Input:
    legal = {given: after for (state, given), after in TRANSITIONS.items() if state is record.state}
    onward = [given for given, after in legal.items() if after not in TERMINAL]
    choices = {ONWARD: onward, LEGAL: list(legal)}.get(how) or list(Input)
    return choices[number % len(choices)]


@for_all(HAPPENINGS)
def test_no_sequence_of_events_executes_an_order_that_was_not_confirmed_as_it_stands(
    happenings: list[tuple[str, int, SigningKey]],
) -> None:
    chain = Chain()
    for how, number, somebody in happenings:
        with suppress(OrderRefused):
            chain.add(choose(chain.record, how, number), by=somebody if how is FORGED else None)
        inputs = [event.event.input for event in chain.record.events]
        if chain.record.state in EXECUTED:
            last_issue = max(i for i, given in enumerate(inputs) if given in ISSUING)
            asked = inputs[last_issue:].count(Input.ASK_APPROVAL)
            assert inputs[last_issue:].count(Input.APPROVE) == asked
            assert chain.record.is_approved == bool(asked)
            needed = [Input.ACCEPT, Input.DELIVER, Input.READ_BACK, Input.CONFIRM, Input.BEGIN]
            assert [given for given in inputs[last_issue:] if given in needed] == needed
    assert all(
        event.signer in {key.certificate for key in (DISPATCHER, SUPERVISOR, OPERATOR, HQ, PLANT)}
        for event in chain.record.events
    )
    assert replay(chain.record.events) == chain.record


@pytest.mark.parametrize("state", [State.DELIVERED, State.CONFIRMED])
def test_nothing_expires_before_its_validity_ends(state: State) -> None:
    chain = Chain.at(state)
    with pytest.raises(OrderRefused) as caught:
        apply(chain.record, chain.event(Input.EXPIRE, at_ms=VALID_UNTIL_MS - 1))
    assert caught.value.code is RefusalCode.CLOCK
    assert apply(chain.record, chain.event(Input.EXPIRE, at_ms=VALID_UNTIL_MS)).state is State.EXPIRED


def test_nothing_begins_before_it_was_confirmed() -> None:
    chain = Chain.at(State.CONFIRMED)
    assert chain.record is not None
    confirmed = chain.record.events[-1].event.at_ms
    with pytest.raises(OrderRefused) as caught:
        apply(chain.record, chain.event(Input.BEGIN, at_ms=confirmed - CLOCK_SKEW_MS - 1))
    assert caught.value.code is RefusalCode.CLOCK
    in_time = chain.event(Input.BEGIN, at_ms=confirmed - CLOCK_SKEW_MS)
    assert apply(chain.record, in_time).state is State.EXECUTING
