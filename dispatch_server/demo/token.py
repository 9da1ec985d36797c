"""The software token of a demo person: it knows the secret from the enrolment URI and shows each code once.

A server accepts the codes of the step before and after its own (RFC 6238 §5.2), each once; this token walks
through them in order, so people in a demo need not wait half a minute between two orders.
"""

import base64
import time
from urllib.parse import parse_qs, urlsplit

from dispatch_server.identity.totp import TotpEnrolment, generate_code

_ON_THE_WAY_MS = 5_000  # a code must still count when it has reached the server


class SoftwareToken:
    """Gives codes; waits when all that a server would accept now were given."""

    def __init__(self, enrolment: TotpEnrolment) -> None:
        self._enrolment = enrolment
        self._last_step = -1

    @classmethod
    def from_uri(cls, uri: str) -> "SoftwareToken":
        """As an authenticator app reads a provisioning URI."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(uri).query).items()}
        secret = query["secret"]
        padded = secret + "=" * (-len(secret) % 8)
        return cls(TotpEnrolment(secret=base64.b32decode(padded), period_s=int(query["period"])))

    def next_code(self) -> str:
        """A code that was not given before."""
        period_ms = 1000 * self._enrolment.period_s
        while True:
            now_ms = time.time_ns() // 1_000_000
            oldest, newest = (now_ms + _ON_THE_WAY_MS) // period_ms - 1, now_ms // period_ms + 1
            step = max(self._last_step + 1, oldest)
            if step <= newest:
                self._last_step = step
                return generate_code(self._enrolment, step * period_ms)
            time.sleep(0.2)
