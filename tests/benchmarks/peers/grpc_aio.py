"""grpc.aio over mutual TLS: a channel with a connection of its own per link.

`unary`: a call per poll. `stream`: one bidirectional stream per link, a message each way per poll.
"""

import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks.peers import certificates, polling
from tests.benchmarks.peers.payload import POLL, REPORT
from tests.benchmarks.peers.polling import Ask, PollOnce
from tests.benchmarks.peers.program import Peer, best_loop, load, main, run
from tests.benchmarks.peers.responding import module, responder, tell_port, until_told
from tests.benchmarks.peers.row import Row

_UNARY, _STREAM = "/bench.Links/Poll", "/bench.Links/Polls"
_RESPONDERS = 2  # its server costs more than its client: with one, the poller would wait half of the time
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # else all channels to one address share one connection
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.http2.bdp_probe", 0),  # pings that measure the bandwidth: nothing to gain for messages this small
]


def measure(ask: Ask) -> Row:
    """See `polling.measure`."""
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # its handlers cost, and nothing forks behind its back here
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificates.make(folder)
        command = module("grpc_aio", str(folder))
        ports = [stack.enter_context(responder(command)) for _ in range(_RESPONDERS)]
        links = Links(ports, certificates.side(folder, "poller"), ask.variant)
        setup = f"{ask.loop}, mutual TLS"
        return run(ask.loop, polling.measure(f"grpc.aio {ask.variant}", setup, ask, links.dial))


class Links:
    """Channels that carry bytes: no serializer."""

    def __init__(self, ports: Sequence[int], own: certificates.Side, variant: str) -> None:
        self._grpc = load("grpc")
        load("grpc.aio")
        self._targets = itertools.cycle([f"ipv4:127.0.0.1:{port}" for port in ports])
        self._stream = variant == "stream"
        self._credentials = self._grpc.ssl_channel_credentials(
            own.authority.read_bytes(), own.key.read_bytes(), own.certificate.read_bytes()
        )

    async def dial(self, stack: AsyncExitStack) -> PollOnce:
        """A channel; its connection comes with the first poll."""
        channel = self._grpc.aio.secure_channel(next(self._targets), self._credentials, options=_OPTIONS)
        stack.push_async_callback(channel.close)
        return self._streamed(channel) if self._stream else self._unary(channel)

    def _unary(self, channel: Any) -> PollOnce:
        call = channel.unary_unary(_UNARY)

        async def poll() -> None:
            _check(await call(POLL, wait_for_ready=True))

        return poll

    def _streamed(self, channel: Any) -> PollOnce:
        stream = channel.stream_stream(_STREAM)(wait_for_ready=True)
        write, read = stream.write, stream.read

        async def poll() -> None:
            await write(POLL)
            _check(await read())

        return poll


def _check(body: Any) -> None:
    if body != REPORT:
        raise ConnectionError(f"not a report: {body!r:.60}")


async def _answer(request: bytes, context: Any) -> bytes:
    return REPORT


async def _answer_all(requests: AsyncIterator[bytes], context: Any) -> None:
    while await context.read() != load("grpc").aio.EOF:
        await context.write(REPORT)


async def _serve(own: certificates.Side) -> None:
    grpc = load("grpc")
    load("grpc.aio")
    handlers = {
        "Poll": grpc.unary_unary_rpc_method_handler(_answer),
        "Polls": grpc.stream_stream_rpc_method_handler(_answer_all),
    }
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.http2.bdp_probe", 0)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Links", handlers)])
    credentials = grpc.ssl_server_credentials(
        [(own.key.read_bytes(), own.certificate.read_bytes())],
        root_certificates=own.authority.read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    tell_port(port)
    await until_told()
    await server.stop(None)


def respond(arguments: Sequence[str]) -> None:
    """On certificates of the folder."""
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    run(best_loop(), _serve(certificates.side(Path(arguments[0]), "responder")))


PEER = Peer("grpc_aio", ("grpc",), ("unary", "stream"), measure, respond)

if __name__ == "__main__":
    main(PEER)
