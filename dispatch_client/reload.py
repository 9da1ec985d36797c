"""What a running desk or plant takes over of its changed files, and what then ends."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from dispatch_client.client import Client
from dispatch_client.config import ClientSettings
from dispatch_client.login import Authenticator
from protocol.aio.control import CommandFailed
from protocol.aio.listener import Listener
from protocol.errors import ConfigurationRefused, LinkLost, OrderRefused
from protocol.settings import differing, load_settings

_log = structlog.get_logger("client")
_PATIENCE = 5.0  # s that the superior has for taking a logout: it ends the session by itself, too


def unchanged(path: Path, settings: ClientSettings) -> Callable[[], Sequence[str]]:
    """Raises ConfigurationRefused when the configuration is not what the program runs with."""
    if changed := differing(settings, load_settings(path, ClientSettings)):
        raise ConfigurationRefused(
            str(path),
            f"a running program takes over keys and revocations alone, this changes: {', '.join(changed)}",
            "Restart for that, or undo it and reload again; nothing was taken over",
        )
    return lambda: ()


async def recheck(client: Client, listener: Listener, authenticator: Authenticator) -> None:
    """End the link and the login that live under a certificate that counts no longer."""
    listener.recheck()
    login = client.login
    if login is None:
        return
    try:
        client.station.check_still_valid(login.key.certificate)
    except OrderRefused as refusal:
        _log.warning("logged out", person=login.person, why=str(refusal))
        client.login = None
        with suppress(LinkLost, CommandFailed, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await authenticator.logout(login)
