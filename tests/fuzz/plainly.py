"""What every error that a stranger's bytes cause must look like: it goes into logs, and to people."""

from protocol.errors import DispatchError, LinkError, WireCode

_LONGEST = 1_000  # characters; a line of a log


def told_plainly(error: DispatchError, *allowed: WireCode) -> None:
    """Raises AssertionError for a text that could flood a log or forge lines of it, or for another code."""
    assert not allowed or (isinstance(error, LinkError) and error.code in allowed)
    text = str(error)
    assert text, type(error).__name__
    assert len(text) <= _LONGEST, f"{type(error).__name__} with a text of {len(text)} characters"
    assert text.isprintable(), repr(text)
