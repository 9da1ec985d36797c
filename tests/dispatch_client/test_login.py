"""dispatch_client/login.py: two factors, and no secret leaves before the key is right."""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from dispatch_client import login as login_module
from dispatch_client.client import Login
from dispatch_client.desk import Desk
from dispatch_client.keyfile import KeyFileError
from dispatch_client.login import Authenticator
from protocol.aio.control import CommandFailed
from protocol.errors import LinkLost, OrderRefused, RefusalCode, WireCode
from protocol.keys import Role, SigningKey
from protocol.requests import (
    AnyReply,
    BeginRequest,
    ChallengeReply,
    DoneReply,
    GrantReply,
    LogoutRequest,
    ProveRequest,
    Purpose,
    RefusedReply,
    SessionReply,
)
from tests.dispatch_client.rooms import SESSION_ENDS_MS, Room, ScriptedSuperior, desk_room, plant_room
from tests.protocol.parties import (
    AUTHORITY,
    DISPATCHER,
    OPERATOR,
    OTHER_DISPATCHER,
    OTHER_SUPERVISOR,
    SUPERVISOR,
)

PASSWORD = "correct horse battery"
FOLDER = Path("people")
CHALLENGE = ChallengeReply(challenge=b"c" * 16, expires_in_ms=60_000, factors=())
SESSION = SessionReply(session=b"s" * 16, expires_ms=SESSION_ENDS_MS)
GRANT = GrantReply(challenge=b"c" * 16, expires_ms=SESSION_ENDS_MS)
REFUSED = RefusedReply(code="not-accepted", detail="not accepted: check everything", retry_after_s=0)
WAIT = RefusedReply(code="not-accepted", detail="too many failed attempts", retry_after_s=30)
DIGEST = hashlib.sha256(b"an order").digest()


class Safe:
    """The key files of this machine: who has which key."""

    def __init__(self) -> None:
        self.keys: dict[str, SigningKey] = {"li": DISPATCHER, "wang": OPERATOR, "zhao": SUPERVISOR}
        self.opened: list[str] = []
        self.off_the_loop = 0

    def unlock(self, person: str, password: str, folder: Path) -> SigningKey:
        assert folder == FOLDER
        self.opened.append(person)
        if password != PASSWORD:
            raise KeyFileError(folder / f"{person}.key", "the password does not open it")
        return self.keys[person]

    async def run_blocking(self, work: Callable[[], SigningKey]) -> SigningKey:
        self.off_the_loop += 1
        return work()


@pytest.fixture
def safe(monkeypatch: pytest.MonkeyPatch) -> Safe:
    safe = Safe()
    monkeypatch.setattr(login_module, "unlock_key", safe.unlock)
    return safe


@pytest.fixture
def superior(desk: Room[Desk]) -> ScriptedSuperior:
    return ScriptedSuperior(desk)


@pytest.fixture
def authenticator(superior: ScriptedSuperior, safe: Safe) -> Authenticator:
    return Authenticator(superior, FOLDER, safe.run_blocking)


async def log_in(authenticator: Authenticator, person: str = "li", password: str = PASSWORD) -> Login:
    return await authenticator.login(person, password, "totp", b"123456")


async def approve(authenticator: Authenticator) -> bytes:
    login = Login(DISPATCHER, SESSION.session, SESSION_ENDS_MS)
    return await authenticator.approve(login, DIGEST, PASSWORD, "totp", b"654321")


async def step_up(authenticator: Authenticator) -> bytes:
    return await authenticator.step_up("zhao", DIGEST, PASSWORD, "totp", b"654321")


async def test_both_factors_open_a_session_with_the_persons_own_key(
    authenticator: Authenticator, superior: ScriptedSuperior
) -> None:
    superior.will_say(CHALLENGE, SESSION)
    login = await log_in(authenticator)
    assert (login.key, login.session, login.expires_ms) == (DISPATCHER, SESSION.session, SESSION_ENDS_MS)
    assert login.person == "li"
    begin, prove = superior.asked
    assert isinstance(begin, BeginRequest)
    assert (begin.person, begin.purpose, begin.session) == ("li", Purpose.LOGIN, b"")
    assert prove == ProveRequest(
        challenge=CHALLENGE.challenge, password=PASSWORD, factor="totp", response=b"123456"
    )


