"""A superior's session before any subordinate: `python -m tests.fuzz.superior [corpus] [flags]`."""

from tests.fuzz.engine import run
from tests.fuzz.sessions import SuperiorPlay, play


def one(data: bytes) -> None:
    """Play one script; see sessions.py."""
    play(SuperiorPlay, data)


if __name__ == "__main__":
    run(one)
