"""Configurations of headquarters and a center for tests."""

from pathlib import Path
from typing import Any

from tests.support.terminal import FakeProgram

HQ = """
role = "hq"
node = "hq"
deployment = "test-grid"
journal = "journal.db"
control = "run/control"
[keys]
authority = "authority.crt"
certificate = "node.crt"
key = "node.key"
[identity]
store = "identity.db"
key = "identity.key"
[[links]]
node = "desk-1"
role = "desk"
host = "192.0.2.11"
[[links]]
node = "plant-a"
role = "plant"
host = "192.0.2.21"
[[links]]
node = "south"
role = "center"
host = "192.0.2.31"
serves = ["plant-b"]
"""
CENTER = """
role = "center"
node = "south"
deployment = "test-grid"
journal = "journal.db"
control = "run/control"
[listen]
superior = "hq"
[keys]
authority = "authority.crt"
certificate = "node.crt"
key = "node.key"
[identity]
store = "identity.db"
key = "identity.key"
[[links]]
node = "plant-b"
role = "plant"
host = "192.0.2.41"
"""


def write_config(folder: Path, text: str = HQ, replaced: str = "", by: str = "") -> Path:
    """A configuration with one place changed."""
    if replaced:
        assert replaced in text
        text = text.replace(replaced, by, 1)
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return path


def program(config: Path, **answers: Any) -> FakeProgram:
    """The running server of a configuration."""
    return FakeProgram(config.parent / "run" / "control", **answers)
