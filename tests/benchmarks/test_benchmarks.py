"""The benchmarks run and say what they measured; no test has a time limit."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from protocol.keys import Role
from tests.benchmarks import latency, sealed_messages, storm, throughput
from tests.benchmarks.field import CENTER, HQ, Field, make_field
from tests.benchmarks.responders import Child, Responders


def test_sealed_messages_are_measured_through_both_real_sessions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sealed_messages, "MESSAGES", 3)
    monkeypatch.setattr(sys, "argv", ["sealed_messages", "--rounds", "1", "--json"])
    sealed_messages.main()
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["inner"] for row in rows] == list(sealed_messages.SUBJECTS)
    assert all(row["delivered_us"] > 0 and row["sealed_us"] > 0 for row in rows)


class Measured:
    """Runs a benchmark's program and gives the rows that it prints."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, program: ModuleType, *arguments: str) -> list[dict[str, Any]]:
        self._monkeypatch.setattr(sys, "argv", [program.__name__, *arguments, "--json"])
        program.main()
        rows: list[dict[str, Any]] = json.loads(self._capsys.readouterr().out)["rows"]
        return rows


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Measured:
    return Measured(monkeypatch, capsys)


def test_a_field_is_a_deployment_whose_members_its_own_authority_has_signed(tmp_path: Path) -> None:
    made = make_field(tmp_path, plants=2, desks=1, region=1)
    loaded = Field.load(tmp_path)
    now_ms = loaded.signing_key(HQ).certificate.not_before_ms + 1_000
    for member in loaded.members.values():
        assert loaded.trust.identify(member.certificate, now_ms).name == member.name
    assert [m.name for m in loaded.below(HQ)] == [CENTER, "plant-1", "plant-2", "desk-1"]
    links = made.links(HQ, {CENTER: ("127.0.0.1", 1)})
    assert [(link.node, link.role, link.serves) for link in links] == [(CENTER, Role.CENTER, ("far-1",))]
    with pytest.raises(ValueError, match="enrol before"):
        loaded.enrol("plant-3", Role.PLANT, HQ)


@pytest.mark.system
def test_responders_refuse_and_drop_and_take_the_real_headquarters_again(tmp_path: Path) -> None:
    field = make_field(tmp_path, plants=3, desks=1)
    with Responders(field) as responders:
        config = str(field.write_server(HQ, responders.addresses))
        with Child("tests.benchmarks.programs", "server", config) as headquarters:
            headquarters.hear("start")
            headquarters.ask("await", sessions=4)
            assert sum(told["links"] for told in responders.ask("report")) == 4
            responders.ask("refuse")
            assert sum(told["links"] for told in responders.ask("drop")) == 4
            responders.ask("accept")
            headquarters.ask("await", sessions=8)
            assert headquarters.ask("links") == {"to": "links", "up": 4, "of": 4}


@pytest.mark.system
def test_latency_is_measured_over_headquarters_and_over_a_center(measured: Measured) -> None:
    rows = measured(
        latency, *["--links", "1", "--orders", "2", "--plain-orders", "0", "--interval-ms", "500"]
    )
    assert [(row["way"], row["news"]) for row in rows] == [
        (way, news) for way in ("HQ", "HQ + center") for news in ("issue → plant", "read-back → desk")
    ]
    assert all(row["orders"] == 2 and 0 < row["p50_ms"] <= row["p99_ms"] for row in rows)
    assert all(row["hq_commit_p50_ms"] > 0 and row["ends_commit_p50_ms"] > 0 for row in rows)


@pytest.mark.system
def test_storms_end_with_all_links_up_and_all_orders_delivered(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storm, "_HANDSHAKES", 2)
    rows = measured(storm, "--links", "4", "--orders", "2")
    assert [row["storm"] for row in rows] == ["restart", "cut", "center"]
    assert all(row["delivered"] == "4 of 4" for row in rows)
    assert all(row["resumed_us"] < row["full_us"] and row["cpu_us"] > 0 for row in rows)


@pytest.mark.system
def test_throughput_counts_orders_that_headquarters_took_and_plants_have(measured: Measured) -> None:
    rows = measured(throughput, *["--desks", "1", "2", "--orders", "4", "--rounds", "1"])
    assert [(row["ends"], row["desks"]) for row in rows] == [
        (ends, desks) for ends in ("cancelled", "delivered") for desks in (1, 2)
    ]
    assert all(row["orders"] == 4 and row["refused"] == 0 for row in rows)
    assert all(row["group"] >= 1 and row["commits"] > 0 for row in rows)
