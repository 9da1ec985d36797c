from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from dispatch_server.identity.challenges import Binding, Challenge, ChallengeTable, Purpose
from dispatch_server.identity.errors import ChallengeRefused, PersonIdRefused
from tests.dispatch_server.identity.support import DIGEST_X, DIGEST_Y, unhurried

LOGIN = Binding("alice", "desk", Purpose.LOGIN, None, DIGEST_X)
ISSUE = Binding("alice", "desk", Purpose.ISSUE, b"s" * 16, DIGEST_X)
APPROVE = Binding("alice", "desk", Purpose.APPROVE, None, DIGEST_X)


def table(per_node: int = 3, in_all: int = 5) -> ChallengeTable:
    return ChallengeTable(lifetime_s=60.0, per_node=per_node, in_all=in_all)


def number(value: int) -> bytes:
    return value.to_bytes(16)


def test_a_challenge_comes_back_as_it_was_given_out() -> None:
    challenges = table()
    challenges.add(number(1), ISSUE, {"totp": b"", "face": b"nonce"}, now=10.0)
    redeemed = challenges.redeem(number(1), "desk", now=69.9)
    assert redeemed == Challenge(number(1), ISSUE, {"totp": b"", "face": b"nonce"}, 70.0)


def test_a_challenge_serves_only_one_attempt() -> None:
    challenges = table()
    challenges.add(number(1), ISSUE, {}, now=0.0)
    challenges.redeem(number(1), "desk", now=1.0)
    with pytest.raises(ChallengeRefused, match="unknown, used or expired"):
        challenges.redeem(number(1), "desk", now=1.0)


def test_a_challenge_nobody_was_given_is_refused() -> None:
    with pytest.raises(ChallengeRefused, match="unknown"):
        table().redeem(number(1), "desk", now=0.0)


def test_an_expired_challenge_is_refused_and_gone() -> None:
    challenges = table()
    challenges.add(number(1), ISSUE, {}, now=0.0)
    with pytest.raises(ChallengeRefused, match="challenge expired"):
        challenges.redeem(number(1), "desk", now=60.0)
    assert len(challenges) == 0


def test_an_answer_from_another_node_is_refused_and_uses_the_challenge_up() -> None:
    challenges = table()
    challenges.add(number(1), ISSUE, {}, now=0.0)
    with pytest.raises(ChallengeRefused, match="another node"):
        challenges.redeem(number(1), "plant", now=1.0)
    with pytest.raises(ChallengeRefused, match="used"):
        challenges.redeem(number(1), "desk", now=1.0)


def test_a_node_that_asks_too_often_loses_only_its_own_oldest_challenge() -> None:
    challenges = table(per_node=2)
    challenges.add(number(9), replace(ISSUE, node="other"), {}, now=0.0)
    for value in (1, 2, 3):
        challenges.add(number(value), ISSUE, {}, now=1.0)
    assert len(challenges) == 3
    with pytest.raises(ChallengeRefused):
        challenges.redeem(number(1), "desk", now=1.0)
    for value, node in ((2, "desk"), (3, "desk"), (9, "other")):
        challenges.redeem(number(value), node, now=1.0)


def test_a_full_table_takes_no_more_until_some_expire() -> None:
    challenges = table(in_all=2)
    challenges.add(number(1), replace(ISSUE, node="a"), {}, now=0.0)
    challenges.add(number(2), replace(ISSUE, node="b"), {}, now=0.0)
    with pytest.raises(ChallengeRefused, match="in all"):
        challenges.add(number(3), replace(ISSUE, node="c"), {}, now=59.0)
    challenges.add(number(3), replace(ISSUE, node="c"), {}, now=60.0)
    assert len(challenges) == 1


@pytest.mark.parametrize("challenge_id", [number(1), b"", bytes(15), bytes(17)])
def test_an_id_that_is_waiting_already_or_malformed_is_refused(challenge_id: bytes) -> None:
    challenges = table()
    challenges.add(number(1), ISSUE, {}, now=0.0)
    with pytest.raises(ChallengeRefused, match="fresh random"):
        challenges.add(challenge_id, ISSUE, {}, now=0.0)


