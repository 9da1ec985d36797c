"""No secret is in an audit record, a representation, an error or a log line."""

import base64
import logging
import traceback

import pytest

from dispatch_server.identity.challenges import Purpose
from dispatch_server.identity.errors import AuthenticationRefused, IdentityError
from dispatch_server.identity.proofs import Proof
from dispatch_server.identity.records import Proved
from tests.dispatch_server.identity.support import CHEAP, DIGEST_X, KEY, NODE, PASSWORD, World

WRONG = "an altogether wrong one"


def secrets_of(world: World, codes: list[bytes]) -> list[str]:
    """Every secret in every spelling in which it could turn up."""
    secret = world.tokens["alice"].secret
    raw = [PASSWORD.encode(), WRONG.encode(), secret, KEY, *codes]
    account = world.store.account("alice")
    assert account is not None
    spelled = [account.password, *(repr(account.sealed[kind])[2:40] for kind in account.sealed)]
    for value in raw:
        spelled += [value.hex(), repr(value)[2:-1], base64.b64encode(value).decode().rstrip("=")]
    return [*spelled, base64.b32encode(secret).decode().rstrip("=")]


async def test_no_secret_is_audited_logged_or_quoted_in_an_error(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    spoken: list[str] = []
    codes: list[bytes] = []
    for password in (PASSWORD, WRONG):
        for kind in ("totp", WRONG):
            codes.append(world.fresh_code("alice"))
            issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
            try:
                spoken.append(repr(await world.service.prove(NODE, issued.id, password, kind, codes[-1])))
            except AuthenticationRefused as error:
                spoken += traceback.format_exception(error)
                spoken += [str(error.__context__), repr(error.__context__)]
    with pytest.raises(IdentityError) as caught:
        world.admin.add_person("alice", "x", "y", WRONG)
    spoken += [str(caught.value), repr(caught.value)]
    account = world.store.account("alice")
    assert account is not None
    spoken += [repr(world.store), repr(world.service), repr(world.admin), repr(world.admin.re_enrol("bob"))]
    spoken += [repr(account), repr(Proof(PASSWORD, "totp", codes[0])), repr(CHEAP)]
    spoken += [repr(Proved(account, "totp", b"", PASSWORD))]
    spoken += [repr(record) for record in world.audit] + [caplog.text]
    said = "\n".join(spoken)
    assert len(world.audit) >= 10
    assert [secret for secret in secrets_of(world, codes) if secret in said] == []


async def test_a_password_typed_as_a_name_does_not_reach_the_audit_log(world: World) -> None:
    for name in ("my-own-password-1", "My own password 2!"):
        with pytest.raises(AuthenticationRefused):
            await world.login(name, code=b"000000")
    assert "password" not in repr([(record.person, record.reasons) for record in world.audit]).replace(
        "password does not match", ""
    )
    assert len({record.person for record in world.audit if record.person.startswith("?")}) == 2


async def test_a_name_that_somebody_has_is_audited_as_it_is(world: World) -> None:
    with pytest.raises(AuthenticationRefused):
        await world.login("alice", code=b"000000")
    assert [record.person for record in world.audit[-2:]] == ["alice", "alice"]
    assert [record.accepted for record in world.audit[-2:]] == [True, False]
    await world.login("alice")
    assert [record.person for record in world.audit[-2:]] == ["alice", "alice"]
    assert [record.accepted for record in world.audit[-2:]] == [True, True]
