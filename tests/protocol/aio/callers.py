"""A listening station on a network in memory, and superiors, good and bad, who call it in virtual time."""

import asyncio
import hashlib
from typing import Any

from protocol.aio.listener import Listener
from protocol.errors import LinkLost
from protocol.handshake import Fresh, Local
from protocol.keys import SigningKey, TrustStore
from protocol.limits import Timers
from protocol.messages import LedgerHead
from protocol.outbox import Inbox, Outbox
from protocol.session import Acknowledged, Opened, Reported
from protocol.superior import SuperiorSession
from tests.protocol.aio.stand_ins import Recorder, new_writer, station_on
from tests.protocol.links import XorStandIn, take
from tests.protocol.parties import HQ, PLANT, TRUST
from tests.support.memory_network import MemoryNetwork, MemoryStream
from tests.support.pki import DEPLOYMENT, NOW_MS
from tests.support.virtual_loop import Seeded

BOOT = b"b" * 16
LEDGER = LedgerHead(entry=7, hash=b"l" * 32)


class ProvenStream:
    """A stream in memory with the certificate that TLS would have proved."""

    def __init__(self, stream: MemoryStream, certificate: bytes) -> None:
        self.peer_certificate = certificate
        self.read = stream.read
        self.write = stream.write
        self.drain = stream.drain
        self.close = stream.close


class Scene:
    """A plant that listens for `superior`. Make it inside the loop."""

    def __init__(
        self,
        superior: str = "hq",
        *,
        key: SigningKey = PLANT,
        trust: TrustStore = TRUST,
        is_held: bool = False,
    ) -> None:
        self.network = MemoryNetwork(Seeded(1), latency=(0.001, 0.002))
        self.writer = new_writer(key, is_held=is_held)
        self.station = station_on(self.writer, key, trust)
        self.policy = Recorder(self.station)
        self.listener = Listener(self.station, superior, self.policy, Seeded(2).randbytes)
        self._shown: dict[str, bytes] = {}
        self.network.listen("plant-1", self._accept)

    async def _accept(self, stream: MemoryStream) -> None:
        await self.listener.accept(ProvenStream(stream, self._shown[stream.remote]))

    async def dial(self, certificate: bytes = HQ.certificate.der, source: str = "hq") -> MemoryStream:
        """A stream for which TLS proved this certificate."""
        self._shown[source] = certificate
        return await self.network.dial(source, "plant-1")

    async def call(self, key: SigningKey = HQ, **options: Any) -> "Caller":
        """Somebody who holds `key` has dialled and said nothing yet."""
        return Caller(await self.dial(key.certificate.der), key, **options)

    async def open(self, **options: Any) -> "Caller":
        """The superior with an open session."""
        return await (await self.call(**options)).open()


class Caller:
    """The far end of a link: a real session, driven frame by frame."""

    def __init__(
        self,
        stream: MemoryStream,
        key: SigningKey = HQ,
        *,
        term: int = 1,
        boot: bytes = BOOT,
        deployment: str = DEPLOYMENT,
        node: SigningKey = PLANT,
        timers: Timers | None = None,
        outbox: Outbox | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        self.stream = stream
        self.outbox = outbox or Outbox()
        self.inbox = inbox or Inbox()
        self.seen: list[Opened | Reported | Acknowledged] = []
        self.session = SuperiorSession(
            Local(key=key, deployment=deployment, boot=boot, inner=XorStandIn),
            node.certificate,
            term=term,
            timers=timers or Timers(),
            outbox=self.outbox,
            inbox=self.inbox,
            fresh=Fresh.of(hashlib.sha512(boot + term.to_bytes(8)).digest()[:48]),
        )

    def flush(self) -> None:
        """Send what the session has to say."""
        self.stream.write(self.session.data_to_send())

    async def receive(self) -> None:
        """Digest what comes next. Raises EOFError, and LinkLost for a Goodbye."""
        data = await self.stream.read(65_536)
        if not data:
            raise EOFError
        self.seen += self.session.receive(data, _now())

    async def open(self) -> "Caller":
        """Shake hands."""
        self.flush()
        while not self.session.is_open:
            await self.receive()
        return self

    def ask(self) -> None:
        """Deliver and poll, if they are due."""
        self.session.advance(_now(), NOW_MS, LEDGER)
        self.flush()

    async def report(self) -> Reported:
        """Poll, and take what the answer brings."""
        before = len(self.seen)
        self.ask()
        while not (found := [seen for seen in self.seen[before:] if isinstance(seen, Reported)]):
            await self.receive()
        for cursor, item in found[0].items:
            take(self.inbox, cursor, item)
        self.session.report_done()
        return found[0]

    async def end(self) -> LinkLost | None:
        """Why the other side ended the link; None when it did not say."""
        try:
            while True:
                await self.receive()
        except LinkLost as goodbye:
            return goodbye
        except (EOFError, ConnectionResetError):
            return None


def _now() -> float:
    return asyncio.get_running_loop().time()