async def test_a_login_is_bound_to_the_person_and_not_to_an_order(
    authenticator: Authenticator, superior: ScriptedSuperior, safe: Safe
) -> None:
    safe.keys["zheng"] = AUTHORITY.key(Role.DISPATCHER, "zheng", "desk-1")
    digests = set()
    for person in ("li", "zheng"):
        superior.will_say(CHALLENGE, SESSION)
        await log_in(authenticator, person)
        begin = superior.asked[-2]
        assert isinstance(begin, BeginRequest)
        digests.add(begin.digest)
    assert len(digests) == 2
    assert DIGEST not in digests


async def test_a_key_is_opened_off_the_loop_for_that_is_slow_on_purpose(
    authenticator: Authenticator, superior: ScriptedSuperior, safe: Safe
) -> None:
    superior.will_say(CHALLENGE, SESSION)
    await log_in(authenticator)
    assert (safe.opened, safe.off_the_loop) == (["li"], 1)


async def test_a_password_that_does_not_open_the_key_is_not_sent(
    authenticator: Authenticator, superior: ScriptedSuperior
) -> None:
    with pytest.raises(KeyFileError):
        await log_in(authenticator, password="wrong")
    assert superior.asked == []


@pytest.mark.parametrize(
    ("person", "key", "code"),
    [
        ("li", OTHER_DISPATCHER, "wrong-key"),
        ("wang", OPERATOR, "wrong-role"),
        ("zhao", SUPERVISOR, "wrong-role"),
        ("chen", OTHER_DISPATCHER, "wrong-role"),
    ],
)
async def test_somebody_who_does_not_work_here_sends_no_secret(
    authenticator: Authenticator,
    superior: ScriptedSuperior,
    safe: Safe,
    person: str,
    key: SigningKey,
    code: str,
) -> None:
    safe.keys[person] = key
    with pytest.raises(CommandFailed) as failure:
        await log_in(authenticator, person)
    assert failure.value.code == code
    assert superior.asked == []


async def test_a_plant_is_for_operators(safe: Safe) -> None:
    with closing(plant_room()) as room:
        superior = ScriptedSuperior(room)
        authenticator = Authenticator(superior, FOLDER, safe.run_blocking)
        superior.will_say(CHALLENGE, SESSION)
        assert (await log_in(authenticator, "wang")).person == "wang"
        with pytest.raises(CommandFailed) as failure:
            await log_in(authenticator, "li")
        assert failure.value.code == "wrong-role"


async def test_a_revoked_person_sends_no_secret(safe: Safe) -> None:
    with closing(desk_room(AUTHORITY.trust(DISPATCHER))) as room:
        superior = ScriptedSuperior(room)
        with pytest.raises(OrderRefused) as refusal:
            await log_in(Authenticator(superior, FOLDER, safe.run_blocking))
        assert refusal.value.code is RefusalCode.SIGNATURE
        assert superior.asked == []


async def test_an_approval_is_asked_in_the_session_and_for_one_digest(
    authenticator: Authenticator, superior: ScriptedSuperior
) -> None:
    superior.will_say(CHALLENGE, GRANT)
    assert await approve(authenticator) == GRANT.challenge
    begin, prove = superior.asked
    assert begin == BeginRequest(person="li", purpose=Purpose.ISSUE, session=SESSION.session, digest=DIGEST)
    assert isinstance(prove, ProveRequest)
    assert prove.response == b"654321"


async def test_a_second_person_is_asked_for_outside_of_any_session(
    authenticator: Authenticator, superior: ScriptedSuperior
) -> None:
    superior.will_say(CHALLENGE, GRANT)
    assert await step_up(authenticator) == GRANT.challenge
    begin, prove = superior.asked
    assert begin == BeginRequest(person="zhao", purpose=Purpose.APPROVE, session=b"", digest=DIGEST)
    assert prove == ProveRequest(
        challenge=CHALLENGE.challenge, password=PASSWORD, factor="totp", response=b"654321"
    )


