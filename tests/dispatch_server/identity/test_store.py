import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dispatch_server.identity.challenges import Purpose
from dispatch_server.identity.errors import (
    GrantRefused,
    PersonExists,
    PersonUnknown,
    SealBroken,
    SessionRefused,
    StoreRefused,
)
from dispatch_server.identity.lockout import LockoutPolicy, LockoutState, charged
from dispatch_server.identity.records import Account, Grant, Proved, Session
from dispatch_server.identity.store import IdentityStore, ProofOutdated
from tests.dispatch_server.identity.support import (
    DIGEST_X,
    DIGEST_Y,
    EVENT_1,
    EVENT_2,
    KEY,
    NOW_MS,
    counted_bytes,
)

SESSION = Session(b"s" * 16, "alice", "desk", NOW_MS, NOW_MS + 100_000)
GRANT = Grant(b"c" * 16, "alice", SESSION.id, "desk", DIGEST_X, NOW_MS + 1_000)
APPROVAL = Grant(b"a" * 16, "alice", None, "desk", DIGEST_X, NOW_MS + 1_000)


def open_store(path: Path, key: bytes = KEY) -> IdentityStore:
    return IdentityStore(path / "identity.db", key, counted_bytes())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IdentityStore]:
    store = open_store(tmp_path)
    store.add_person("alice", "dispatcher", "爱丽丝", "$phc", {"totp": b"state 0"})
    yield store
    store.close()


def account(store: IdentityStore, person: str = "alice") -> Account:
    found = store.account(person)
    assert found is not None
    return found


def proved(store: IdentityStore, state: bytes = b"state 1") -> Proved:
    return Proved(account(store), "totp", state, None)


def with_grant(store: IdentityStore) -> None:
    store.open_session(proved(store), SESSION)
    store.issue_grant(proved(store), GRANT, NOW_MS)


def test_everything_survives_a_restart(store: IdentityStore, tmp_path: Path) -> None:
    with_grant(store)
    store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_1, now_ms=NOW_MS)
    store.charge("alice", lambda state: LockoutState(5, NOW_MS + 60_000))
    store.charge(None, lambda state: state)
    store.close()
    again = open_store(tmp_path)
    (person,) = again.persons()
    assert (person.display_name, person.role, person.enabled) == ("爱丽丝", "dispatcher", True)
    assert person.lockout == LockoutState(5, NOW_MS + 60_000)
    assert (person.attempts, again.stranger_attempts()) == (1, 1)
    assert again.unseal(account(again), "totp") == b"state 1"
    assert replace(again.session(SESSION.id), change=0) == SESSION
    with pytest.raises(GrantRefused, match="another event"):
        again.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_2, now_ms=NOW_MS)
    again.close()


def test_the_file_holds_no_enrolment_in_the_clear(store: IdentityStore, tmp_path: Path) -> None:
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert "爱丽丝".encode() in files
    assert b"state 0" not in files


def test_another_key_file_is_noticed_when_the_store_is_opened(store: IdentityStore, tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="key file does not belong"):
        open_store(tmp_path, bytes(32))


def test_a_person_is_added_once(store: IdentityStore) -> None:
    with pytest.raises(PersonExists, match="alice"):
        store.add_person("alice", "operator", "Another", "$other", {})
    assert account(store).password == "$phc"


def test_there_is_no_account_of_a_stranger(store: IdentityStore) -> None:
    assert store.account("mallory") is None


def test_changes_of_a_stranger_are_refused(store: IdentityStore) -> None:
    with pytest.raises(PersonUnknown, match="mallory"):
        store.set_password("mallory", "$phc", NOW_MS)
    with pytest.raises(PersonUnknown):
        store.set_enrolment("mallory", "totp", b"", NOW_MS)
    with pytest.raises(PersonUnknown):
        store.disable("mallory", NOW_MS)
    with pytest.raises(PersonUnknown):
        store.enable("mallory")
    with pytest.raises(PersonUnknown):
        store.unlock("mallory")


def test_an_enrolment_moved_to_another_person_does_not_open(store: IdentityStore) -> None:
    store.add_person("mallory", "operator", "Mallory", "$phc", {"totp": b"state 0"})
    with store._db.writing() as sql:
        sql.execute(
            "UPDATE enrolments SET sealed = (SELECT sealed FROM enrolments WHERE person = 'mallory')"
            " WHERE person = 'alice'"
        )
    with pytest.raises(SealBroken):
        store.unseal(account(store), "totp")


