"""A load of one kind of request on loopback, by as few instructions as Python allows: bounded in number and in time."""

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

LONGEST = 120.0  # seconds


@dataclass
class Loaded:
    """What became of the requests: seconds each took, statuses, and how long all of them took."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    elapsed: float = 0.0

    @property
    def good(self) -> int:
        """Requests that were answered 2xx."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.good / self.elapsed

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the requests was answered."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


class _Caller(asyncio.Protocol):
    """One connection that sends its next request as soon as the last one is answered."""

    def __init__(self, request: bytes, loaded: Loaded, left: list[int], done: asyncio.Future[None]) -> None:
        self._request, self._loaded, self._left, self._done = request, loaded, left, done
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < length:
            return
        self._buffer = body[length:]
        self._loaded.seconds.append(time.perf_counter() - self._began)
        status = int(lines[0][9:12])
        self._loaded.statuses[status] = self._loaded.statuses.get(status, 0) + 1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc) if exc else self._done.set_result(None)

    def _send(self) -> None:
        if self._left[0] <= 0:
            if not self._done.done():
                self._done.set_result(None)
            return
        self._left[0] -= 1
        self._began = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]  # a transport of bytes, both ways


def post(url: str, body: bytes, token: str) -> bytes:
    """The bytes of a direct call."""
    head = f"POST / HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def load(url: str, request: bytes, *, connections: int, requests: int) -> Loaded:
    """Send so many requests over so many connections, each as fast as answers come."""

    async def run() -> Loaded:
        loop = asyncio.get_running_loop()
        loaded, left = Loaded(), [requests]
        where = urlsplit(url)
        host, port = where.hostname or "", where.port or 80
        done: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
        started_at = time.perf_counter()
        async with asyncio.timeout(LONGEST):
            callers = []
            for one in done:
                caller, _ = await loop.create_connection(partial(_Caller, request, loaded, left, one), host, port)
                callers.append(caller)
            await asyncio.gather(*done)
        loaded.elapsed = time.perf_counter() - started_at
        for caller in callers:
            caller.close()
        return loaded

    try:
        import uvloop  # noqa: PLC0415  # faster where there is one

        return uvloop.run(run())
    except ImportError:
        return asyncio.run(run())
