"""No two stations ever put two events at one position, and nothing that a person signed is lost in silence.

People act, items are carried in any legal order and again, processes end and begin, clocks are off.
"""

from contextlib import suppress
from itertools import combinations, pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from protocol.errors import OrderRefused
from protocol.lifecycle import SECOND_PERSON, Input, State
from situational import Posture
from tests.dispatch_server.orders.grid import Grid
from tests.dispatch_server.orders.support import RULES

ORDERS = ("o-1", "o-2")
_OPEN_QUESTIONS = {State.UNKNOWN, State.UNKNOWN_EXECUTING, State.RECALLING}
_DONE = st.sampled_from([0, 1, 2, 3, 3, 3, 3, 4, 4])  # 3 steps: confirmed; 4: begun
_ORDER = st.sampled_from(["o-1", "o-1", "o-1", "o-2"])
_ANSWERS = SECOND_PERSON | {Input.CANCEL, Input.EXPIRE}
_SELDOM = st.sampled_from([False, False, False, True])
_SKEWS_S = st.sampled_from(
    [(0, 0, 0, 0), (0, 20, -10, 0), (-10, 10, 10, 5), (0, 0, 400, 0), (0, 0, -400, 0), (400, 0, 0, 0)]
)


class Agreement(RuleBasedStateMachine):
    """The plant is a direct subordinate of headquarters."""

    far = False

    def __init__(self) -> None:
        super().__init__()
        self.grid: Grid | None = None

    @initialize(skews=_SKEWS_S, done=_DONE, race=st.booleans(), careful=st.booleans())
    def begin(self, skews: tuple[int, ...], done: int, race: bool, careful: bool) -> None:
        """`done`: how far the first order has come when the trouble begins; in a `race` both sides act; a
        `careful` headquarters makes each issue wait for a second person."""
        self.grid = Grid(far=self.far, skews=skews)
        self.grid.posture = Posture.HEIGHTENED if careful else Posture.NORMAL
        for order in ORDERS:
            self.grid.draft(order)
        self.grid.settle()
        for step in range(done):
            self._act(ORDERS[0], by_operator=bool(step % 2), turns=False)
            self.grid.settle()
            self.grid.supervisor(ORDERS[0], turns=False)
            self.grid.settle()
        if race:
            self._act(ORDERS[0], by_operator=False, turns=True)
            self._act(ORDERS[0], by_operator=True, turns=False)

    def _act(self, order: str, *, by_operator: bool, turns: bool) -> None:
        act = self._grid.operator if by_operator else self._grid.dispatcher
        with suppress(OrderRefused):
            act(order, turns=turns)

    @property
    def _grid(self) -> Grid:
        assert self.grid
        return self.grid

    # --- people ---

    @rule(order=_ORDER, turns=_SELDOM, arrives=st.booleans())
    def the_second_person_decides(self, order: str, turns: bool, arrives: bool) -> None:
        with suppress(OrderRefused):
            self._grid.supervisor(order, turns=turns)
        if arrives:
            self.everything_arrives()

    @rule(order=_ORDER, by_operator=st.booleans(), turns=st.booleans(), arrives=st.booleans())
    def somebody_acts(self, order: str, by_operator: bool, turns: bool, arrives: bool) -> None:
        self._act(order, by_operator=by_operator, turns=turns)
        if arrives:
            self.everything_arrives()

    # --- the world ---

    @rule(
        wire=st.integers(0, 2),
        upward=st.booleans(),
        again=st.integers(0, 3),
        count=st.integers(1, 4),
        acknowledge=st.booleans(),
    )
    def items_are_carried(self, wire: int, upward: bool, again: int, count: int, acknowledge: bool) -> None:
        above, below = self._grid.wires[wire % len(self._grid.wires)]
        sender, receiver = (below, above) if upward else (above, below)
        self._grid.carry(sender, receiver, again=again, count=count, acknowledge=acknowledge)

    @rule(silent=_SELDOM)
    def time_is_looked_at(self, silent: bool) -> None:
        self._grid.look_at_the_time(silent=silent)

    @rule(seconds=st.sampled_from([1, 1, 1, 10, 10, 10, 130, 3600]))
    def time_passes(self, seconds: int) -> None:
        for place in self._grid.places.values():
            place.node.clock.advance(seconds)

    @rule(posture=st.sampled_from([Posture.NORMAL, Posture.HEIGHTENED]))
    def the_posture_changes(self, posture: Posture) -> None:
        self._grid.posture = posture

    @rule(which=st.integers(0, 3))
    def a_process_begins_anew(self, which: int) -> None:
        names = sorted(self._grid.places)
        self._grid.restart(names[which % len(names)])

    @rule()
    def everything_arrives(self) -> None:
        self._grid.settle()
        records = [self._grid.record("hq", order) for order in ORDERS]
        if any(record.state in _OPEN_QUESTIONS for record in records if record):
            self.time_passes(RULES.lost_after_ms // 1000)
            self._grid.look_at_the_time(silent=False)  # the plant is heard again: it is asked
            self._grid.settle()
        for order in ORDERS:
            self._check_rest(order)
        for place in self._grid.places.values():
            assert not place.node.station.pending

    def _check_rest(self, order: str) -> None:
        """Once everything arrived, all agree, all wishes and recalls have their outcome, no order is lost."""
        grid = self._grid
        known = grid.record("hq", order)
        assert grid.record("desk-1", order) == known
        accepted = Input.ACCEPT in grid.chain("hq", order)
        for name in grid.places.keys() - {"hq", "desk-1"}:
            assert grid.hashes(name, order) == (grid.hashes("hq", order) if accepted else [])
        assert known is None or known.state not in _OPEN_QUESTIONS

    # --- what must always hold ---

    @precondition(lambda self: self.grid)
    @invariant()
    def chains_are_beginnings_of_one_another(self) -> None:
        for order in ORDERS:
            chains = [self._grid.hashes(name, order) for name in self._grid.places]
            for one, other in combinations(chains, 2):
                shared = min(len(one), len(other))
                assert one[:shared] == other[:shared]

    @precondition(lambda self: self.grid)
    @invariant()
    def nothing_is_begun_that_was_not_confirmed_or_is_over(self) -> None:
        for name in self._grid.places:
            for order in ORDERS:
                chain = self._grid.chain(name, order)
                if Input.BEGIN in chain:
                    assert chain[chain.index(Input.BEGIN) - 1] is Input.CONFIRM
                record = self._grid.record(name, order)
                begun = [e.event for e in record.events if e.event.input is Input.BEGIN] if record else []
                assert all(record and event.at_ms < record.content.valid_until_ms for event in begun)

    @precondition(lambda self: self.grid)
    @invariant()
    def nothing_is_accepted_while_a_second_person_is_asked(self) -> None:
        for name in self._grid.places:
            for order in ORDERS:
                chain = self._grid.chain(name, order)
                for before, given in pairwise(chain):
                    assert before is not Input.ASK_APPROVAL or given in _ANSWERS
                    assert given not in SECOND_PERSON or before is Input.ASK_APPROVAL

    @precondition(lambda self: self.grid)
    @invariant()
    def honest_stations_are_never_suspected(self) -> None:
        assert self._grid.suspicions() == []

    @override
    def teardown(self) -> None:
        if self.grid:
            try:
                self.everything_arrives()
            finally:
                self.grid.close()


class AgreementThroughACenter(Agreement):
    """The plant lies behind a center."""

    far = True


class ManyAgreements(Agreement):
    """The same, searched for longer."""


class ManyAgreementsThroughACenter(AgreementThroughACenter):
    """The same, searched for longer."""


def _unhurried(examples: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )


TestAgreement = Agreement.TestCase
TestAgreement.settings = _unhurried(40)
TestAgreementThroughACenter = AgreementThroughACenter.TestCase
TestAgreementThroughACenter.settings = _unhurried(40)
TestManyAgreements = pytest.mark.long(ManyAgreements.TestCase)
TestManyAgreements.settings = _unhurried(2_000)
TestManyAgreementsThroughACenter = pytest.mark.long(ManyAgreementsThroughACenter.TestCase)
TestManyAgreementsThroughACenter.settings = _unhurried(2_000)