@pytest.mark.parametrize(
    ("person", "key", "code"),
    [
        ("zhao", OTHER_SUPERVISOR, "wrong-key"),
        ("gao", OTHER_SUPERVISOR, "wrong-role"),
        ("li", DISPATCHER, "wrong-role"),
        ("wang", OPERATOR, "wrong-role"),
    ],
)
async def test_only_the_key_of_a_supervisor_of_this_desk_is_unlocked_for_a_decision(
    authenticator: Authenticator,
    superior: ScriptedSuperior,
    safe: Safe,
    person: str,
    key: SigningKey,
    code: str,
) -> None:
    assert await authenticator.unlock("zhao", PASSWORD, Role.SUPERVISOR) == SUPERVISOR
    safe.keys[person] = key
    with pytest.raises(CommandFailed) as failure:
        await authenticator.unlock(person, PASSWORD, Role.SUPERVISOR)
    assert failure.value.code == code
    assert superior.asked == []


async def test_a_revoked_supervisor_sends_no_secret(safe: Safe) -> None:
    with closing(desk_room(AUTHORITY.trust(SUPERVISOR))) as room:
        authenticator = Authenticator(ScriptedSuperior(room), FOLDER, safe.run_blocking)
        with pytest.raises(OrderRefused) as refusal:
            await authenticator.unlock("zhao", PASSWORD, Role.SUPERVISOR)
        assert refusal.value.code is RefusalCode.SIGNATURE


@pytest.mark.parametrize("act", [log_in, approve, step_up])
@pytest.mark.parametrize("replies", [(REFUSED,), (CHALLENGE, REFUSED)])
async def test_a_refusal_is_told_in_the_superiors_words(
    authenticator: Authenticator,
    superior: ScriptedSuperior,
    act: Callable[[Authenticator], Awaitable[object]],
    replies: tuple[AnyReply, ...],
) -> None:
    superior.will_say(*replies)
    with pytest.raises(CommandFailed, match="check everything") as failure:
        await act(authenticator)
    assert failure.value.code == "not-accepted"


async def test_who_has_to_wait_is_told_how_long(
    authenticator: Authenticator, superior: ScriptedSuperior
) -> None:
    superior.will_say(WAIT)
    with pytest.raises(CommandFailed, match="Try again in 30 s"):
        await log_in(authenticator)


@pytest.mark.parametrize("replies", [(DoneReply(),), (SESSION,), (CHALLENGE, GRANT), (CHALLENGE, CHALLENGE)])
async def test_an_answer_to_another_question_opens_no_session(
    authenticator: Authenticator, superior: ScriptedSuperior, replies: tuple[AnyReply, ...]
) -> None:
    superior.will_say(*replies)
    with pytest.raises(CommandFailed) as failure:
        await log_in(authenticator)
    assert failure.value.code == "unexpected-reply"


@pytest.mark.parametrize(
    "replies", [(DoneReply(),), (GRANT,), (CHALLENGE, SESSION), (CHALLENGE, DoneReply())]
)
@pytest.mark.parametrize("act", [approve, step_up])
async def test_an_answer_to_another_question_grants_nothing(
    authenticator: Authenticator,
    superior: ScriptedSuperior,
    act: Callable[[Authenticator], Awaitable[object]],
    replies: tuple[AnyReply, ...],
) -> None:
    superior.will_say(*replies)
    with pytest.raises(CommandFailed) as failure:
        await act(authenticator)
    assert failure.value.code == "unexpected-reply"


async def test_without_a_link_nobody_logs_in(
    authenticator: Authenticator, superior: ScriptedSuperior
) -> None:
    superior.will_say(LinkLost(WireCode.LOST, "not connected"))
    with pytest.raises(LinkLost):
        await log_in(authenticator)


async def test_logging_out_ends_the_session_at_the_superior(
    authenticator: Authenticator, superior: ScriptedSuperior
) -> None:
    superior.will_say(DoneReply())
    await authenticator.logout(Login(DISPATCHER, SESSION.session, SESSION_ENDS_MS))
    assert superior.asked == [LogoutRequest(person="li", session=SESSION.session)]
