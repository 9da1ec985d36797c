"""dispatch_server/app.py: what awareness keeps on disk never keeps a server from its orders."""

from pathlib import Path
from typing import Any

import pytest

from dispatch_server.app import _or_without, experts, telemetry_store
from dispatch_server.config import RiskSettings, ServerSettings, TelemetrySettings
from dispatch_server.counters import Counters
from protocol.errors import ConfigurationRefused


def settings_with(**parts: Any) -> ServerSettings:
    return ServerSettings.model_construct(**parts)


@pytest.mark.parametrize("content", [b"garbage" * 100, b"", None], ids=["garbage", "empty", "a folder"])
def test_a_curves_file_that_cannot_be_used_costs_the_curves_and_is_counted(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "curves.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    settings = settings_with(telemetry=TelemetrySettings(store=path))
    counters = Counters()
    store = _or_without(lambda: telemetry_store(settings, tmp_path), counters)
    if content == b"":  # a file that was just made is a fresh one
        assert store is not None
        store.close()
        return
    assert store is None
    assert counters.snapshot()["storage_faults"] == 1
    with pytest.raises(ConfigurationRefused):
        telemetry_store(settings, tmp_path)


def test_an_experts_file_that_is_gone_costs_the_board_alone(tmp_path: Path) -> None:
    settings = settings_with(risk=RiskSettings(experts=tmp_path / "experts.toml"))
    counters = Counters()
    assert _or_without(lambda: experts(settings, tmp_path), counters) is None
    assert counters.snapshot()["storage_faults"] == 1
