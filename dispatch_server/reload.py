"""What a running server takes over of its changed files, and what then ends.

Of the configuration only the addresses of its links: a node may move. Everything else needs a restart, and a
file with such a change in it is refused as a whole.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from dispatch_server.config import LinkSettings, ServerSettings, load_server_settings
from dispatch_server.identity.service import IdentityService
from dispatch_server.links.link import Dial
from protocol.errors import ConfigurationRefused, LinkError, LinkLost, WireCode
from protocol.keys import TrustStore
from protocol.settings import differing

_SECOND_MS = 1_000  # a list tells whole seconds (RFC 5280): a session may have begun in the one that it names
_AT_ONCE = 32  # links looked at before the others' work goes on


class Moving(Protocol):
    """A link whose other end may move; see Link."""

    node: str
    dial: Dial

    def hang_up(self, error: LinkError) -> None:
        """End the present session."""
        ...


class Certified(Protocol):
    """What lives under a peer's certificate; see Link and Listener."""

    def recheck(self) -> None:
        """End the present session if the certificate does not count any more."""
        ...


class Addresses:
    """Where the links lead, by the configuration as it was read last."""

    def __init__(
        self,
        path: Path,
        settings: ServerSettings,
        links: Iterable[Moving],
        dial: Callable[[LinkSettings], Dial],
    ) -> None:
        self._path = path
        self._settings = settings
        self._links = {link.node: link for link in links}
        self._dial = dial

    def read(self) -> Callable[[], Sequence[str]]:
        """Read the file anew; gives what puts it in force. Raises ConfigurationRefused."""
        settings = load_server_settings(self._path)
        old, new = _without_addresses(self._settings), _without_addresses(settings)
        if changed := differing(old, new):
            raise ConfigurationRefused(
                str(self._path),
                f"a running server takes over addresses of links alone, this changes: {', '.join(changed)}",
                "Restart for that, or undo it and reload again; nothing was taken over",
            )
        return lambda: self._put(settings)

    def _put(self, settings: ServerSettings) -> list[str]:
        before = {link.node: (link.host, link.port) for link in self._settings.links}
        self._settings = settings
        moved = [link for link in settings.links if before[link.node] != (link.host, link.port)]
        for to in moved:
            link = self._links[to.node]
            link.dial = self._dial(to)
            # At once: that an address is wrong shows while the person is there who wrote it.
            link.hang_up(LinkLost(WireCode.REPLACED, f"it is dialled at {to.host}:{to.port} from now on"))
        return [f"{to.node}: {to.host}:{to.port}" for to in moved]


def _without_addresses(settings: ServerSettings) -> ServerSettings:
    nowhere = tuple(link.model_copy(update={"host": "-", "port": 0}) for link in settings.links)
    return settings.model_copy(update={"links": nowhere})


async def recheck(links: Iterable[Certified], trust: TrustStore, service: IdentityService) -> None:
    """End every link and session that lives under a certificate that counts no longer."""
    for number, link in enumerate(links, 1):
        link.recheck()
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    for holder, since_ms in trust.revoked_holders().items():
        if not holder.is_node:
            await service.revoke_sessions(holder.name, since_ms + _SECOND_MS)
