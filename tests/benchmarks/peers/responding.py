"""The process that answers: started by the poller; tells its port, ends with its standard input."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BACKLOG = 4096
ROOT = Path(__file__).parents[3]  # where `python -m tests...` is run


@contextmanager
def responder(command: Sequence[str]) -> Iterator[int]:
    """Its port, while it runs. Raises RuntimeError when it does not start."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise RuntimeError(f"no responder: {' '.join(command[:6])} ended at once")
            yield int(json.loads(line)["port"])
        finally:
            process.kill()  # it holds nothing that is worth an orderly end of thousands of links


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a peer's module as a responder."""
    return [sys.executable, "-m", f"tests.benchmarks.peers.{name}", "--respond", *arguments]


def tell_port(port: int) -> None:
    """The first and only line of a responder."""
    print(json.dumps({"port": port}), flush=True)


async def until_told() -> None:
    """Returns when whoever started us ends or says so."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


async def serve(protocol: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None = None) -> None:
    """An asyncio server on a port of its own choice."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context, backlog=BACKLOG)
    tell_port(server.sockets[0].getsockname()[1])
    await until_told()
