from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.terminal.talk import Talk
from protocol.texts import Language


def test_who_asks_for_the_status_of_a_program_that_hangs_is_told_sooner_than_who_waits_for_a_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: dict[str, float] = {}

    def call(_path: Path, command: str, _arguments: Mapping[str, Any], *, timeout: float) -> None:
        waited[command] = timeout

    monkeypatch.setattr("protocol.terminal.talk.call", call)
    talk = Talk(Path("control"), Language.EN)
    talk.ask("status")
    talk.ask("issue", order="t-1")
    assert waited == {"status": 10.0, "issue": 60.0}
