"""dispatch_client/reload.py: a login under a revoked certificate ends on both sides; configurations stay."""

from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dispatch_client.config import ClientSettings
from dispatch_client.desk import Desk
from dispatch_client.login import Authenticator
from dispatch_client.reload import recheck, unchanged
from protocol.errors import ConfigurationRefused, LinkLost, WireCode
from protocol.requests import DoneReply, LogoutRequest
from protocol.settings import load_settings
from tests.dispatch_client.rooms import SESSION, Room, ScriptedSuperior, desk_room
from tests.dispatch_client.support import write_config
from tests.protocol.parties import AUTHORITY, DISPATCHER, OPERATOR


def gate(room: Room[Desk]) -> tuple[ScriptedSuperior, Authenticator]:
    superior = ScriptedSuperior(room)
    return superior, Authenticator(superior, Path("people"), lambda work: pytest.fail("no key is opened"))


async def test_a_person_whose_certificate_is_revoked_is_logged_out_here_and_at_the_superior() -> None:
    with closing(desk_room(AUTHORITY.trust())) as room:
        superior, authenticator = gate(room)
        superior.will_say(DoneReply())
        room.node.trust.renew(AUTHORITY.trust(DISPATCHER).anchors)
        with capture_logs() as logs:
            await recheck(room.client, superior, authenticator)
        assert [(line["event"], line["person"]) for line in logs] == [("logged out", "li")]
        assert "revoked" in logs[0]["why"]
        assert room.client.login is None
        assert superior.asked == [LogoutRequest(person="li", session=SESSION)]


async def test_without_a_link_the_person_is_logged_out_here_all_the_same() -> None:
    with closing(desk_room(AUTHORITY.trust())) as room:
        superior, authenticator = gate(room)
        superior.will_say(LinkLost(WireCode.LOST, "not connected"))
        room.node.trust.renew(AUTHORITY.trust(DISPATCHER).anchors)
        await recheck(room.client, superior, authenticator)
        assert room.client.login is None


async def test_who_is_not_revoked_stays_logged_in_and_nobody_is_nobody() -> None:
    with closing(desk_room(AUTHORITY.trust())) as room:
        superior, authenticator = gate(room)
        room.node.trust.renew(AUTHORITY.trust(OPERATOR).anchors)
        login = room.client.login
        await recheck(room.client, superior, authenticator)
        assert room.client.login is login is not None
        room.client.login = None
        await recheck(room.client, superior, authenticator)
        assert superior.asked == []


def test_a_configuration_that_has_changed_needs_a_restart(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    settings = load_settings(path, ClientSettings)
    assert unchanged(path, settings)() == ()
    text = path.read_text("utf-8")
    path.write_text("telemetry_interval_s = 7.0\n" + text, "utf-8")
    with pytest.raises(ConfigurationRefused, match="this changes: telemetry_interval_s") as caught:
        unchanged(path, settings)
    assert "Restart for that" in caught.value.remedy
    path.write_text(text, "utf-8")
    assert unchanged(path, settings)() == ()
