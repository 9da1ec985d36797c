"""A desk and a plant for the tests of the command line."""

from pathlib import Path
from typing import Any

from tests.support.terminal import FakeProgram

CONFIG = """
role = "{role}"
node = "{node}"
deployment = "test-grid"
journal = "journal.db"
control = "run/control"
people = "people"
[listen]
superior = "hq"
port = 0
[keys]
authority = "authority.crt"
certificate = "node.crt"
key = "node.key"
"""
PASSWORD = "correct horse battery"


def write_config(folder: Path, role: str = "desk", node: str = "desk-1") -> Path:
    path = folder / "config.toml"
    path.write_text(CONFIG.format(role=role, node=node), "utf-8")
    return path


def program(config: Path, **answers: Any) -> FakeProgram:
    """The running client of a configuration."""
    return FakeProgram(config.parent / "run" / "control", **answers)


def status(role: str = "desk", **more: Any) -> dict[str, Any]:
    facts = {
        "node": f"{role}-1",
        "role": role,
        "superior": "hq",
        "connected": True,
        "polls": 7,
        "postures": {},
    }
    counts = {"refused_links": 0, "person": "wang", "open_orders": 2, "pending": 1, "ledger_entry": 42}
    return facts | counts | {"postures": {}} | more


def taken(order: str = "t-1") -> dict[str, Any]:
    return {"outcome": "taken", "order": order, "event": "ef" * 32}
