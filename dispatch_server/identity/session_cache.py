"""The sessions in memory, so that each event of an order can be checked on the loop. Pure."""

from collections.abc import Iterable

from dispatch_server.identity.errors import SessionRefused
from dispatch_server.identity.records import Session


class SessionCache:
    """A copy of the store that is brought up to date by the rows changed since `last_change`."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, Session] = {}
        self.last_change = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def apply(self, changed: Iterable[Session], forget_before_ms: int) -> None:
        """Take over changed rows, in any order; drop sessions that expired before `forget_before_ms`."""
        rows = list(changed)
        if not rows:
            return
        for row in rows:
            # Two refreshes may overtake each other: an older row never replaces a newer one.
            known = self._sessions.get(row.id)
            if known is None or known.change < row.change:
                self._sessions[row.id] = row
            self.last_change = max(self.last_change, row.change)
        self._sessions = {row.id: row for row in self._sessions.values() if row.expires_ms > forget_before_ms}

    def nodes(self, now_ms: int) -> set[str]:
        """The nodes on which somebody is logged in."""
        return {
            row.node for row in self._sessions.values() if row.ended_ms is None and now_ms < row.expires_ms
        }

    def get(self, session_id: bytes) -> Session:
        """Raises SessionRefused."""
        try:
            return self._sessions[session_id]
        except KeyError:
            raise SessionRefused("no such session") from None
