"""A rolling deployment under load: two processes, one Redis, and one of the two is replaced every few seconds.

`ROLLING_SECONDS=60` lets it take the minute of the figures in tests/README.md; `--log-cli-level=INFO` shows them.
"""

import asyncio
import itertools
import json
import logging
import os
import queue
import random
import signal
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
import pytest

from lean_client import lean_client
from processes import EXAMPLE, TIMEOUT_S, Running, free_port, function, simulator
from redis_server import RedisServer

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unmeasured")]
LOG = logging.getLogger(__name__)
SECONDS = float(os.environ.get("ROLLING_SECONDS", "6"))
EVENTS_PER_SECOND = 40
REPLACE_EVERY_S = 2.0
AGAIN_AFTER_S = 0.3
HEADERS = {
    "Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}",
    "Content-Type": "application/cloudevents+json",
}
TASKS = range(1001, 1001 + int(SECONDS * EVENTS_PER_SECOND))


@dataclass
class Heard:
    """What the sender heard."""

    statuses: Counter[str] = field(default_factory=Counter)
    taken: Counter[int] = field(default_factory=Counter)
    """Tasks whose event was taken."""


def content(task: int) -> bytes:
    """The event about a task; the same whenever it is delivered again."""
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": f"event-{task}"}
    return json.dumps(event | {"data": {"task_id": task}}).encode()


async def deliver(client: httpx.AsyncClient, urls: list[str], task: int, heard: Heard) -> None:
    """Deliver an event to any of the two until it is taken, as senders do; one in ten comes twice at the same time."""
    while True:
        try:
            reply = await client.post(random.choice(urls), content=content(task), headers=HEADERS)
        except httpx.TransportError as error:
            heard.statuses[type(error).__name__] += 1
        else:
            heard.statuses[str(reply.status_code)] += 1
            if reply.status_code < 500:
                heard.taken[task] += reply.status_code == 204
                return
        await asyncio.sleep(AGAIN_AFTER_S)


async def send(urls: list[str]) -> Heard:
    """All events, evenly over the time."""
    heard, started_at = Heard(), time.monotonic()
    async with lean_client() as client, asyncio.TaskGroup() as group:
        for n, task in enumerate(TASKS):
            await asyncio.sleep(started_at + n / EVENTS_PER_SECOND - time.monotonic())
            for _ in range(1 + (n % 10 == 0)):
                group.create_task(deliver(client, urls, task, heard))
    return heard


class Deployment:
    """Two instances, of which one after the other is replaced at its address."""

    def __init__(self, settings: dict[str, str], stack: ExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._ports = [free_port(), free_port()]
        self.all: list[Running] = []
        self._current = [self._start(port) for port in self._ports]
        self.urls = [running.url for running in self._current]

    def _start(self, port: int) -> Running:
        self.all.append(self._stack.enter_context(function(self._settings, port)))
        return self.all[-1]

    def replace(self, number: int) -> None:
        """Stop one as platforms do, and start the next one."""
        self._current[number].process.send_signal(signal.SIGTERM)
        assert self._current[number].process.wait(TIMEOUT_S) == 0
        self._current[number] = self._start(self._ports[number])

    async def roll(self) -> None:
        """Replace one after the other, until cancelled."""
        for number in itertools.cycle((0, 1)):
            await asyncio.sleep(REPLACE_EVERY_S)
            await asyncio.to_thread(self.replace, number)

    def outcomes(self) -> Counter[str]:
        """Of all receipts that all instances have written."""
        found: Counter[str] = Counter()
        for running in self.all:
            try:
                while True:
                    found[running.receipt(0.2)["outcome"]] += 1
            except queue.Empty:
                continue
        return found


async def under_load(deployment: Deployment) -> Heard:
    """Send all events while instances are replaced."""
    rolling = asyncio.create_task(deployment.roll())
    heard = await send(deployment.urls)
    rolling.cancel()
    await asyncio.gather(rolling, return_exceptions=True)
    return heard


def test_no_event_is_lost_while_instances_are_replaced() -> None:
    """None starts twice either, while one instance after the other is replaced.

    Each task fails again soon after its start, and there is no backoff: only the ledger knows of the first start.
    """
    with RedisServer() as redis, simulator() as oms, ExitStack() as stack:
        failing = {"status": 4, "after_start": 4, "after_seconds": 0.1}
        oms.control("PUT", "/_sim/tasks", [failing | {"id": task} for task in TASKS])
        settings = {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address, "RESTART_BACKOFF": "0"}
        deployment = Deployment(EXAMPLE | settings, stack)
        heard = asyncio.run(under_load(deployment))
        starts = Counter(task["starts"] for task in oms.control("GET", "/_sim/tasks"))
        outcomes = deployment.outcomes()
    LOG.info("%d events; %d instances replaced; heard %s", len(TASKS), len(deployment.all) - 2, heard.statuses)
    LOG.info("receipts %s", outcomes)
    assert starts == {1: len(TASKS)}
    assert outcomes["started"] == len(TASKS)
    assert heard.taken.keys() == set(TASKS)
    assert len(deployment.all) >= 2 + SECONDS // (2 * REPLACE_EVERY_S)