def test_a_charge_counts_at_once_for_every_process(store: IdentityStore, tmp_path: Path) -> None:
    other = open_store(tmp_path)
    for expected in range(4):
        writer = (store, other)[expected % 2]
        before = writer.charge("alice", lambda state: charged(state, NOW_MS, LockoutPolicy()))
        assert before == LockoutState(expected, 0)
    other.unlock("alice")
    assert store.charge("alice", lambda state: state) == LockoutState()
    other.close()


def test_charges_from_many_threads_and_processes_all_count(store: IdentityStore, tmp_path: Path) -> None:
    other = open_store(tmp_path)

    def charge(writer: IdentityStore) -> None:
        for _ in range(10):
            writer.charge("alice", lambda state: LockoutState(state.failures + 1))

    threads = [threading.Thread(target=charge, args=(writer,)) for writer in (store, store, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.persons()[0].lockout.failures == 40
    other.close()


def test_an_accepted_proof_clears_failures_and_keeps_the_new_factor_state(store: IdentityStore) -> None:
    store.charge("alice", lambda state: LockoutState(3))
    store.open_session(replace(proved(store), new_password="$new"), SESSION)
    assert store.persons()[0].lockout == LockoutState()
    assert store.unseal(account(store), "totp") == b"state 1"
    assert account(store).password == "$new"


def test_two_proofs_judged_by_the_same_factor_state_are_not_both_accepted(store: IdentityStore) -> None:
    first, second = proved(store), proved(store)
    store.open_session(first, SESSION)
    with pytest.raises(ProofOutdated, match="factor was used"):
        store.open_session(second, replace(SESSION, id=b"t" * 16))
    with pytest.raises(SessionRefused):
        store.session(b"t" * 16)
    assert store.session(SESSION.id).ended_ms is None


@pytest.mark.parametrize("change", ["disable", "set_password", "set_enrolment"])
def test_a_proof_judged_before_the_account_changed_is_not_accepted(store: IdentityStore, change: str) -> None:
    judged = proved(store)
    if change == "disable":
        store.disable("alice", NOW_MS)
    elif change == "set_password":
        store.set_password("alice", "$new", NOW_MS)
    else:
        store.set_enrolment("alice", "totp", b"state 0", NOW_MS)
    with pytest.raises(ProofOutdated):
        store.open_session(judged, SESSION)
    with pytest.raises(SessionRefused):
        store.session(SESSION.id)


def test_a_login_ends_the_earlier_session_on_that_node_only(store: IdentityStore) -> None:
    store.add_person("bob", "dispatcher", "Bob", "$phc", {"totp": b"state 0"})
    store.open_session(proved(store, b"1"), SESSION)
    store.open_session(proved(store, b"2"), replace(SESSION, id=b"t" * 16, node="plant"))
    bob = Proved(account(store, "bob"), "totp", b"1", None)
    store.open_session(bob, replace(SESSION, id=b"u" * 16, person="bob"))
    later = replace(SESSION, id=b"v" * 16, started_ms=NOW_MS + 50)
    store.open_session(proved(store, b"3"), later)
    ends = {name: store.session(name * 16).ended_ms for name in (b"s", b"t", b"u", b"v")}
    assert ends == {b"s": NOW_MS + 50, b"t": None, b"u": None, b"v": None}


def test_a_grant_needs_a_session_that_is_open_in_the_store(store: IdentityStore) -> None:
    with pytest.raises(SessionRefused, match="no such session"):
        store.issue_grant(proved(store), GRANT, NOW_MS)
    store.open_session(proved(store), SESSION)
    with pytest.raises(SessionRefused, match="expired"):
        store.issue_grant(proved(store), GRANT, SESSION.expires_ms)
    with pytest.raises(SessionRefused, match="another node"):
        store.issue_grant(proved(store), replace(GRANT, node="plant"), NOW_MS)
    store.end_session(SESSION.id, "alice", "desk", NOW_MS)
    with pytest.raises(SessionRefused, match="ended"):
        store.issue_grant(proved(store), GRANT, NOW_MS)
    assert store.unseal(account(store), "totp") == b"state 1"
    with pytest.raises(GrantRefused, match="no such grant"):
        store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_1, now_ms=NOW_MS)


def test_only_the_owner_ends_a_session_and_may_do_so_twice(store: IdentityStore) -> None:
    store.open_session(proved(store), SESSION)
    with pytest.raises(SessionRefused, match="another person"):
        store.end_session(SESSION.id, "bob", "desk", NOW_MS + 1)
    with pytest.raises(SessionRefused, match="another node"):
        store.end_session(SESSION.id, "alice", "plant", NOW_MS + 1)
    assert store.session(SESSION.id).ended_ms is None
    store.end_session(SESSION.id, "alice", "desk", NOW_MS + 2)
    store.end_session(SESSION.id, "alice", "desk", NOW_MS + 3)
    assert store.session(SESSION.id).ended_ms == NOW_MS + 2


def test_a_late_logout_does_not_end_the_next_session(store: IdentityStore) -> None:
    store.open_session(proved(store, b"1"), SESSION)
    store.open_session(proved(store, b"2"), replace(SESSION, id=b"t" * 16))
    store.end_session(SESSION.id, "alice", "desk", NOW_MS + 1)
    assert store.session(b"t" * 16).ended_ms is None


@pytest.mark.parametrize("change", ["set_password", "set_enrolment"])
def test_new_credentials_end_the_sessions(store: IdentityStore, change: str) -> None:
    store.open_session(proved(store), SESSION)
    if change == "set_password":
        store.set_password("alice", "$new", NOW_MS + 7)
    else:
        store.set_enrolment("alice", "totp", b"new", NOW_MS + 7)
    assert store.session(SESSION.id).ended_ms == NOW_MS + 7


def test_disabling_revokes_every_session_for_good(store: IdentityStore) -> None:
    store.open_session(proved(store, b"1"), SESSION)
    store.open_session(proved(store, b"2"), replace(SESSION, id=b"t" * 16))
    store.disable("alice", NOW_MS + 7)
    store.enable("alice")
    assert store.session(SESSION.id).revoked
    assert store.session(b"t" * 16).revoked
    assert account(store).enabled


def test_changed_sessions_are_told_once(store: IdentityStore) -> None:
    store.open_session(proved(store, b"1"), SESSION)
    store.open_session(proved(store, b"2"), replace(SESSION, id=b"t" * 16, node="plant"))
    told = store.sessions_since(0, NOW_MS)
    assert [session.id for session in told] == [SESSION.id, b"t" * 16]
    last = told[-1].change
    assert store.sessions_since(last, NOW_MS) == []
    store.end_session(SESSION.id, "alice", "desk", NOW_MS)
    assert [session.id for session in store.sessions_since(last, NOW_MS)] == [SESSION.id]
    store.disable("alice", NOW_MS)
    assert len(store.sessions_since(last, NOW_MS)) == 2
    assert store.sessions_since(0, SESSION.expires_ms) == []


def test_the_first_event_owns_a_grant_and_may_come_again_at_any_time(store: IdentityStore) -> None:
    with_grant(store)
    store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_1, now_ms=NOW_MS)
    store.end_session(SESSION.id, "alice", "desk", NOW_MS)
    store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_1, now_ms=NOW_MS + 10**9)
    with pytest.raises(GrantRefused, match="used by another event"):
        store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_2, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("challenge_id", "person", "node", "digest", "event", "now_ms"),
    [
        (b"d" * 16, "alice", "desk", DIGEST_X, EVENT_1, NOW_MS),
        (GRANT.challenge_id, "bob", "desk", DIGEST_X, EVENT_1, NOW_MS),
        (GRANT.challenge_id, "alice", "plant", DIGEST_X, EVENT_1, NOW_MS),
        (GRANT.challenge_id, "alice", "desk", DIGEST_Y, EVENT_1, NOW_MS),
        (GRANT.challenge_id, "alice", "desk", DIGEST_X, b"", NOW_MS),
        (GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_1, GRANT.expires_ms),
    ],
)
def test_a_wrong_use_is_refused_and_leaves_the_grant_for_the_right_one(
    store: IdentityStore,
    challenge_id: bytes,
    person: str,
    node: str,
    digest: bytes,
    event: bytes,
    now_ms: int,
) -> None:
    with_grant(store)
    with pytest.raises(GrantRefused):
        store.use_grant(challenge_id, person, node, digest, event, now_ms=now_ms)
    store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_2, now_ms=NOW_MS)


