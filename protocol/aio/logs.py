"""Structured logs on standard error: one line an event; values whose names speak of secrets never leave."""

import logging
import sys
from collections.abc import MutableMapping
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
    """Replace what a careless call might have passed, at any depth of mappings."""
    for name, value in event.items():
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = _HIDDEN
        elif isinstance(value, bytes):
            event[name] = f"<{len(value)} bytes>"
        elif isinstance(value, dict):
            event[name] = hide_secrets(None, "", dict(value))
    return event


def configure_logs(node: str, form: Literal["json", "console"], level: str) -> None:
    """Set up structlog for this process; every line names the node."""
    render: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if form == "console":
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
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
