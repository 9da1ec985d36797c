"""A subordinate's session before any superior: `python -m tests.fuzz.subordinate [corpus] [flags]`."""

from tests.fuzz.engine import run
from tests.fuzz.sessions import SubordinatePlay, play


def one(data: bytes) -> None:
    """Play one script; see sessions.py."""
    play(SubordinatePlay, data)


if __name__ == "__main__":
    run(one)
