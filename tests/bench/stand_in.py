"""A stand-in for OMS that costs little per call: it answers ShowTask, ListTasks and StartTask with canned bytes.

    python tests/bench/stand_in.py CERTIFICATE KEY

It prints two ports, for HTTP and HTTPS. `GET /counts` says what it has seen, as JSON. `PUT /reset?SECONDS` forgets
that, and delays the answers to come by so many seconds. A start without an SDK-HMAC-SHA256 signature is answered 401
and not counted.
"""

import asyncio
import json
import re
import ssl
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

TASK = (Path(__file__).with_name("task.json").read_bytes()).strip()
TASK_ID = b"191297407830872"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
HEAD = (
    b"HTTP/1.1 %b\r\nContent-Type: application/json;charset=utf-8\r\nX-Request-Id: %032x\r\nContent-Length: %d\r\n\r\n"
)


def answer(status: bytes, body: bytes = b"") -> bytes:
    """The bytes of an answer as OMS's gateway sends it."""
    return HEAD % (status, 1, len(body)) + body


STARTED, UNSIGNED = answer(b"200 OK"), answer(b"401 Unauthorized")


@dataclass
class Counts:
    """What was seen since the last reset: calls, accepted starts, the tasks they named, seconds of delay in all."""

    calls: int = 0
    starts: int = 0
    tasks: set[bytes] = field(default_factory=set)
    delayed: float = 0.0
    delay: float = 0.0

    def as_json(self) -> bytes:
        """As a document; the tasks are their number."""
        return json.dumps(asdict(self) | {"tasks": len(self.tasks)}).encode()


class Connection(asyncio.Protocol):
    """One connection: reads requests, and answers each, at once or after the delay."""

    def __init__(self, counts: Counts, loop: asyncio.AbstractEventLoop) -> None:
        self._counts, self._loop = counts, loop
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            head = self._buffer[:end]
            length = LENGTH.search(head)
            end += int(length[1]) if length else 0
            if len(self._buffer) < end:
                return
            self._buffer = self._buffer[end:]
            self._take(head)

    def _take(self, head: bytes) -> None:
        method, target, _ = head.split(b" ", 2)
        if target == b"/counts":
            self._transport.write(answer(b"200 OK", self._counts.as_json()))
        elif target.startswith(b"/reset"):
            self._counts.__init__(delay=float(target.partition(b"?")[2] or 0))  # type: ignore[misc]  # begins anew
            self._transport.write(answer(b"200 OK"))
        else:
            self._counts.calls += 1
            self._send(self._oms(method, target, head))

    def _oms(self, method: bytes, target: bytes, head: bytes) -> bytes:
        path = target.partition(b"?")[0].split(b"/")
        if method == b"POST" and path[-1] == b"start":
            if b"SDK-HMAC-SHA256 Access=" not in head:
                return UNSIGNED
            self._counts.starts += 1
            self._counts.tasks.add(path[-2])
            return STARTED
        if path[-1] == b"tasks":
            return answer(b"200 OK", b'{"count": 1, "tasks": [%b]}' % TASK)
        return answer(b"200 OK", TASK.replace(TASK_ID, path[-1], 1))

    def _send(self, content: bytes) -> None:
        if self._counts.delay:
            self._loop.call_later(self._counts.delay, self._send_late, content, self._loop.time())
        else:
            self._transport.write(content)

    def _send_late(self, content: bytes, came: float) -> None:
        self._counts.delayed += self._loop.time() - came
        self._transport.write(content)


async def serve(tls: ssl.SSLContext) -> None:
    """Serve on two ports of loopback, the second with TLS, until the process is ended; print the ports."""
    loop, counts = asyncio.get_running_loop(), Counts()
    servers = [
        await loop.create_server(lambda: Connection(counts, loop), "127.0.0.1", 0, ssl=context, backlog=1024)
        for context in (None, tls)
    ]
    sys.stdout.write(" ".join(str(server.sockets[0].getsockname()[1]) for server in servers) + "\n")
    sys.stdout.flush()
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*sys.argv[1:3])
    asyncio.run(serve(context))
