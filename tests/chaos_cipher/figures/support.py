"""Commands run as from the command line, and what a PNG says of itself."""

import argparse
from pathlib import Path
from types import ModuleType

import pytest


def run(module: ModuleType, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    module.configure(parser)
    code: int = module.run(parser.parse_args(arguments))
    return code


def png_size(path: Path) -> tuple[int, int]:
    """(width, height) from the IHDR chunk (PNG specification, 11.2.2)."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert head[12:16] == b"IHDR"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> ModuleType:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("chaos_cipher.figures.plot.import_module", refuse)
