"""A thousand deliveries at the same moment: each is answered in time, and what is not served is not started."""

import asyncio
import resource
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest

from processes import EXAMPLE, function, simulator

BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
TASKS = range(1, 1001)


@pytest.fixture
def many_files() -> Iterator[None]:
    """The sender's own sockets need room, too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def all_at_once(url: str) -> list[tuple[int, str | None, float]]:
    """Status, Retry-After and seconds of a direct call for each task."""

    async def call(session: aiohttp.ClientSession, task: int) -> tuple[int, str | None, float]:
        started_at = time.monotonic()
        async with session.post(url, json={"task_id": task}) as reply:
            await reply.read()
            return reply.status, reply.headers.get("Retry-After"), time.monotonic() - started_at

    async def run() -> list[tuple[int, str | None, float]]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=BEARER) as session:
            return await asyncio.gather(*(call(session, task) for task in TASKS))

    return asyncio.run(run())


@pytest.mark.usefixtures("many_files")
def test_a_thousand_at_once_are_all_answered_in_time_and_starts_equal_successes() -> None:
    with simulator() as oms, function(EXAMPLE | {"OMS_ENDPOINT": oms.url}) as running:
        oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4} for task in TASKS])
        oms.control("PUT", "/_sim/rules", [{"action": {"delay": 0.1}}])
        replies = all_at_once(running.url)
        receipts = [running.receipt() for _ in TASKS]
        health = urllib.request.urlopen(f"{running.url}/healthz", timeout=5).status  # noqa: S310  # after the rush
        starts = sum(task["starts"] for task in oms.control("GET", "/_sim/tasks"))
    assert health == 200
    statuses = Counter(status for status, _, _ in replies)
    assert set(statuses) <= {200, 503}
    assert statuses[200] == starts >= 100
    assert all(retry_after for status, retry_after, _ in replies if status == 503)
    assert max(receipt["duration_ms"] for receipt in receipts) < 1000 * 4.6
    assert Counter(receipt["outcome"] for receipt in receipts) == {
        outcome: count for outcome, count in (("started", statuses[200]), ("unavailable", statuses[503])) if count
    }
