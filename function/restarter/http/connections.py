"""HTTP/1.1 on asyncio and h11, under httpx: a pool of connections that never repeats a request.

What is raised tells whether the server can have received the request:

| raised | when | sent |
|---|---|---|
| `httpx.LocalProtocolError` | the request cannot be written as HTTP/1.1, as with a line break in a header | no |
| `httpx.UnsupportedProtocol` | the scheme is neither `http` nor `https` | no |
| `httpx.PoolTimeout` | no slot became free in time | no |
| `httpx.ConnectTimeout` | DNS, TCP and TLS together took too long | no |
| `httpx.ConnectError` | DNS, TCP or TLS failed, or the server hung up before the first byte was sent | no |
| `httpx.ReadTimeout` | nothing arrived for too long | maybe |
| `httpx.ReadError` | the connection broke | maybe |
| `httpx.RemoteProtocolError` | the answer is not HTTP/1.1, its head is too long, or it ends too early | maybe |

For a call that its caller cancelled `may_have_been_sent(request)` tells the same.
No message of an error holds a part of a request or of an answer: both carry secrets.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Final

import h11
import httpx

from restarter.http.connection import MAX_READ_BYTES, Connection, Origin

NOT_SENT: Final = (
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
    httpx.PoolTimeout,
    httpx.ConnectTimeout,
    httpx.ConnectError,
)
"""The errors which prove that no byte of the request was sent."""
MAX_INCOMPLETE_BYTES: Final = 32 * 1024  # h11 checks it after each read, so the head of an answer has at most 64 KiB
MAX_INFORMATIONAL: Final = 8  # answers with a status of 1xx before the one that counts
PORTS: Final = {"http": 80, "https": 443}


@cache
def tls_context() -> ssl.SSLContext:
    """The TLS of every pool: certifi's roots or those of SSL_CERT_FILE, TLS 1.2 or later. Made once (15 ms)."""
    return httpx.create_ssl_context()


def may_have_been_sent(request: httpx.Request) -> bool:
    """Whether a byte of `request` may have left, however the call ended; only a pool can say that none has."""
    return bool(request.extensions.get("sent", True))


class ConnectionPool(httpx.AsyncBaseTransport):
    """Sends each request once, over a connection that is kept open or over a new one. For one event loop."""

    def __init__(self, limit: int = 100, *, idle_seconds: float = 15.0, tls: ssl.SSLContext | None = None) -> None:
        """Open nothing yet.

        Args:
            limit: Requests in flight; with the idle connections, there are never more than so many connections.
            idle_seconds: A connection that was idle for longer is closed instead of used.
            tls: Instead of `tls_context()`, which is made when the first `https` URL comes.
        """
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._tls = tls
        self._slots = asyncio.Semaphore(limit)
        self._in_flight = 0
        self._idle: dict[Connection, None] = {}  # the one that was used last is at the end
        self._closed = False
        self._buffer = memoryview(bytearray(MAX_READ_BYTES))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the head of its answer. The answer must be closed, also when it was read.

        `request.extensions["timeout"]` may hold seconds for `pool`, `connect` and `read`; the whole request is handed
        to the connection at once, so `read` covers the writing.

        Raises:
            httpx.TransportError: See the table of this module.
        """
        request.extensions["sent"] = False
        timeout = request.extensions.get("timeout", {})
        origin = _origin(request.url)
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_INCOMPLETE_BYTES)
        data = _serialize(http, request, await request.aread())
        await self._take_slot(timeout.get("pool"))
        try:
            connection = self._reuse(origin) or await self._connect(origin, timeout.get("connect"))
        except BaseException:
            self._release_slot()
            raise
        request.extensions["sent"] = True
        return await _Exchange(http, connection, timeout.get("read"), self._release).response(data)

    async def aclose(self) -> None:
        """Close the idle connections now, and each that is in use after its answer."""
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
        """The connection to `origin` that was used last and still stands."""
        now = time.time()
        while self._idle and not 0 <= now - (oldest := next(iter(self._idle))).idle_since <= self._idle_seconds:
            self._drop(oldest)
        while connection := next((each for each in reversed(self._idle) if each.origin == origin), None):
            if connection.alive():
                del self._idle[connection]
                return connection
            self._drop(connection)
        return None

    async def _connect(self, origin: Origin, seconds: float | None) -> Connection:
        scheme, host, port = origin
        tls = (self._tls or tls_context()) if scheme == "https" else None
        if self._in_flight + len(self._idle) > self._limit:
            self._drop(next(iter(self._idle)))
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(origin, self._buffer), host.decode("ascii"), port, ssl=tls
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except (OSError, ValueError) as error:  # ValueError: a host name which cannot be one
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
            connection.rest()
            self._idle[connection] = None
        else:
            connection.abort()


class _Exchange(httpx.AsyncByteStream):
    """One request and its answer, whose body it is. It holds a connection until it is read or closed."""

    def __init__(
        self, http: h11.Connection, connection: Connection, seconds: float | None, release: Callable[..., None]
    ) -> None:
        self._http = http
        self._connection = connection
        self._seconds = seconds
        self._release = release
        self._open = True

    async def response(self, data: bytes) -> httpx.Response:
        """Send the request and read the head of its answer; the answer's body is this object."""
        try:
            self._connection.send(data)
            self._http.receive_data(await self._connection.read(self._seconds))
            for _ in range(MAX_INFORMATIONAL + 1):
                head = await self._event()
                if isinstance(head, h11.Response):
                    extensions = {"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason}
                    headers = head.headers.raw_items()
                    return httpx.Response(head.status_code, headers=headers, stream=self, extensions=extensions)
            raise httpx.RemoteProtocolError("too many answers of 1xx")
        except BaseException:
            self._close()
            raise

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while isinstance(event := await self._event(), h11.Data):
                yield bytes(event.data)
        finally:
            self._close()

    async def aclose(self) -> None:
        self._close()

    async def _event(self) -> h11.Event:
        """The next part of the answer, as soon as it is complete."""
        if not self._open:
            raise httpx.StreamClosed
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._connection.read(self._seconds))
        except h11.RemoteProtocolError:
            raise httpx.RemoteProtocolError("the answer is not HTTP/1.1, or ends too early") from None
        if isinstance(event, h11.Event):
            return event
        raise httpx.RemoteProtocolError("the server switched protocols")  # h11 paused, which it does for nothing else

    def _close(self) -> None:
        """Let the connection go: to the next request if both sides said all and no more, else it is closed."""
        if self._open:
            self._open = False
            http = self._http
            complete = http.our_state is http.their_state is h11.DONE and http.trailing_data == (b"", False)
            self._release(self._connection, reusable=complete and self._connection.quiet())


def _origin(url: httpx.URL) -> Origin:
    if url.scheme not in PORTS:
        raise httpx.UnsupportedProtocol("neither http nor https")
    return url.scheme, url.raw_host, url.port or PORTS[url.scheme]


def _serialize(http: h11.Connection, request: httpx.Request, content: bytes) -> bytes:
    """The request as it goes over the wire, checked by h11."""
    try:
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        parts = [http.send(head), http.send(h11.Data(data=content)) if content else b"", http.send(h11.EndOfMessage())]
    except (h11.LocalProtocolError, UnicodeError):  # UnicodeError: a method beyond ASCII
        raise httpx.LocalProtocolError("the request cannot be written as HTTP/1.1") from None
    return b"".join(parts)
