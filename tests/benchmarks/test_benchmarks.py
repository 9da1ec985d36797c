"""The benchmarks run and say what they measured; no test has a time limit."""

import json
import sys

import pytest

from tests.benchmarks import sealed_messages


def test_sealed_messages_are_measured_through_both_real_sessions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sealed_messages, "MESSAGES", 3)
    monkeypatch.setattr(sys, "argv", ["sealed_messages", "--rounds", "1", "--json"])
    sealed_messages.main()
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["inner"] for row in rows] == list(sealed_messages.SUBJECTS)
    assert all(row["delivered_us"] > 0 and row["sealed_us"] > 0 for row in rows)
