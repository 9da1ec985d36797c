"""dispatch_server/commands.py on a server in memory: what people then see of its answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError

from dispatch_server.awareness.guard import GuardSettings
from dispatch_server.awareness.watch import Now
from dispatch_server.cli import alarms, risk, status
from dispatch_server.commands import Commands
from dispatch_server.config import LinkSettings
from dispatch_server.links.channel import Channel
from dispatch_server.links.link import Dial
from dispatch_server.orders.checks import Rules
from dispatch_server.server import Ports, Server
from protocol.aio.control import CommandFailed
from protocol.keys import Role
from protocol.limits import Timers
from protocol.messages import Sample
from protocol.requests import AnyReply, DoneReply, Request
from protocol.terminal.tables import show
from protocol.texts import Language
from protocol.timeline import Timeline
from situational import Level
from situational.alarms import AlarmKey, Condition
from situational.risk import parse_toml
from tests.dispatch_server.orders.support import PeopleStandIn
from tests.protocol.parties import HQ
from tests.support.pki import NOW_MS
from tests.support.stations import Node
from tests.support.virtual_loop import Seeded

EXPERTS = Path(__file__).parents[2] / "configs" / "risk-experts.toml"
KEY = AlarmKey("plant-1", "signature")
AT_KEY = {"node": "plant-1", "kind": "signature", "person": "wang"}


class Nobody(PeopleStandIn):
    async def answer(self, node: str, request: Request) -> AnyReply:
        return DoneReply()


def no_dial(link: LinkSettings) -> Dial:
    async def dial() -> Channel:
        raise ConnectionRefusedError(link.node)

    return dial


async def no_host() -> Sample:
    raise AssertionError


class Told:
    """A server's answers, and what of them is drawn."""

    def __init__(self) -> None:
        self.node = Node(HQ)
        uniform = Seeded(1)
        self.server = Server(
            self.node.station,
            Nobody(),
            Ports(no_dial, uniform.randbytes, uniform.random, no_host),
            links=[LinkSettings(node="plant-1", role=Role.PLANT, host="-")],
            superior=None,
            timers=Timers(),
            rules=Rules(),
            telemetry_interval=5.0,
            guard=GuardSettings(experts=parse_toml(EXPERTS.read_bytes())),
        )
        self.table = Commands(self.server, Timeline(lambda: float(NOW_MS))).table

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await self.table[command](arguments)

    async def storm(self, begin: int, end: int) -> None:
        """Readings begin … end of a storm at plant-1, one every 5 s: all four metrics double every 90 s."""
        for i in range(begin, end):
            now = Now(1000.0 + 5 * i, NOW_MS + 5000 * i, 0.0)
            values = {
                "logged_in_nodes": 20 * 2 ** (i / 18),
                "network_flow": 1e6 * 2 ** (i / 18),
                "external_connections": 40 * 2 ** (i / 18),
                "memory_used": 4e9 * 2 ** (i / 18),
            }
            self.server.awareness.take([Sample(node="plant-1", at_ms=now.wall_ms, **values)], now)
            await self.server.awareness.tick(now)


@pytest_asyncio.fixture
async def told() -> AsyncIterator[Told]:
    made = Told()
    yield made
    await made.server.close()
    made.node.close()


