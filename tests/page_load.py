"""The playground's page under load: 500 failed tasks, 50 events a second for a minute, two readers and a browser.

    PYTHONPATH=infra/simulator:infra/demo:tests .venv/bin/python tests/page_load.py [--seconds 60]

It sends to its own playground on loopback and ends by itself, with 1 where an event was not answered with 204, a
receipt did not reach the page, or memory grew by more than a tenth after the first third.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from playwright.async_api import Page, async_playwright

from example_settings import BEARER
from playing import Playing, browser_environment, playing

TASKS, RATE, FIRST = 500, 50, 300_000_000_000_000
GROWTH = 1.1
# Tasks that fail again two seconds after each start; their names are hostile.
TEMPLATE = {
    "id": FIRST,
    "name": "<img src=x onerror=alert(1)> load-{n}",
    "status": 4,
    "error_reason": {"error_code": "TRF.0001", "error_msg": "System error."},
    "started_ago": 3600,
    "after_start": 4,
    "after_seconds": 2,
}


@dataclass
class Measured:
    """What was measured; memory is resident, in MiB, of the playground with all its processes."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    heap: list[float] = field(default_factory=list)
    """What the page's script keeps in the browser, in MiB."""
    complaints: list[str] = field(default_factory=list)
    """What the browser wrote to its console."""
    told: int = 0
    changes: int = 0

    @property
    def sent(self) -> int:
        """How many events."""
        return sum(self.statuses.values())

    @property
    def growth(self) -> float:
        """The last third's memory by that of the second."""
        third = max(1, len(self.memory) // 3)
        return max(self.memory[-third:]) / max(self.memory[third : 2 * third] or self.memory)

    def lines(self) -> list[str]:
        """The figures."""
        ordered = sorted(self.seconds)
        browser = f"the script keeps {self.heap[0]:.1f} to {self.heap[-1]:.1f} MiB" if self.heap else "no browser"
        return [
            f"{self.sent} events, statuses {dict(self.statuses)}",
            f"answered in {1000 * ordered[len(ordered) // 2]:.0f} ms (median), {1000 * ordered[-1]:.0f} ms (slowest)",
            f"{self.told} receipts on the page, in {self.changes} changes",
            f"{browser}, complaints: {self.complaints}",
            f"memory {self.memory[0]:.0f} to {self.memory[-1]:.0f} MiB, last third {self.growth:.2f} x the second",
        ]


async def load(playground: Playing, seconds: float, rate: int = RATE) -> Measured:
    """Send so many events a second for so long, and watch."""
    measured = Measured()
    headers = {"Authorization": f"Bearer {BEARER}", "Content-Type": "application/cloudevents+json"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as client, watching(playground, measured, 2) as page:
        generated = await client.post(
            f"{playground.oms}/_sim/generate", content=json.dumps({"count": TASKS, "template": TEMPLATE})
        )
        generated.raise_for_status()
        sending = set()
        begun = time.monotonic()
        for n in range(int(seconds * rate)):
            await asyncio.sleep(max(0.0, begun + n / rate - time.monotonic()))
            sending.add(asyncio.create_task(send(client, playground, n, measured)))
            if n % (rate * 2) == 0:
                measured.memory.append(resident(playground))
                await look(page, measured)
        await asyncio.gather(*sending)
        give_up = time.monotonic() + 20
        while measured.told < measured.sent and time.monotonic() < give_up:  # noqa: ASYNC110  # it gives up
            await asyncio.sleep(0.1)
        measured.memory.append(resident(playground))
        await look(page, measured)
    return measured


async def look(page: Page | None, measured: Measured) -> None:
    """Ask the browser what the page's script keeps, once it has collected its garbage."""
    if page is not None:
        await page.evaluate("gc()")
        measured.heap.append(await page.evaluate("performance.memory.usedJSHeapSize") / 2**20)


async def send(client: httpx.AsyncClient, playground: Playing, n: int, measured: Measured) -> None:
    """One event of one of the tasks."""
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/load", "id": str(n)}
    event |= {"data": json.dumps({"task_id": FIRST + n % TASKS, "reason": "<script>alert(1)</script>"})}
    begun = time.monotonic()
    answer = await client.post(playground.function, json=event)
    measured.seconds.append(time.monotonic() - begun)
    measured.statuses[answer.status_code] += 1


@asynccontextmanager
async def watching(playground: Playing, measured: Measured, readers: int) -> AsyncIterator[Page | None]:
    """A block in which so many readers, and a real browser where there is one, follow the page."""

    async def read() -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while True:  # a reader that is too slow is cut off, and comes again, as a browser does
                with suppress(httpx.TransportError):
                    async with client.stream("GET", f"{playground.page}/events") as answer:
                        async for line in answer.aiter_lines():
                            hear(line)
                await asyncio.sleep(0.1)

    def hear(line: str) -> None:
        if line:
            measured.told = max(measured.told, json.loads(line.removeprefix("data: "))["told"])
            measured.changes += 1

    reading = [asyncio.create_task(read()) for _ in range(readers)]
    async with asyncio.timeout(20):
        while measured.changes < readers:  # noqa: ASYNC110  # it gives up
            await asyncio.sleep(0.02)
    async with browsing(playground, measured) as page:
        yield page
    for reader in reading:
        reader.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


@asynccontextmanager
async def browsing(playground: Playing, measured: Measured) -> AsyncIterator[Page | None]:
    """A block in which the page is open in Debian's chromium; None where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        yield None
        return
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--enable-precise-memory-info",
        "--js-flags=--expose-gc",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=flags, env=browser_environment())
        page = await browser.new_page()
        page.on("console", lambda message: measured.complaints.append(message.text))
        page.on("pageerror", lambda error: measured.complaints.append(str(error)))
        await page.goto(playground.page)
        yield page
        await browser.close()


def resident(playground: Playing) -> float:
    """The memory of the playground and of its processes, in MiB."""
    pages = 0
    for pid in (playground.process.pid, *playground.descendants()):
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        except FileNotFoundError:
            continue
    return pages * 4096 / 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and say in the exit status whether all is well."""
    parser = argparse.ArgumentParser(description="The playground's page under load.")
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args(arguments).seconds
    with playing() as playground:
        measured = asyncio.run(load(playground, seconds))
    sys.stdout.write("\n".join([*measured.lines(), ""]))
    well = (
        not measured.complaints
        and set(measured.statuses) == {204}
        and measured.told >= measured.sent
        and measured.growth <= GROWTH
    )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
