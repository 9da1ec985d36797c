import pytest

from dispatch_server.identity.errors import (
    AuthenticationRefused,
    PasswordRefused,
    PersonExists,
    PersonIdRefused,
    PersonUnknown,
)
from dispatch_server.identity.lockout import LockoutState
from tests.dispatch_server.identity.support import PASSWORD, World, token_of


async def test_a_person_that_was_added_can_log_in_with_the_code_of_the_uri(world: World) -> None:
    provisioned = world.admin.add_person("carol", "supervisor", "卡罗尔", "a long enough one")
    world.tokens["carol"] = token_of(provisioned.uri)
    opened = await world.login("carol", password="a long enough one")
    assert (opened.person, opened.role, opened.display_name) == ("carol", "supervisor", "卡罗尔")


def test_persons_are_listed_without_their_secrets(world: World) -> None:
    listed = world.admin.persons()
    assert [(person.person, person.factors, person.enabled) for person in listed] == [
        ("alice", ("totp",), True),
        ("bob", ("totp",), True),
    ]
    assert "argon2id" not in repr(listed)


def test_the_uri_is_shown_only_when_it_is_asked_for(world: World) -> None:
    provisioned = world.admin.re_enrol("alice")
    assert provisioned.uri.startswith("otpauth://totp/Grid%20Dispatch:alice?secret=")
    assert "otpauth" not in repr(provisioned)


@pytest.mark.parametrize("person", ["", "Alice", "a b", "x" * 33])
def test_a_malformed_id_is_refused(world: World, person: str) -> None:
    with pytest.raises(PersonIdRefused, match="person id"):
        world.admin.add_person(person, "dispatcher", "X", PASSWORD)


def test_an_id_that_is_taken_is_refused(world: World) -> None:
    with pytest.raises(PersonExists):
        world.admin.add_person("alice", "dispatcher", "X", PASSWORD)


def test_a_weak_password_is_refused_and_changes_nothing(world: World) -> None:
    with pytest.raises(PasswordRefused):
        world.admin.add_person("carol", "dispatcher", "X", "short")
    with pytest.raises(PasswordRefused):
        world.admin.set_password("alice", "short")
    assert world.store.account("carol") is None
    assert world.last_reasons() == ("a new password needs at least 12 characters",)


async def test_after_a_new_password_the_old_one_is_refused(world: World) -> None:
    world.admin.set_password("alice", "another long one")
    with pytest.raises(AuthenticationRefused):
        await world.login("alice")
    await world.login("alice", password="another long one")


async def test_after_re_enrolment_the_old_token_is_refused(world: World) -> None:
    provisioned = world.admin.re_enrol("alice")
    with pytest.raises(AuthenticationRefused):
        await world.login("alice")
    world.tokens["alice"] = token_of(provisioned.uri)
    await world.login("alice")


async def test_a_disabled_person_is_refused_until_enabled(world: World) -> None:
    world.admin.disable("alice")
    with pytest.raises(AuthenticationRefused):
        await world.login("alice")
    assert world.last_reasons() == ("person is disabled",)
    world.admin.enable("alice")
    await world.login("alice")


async def test_a_locked_person_may_be_unlocked(world: World) -> None:
    world.store.charge("alice", lambda state: LockoutState(5, 2**62))
    with pytest.raises(AuthenticationRefused):
        await world.login("alice")
    world.admin.unlock("alice")
    await world.login("alice")


def test_every_deed_is_audited_with_the_actor_and_its_outcome(world: World) -> None:
    world.audit.clear()
    world.admin.set_password("alice", "another long one")
    world.admin.re_enrol("alice")
    world.admin.disable("alice")
    world.admin.enable("alice")
    with pytest.raises(PersonUnknown):
        world.admin.unlock("mallory")
    assert [(record.action, record.accepted) for record in world.audit] == [
        ("set-password", True),
        ("re-enrol", True),
        ("disable", True),
        ("enable", True),
        ("unlock", False),
    ]
    assert {record.node for record in world.audit} == {"admin:root"}
    assert {record.at_ms for record in world.audit} == {world.clock.ms}
