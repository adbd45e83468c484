"""Once per event, through real processes: two functions, one Valkey, one OMS, and each of them may die."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from example import TASK
from lean_client import lean_client
from processes import EXAMPLE, FUNCTION, TIMEOUT_S, Running, failed_start, function, run_python
from redis_server import MASTER, RedisServer, cluster, watched_by_sentinel

pytestmark = pytest.mark.usefixtures("unmeasured")
HEADERS = {
    "Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}",
    "Content-Type": "application/cloudevents+json",
}
DEADLINE = 2.5  # of an instance that is to die
CLAIM_SECONDS = DEADLINE + 5

Reply = tuple[int, str | None]


@pytest.fixture(scope="module")
def settings(oms: Running, redis: RedisServer) -> dict[str, str]:
    return EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address}


@pytest.fixture(scope="module")
def pair(settings: dict[str, str]) -> Iterator[tuple[Running, Running]]:
    with function(settings) as one, function(settings) as other:
        yield one, other


@pytest.fixture(autouse=True)
def fresh(oms: Running, redis: RedisServer) -> None:
    oms.control("POST", "/_sim/reset")
    redis.empty()


@pytest.fixture
def survivor(pair: tuple[Running, Running]) -> Running:
    """The instance that takes over; what it said before does not count."""
    running = pair[1]
    while not running.lines.empty():
        running.lines.get()
    return running


def event(event_id: str, task_id: int = TASK) -> bytes:
    data = {"task_id": task_id}
    return json.dumps(
        {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": event_id, "data": data}
    ).encode()


def deliver(running: Running, event_id: str) -> Reply:
    """The status of a delivery and, where it was not taken, the reason."""
    return said(httpx.post(running.url, content=event(event_id), headers=HEADERS, timeout=TIMEOUT_S))


def said(reply: httpx.Response) -> Reply:
    problem = reply.headers.get("content-type") == "application/problem+json"
    return reply.status_code, reply.json().get("reason") if problem else None


def all_at_once(pair: tuple[Running, Running], bodies: list[bytes]) -> list[Reply]:
    """What is said to deliveries that are made at the same moment, spread over both processes."""

    async def post() -> list[Reply]:
        async with lean_client(500, HEADERS) as client:
            posts = (client.post(pair[n % 2].url, content=body) for n, body in enumerate(bodies))
            return [said(reply) for reply in await asyncio.gather(*posts)]

    return asyncio.run(post())


def calls(oms: Running) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = oms.control("GET", "/_sim/calls")
    return answer


def starts(oms: Running) -> int:
    """How many starts OMS was asked for."""
    return sum(call["operation"] == "start" for call in calls(oms))


def test_the_same_event_fifty_times_at_once_at_two_processes_is_one_start(
    oms: Running, pair: tuple[Running, Running]
) -> None:
    oms.control("PUT", "/_sim/rules", [{"operation": "show", "action": {"delay": 0.2}}])
    replies = all_at_once(pair, [event("e")] * 50)
    assert set(replies) == {(204, None), (503, "in_progress")}
    again = all_at_once(pair, [event("e")] * sum(status == 503 for status, _ in replies))
    assert set(again) == {(204, None)}
    assert oms.operations() == ["show", "start"]
    receipts = Counter(running.receipt()["outcome"] for running in pair for _ in range((50 + len(again)) // 2))
    assert receipts["started"] == 1
    assert receipts.keys() == {"started", "deferred", "duplicate"}


@contextmanager
def killed_while(settings: dict[str, str], oms: Running, operation: str) -> Iterator[float]:
    """An instance that dies while OMS has not answered this call; the time at which it had its delivery."""
    with function(settings | {"RESTART_DEADLINE": str(DEADLINE)}) as doomed, ThreadPoolExecutor(1) as pool:
        started_at = time.monotonic()
        delivery: Future[Reply] = pool.submit(deliver, doomed, "e")
        while oms.operations()[-1:] != [operation]:
            assert time.monotonic() < started_at + TIMEOUT_S
            time.sleep(0.005)
        doomed.kill()
        assert isinstance(delivery.exception(TIMEOUT_S), httpx.TransportError)
        assert doomed.lines.empty()
        oms.control("PUT", "/_sim/rules", [])
        yield started_at


@pytest.mark.long
@pytest.mark.parametrize(
    ("operation", "action", "outcome", "looks"),
    [
        ("show", {"hang": "before"}, "started", ["show", "show", "start"]),
        ("start", {"hang": "after"}, "already_running", ["show", "start", "show"]),
    ],
    ids=["before the start", "after the start"],
)
def test_when_an_instance_dies_another_finishes_the_job_once_the_claim_has_run_out(
    operation: str,
    action: dict[str, Any],
    outcome: str,
    looks: list[str],
    oms: Running,
    settings: dict[str, str],
    survivor: Running,
) -> None:
    """Whether it had started the task is seen by a look, so neither way there is a second start."""
    oms.control("PUT", "/_sim/rules", [{"operation": operation, "action": action}])
    with killed_while(settings, oms, operation) as started_at:
        replies = [deliver(survivor, "e")]
        while replies[-1] == (503, "in_progress") and time.monotonic() < started_at + TIMEOUT_S:
            time.sleep(0.2)
            replies.append(deliver(survivor, "e"))
    took = time.monotonic() - started_at
    assert CLAIM_SECONDS - 0.1 < took < CLAIM_SECONDS + 5
    assert len(replies) > 10
    assert set(replies[:-1]) == {(503, "in_progress")}
    assert [replies[-1], deliver(survivor, "e")] == [(204, None)] * 2
    outcomes = [survivor.receipt()["outcome"] for _ in range(len(replies) + 1)]
    assert outcomes[-2:] == [outcome, "duplicate"]
    assert oms.operations() == looks
    assert accepted(oms) == {TASK: 1}


def test_a_burst_at_one_process_is_not_too_much_for_the_ledger(oms: Running, pair: tuple[Running, Running]) -> None:
    """More deliveries than redis-py has connections by itself (100)."""
    tasks = range(1001, 1201)
    oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4} for task in tasks])
    replies = all_at_once((pair[0], pair[0]), [event(f"e{task}", task) for task in tasks])
    assert (503, "ledger") not in replies


def accepted(oms: Running) -> dict[int, int]:
    """How many starts of each task OMS has accepted, where there is one."""
    return {task["id"]: task["starts"] for task in oms.control("GET", "/_sim/tasks") if task["starts"]}


@pytest.mark.long
def test_while_redis_is_down_nothing_is_started(
    oms: Running, redis: RedisServer, pair: tuple[Running, Running]
) -> None:
    """When it is back, so is the function."""
    tasks = list(range(1001, 1201))
    bodies = [event(f"e{task}", task) for task in tasks]
    oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4} for task in tasks])
    with ThreadPoolExecutor(1) as pool, ExitStack() as back:
        traffic = pool.submit(all_at_once, pair, bodies[:100])
        while not starts(oms):
            time.sleep(0.005)
        redis.stop()
        back.callback(redis.start)
        first = traffic.result(TIMEOUT_S)
        before = starts(oms)
        down = all_at_once(pair, bodies)
        assert set(down) == {(503, "ledger")}
        assert starts(oms) == before
    assert set(first) <= {(204, None), (503, "ledger")}
    give_up = time.monotonic() + TIMEOUT_S
    left = [body for body, (status, _) in zip(bodies, first + down[100:], strict=True) if status != 204]
    while left and time.monotonic() < give_up:
        time.sleep(0.2)
        replies = all_at_once(pair, left)
        assert set(replies) <= {(204, None), (503, "in_progress")}  # claimed as Redis went, until that runs out
        left = [body for body, (status, _) in zip(left, replies, strict=True) if status != 204]
    assert left == []
    assert accepted(oms) == dict.fromkeys(tasks, 1)
    assert starts(oms) == len(tasks)


@contextmanager
def replicated(topology: str) -> Iterator[tuple[str, RedisServer]]:
    """The address of a ledger with a replica, and the master of it."""
    if topology == "cluster":
        with cluster() as (nodes, masters):
            yield f"redis+cluster://{nodes}", masters[0]
    else:
        with watched_by_sentinel("secret") as (sentinel, master):
            yield f"redis+sentinel://:secret@{sentinel}/{MASTER}?sentinel_password=secret", master


def deliver_until_taken(url: str, tasks: Iterable[int]) -> set[int]:
    """Deliver an event about each task, twenty at once, and again what was answered with 503; all statuses."""
    statuses: set[int] = set()
    give_up = time.monotonic() + 2 * TIMEOUT_S

    async def one(client: httpx.AsyncClient, slots: asyncio.Semaphore, task: int) -> None:
        async with slots:
            status = (await client.post(url, content=event(f"e{task}", task))).status_code
        statuses.add(status)
        if status == 503 and time.monotonic() < give_up:
            await asyncio.sleep(0.3)
            await one(client, slots, task)

    async def post() -> None:
        slots = asyncio.Semaphore(20)
        async with lean_client(headers=HEADERS) as client:
            await asyncio.gather(*(one(client, slots, task) for task in tasks))

    asyncio.run(post())
    return statuses


@pytest.mark.long
@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_a_failover_under_load_loses_no_event_and_starts_none_twice(topology: str, oms: Running) -> None:
    tasks = range(1001, 1401)
    oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4} for task in tasks])
    with replicated(topology) as (address, master), ThreadPoolExecutor(1) as pool:
        settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": address, "RESTART_DEADLINE": "2"}
        with function(settings) as running:
            traffic = pool.submit(deliver_until_taken, running.url, tasks)
            while starts(oms) < 20:
                time.sleep(0.005)
            master.stop()
            assert traffic.result(3 * TIMEOUT_S) == {204, 503}
    assert accepted(oms) == dict.fromkeys(tasks, 1)
    assert starts(oms) == len(tasks)


def test_without_its_package_a_shared_ledger_stops_the_program_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "__init__.py").write_text('raise ImportError("not installed")')
    settings = EXAMPLE | {"RESTART_LEDGER": "redis://127.0.0.1/0"}
    ended = failed_start(settings | {"PYTHONPATH": f"{tmp_path}:{FUNCTION}"})
    assert ended.returncode == 1
    assert "RESTART_LEDGER: needs the package redis" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("address", "imported"), [("memory://", False), ("redis://127.0.0.1/0", True)])
def test_what_a_ledger_needs_is_imported_only_where_it_is_configured(address: str, imported: bool) -> None:  # noqa: FBT001
    program = "import json, sys, main; json.dump(list(sys.modules), sys.stdout)"
    ended = run_python(["-c", program], EXAMPLE | {"RESTART_LEDGER": address})
    assert ended.returncode == 0, ended.stderr
    modules = json.loads(ended.stdout)
    assert any(name.split(".")[0] == "redis" for name in modules) == imported
    assert ("restarter.ledger.memory" in modules) != imported
