"""Configuration files of both programs: `python -m tests.fuzz.settings [corpus] [libFuzzer flags]`."""

import tempfile
from pathlib import Path

from dispatch_client.config import ClientSettings
from dispatch_server.config import load_server_settings
from protocol.errors import ConfigurationRefused
from protocol.settings import load_settings
from tests.fuzz.engine import run

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-settings-")


def one(data: bytes) -> None:
    """A configuration is taken, or its refusal says where, why and what to do."""
    path = Path(_FOLDER.name) / "node.toml"
    path.write_bytes(data)
    for load in (load_server_settings, lambda path: load_settings(path, ClientSettings)):
        try:
            load(path)
        except ConfigurationRefused as refusal:
            _is_whole(refusal, str(path))


def _is_whole(refusal: ConfigurationRefused, path: str) -> None:
    assert refusal.where.startswith(path)
    assert refusal.reason
    assert refusal.remedy


if __name__ == "__main__":
    run(one)
