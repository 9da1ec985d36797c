"""Responders that say the same thing to whoever asks: cheap, so that the poller is the bottleneck."""

import asyncio
from collections.abc import Callable
from typing import cast

from typing_extensions import override

Answer = Callable[[bytearray], bytes]


class Canned(asyncio.Protocol):
    """`answer` takes whole questions off the front of the buffer and gives what to say to them."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._buffer = bytearray()
        self._write: Callable[[bytes], None] = _nobody

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no instances of asyncio's classes, so a check would refuse them.
        self._write = cast(asyncio.WriteTransport, transport).write

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if said := self._answer(self._buffer):
            self._write(said)


def _nobody(said: bytes) -> None:
    raise ConnectionError(f"{len(said)} bytes for nobody")
