"""HTTP/1.1 on asyncio and httptools, under httpx: a pool of connections that never sends a request twice.

The error tells whether the server may have received the request:

| raised | when | sent |
|---|---|---|
| `httpx.LocalProtocolError` | a line break in the request would add a header or a request to it | no |
| `httpx.PoolTimeout` | no slot became free in time | no |
| `httpx.ConnectTimeout` | DNS, TCP and TLS together took too long | no |
| `httpx.ConnectError` | DNS, TCP or TLS failed, or the server hung up before the first byte was sent | no |
| `httpx.ReadError` | the connection broke | maybe |
| `httpx.RemoteProtocolError` | the response is not HTTP/1.1, its head is too long, or it ends too early | maybe |

For a request that its caller cancelled, for example by a timeout, `may_have_been_sent(request)` tells the same.
No error message contains a part of a request or of a response: both carry secrets.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Final

import httpx

from restarter.http.dial import dial
from restarter.http.response_parser import ResponseParser
from restarter.http.stream import MAX_READ_BYTES, Connection, Origin

NOT_SENT: Final = (httpx.LocalProtocolError, httpx.PoolTimeout, httpx.ConnectTimeout, httpx.ConnectError)
"""The errors that prove that no byte of the request was sent."""


@cache
def tls_context() -> ssl.SSLContext:
    """The TLS context of every pool: certifi's roots or those of SSL_CERT_FILE, TLS 1.2 or later. Made once (15 ms)."""
    return httpx.create_ssl_context()


def may_have_been_sent(request: httpx.Request) -> bool:
    """Whether a byte of `request` may have been sent, however it ended. True unless a pool knows that none was."""
    return bool(request.extensions.get("sent", True))


