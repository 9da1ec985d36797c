from pathlib import Path

import pytest

from dispatch_server.__main__ import app
from dispatch_server.cli.words import POSTURE_MEANS
from protocol.aio.control import CommandFailed
from protocol.texts import Language, say
from situational import Posture
from tests.dispatch_server.support import program, write_config
from tests.support.terminal import run


def test_a_posture_is_released_by_a_named_person(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, release_posture={"posture": "normal"}) as server:
        told = run(app, "posture", "release", "--person", "chen", "--config", config, "--lang", "zh")
    assert told.out == "态势处置：正常下令 (照常下令)\n"
    assert server.asked == [("release-posture", {"person": "chen"})]


def test_nobody_releases_a_posture_without_a_name(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, release_posture={"posture": "normal"}) as server:
        assert run(app, "posture", "release", "--config", config).exit_code == 2
        assert run(app, "posture", "release", "--person", "X Y", "--config", config).exit_code == 2
    assert server.asked == []


def test_as_json_it_is_what_the_server_said(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, release_posture={"posture": "normal"}):
        told = run(app, "posture", "release", "--person", "chen", "--config", config, "--json")
    assert told.json == {"posture": "normal"}


@pytest.mark.parametrize("posture", list(Posture))
def test_what_holds_afterwards_is_told_with_what_it_means(tmp_path: Path, posture: Posture) -> None:
    config = write_config(tmp_path)
    with program(config, release_posture={"posture": posture.name.lower()}):
        told = run(app, "posture", "release", "--person", "chen", "--config", config)
    assert say(POSTURE_MEANS[posture], Language.EN) in told.out


def test_a_refusal_comes_through(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, release_posture=CommandFailed("bad-argument", "person: no")):
        told = run(app, "posture", "release", "--person", "chen", "--config", config)
    assert (told.exit_code, told.err) == (1, "person: no\n")