def test_an_unused_grant_dies_with_its_session(store: IdentityStore) -> None:
    with_grant(store)
    store.disable("alice", NOW_MS)
    with pytest.raises(GrantRefused, match="revoked"):
        store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_1, now_ms=NOW_MS)


def with_approval(store: IdentityStore) -> None:
    store.issue_grant(proved(store), APPROVAL, NOW_MS)


def use_approval(store: IdentityStore, event: bytes = EVENT_1, now_ms: int = NOW_MS) -> None:
    purpose = Purpose.APPROVE
    store.use_grant(b"a" * 16, "alice", "desk", DIGEST_X, event, now_ms=now_ms, purpose=purpose)


def test_an_approval_needs_no_session_and_serves_one_event(store: IdentityStore) -> None:
    with_approval(store)
    use_approval(store)
    use_approval(store, now_ms=NOW_MS + 10**9)
    with pytest.raises(GrantRefused, match="another event"):
        use_approval(store, EVENT_2)
    assert store.sessions_since(0, NOW_MS) == []


def test_an_approval_that_nobody_used_in_time_is_over(store: IdentityStore) -> None:
    with_approval(store)
    with pytest.raises(GrantRefused, match="expired"):
        use_approval(store, now_ms=APPROVAL.expires_ms)
    use_approval(store, now_ms=APPROVAL.expires_ms - 1)