class ConnectionPool(httpx.AsyncBaseTransport):
    """Sends each request once, over an idle connection or a new one. For one event loop."""

    def __init__(self, limit: int = 100, *, idle_seconds: float = 15.0, tls: ssl.SSLContext | None = None) -> None:
        """Open nothing yet.

        Args:
            limit: The most requests in flight, and the most connections, including idle ones.
            idle_seconds: A connection that was idle for longer is closed instead of used.
            tls: Used instead of `tls_context()`, which is made for the first `https` URL.
        """
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._tls = tls
        self._slots = asyncio.Semaphore(limit)
        self._in_flight = 0
        self._idle: dict[Connection, None] = {}  # the last used one is at the end
        self._closed = False
        self._buffer = memoryview(bytearray(MAX_READ_BYTES))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, whose content is in memory, and read the head of its response, to be closed after use.

        The method must not be HEAD, whose response announces a body that does not come.
        Of httpx's extensions, `timeout` may hold seconds for `pool` and `connect`. `target` replaces the URL's path.

        Raises:
            httpx.TransportError: See the table of this module.
        """
        request.extensions["sent"] = False
        timeout = request.extensions.get("timeout", {})
        origin = _origin(request.url)
        data = _serialize(request, request.read())
        await self._take_slot(timeout.get("pool"))
        try:
            connection = self._reuse(origin) or await self._connect(origin, timeout.get("connect"))
        except BaseException:
            self._release_slot()
            raise
        request.extensions["sent"] = True
        return await _Exchange(ResponseParser(), connection, self._release).response(data)

    async def aclose(self) -> None:
        """Close the idle connections now, and each that is in use after its response."""
        self._closed = True
        idle, self._idle = self._idle, {}
        for connection in idle:
            connection.abort()
        for connection in idle:
            await connection.lost

    async def _take_slot(self, seconds: float | None) -> None:
        if self._slots.locked():
            try:
                async with asyncio.timeout(seconds):
                    await self._slots.acquire()
            except TimeoutError:
                raise httpx.PoolTimeout("no slot became free in time") from None
        else:
            await self._slots.acquire()
        self._in_flight += 1

    def _release_slot(self) -> None:
        self._in_flight -= 1
        self._slots.release()

    def _reuse(self, origin: Origin) -> Connection | None:
        """The last used connection to `origin` that is still open; None if there is none."""
        now = time.time()
        while self._idle and not self._is_fresh(oldest := next(iter(self._idle)), now):
            self._drop(oldest)
        while idle := next((one for one in reversed(self._idle) if one.origin == origin), None):
            if self._is_fresh(idle, now) and idle.is_alive():
                del self._idle[idle]
                return idle
            self._drop(idle)
        return None

    def _is_fresh(self, idle: Connection, now: float) -> bool:
        return 0 <= now - idle.idle_since <= self._idle_seconds  # the clock may be set back

    async def _connect(self, origin: Origin, seconds: float | None) -> Connection:
        scheme, host, port = origin
        tls = (self._tls or tls_context()) if scheme == "https" else None
        if self._in_flight + len(self._idle) > self._limit:
            self._drop(next(iter(self._idle)))
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(origin, self._buffer),
                    sock=await dial(host.decode("ascii"), port),
                    ssl=tls,
                    server_hostname=host.decode("ascii") if tls else None,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except (OSError, ValueError) as error:  # ValueError: not a possible host name
            raise httpx.ConnectError(f"no connection: {type(error).__name__}") from error
        if connection.ended:
            raise httpx.ConnectError("the server hung up at once")
        return connection

    def _drop(self, connection: Connection) -> None:
        del self._idle[connection]
        connection.abort()

    def _release(self, connection: Connection, *, reusable: bool) -> None:
        self._release_slot()
        if reusable and not self._closed:
            connection.park()
            self._idle[connection] = None
        else:
            connection.abort()


class _Exchange(httpx.AsyncByteStream):
    """One request and its response, whose body is this stream. It holds a connection until it is read or closed."""

    def __init__(self, parser: ResponseParser, connection: Connection, release: Callable[..., None]) -> None:
        self._parser = parser
        self._connection = connection
        self._release = release
        self._open = True

    async def response(self, data: bytes) -> httpx.Response:
        """Send the request and read the head of its response, whose body is this object."""
        try:
            self._connection.send(data)
            while not self._parser.status:
                await self._read_on()
            return httpx.Response(self._parser.status, headers=self._parser.headers, stream=self)
        except BaseException:
            self._close()
            raise

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next part of the body, as soon as it arrives."""
        if not self._open:
            raise httpx.StreamClosed
        try:
            while not (body := self._parser.take_body()):
                if self._parser.complete:
                    raise StopAsyncIteration
                await self._read_on()
        except BaseException:
            self._close()
            raise
        return body

    async def _read_on(self) -> None:
        """Parse what arrives next.

        Raises:
            httpx.RemoteProtocolError: The response is not HTTP/1.1, is too long, or ended too early.
        """
        if self._parser.error is not None:
            raise httpx.RemoteProtocolError(self._parser.error)
        self._parser.feed(await self._connection.read())

    async def aclose(self) -> None:
        self._close()

    def _close(self) -> None:
        """Return the connection to the pool if the exchange ended cleanly; otherwise close it."""
        if self._open:
            self._open = False
            self._release(self._connection, reusable=self._parser.keeps_alive() and self._connection.is_clean())


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.raw_host, url.port or (443 if url.scheme == "https" else 80)


def _serialize(request: httpx.Request, content: bytes) -> bytes:
    """The request as the bytes to send.

    Raises:
        httpx.LocalProtocolError: There is a line break within a line of its head.
    """
    target = request.extensions.get("target") or request.url.raw_path
    lines = [b"%b: %b\r\n" % header for header in request.headers.raw]
    head = b"".join([request.method.encode(), b" ", target, b" HTTP/1.1\r\n", *lines, b"\r\n"])
    if not head.count(b"\r") == head.count(b"\n") == len(lines) + 2:
        raise httpx.LocalProtocolError("a line break within a line of the request")
    return head + content
