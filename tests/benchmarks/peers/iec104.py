"""IEC 60870-5-104 by hat-drivers: the master asks a station for four float measurements.

`read`: the read command, answered by one ASDU with all four: the least that the standard can do, one frame
each way. `read-tls`: the same in mutual TLS, as IEC 62351-3 demands. `interrogation`: the station
interrogation as substations know it: confirmation, data, termination.
"""

import ssl
import struct
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks.peers import certificates, polling
from tests.benchmarks.peers.canned import Canned
from tests.benchmarks.peers.polling import Ask, PollOnce
from tests.benchmarks.peers.program import Peer, best_loop, load, main, run
from tests.benchmarks.peers.responding import module, responder, serve
from tests.benchmarks.peers.row import Row

_START, _CONTROL = 0x68, 4
_STARTDT_ACT, _STARTDT_CON, _TESTFR_ACT, _TESTFR_CON = 0x07, 0x0B, 0x43, 0x83
_FLOATS, _INTERROGATION, _READ = 13, 100, 102  # ASDU types M_ME_NC_1, C_IC_NA_1, C_RD_NA_1
_REQUESTED, _CONFIRMED, _TERMINATED, _INTERROGATED = 5, 7, 10, 20  # causes of transmission
_STATION = 1
_VALUES = (3.0, 12_345.5, 2.0, 734_003_200.0)


def measure(ask: Ask) -> Row:
    """See `polling.measure`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificates.make(folder)
        arguments = [str(folder)] if ask.variant == "read-tls" else []
        port = stack.enter_context(responder(module("iec104", *arguments)))
        context = certificates.side(folder, "poller").context(ssl.PROTOCOL_TLS_CLIENT) if arguments else None
        links = Links(port, context, ask.variant)
        setup = f"{ask.loop}, {'mutual TLS' if context else 'plain TCP'}"
        name = f"IEC-104 {ask.variant.removesuffix('-tls')}"
        return run(ask.loop, polling.measure(name, setup, ask, links.dial))


class Links:
    """Connections of a master with the standard's own time-outs and windows, as the driver has them."""

    def __init__(self, port: int, context: ssl.SSLContext | None, variant: str) -> None:
        self._iec104 = load("hat.drivers.iec104")
        self._address = load("hat.drivers.net").TcpAddress("127.0.0.1", port)
        self._context = context
        self._interrogation = variant == "interrogation"

    async def dial(self, stack: AsyncExitStack) -> PollOnce:
        """A connection with STARTDT done."""
        connection = await self._iec104.connect(self._address, ssl=self._context)
        stack.push_async_callback(connection.async_close)
        return self._interrogate(connection) if self._interrogation else self._read(connection)

    def _read(self, connection: Any) -> PollOnce:
        send, receive, asked = connection.send, connection.receive, [self._question()]

        async def poll() -> None:
            await send(asked)
            _check(await receive())

        return poll

    def _interrogate(self, connection: Any) -> PollOnce:
        send, receive, asked = connection.send, connection.receive, [self._station_question()]
        termination = self._iec104.CommandResCause.ACTIVATION_TERMINATION

        async def poll() -> None:
            await send(asked)
            await receive()
            _check(await receive())
            (end,) = await receive()
            if end.cause is not termination:
                raise ConnectionError(f"no end of an interrogation: {end}")

        return poll

    def _question(self) -> Any:
        return self._iec104.ReadMsg(
            is_test=False,
            originator_address=0,
            asdu_address=_STATION,
            io_address=1,
            cause=self._iec104.ReadReqCause.REQUEST,
        )

    def _station_question(self) -> Any:
        return self._iec104.InterrogationMsg(
            is_test=False,
            originator_address=0,
            asdu_address=_STATION,
            request=20,  # the whole station
            is_negative_confirm=False,
            cause=self._iec104.CommandReqCause.ACTIVATION,
        )


def _check(messages: Sequence[Any]) -> None:
    if len(messages) != len(_VALUES) or messages[3].data.value.value != _VALUES[3]:
        raise ConnectionError(f"not the four measurements: {len(messages)} messages")


def _asdu(kind: int, count: int, cause: int, objects: bytes) -> bytes:
    return struct.pack("<BBBBH", kind, count, cause, 0, _STATION) + objects


_MEASURED = b"".join(
    address.to_bytes(3, "little") + struct.pack("<fB", value, 0) for address, value in enumerate(_VALUES, 1)
)
_WHOLE_STATION = b"\0\0\0\x14"
_TO_READ = [_asdu(_FLOATS, 4, _REQUESTED, _MEASURED)]
_TO_INTERROGATION = [
    _asdu(_INTERROGATION, 1, _CONFIRMED, _WHOLE_STATION),
    _asdu(_FLOATS, 4, _INTERROGATED, _MEASURED),
    _asdu(_INTERROGATION, 1, _TERMINATED, _WHOLE_STATION),
]


class Station:
    """The outstation's end of one connection: sequence numbers and the canned measurements."""

    def __init__(self) -> None:
        self._sent = 0
        self._received = 0

    def answer(self, buffer: bytearray) -> bytes:
        """To each whole APDU in the buffer. Raises ConnectionError for what no master of ours says."""
        said = b""
        while len(buffer) >= 2 and len(buffer) >= 2 + buffer[1]:
            apdu = bytes(buffer[2 : 2 + buffer[1]])
            del buffer[: 2 + len(apdu)]
            said += self._apdu(apdu)
        return said

    def _apdu(self, apdu: bytes) -> bytes:
        if not apdu[0] & 1:
            self._received = (self._received + 1) % 0x8000
            answers = {_READ: _TO_READ, _INTERROGATION: _TO_INTERROGATION}[apdu[_CONTROL]]
            return b"".join(map(self._information, answers))
        if apdu[0] in (_STARTDT_ACT, _TESTFR_ACT):
            said = _STARTDT_CON if apdu[0] == _STARTDT_ACT else _TESTFR_CON
            return bytes((_START, _CONTROL, said, 0, 0, 0))
        return b""  # acknowledgements

    def _information(self, asdu: bytes) -> bytes:
        head = struct.pack("<BBHH", _START, _CONTROL + len(asdu), self._sent << 1, self._received << 1)
        self._sent = (self._sent + 1) % 0x8000
        return head + asdu


def respond(arguments: Sequence[str]) -> None:
    """On certificates of the folder when one is named."""
    context = None
    if arguments:
        context = certificates.side(Path(arguments[0]), "responder").context(ssl.PROTOCOL_TLS_SERVER)
    run(best_loop(), serve(lambda: Canned(Station().answer), context))


PEER = Peer("iec104", ("hat.drivers.iec104",), ("read", "read-tls", "interrogation"), measure, respond)

if __name__ == "__main__":
    main(PEER)
