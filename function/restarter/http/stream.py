"""The bytes of one connection, on asyncio."""

import asyncio
import select
import time
from typing import Final, cast

import httpx

MAX_READ_BYTES: Final = 32 * 1024
Origin = tuple[str, bytes, int]
"""Scheme, host and port."""


class Connection(asyncio.BufferedProtocol):
    """The bytes of one connection: what has arrived, and whether it is still open. It knows nothing about HTTP."""

    _transport: asyncio.Transport

    def __init__(self, origin: Origin, buffer: memoryview) -> None:
        self.origin = origin
        self.ended = False
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self.lost = self._loop.create_future()
        self._buffer = buffer  # shared by the whole pool: every read is copied out at once
        self._poll = select.poll()
        self._arrived = b""
        self._expecting = False
        self._error: str | None = None
        self._waiter: asyncio.Future[None] | None = None

    def send(self, data: bytes) -> None:
        """Hand over a request, and expect a response from now on."""
        self._expecting = True
        self._transport.write(data)

    async def read(self) -> bytes:
        """What has arrived, at most 32 KiB of it; empty at the end of the connection.

        Raises:
            httpx.ReadError: The connection broke.
        """
        if not self._arrived and not self.ended:
            await self._arrival()
        arrived, self._arrived = self._arrived[:MAX_READ_BYTES], self._arrived[MAX_READ_BYTES:]
        if not arrived and self._error is not None:
            raise httpx.ReadError(f"connection broke: {self._error}")
        return arrived

    def is_clean(self) -> bool:
        """Whether everything was sent, everything read, and the connection is still open."""
        return not (self.ended or self._arrived or self._transport.get_write_buffer_size())

    def park(self) -> None:
        """Expect nothing until the next request; anything that arrives before it closes the connection."""
        self._expecting = False
        self.idle_since = time.time()  # a monotonic clock may stop while the instance is frozen
        self._transport.resume_reading()

    def is_alive(self) -> bool:
        """Whether it is still open. Polls the socket: the event loop may not have seen the peer's FIN yet."""
        return not (self.ended or self._transport.is_closing() or self._poll.poll(0))

    def abort(self) -> None:
        """Close the connection now, even in the middle of an exchange."""
        self.ended = True
        self._error = self._error or "closed"
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket"), select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._expecting:
            self.abort()
            return
        self._arrived += bytes(self._buffer[:nbytes])
        if self._waiter is None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if exc is not None:
            self._error = type(exc).__name__
        self._wake()
        if not self.lost.done():  # it is cancelled if a task that awaits it is
            self.lost.set_result(None)

    async def _arrival(self) -> None:
        self._transport.resume_reading()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
