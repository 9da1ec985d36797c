"""Both factors count once, for one person, at one station, for one order: what a hostile desk may try."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dispatch_client.client import Login
from protocol.aio.node import wall_ms
from protocol.keys import Role
from protocol.lifecycle import Input
from protocol.limits import CLOCK_SKEW_MS
from protocol.orders import approval_digest
from protocol.requests import AnyReply, BeginRequest, GrantReply, LogoutRequest, Purpose, RefusedReply
from tests.system.grid import Grid, Topology, until
from tests.system.rogue import LOGIN, Rogue

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("desk-2", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
)
DISPATCHERS = tuple(f"d-{number}" for number in range(8))
PEOPLE = (
    *((name, Role.DISPATCHER, "desk-1", "hq") for name in DISPATCHERS),
    ("sun", Role.DISPATCHER, "desk-2", "hq"),
    ("li", Role.OPERATOR, "desk-1", "hq"),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Headquarters is a real program; both desks are in the test's hands."""

    grid: Grid
    desk: Rogue
    other: Rogue

    def drafted(self, order: str, login: Login) -> None:
        """An order at headquarters that waits to be issued."""
        self.desk.send(self.desk.draft(order, "plant-a", login).signed)
        self.desk.wait_state(order, "drafted")

    def digest(self, order: str) -> bytes:
        """What both factors must be given for to issue the order."""
        return approval_digest(order, Input.ISSUE, self.desk.client.station.orders[order].head)

    def issue(self, order: str, login: Login, challenge: bytes) -> None:
        """Sign and send."""
        details = {"challenge": challenge, "reason": ""}
        self.desk.send(self.desk.event(order, Input.ISSUE, login.key, login.session, **details).signed)

    def is_refused(self, order: str, why: str, code: str = "factors") -> None:
        """Headquarters says why, in its ledger and log, and the order is where it was."""
        self.grid.wait_noted("hq", "refused", subject=order, input="issue", code=code, why=why)
        self.grid.wait_logged("hq", "event refused", order, why)
        assert self.grid.call("hq", "show", order=order)["state"] == "drafted"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    grid = Grid(tmp_path_factory.mktemp("factors") / "grid", PEOPLE, TOPOLOGY)
    with Rogue(grid, "desk-1") as desk, Rogue(grid, "desk-2") as other:
        try:
            grid.start("hq", "plant-a")
            desk.wait_connected()
            other.wait_connected()
            yield Scene(grid, desk, other)
        finally:
            grid.close()


def not_accepted(reply: AnyReply) -> None:
    assert isinstance(reply, RefusedReply)
    assert reply.code == "not-accepted"


def test_a_challenge_that_was_answered_cannot_be_answered_again(scene: Scene) -> None:
    login = scene.desk.log_in("d-0")
    scene.drafted("answered", login)
    challenge = scene.desk.begin("d-0", Purpose.ISSUE, login.session, scene.digest("answered"))
    first = scene.desk.prove(challenge, "d-0", scene.grid.code("d-0"))
    assert isinstance(first, GrantReply)
    not_accepted(scene.desk.prove(challenge, "d-0", scene.grid.code("d-0")))
    scene.grid.wait_noted("hq", "identity", action="prove", reasons="no such challenge is waiting")


def test_a_grant_for_one_order_issues_no_other(scene: Scene) -> None:
    login = scene.desk.log_in("d-1")
    scene.drafted("granted", login)
    scene.drafted("coveted", login)
    challenge = scene.desk.grant(login, scene.digest("granted"))
    scene.issue("coveted", login, challenge)
    scene.is_refused("coveted", "grant is for another order")


def test_a_grant_that_was_used_issues_nothing_more(scene: Scene) -> None:
    login = scene.desk.log_in("d-2")
    scene.drafted("first", login)
    scene.drafted("second", login)
    challenge = scene.desk.grant(login, scene.digest("first"))
    scene.issue("first", login, challenge)
    scene.desk.wait_state("first", "accepted", "delivered")
    scene.issue("second", login, challenge)
    scene.is_refused("second", "grant is for another order")


def test_without_a_grant_nothing_is_issued(scene: Scene) -> None:
    login = scene.desk.log_in("d-3")
    scene.drafted("unproved", login)
    scene.issue("unproved", login, os.urandom(16))
    scene.is_refused("unproved", "no such grant")