@pytest.mark.parametrize("language", list(Language))
async def test_the_status_of_a_storm_can_be_read(
    told: Told, language: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    await told.storm(0, 60)
    told.server.guard.alarms.update({KEY: Condition(Level.MAJOR, "signature-failed")})
    capsys.readouterr()
    show(status.draw(await told.ask("status"), language))
    out = capsys.readouterr().out
    assert {Language.EN: "(4 of 4 metrics judged)", Language.ZH: "可判定4/4项指标"}[language] in out
    for part in {
        Language.EN: ("major hidden danger", "network issuing held (plant-1)", "use the telephone"),
        Language.ZH: ("重大隐患", "暂停网络下令（plant-1）", "改用电话"),
    }[language]:
        assert part in out
    banner = {Language.EN: "alarms to be acknowledged: 1 of 1", Language.ZH: "1 个告警待确认，共 1 个"}
    assert out.startswith(banner[language])
    assert {Language.EN: "all four metrics show", Language.ZH: "四项指标均为"}[language] in out


async def test_a_posture_that_a_person_released_is_back_while_the_storm_goes_on(told: Told) -> None:
    await told.storm(0, 60)
    assert (await told.ask("status"))["posture"] == "held"
    assert await told.ask("release-posture", person="chen") == {"posture": "normal"}
    await told.storm(60, 120)
    assert (await told.ask("status"))["posture"] == "held"
    notes = told.node.decision().notes("posture")
    assert [(note["after"], note["person"]) for note in notes if note["person"]] == [("NORMAL", "chen")]
    assert notes[-1]["after"] == "HELD"


async def test_a_node_of_which_too_little_was_heard_is_not_called_normal(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    await told.storm(0, 3)
    node = (await told.ask("status"))["nodes"]["plant-1"]
    assert (node["hazard"], node["judged"]) == ("normal", 0)
    show(status.draw(await told.ask("status"), Language.EN))
    assert "not known (0 of 4 metrics judged)" in capsys.readouterr().out


async def test_an_alarm_is_acknowledged_and_the_ledger_says_by_whom(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    told.server.guard.alarms.update({KEY: Condition(Level.MAJOR, "signature-failed", "an event of wang")})
    told.node.decision()
    show(alarms.draw(await told.ask("alarms"), Language.EN, NOW_MS))
    out = capsys.readouterr().out
    assert "alarms: 1; to be acknowledged: 1," in out
    assert "a signature does not verify: an event of wang" in out
    view = await told.ask("alarm", action="acknowledge", **AT_KEY)
    assert [row["acknowledged_by"] for row in view["alarms"]] == ["wang"]
    (note,) = told.node.decision().notes("alarm")
    assert (note["subject"], note["input"], note["person"]) == ("plant-1", "acknowledge", "wang")


async def test_a_major_alarm_cannot_be_shelved_and_nothing_has_changed(told: Told) -> None:
    told.server.guard.alarms.update({KEY: Condition(Level.MAJOR, "signature-failed")})
    before = await told.ask("alarms")
    with pytest.raises(CommandFailed, match="is major and cannot be shelved"):
        await told.ask("alarm", action="shelve", reason="noise", for_s=60.0, **AT_KEY)
    assert await told.ask("alarms") == before


async def test_a_shelf_without_end_or_too_long_is_refused_in_hours(told: Told) -> None:
    for for_s in (None, 8 * 3600.0 + 1):
        with pytest.raises(CommandFailed, match="at most 8 h from now"):
            await told.ask("alarm", action="shelve", reason="noise", for_s=for_s, **AT_KEY)
    view = await told.ask("alarm", action="shelve", reason="noise", for_s=8 * 3600.0, **AT_KEY)
    (row,) = view["alarms"]
    assert row["until_ms"] - row["since_ms"] in range(8 * 3_600_000 - 60_000, 8 * 3_600_000 + 1)


@pytest.mark.parametrize("action", ["shelve", "suppress", "remove"])
async def test_nothing_is_set_aside_without_a_reason(told: Told, action: str) -> None:
    more = {"for_s": 60.0} if action == "shelve" else {}
    with pytest.raises(CommandFailed, match="needs a reason"):
        await told.ask("alarm", action=action, **AT_KEY, **more)


@pytest.mark.parametrize(
    "wrong",
    [
        {"person": ""},
        {"person": "Wang X"},
        {"action": "silence"},
        {"node": ""},
        {"kind": "x" * 129},
        {"reason": "x" * 501},
        {"for_s": -1.0},
        {"for_s": 8 * 24 * 3600.0},
        {"more": 1},
    ],
)
async def test_arguments_are_checked_before_anything_happens(told: Told, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await told.ask("alarm", **({"action": "acknowledge"} | AT_KEY | wrong))


async def test_the_board_of_risks_fills_with_its_sources(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    show(risk.draw(await told.ask("risk"), Language.EN, has_experts=True))
    assert "No board yet" in capsys.readouterr().out
    guard = told.server.guard
    guard.risk.look(0.0)
    guard.counters.add("polls", 720)
    guard.counters.add("reconnects", 3)
    guard.risk.look(3600.0)
    answer = await told.ask("risk")
    assert len(answer["board"]) == 19
    show(risk.draw(answer, Language.EN, has_experts=True))
    out = capsys.readouterr().out
    assert "reconnects 3, polls 720, in 60 min" in out
    assert "Made-up example" in out
    assert guard.alarms.view()["alarms"] == []  # a report, never an alarm


async def test_rows_of_links_and_nodes_are_given_in_pages(told: Told) -> None:
    await told.storm(0, 3)
    (link,) = await told.ask("rows", of="links")
    assert link == (await told.ask("status"))["links"][0]
    assert await told.ask("rows", of="links", first=1) == []
    (node,) = await told.ask("rows", of="nodes", first=0, limit=1)
    assert node == {"node": "plant-1"} | (await told.ask("status"))["nodes"]["plant-1"]


@pytest.mark.parametrize(
    "wrong", [{"of": "keys"}, {"of": "links", "limit": 501}, {"of": "links", "first": -1}, {}]
)
async def test_rows_are_of_links_or_nodes_and_few_at_once(told: Told, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await told.ask("rows", **wrong)
