"""A thousand deliveries at the same moment: each is answered in time, and what is not served is not started."""

import asyncio
import json
import resource
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator

import aiohttp
import pytest

from processes import EXAMPLE, function, simulator

BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
TASKS = range(1, 1001)
LATE_S = 7.0  # the deadline is 4.5 s; one after the other they would take a minute
NEVER_S = 60.0  # for which nobody waits
OTHER_PROJECT = "00000000000000000000000000000001"


@pytest.fixture
def many_files() -> Iterator[None]:
    """The sender's own sockets need room, too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


Requests = list[dict[str, object]]
Reply = tuple[int, str | None]


async def call(session: aiohttp.ClientSession, url: str, request: dict[str, object]) -> Reply:
    """Status and Retry-After of a direct call."""
    async with session.post(url, json=request) as reply:
        await reply.read()
        return reply.status, reply.headers.get("Retry-After")


def sender() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=BEARER)


async def all_at_once(url: str, requests: Requests) -> list[Reply]:
    """The replies to direct calls, made in this order and without waiting for one."""
    async with sender() as session:
        return await asyncio.gather(*(call(session, url, request) for request in requests))


async def beside(url: str, slow: Requests, quick: Requests, asked: Callable[[], object]) -> tuple[list[Reply], int]:
    """The replies to the quick ones, and how many of the slow ones, which OMS was `asked` for before, had one then."""
    async with sender() as session:
        waiting = [asyncio.create_task(call(session, url, request)) for request in slow]
        while not await asyncio.to_thread(asked):  # noqa: ASYNC110  # another process is asked
            await asyncio.sleep(0.02)
        replies = await asyncio.gather(*(call(session, url, request) for request in quick))
        answered = sum(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return replies, answered


@pytest.mark.long
@pytest.mark.usefixtures("many_files")
def test_a_thousand_at_once_are_all_answered_in_time_and_starts_equal_successes() -> None:
    with simulator() as oms, function(EXAMPLE | {"OMS_ENDPOINT": oms.url}) as running:
        oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4} for task in TASKS])
        oms.control("PUT", "/_sim/rules", [{"action": {"delay": 0.1}}])
        replies = asyncio.run(all_at_once(running.url, [{"task_id": task} for task in TASKS]))
        receipts = [running.receipt() for _ in TASKS]
        health = urllib.request.urlopen(f"{running.url}/healthz", timeout=5).status  # noqa: S310  # after the rush
        starts = sum(task["starts"] for task in oms.control("GET", "/_sim/tasks"))
    assert health == 200
    statuses = Counter(status for status, _ in replies)
    outcomes = Counter(receipt["outcome"] for receipt in receipts)
    assert outcomes.keys() <= {"started", "unavailable", "unconfirmed"}  # the last on a busy machine only
    assert statuses == Counter({200: outcomes["started"], 503: len(TASKS) - outcomes["started"]})
    assert 1 <= outcomes["started"] <= starts <= outcomes["started"] + outcomes["unconfirmed"]
    assert all(retry_after for status, retry_after in replies if status == 503)
    assert max(receipt["duration_ms"] for receipt in receipts) < 1000 * LATE_S


@pytest.mark.usefixtures("many_files")
def test_a_project_whose_tasks_oms_is_slow_to_show_does_not_hold_up_another() -> None:
    """But for the first call with a key, which shows that OMS takes it: all others wait for that one.

    All of the other's are answered while OMS has shown none of the slow ones, however long that takes on this machine.
    """
    slow, quick = range(1, 101), range(1001, 1101)
    projects = json.dumps({OTHER_PROJECT: "cn-north-1"})
    settings = EXAMPLE | {"OMS_PROJECTS": projects, "OMS_TIMEOUT": str(NEVER_S), "RESTART_DEADLINE": str(NEVER_S)}
    with simulator() as oms, function(settings | {"OMS_ENDPOINT": oms.url}) as running:
        tasks: list[dict[str, object]] = [{"id": task, "status": 4} for task in slow]
        tasks += [{"id": task, "status": 4, "project_id": OTHER_PROJECT} for task in quick]
        oms.control("PUT", "/_sim/tasks", tasks)
        rules = [{"operation": "show", "task_id": task, "action": {"delay": NEVER_S}} for task in slow]
        oms.control("PUT", "/_sim/rules", rules)
        requests: Requests = [{"task_id": task, "project_id": OTHER_PROJECT} for task in quick]
        first = asyncio.run(all_at_once(running.url, requests[-1:]))
        replies, answered = asyncio.run(
            beside(
                running.url,
                [{"task_id": task} for task in slow],
                requests[:-1],
                lambda: oms.operations().count("show") > 1 + len(slow) // 10,
            )
        )
        starts = sum(task["starts"] for task in oms.control("GET", "/_sim/tasks"))
        running.kill()
        oms.kill()
    assert {status for status, _ in first + replies} == {200}
    assert starts == len(requests)
    assert answered == 0
