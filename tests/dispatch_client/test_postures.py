"""What headquarters says of the postures is kept at a desk and shown before anybody issues."""

from pathlib import Path

import pytest

from dispatch_client.__main__ import app
from dispatch_client.cli.postures import posture_text_of
from dispatch_client.desk import Desk
from protocol.errors import PeerFault
from protocol.items import PostureItem, decode_item
from protocol.texts import Language
from tests.dispatch_client.rooms import Room
from tests.dispatch_client.support import program, status, write_config
from tests.support.pki import NOW_MS
from tests.support.terminal import run


def item(node: str = "plant-1", posture: str = "held", *, to: str = "desk-1") -> PostureItem:
    return PostureItem(
        to=to,
        node=node,
        posture=posture,
        before="normal",
        cause="hazard",
        level="major",
        person="",
        at_ms=NOW_MS,
    )


async def test_a_desk_keeps_what_headquarters_told_last_of_each_node_over_a_restart(desk: Room[Desk]) -> None:
    await desk.say(item(), item("plant-2", "heightened"))
    await desk.say(item(posture="restricted"), item("plant-2", "normal"))
    assert desk.client.postures == {"plant-1": "restricted"}
    desk.restart()
    assert desk.client.postures == {"plant-1": "restricted"}


async def test_each_change_is_a_line_in_the_desks_own_ledger(desk: Room[Desk]) -> None:
    decision = await desk.say(item())
    (note,) = [entry for batch in decision.batches for entry in batch.entries if entry.kind == "posture"]
    assert note.subject == "plant-1"
    assert b"held" in note.body


async def test_a_posture_for_another_desk_is_not_taken(desk: Room[Desk]) -> None:
    await desk.say(item(to="desk-2"))
    assert desk.client.postures == {}


@pytest.mark.parametrize("wrong", ["HELD", "he\nld", "", "x" * 33])
def test_what_is_no_name_of_a_posture_is_refused_on_the_wire(wrong: str) -> None:
    good = item().encode()
    assert decode_item(good).kind == "posture"
    forged = item().model_copy(update={"posture": wrong}).encode()
    with pytest.raises(PeerFault):
        decode_item(forged)


def test_postures_read_in_both_languages_and_calm_ones_are_silent() -> None:
    told = {"plant-b": "restricted", "plant-a": "held"}
    assert posture_text_of(told, Language.EN).startswith("plant-a: ")
    assert posture_text_of(told, Language.EN).count("; plant-b: ") == 1
    assert posture_text_of(told, Language.ZH) != posture_text_of(told, Language.EN)
    assert posture_text_of({}, Language.EN) == ""


def test_a_posture_that_this_program_does_not_know_is_shown_by_its_name() -> None:
    assert posture_text_of({"plant-a": "evacuated"}, Language.EN) == "plant-a: evacuated"


def test_status_and_inbox_show_a_posture_that_is_not_normal_and_else_say_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    for postures, shown in (({"plant-1": "held"}, True), ({}, False)):
        with program(config, status=status(postures=postures), list=[]):
            told = [run(app, name, "--config", config, "--lang", "en").out for name in ("status", "inbox")]
        assert all(("plant-1: " in text) is shown for text in told)
