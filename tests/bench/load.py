"""A load of direct calls on loopback that costs little per call: bounded in time, each for a task of its own."""

import asyncio
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
CLOSE = re.compile(rb"(?i)\r\nconnection: *close")
DRAIN_TIMEOUT_S = 30.0
FIRST_TASK = 100_000_000_000_000


@dataclass
class Loaded:
    """The results of the requests: statuses (0 is no answer), and for each connection its answers and its seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    connections: list[tuple[int, float]] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Requests that were sent."""
        return self.statuses.total()

    @property
    def good(self) -> int:
        """Requests that were answered 2xx."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def rate(self) -> float:
        """Answers a second: the sum over the connections, so that the last ones' answers do not count as idle time."""
        return sum(answers / seconds for answers, seconds in self.connections if answers)


def requests(url: str, token: str, *, named: bool = False) -> Iterator[bytes]:
    """Direct calls without end, each for a task of its own; `named` ones have an `Idempotency-Key` of their own."""
    head = f"POST / HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: Bearer {token}\r\n"
    body = f'{{"task_id": {FIRST_TASK}}}'
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    before = head.encode()
    for number in itertools.count(FIRST_TASK):
        name = b"Idempotency-Key: event-%d\r\n" % number if named else b""
        yield before + name + b'\r\n{"task_id": %d}' % number


class Connection(asyncio.Protocol):
    """One connection that sends its next request as soon as the last one is answered, until time is up."""

    def __init__(self, to_send: Iterator[bytes], statuses: Counter[int], end: float) -> None:
        self._to_send, self._statuses, self._end = to_send, statuses, end
        self._buffer = b""
        self._waiting = False
        self._answers, self._began, self._last = 0, 0.0, 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False

    @property
    def result(self) -> tuple[int, float]:
        """Answers, and seconds from the first request to the last answer."""
        return self._answers, self._last - self._began

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._began = self._began or time.perf_counter()
        self.closed = False
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = self._buffer[:end]
        length = LENGTH.search(head)
        end += int(length[1]) if length else 0
        if len(self._buffer) < end:
            return
        self._buffer = self._buffer[end:]
        self._statuses[int(head[9:12])] += 1
        self._answers += 1
        self._last, self._waiting = time.perf_counter(), False
        if CLOSE.search(head):
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._statuses[0] += 1
        self._waiting, self._buffer, self.closed = False, b"", True
        self._finish()

    def _send(self) -> None:
        if time.perf_counter() >= self._end:
            self._finish()
            return
        self._waiting = True
        self._transport.write(next(self._to_send))

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    async def run(self, host: str, port: int) -> None:
        """Send until time is up; a connection that the server closes is made again."""
        loop = asyncio.get_running_loop()
        while time.perf_counter() < self._end:
            self.done = loop.create_future()
            await loop.create_connection(lambda: self, host, port)
            await self.done
        if not self.closed:
            self._transport.close()


def load(url: str, to_send: Iterator[bytes], *, connections: int, seconds: float) -> Loaded:
    """Send over so many connections for so many seconds, each request as soon as the one before it is answered."""

    async def run() -> Loaded:
        loaded, end = Loaded(), time.perf_counter() + seconds
        address = urlsplit(url)
        made = [Connection(to_send, loaded.statuses, end) for _ in range(connections)]
        async with asyncio.timeout(seconds + DRAIN_TIMEOUT_S):
            await asyncio.gather(*(one.run(address.hostname or "", address.port or 80) for one in made))
        loaded.connections = [one.result for one in made]
        return loaded

    return asyncio.run(run())
