"""A thousand deliveries at the same moment: each is answered in time, and what is not served is not started."""

import asyncio
import json
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
SLOW_S = 3.0
OTHER_PROJECT = "00000000000000000000000000000001"


@pytest.fixture
def many_files() -> Iterator[None]:
    """The sender's own sockets need room, too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def all_at_once(url: str, requests: list[dict[str, object]]) -> list[tuple[int, str | None, float]]:
    """Status, Retry-After and seconds of each direct call, made in this order and without waiting for a reply."""

    async def call(session: aiohttp.ClientSession, request: dict[str, object]) -> tuple[int, str | None, float]:
        started_at = time.monotonic()
        async with session.post(url, json=request) as reply:
            await reply.read()
            return reply.status, reply.headers.get("Retry-After"), time.monotonic() - started_at

    async def run() -> list[tuple[int, str | None, float]]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=BEARER) as session:
            return await asyncio.gather(*(call(session, request) for request in requests))

    return asyncio.run(run())


@pytest.mark.usefixtures("many_files")
def test_a_thousand_at_once_are_all_answered_in_time_and_starts_equal_successes() -> None:
    with simulator() as oms, function(EXAMPLE | {"OMS_ENDPOINT": oms.url}) as running:
        oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4} for task in TASKS])
        oms.control("PUT", "/_sim/rules", [{"action": {"delay": 0.1}}])
        replies = all_at_once(running.url, [{"task_id": task} for task in TASKS])
        receipts = [running.receipt() for _ in TASKS]
        health = urllib.request.urlopen(f"{running.url}/healthz", timeout=5).status  # noqa: S310  # after the rush
        starts = sum(task["starts"] for task in oms.control("GET", "/_sim/tasks"))
    assert health == 200
    statuses = Counter(status for status, _, _ in replies)
    assert set(statuses) <= {200, 503}
    assert statuses[200] == starts >= 10  # a busy machine serves fewer in time
    assert all(retry_after for status, retry_after, _ in replies if status == 503)
    assert max(receipt["duration_ms"] for receipt in receipts) < 1000 * 4.6
    assert Counter(receipt["outcome"] for receipt in receipts) == {
        outcome: count for outcome, count in (("started", statuses[200]), ("unavailable", statuses[503])) if count
    }


@pytest.mark.usefixtures("many_files")
def test_a_project_whose_tasks_oms_is_slow_to_show_does_not_hold_up_another() -> None:
    """But for the first call with a key, which shows that OMS takes it: all others wait for that one."""
    slow, quick = range(1, 101), range(1001, 1101)
    projects = json.dumps({OTHER_PROJECT: "cn-north-1"})
    settings = EXAMPLE | {"OMS_PROJECTS": projects, "OMS_TIMEOUT": "6", "RESTART_DEADLINE": "10"}
    with simulator() as oms, function(settings | {"OMS_ENDPOINT": oms.url}) as running:
        tasks: list[dict[str, object]] = [{"id": task, "status": 4} for task in slow]
        tasks += [{"id": task, "status": 4, "project_id": OTHER_PROJECT} for task in quick]
        oms.control("PUT", "/_sim/tasks", tasks)
        rules = [{"operation": "show", "task_id": task, "action": {"delay": SLOW_S}} for task in slow]
        oms.control("PUT", "/_sim/rules", rules)
        requests: list[dict[str, object]] = [{"task_id": task} for task in slow]
        requests += [{"task_id": task, "project_id": OTHER_PROJECT} for task in quick]
        first, *replies = all_at_once(running.url, requests[-1:]) + all_at_once(running.url, requests[:-1])
        starts = sum(task["starts"] for task in oms.control("GET", "/_sim/tasks"))
    assert {status for status, _, _ in (first, *replies)} == {200}
    assert starts == len(requests)
    assert min(seconds for _, _, seconds in replies[: len(slow)]) > SLOW_S
    assert max(seconds for _, _, seconds in replies[len(slow) :]) < SLOW_S