@pytest.mark.parametrize(
    "binding",
    [
        replace(LOGIN, session=b"s" * 16),
        replace(APPROVE, session=b"s" * 16),
        replace(APPROVE, session=b""),
        replace(ISSUE, session=None),
        replace(ISSUE, session=b"s" * 15),
        replace(ISSUE, digest=DIGEST_X[:31]),
        replace(ISSUE, digest=DIGEST_X + b"x"),
        replace(ISSUE, person=""),
        replace(ISSUE, person="a" * 33),
        replace(ISSUE, person="Alice"),
        replace(ISSUE, person="-alice"),
        replace(ISSUE, person="alice\n"),
        replace(ISSUE, person="аlice"),  # the first letter is Cyrillic
        replace(ISSUE, person="\ud800"),
    ],
)
def test_a_malformed_binding_is_refused(binding: Binding) -> None:
    with pytest.raises((ChallengeRefused, PersonIdRefused)):
        binding.require_well_formed()


@pytest.mark.parametrize(
    "binding", [LOGIN, ISSUE, APPROVE, replace(LOGIN, person="a"), replace(LOGIN, person="7-b")]
)
def test_a_proper_binding_is_well_formed(binding: Binding) -> None:
    binding.require_well_formed()


@pytest.mark.parametrize(
    "other",
    [
        replace(ISSUE, person="bob"),
        replace(ISSUE, node="plant"),
        replace(ISSUE, purpose=Purpose.LOGIN),
        replace(ISSUE, purpose=Purpose.APPROVE),
        replace(ISSUE, session=b"t" * 16),
        replace(ISSUE, session=None),
        replace(ISSUE, digest=DIGEST_Y),
        replace(ISSUE, person="alicedesk", node=""),
        replace(ISSUE, person="alic", node="edesk"),
    ],
)
def test_every_part_of_a_binding_is_in_what_a_factor_signs(other: Binding) -> None:
    assert other.hash(number(1)) != ISSUE.hash(number(1))


def test_two_challenges_for_the_same_order_are_signed_differently() -> None:
    assert ISSUE.hash(number(1)) != ISSUE.hash(number(2))


bindings = st.builds(
    Binding,
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(["desk", "plant", "center"]),
    st.sampled_from(list(Purpose)),
    st.sampled_from([None, b"s" * 16, b"t" * 16]),
    st.sampled_from([DIGEST_X, DIGEST_Y]),
)


@unhurried
@given(bindings, bindings)
def test_equal_hashes_mean_equal_bindings(one: Binding, other: Binding) -> None:
    assert (one.hash(number(1)) == other.hash(number(1))) == (one == other)


class ChallengeTableMachine(RuleBasedStateMachine):
    """The table against a plain dict: id -> (binding, expiry)."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.table = table(per_node=3, in_all=5)
        self.now = 0.0
        self.count = 0
        self.alive: dict[bytes, tuple[Binding, float]] = {}

    def forget_expired(self) -> None:
        self.alive = {name: held for name, held in self.alive.items() if self.now < held[1]}

    @rule(target=ids, binding=bindings)
    def add(self, binding: Binding) -> bytes:
        self.count += 1
        name = number(self.count)
        self.forget_expired()
        of_node = [old for old, held in self.alive.items() if held[0].node == binding.node]
        if len(of_node) == 3:
            del self.alive[of_node[0]]
        if len(self.alive) == 5:
            with pytest.raises(ChallengeRefused):
                self.table.add(name, binding, {}, self.now)
        else:
            self.table.add(name, binding, {}, self.now)
            self.alive[name] = (binding, self.now + 60.0)
        return name

    @rule(name=ids, node=st.sampled_from(["desk", "plant", "center"]))
    def redeem(self, name: bytes, node: str) -> None:
        held = self.alive.pop(name, None)
        if held is not None and self.now < held[1] and held[0].node == node:
            assert self.table.redeem(name, node, self.now).binding == held[0]
        else:
            with pytest.raises(ChallengeRefused):
                self.table.redeem(name, node, self.now)

    @precondition(lambda self: self.count > 0)
    @rule(seconds=st.sampled_from([0.0, 1.0, 29.0, 30.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.table) <= 5
        listed = [name for names in self.table._of_node.values() for name in names]
        assert sorted(listed) == sorted(self.table._waiting)
        assert all(0 < len(names) <= 3 for names in self.table._of_node.values())


TestChallengeTable = ChallengeTableMachine.TestCase
TestChallengeTable.settings = unhurried
