"""The soak: 200,000 deliveries, one in five of them garbage, and what memory and open descriptors are at each tenth.

    python tests/bench/soak.py [--deliveries 200000] [--connections 32] [--limit 1200]

The function runs as a platform starts it, in front of a stand-in for OMS in this process, all on loopback. Events come
from a pool of 5,000, so what the ledger keeps is complete within the first tenth; from then on memory must be level. It
ends by itself, after `--limit` seconds at the latest, with 1 if memory or descriptors went on growing.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "infra/demo", "tests/bench")]

from proc import family  # noqa: E402  # run as a program, it finds them only now

from processes import EXAMPLE, function  # noqa: E402  # the same

EVENTS = 5_000
GARBAGE = 0.2
REPLY_TIMEOUT_S = 10.0
MAX_GROWTH = 1.10  # of memory, from the first tenth to the last
MAX_MORE_DESCRIPTORS = 64  # which are connections that are being closed
TOKEN = EXAMPLE["CALLER_BEARER_TOKENS"].encode()
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")


async def oms(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection to the stand-in: every task has failed, and every start succeeds."""
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            task_id = head.split(b" ", 2)[1].split(b"/")[4]
            body = b'{"id": %b, "name": "n", "status": 4}' % task_id if head.startswith(b"GET") else b""
            writer.write(b"HTTP/1.1 200 OK\r\nX-Request-Id: 0a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    writer.close()


def post(body: bytes, *lines: bytes, token: bytes = TOKEN) -> bytes:
    """A delivery as bytes."""
    head = [b"POST / HTTP/1.1", b"Host: f", b"Authorization: Bearer " + token, *lines]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body])


def direct(dice: random.Random) -> bytes:
    """A direct call without an id: one look and one start."""
    return post(b'{"task_id": %d}' % dice.randrange(1, 10**6), b"Content-Type: application/json")


def event(dice: random.Random) -> bytes:
    """One of the pool's events, which is a duplicate after the first time."""
    number = dice.randrange(EVENTS)
    document: dict[str, Any] = {"specversion": "1.0", "type": "oms.task.failed", "source": "/soak"}
    document |= {"id": str(number), "data": {"task_id": 10**6 + number}}
    return post(json.dumps(document).encode(), b"Content-Type: application/cloudevents+json")


JSON = b"Content-Type: application/json"
BROKEN: tuple[Callable[[random.Random], bytes], ...] = (
    lambda dice: post(b"{" * dice.randrange(1, 2000), JSON),
    lambda dice: post(dice.randbytes(dice.randrange(2000)), JSON),
    lambda dice: post(b'{"task_id": 1}', JSON, token=b"nobody" * dice.randrange(1, 20)),
    lambda dice: post(b'{"task_id": 1}', JSON, *(b"X-%d: %d" % (n, n) for n in range(dice.randrange(100, 2000)))),
    lambda dice: post(b"{%b}" % b",".join(b'"%x": 1' % dice.getrandbits(64) for _ in range(200)), JSON),
    lambda dice: post(
        b"[%b]" % b",".join([b"1"] * dice.randrange(100, 5000)), b"Content-Type: application/cloudevents-batch+json"
    ),
    lambda dice: post(b" " * 530_000, JSON),
    lambda dice: dice.randbytes(dice.randrange(1, 3000)) + b"\r\n\r\n",
    lambda dice: b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * dice.randrange(10_000, 20_000),
    lambda dice: post(b'{"task_id": 1}', JSON)[: dice.randrange(1, 100)],
    lambda dice: b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)


@dataclass
class Soak:
    """What was sent, what came back, and what the process held at each tenth."""

    port: int
    pid: int
    wanted: int
    ends: float
    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    memory_kib: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    async def play(self, number: int) -> None:
        """Send deliveries over one connection, and over a new one whenever it was closed."""
        dice = random.Random(number)
        while self.sent < self.wanted and time.monotonic() < self.ends:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                async with closed(writer):
                    while self.sent < self.wanted and await self._one(dice, reader, writer):
                        pass

    async def _one(self, dice: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One delivery; whether the connection can be used again."""
        is_garbage = dice.random() < GARBAGE
        made = dice.choice(BROKEN) if is_garbage else dice.choice((direct, event))
        self.sent += 1
        if self.sent % max(1, self.wanted // 10) == 0:
            self._measure()
        writer.write(made(dice))
        if is_garbage and dice.random() < 0.3:  # it hangs up in the middle
            return False
        try:
            async with asyncio.timeout(1.0 if is_garbage else REPLY_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.statuses["garbage without a reply" if is_garbage else "LOST"] += 1
            return False
        self.statuses[f"{'garbage ' if is_garbage else ''}{head[9:12].decode()}"] += 1
        return not is_garbage

    def _measure(self) -> None:
        processes = family(self.pid)
        status = [Path(f"/proc/{one}/status").read_text() for one in processes]
        self.memory_kib.append(sum(int(text.split("VmRSS:")[1].split()[0]) for text in status if "VmRSS:" in text))
        self.descriptors.append(sum(1 for one in processes for _ in Path(f"/proc/{one}/fd").iterdir()))
        print(  # noqa: T201  # a program that a person reads
            f"{self.sent:>8} sent  {self.memory_kib[-1] / 1024:7.1f} MiB  {self.descriptors[-1]:>5} descriptors",
            flush=True,
        )

    def faults(self) -> Iterator[str]:
        """What went on growing, or was lost."""
        if len(self.memory_kib) < 10:
            yield f"only {self.sent} of {self.wanted} deliveries were sent in time"
            return
        if self.memory_kib[-1] > MAX_GROWTH * self.memory_kib[0]:
            yield f"memory grew from {self.memory_kib[0]} to {self.memory_kib[-1]} KiB"
        if self.descriptors[-1] > self.descriptors[0] + MAX_MORE_DESCRIPTORS:
            yield f"descriptors grew from {self.descriptors[0]} to {self.descriptors[-1]}"
        if self.statuses["LOST"] or self.statuses["500"] or self.statuses["garbage 500"]:
            yield "good deliveries got no reply, or something got a 500"


@asynccontextmanager
async def closed(writer: asyncio.StreamWriter) -> Any:
    """A block after which the connection is closed."""
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def soak(deliveries: int, connections: int, limit: float) -> Soak:
    """Play it, and give what was seen. `limit`: seconds."""
    server = await asyncio.start_server(oms, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = EXAMPLE | {"OMS_ENDPOINT": f"http://127.0.0.1:{port}"}
    with function(settings) as running:
        started = Soak(int(running.url.rpartition(":")[2]), running.process.pid, deliveries, time.monotonic() + limit)
        draining = asyncio.create_task(_drain(running))
        await asyncio.gather(*(started.play(number) for number in range(connections)))
        draining.cancel()
    server.close()
    return started


async def _drain(running: Any) -> None:
    """Throw the receipts away, which the harness keeps."""
    while True:
        while not running.lines.empty():
            running.lines.get_nowait()
        await asyncio.sleep(0.1)


def main() -> int:
    """Play, print, and give 1 where something went on growing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--deliveries", type=int, default=200_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--limit", type=float, default=1200.0)
    given = parser.parse_args()
    began = time.monotonic()
    done = asyncio.run(soak(given.deliveries, given.connections, given.limit))
    print(f"{done.sent} deliveries in {time.monotonic() - began:.0f} s: {dict(sorted(done.statuses.items()))}")  # noqa: T201
    for fault in (found := list(done.faults())):
        print(f"FAILED: {fault}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