def test_one_persons_grant_is_of_no_use_to_another(scene: Scene) -> None:
    one, another = scene.desk.log_in("d-3"), scene.desk.log_in("d-4")
    scene.drafted("borrowed", one)
    challenge = scene.desk.grant(one, scene.digest("borrowed"))
    scene.issue("borrowed", another, challenge)
    scene.is_refused("borrowed", "grant belongs to another person")


def test_the_challenge_of_a_login_issues_nothing(scene: Scene) -> None:
    challenge = scene.desk.begin("d-4", Purpose.LOGIN, b"", LOGIN)
    login = scene.desk.log_in("d-4")
    scene.drafted("login-only", login)
    scene.issue("login-only", login, challenge)
    scene.is_refused("login-only", "no such grant")


def test_a_code_that_opened_a_session_issues_nothing(scene: Scene) -> None:
    code = scene.grid.code("d-5")
    assert not isinstance(
        scene.desk.prove(scene.desk.begin("d-5", Purpose.LOGIN, b"", LOGIN), "d-5", code), RefusedReply
    )
    again = scene.desk.begin("d-5", Purpose.LOGIN, b"", LOGIN)
    not_accepted(scene.desk.prove(again, "d-5", code))
    scene.grid.wait_noted("hq", "identity", subject="d-5", action="prove", reasons="code was used before")


def test_a_challenge_is_answered_at_the_station_that_asked_for_it(scene: Scene) -> None:
    challenge = scene.desk.begin("d-5", Purpose.LOGIN, b"", LOGIN)
    not_accepted(scene.other.prove(challenge, "d-5", scene.grid.code("d-5")))
    scene.grid.wait_noted("hq", "identity", action="prove", reasons="challenge was given to another node")


def test_a_person_of_another_station_is_not_accepted_with_both_factors(scene: Scene) -> None:
    challenge = scene.desk.begin("sun", Purpose.LOGIN, b"", LOGIN)
    not_accepted(scene.desk.prove(challenge, "sun", scene.grid.code("sun")))
    scene.grid.wait_noted("hq", "identity", subject="sun", reasons="person may not act on this node")


def test_a_session_ends_with_the_logout(scene: Scene) -> None:
    login = scene.desk.log_in("d-6")
    scene.desk.ask(LogoutRequest(person="d-6", session=login.session))
    reply = scene.desk.ask(
        BeginRequest(person="d-6", purpose=Purpose.ISSUE, session=login.session, digest=bytes(32))
    )
    not_accepted(reply)
    # Clocks differ: what is dated a little after the end still counts as before it, so date it later.
    ended = wall_ms()
    until(lambda: wall_ms() > ended + 200, "the clock goes on")
    late = scene.desk.draft("too-late", "plant-a", login, ahead_ms=CLOCK_SKEW_MS - 100)
    scene.desk.send(late.signed)
    scene.grid.wait_noted("hq", "refused", subject="too-late", code="session", why="session was ended")
    assert "too-late" not in {row["order"] for row in scene.grid.call("hq", "list")}


def test_a_session_is_of_no_use_to_another_person(scene: Scene) -> None:
    one = scene.desk.log_in("d-6")
    key = scene.desk.key_of("d-0", "desk-1")
    scene.desk.send(scene.desk.draft("hijacked", "plant-a", Login(key, one.session, one.expires_ms)).signed)
    scene.grid.wait_noted("hq", "refused", subject="hijacked", code="session", signer="d-0")
    assert "hijacked" not in {row["order"] for row in scene.grid.call("hq", "list")}


def test_five_wrong_passwords_lock_a_person_even_with_the_right_ones(scene: Scene) -> None:
    code = scene.grid.code("d-7")
    for _ in range(5):
        challenge = scene.desk.begin("d-7", Purpose.LOGIN, b"", LOGIN)
        not_accepted(scene.desk.prove(challenge, "d-7", code, password="a wrong password"))
    challenge = scene.desk.begin("d-7", Purpose.LOGIN, b"", LOGIN)
    not_accepted(scene.desk.prove(challenge, "d-7", code))
    scene.grid.wait_noted("hq", "identity", subject="d-7", action="prove", reasons="person locked for")


def test_every_refusal_stands_in_a_ledger_that_verifies(scene: Scene) -> None:
    until(lambda: scene.grid.noted("hq", "refused"), "refusals are in the ledger")
    scene.grid.ledger_is_sound()
