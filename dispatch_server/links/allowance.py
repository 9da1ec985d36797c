"""How much one peer may ask and be refused."""

from protocol.errors import PeerFault, WireCode
from protocol.limits import MAX_REFUSALS

_REFUSALS_FORGOTTEN_S = 60.0  # so long until MAX_REFUSALS refusals are forgotten
_REQUEST_BURST = 60.0
_REQUESTS_PER_S = 2.0


class Allowance:
    """Enough for people, too little for a flood."""

    __slots__ = ("_at", "_refusals", "_refused_at", "_tokens")

    def __init__(self, now: float) -> None:
        self._refusals = 0.0
        self._refused_at = now
        self._tokens = _REQUEST_BURST
        self._at = now

    def refuse(self, refused: int, now: float) -> None:
        """People are refused now and then for as long as a link lives; only a flood of it is a fault.

        Raises PeerFault(LIMIT).
        """
        forgotten = (now - self._refused_at) * MAX_REFUSALS / _REFUSALS_FORGOTTEN_S
        self._refusals = max(0.0, self._refusals - forgotten) + refused
        self._refused_at = now
        if self._refusals > MAX_REFUSALS:
            raise PeerFault(WireCode.LIMIT, f"more than {MAX_REFUSALS} events refused in a short time")

    def ask(self, now: float) -> None:
        """People at one station ask a few times a minute; each question costs us a durable record.

        Raises PeerFault(LIMIT).
        """
        earned = (now - self._at) * _REQUESTS_PER_S
        self._tokens = min(_REQUEST_BURST, self._tokens + earned) - 1
        self._at = now
        if self._tokens < 0:
            raise PeerFault(WireCode.LIMIT, "too many requests")
