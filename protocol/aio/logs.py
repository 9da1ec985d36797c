"""Structured logs on standard error: one line an event; values whose names speak of secrets never leave."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import structlog

_SECRET_WORDS = (
    "password",
    "passphrase",
    "secret",
    "response",
    "private",
    "token",
    "totp",
    "code_value",
    "key_pem",
)
_HIDDEN = "[hidden]"


def hide_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what a careless call might have passed, at any depth of mappings and sequences."""
    for name, value in event.items():
        event[name] = _presentable(name, value)
    return event


def _presentable(name: object, value: object) -> object:
    if any(word in str(name).lower() for word in _SECRET_WORDS):
        return _HIDDEN
    match value:
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case Mapping():
            return {str(_presentable("", key)): _presentable(key, inner) for key, inner in value.items()}
        case tuple():  # stays one: exc_info is told by that
            return tuple(_presentable("", inner) for inner in value)
        case list() | set() | frozenset():
            return [_presentable("", inner) for inner in value]
        case _:
            return value


def link_name(peer: str, number: int) -> str:
    """The `link` of each line about one session: unique in one run of this node."""
    return f"{peer}#{number}"


def link_log(peer: str, number: int) -> AbstractContextManager[None]:
    """Mark every line that is logged inside, also by tasks begun there: whose link it is about, and which.

    `node` is always this node; the other side is `peer`.
    """
    return structlog.contextvars.bound_contextvars(peer=peer, link=link_name(peer, number))


def configure_logs(node: str, form: Literal["json", "console"], level: str) -> None:
    """Set up structlog for this process; every line names the node."""
    render: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if form == "console":
        render = structlog.dev.ConsoleRenderer(  # its own tracebacks would show local variables
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_secrets,
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(node=node)