def test_an_approval_does_not_issue_and_an_issue_does_not_approve(store: IdentityStore) -> None:
    with_grant(store)
    store.issue_grant(proved(store, b"state 2"), APPROVAL, NOW_MS)
    with pytest.raises(GrantRefused, match="another purpose"):
        store.use_grant(APPROVAL.challenge_id, "alice", "desk", DIGEST_X, EVENT_1, now_ms=NOW_MS)
    with pytest.raises(GrantRefused, match="another purpose"):
        store.use_grant(
            *(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_1), now_ms=NOW_MS, purpose=Purpose.APPROVE
        )
    use_approval(store)
    store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, EVENT_2, now_ms=NOW_MS)


@pytest.mark.parametrize("change", ["disable", "set_password", "set_enrolment"])
def test_an_unused_approval_dies_with_the_credentials_that_proved_it(
    store: IdentityStore, change: str
) -> None:
    with_approval(store)
    store.add_person("bob", "supervisor", "Bob", "$phc", {"totp": b"state 0"})
    bobs = replace(APPROVAL, challenge_id=b"b" * 16, person="bob")
    store.issue_grant(Proved(account(store, "bob"), "totp", b"1", None), bobs, NOW_MS)
    if change == "disable":
        store.disable("alice", NOW_MS)
        store.enable("alice")
    elif change == "set_password":
        store.set_password("alice", "$new", NOW_MS)
    else:
        store.set_enrolment("alice", "totp", b"new", NOW_MS)
    with pytest.raises(GrantRefused, match="expired"):
        use_approval(store)
    purpose = Purpose.APPROVE
    store.use_grant(b"b" * 16, "bob", "desk", DIGEST_X, EVENT_2, now_ms=NOW_MS, purpose=purpose)


def test_an_approval_by_a_factor_state_that_is_over_is_not_stored(store: IdentityStore) -> None:
    stale = proved(store)
    with_approval(store)
    with pytest.raises(ProofOutdated, match="factor was used"):
        store.issue_grant(stale, replace(APPROVAL, challenge_id=b"d" * 16), NOW_MS)


def test_logging_out_leaves_the_approval_of_a_second_person_alone(store: IdentityStore) -> None:
    store.open_session(proved(store, b"state 2"), SESSION)
    with_approval(store)
    store.end_session(SESSION.id, "alice", "desk", NOW_MS)
    use_approval(store)


def test_a_grant_used_by_two_threads_at_once_has_one_owner(store: IdentityStore) -> None:
    with_grant(store)
    outcomes: list[str] = []

    def use(event: bytes) -> None:
        try:
            store.use_grant(GRANT.challenge_id, "alice", "desk", DIGEST_X, event, now_ms=NOW_MS)
            outcomes.append("used")
        except GrantRefused:
            outcomes.append("refused")

    threads = [threading.Thread(target=use, args=(event,)) for event in (EVENT_1, EVENT_2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "used"]
