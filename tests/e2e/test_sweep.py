"""Sweeps on real processes: ten thousand tasks, one Redis, each failed task started once and no sweep over its time."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from processes import EXAMPLE, Running, function
from redis_server import RedisServer, wait_for

TASKS, FAILED, LIMIT = 10_000, 200, 5
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
DEADLINE_S = 4.5


def settings(oms: Running, redis: RedisServer, **changes: str) -> dict[str, str]:
    """The settings of an instance that sweeps."""
    sweeping = {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address, "RESTART_SWEEP": "on"}
    return EXAMPLE | sweeping | {"RESTART_SWEEP_LIMIT": str(LIMIT)} | changes


def fill(oms: Running, *, tasks: int = TASKS, failed: int = FAILED) -> None:
    """A world in which so many tasks failed within the last hour, and the others succeeded."""
    oms.control("PUT", "/_sim/tasks", [])
    oms.control("POST", "/_sim/generate", {"count": tasks - failed, "template": {"id": 1, "status": 5}})
    fresh = {"id": tasks + 1, "status": 4, "started_ago": 3600}
    oms.control("POST", "/_sim/generate", {"count": failed, "template": fresh})


def sweep(running: Running, tick: str) -> httpx.Response:
    """One tick by a direct call."""
    return httpx.post(running.url, json={"sweep": True}, headers=BEARER | {"Idempotency-Key": tick}, timeout=10)


def starts(oms: Running) -> Counter[int]:
    """How many tasks were started how often."""
    return Counter(task["starts"] for task in oms.control("GET", "/_sim/tasks"))


def summaries(running: Running) -> list[dict[str, Any]]:
    """The summaries among the receipts so far."""
    lines = [json.loads(running.lines.get()) for _ in range(running.lines.qsize())]
    return [line for line in lines if "seen" in line]


@pytest.fixture(scope="module")
def pair(oms: Running, redis: RedisServer) -> Iterator[tuple[Running, Running]]:
    with function(settings(oms, redis)) as one, function(settings(oms, redis)) as other:
        yield one, other


@pytest.fixture
def running(pair: tuple[Running, Running], oms: Running, redis: RedisServer) -> Running:
    """One of the two, with a ledger that is empty and OMS as at first; the receipts so far do not count."""
    oms.control("POST", "/_sim/reset")
    redis.empty()
    for each in pair:
        summaries(each)
    return pair[0]


@pytest.mark.long
def test_each_of_two_hundred_failed_tasks_among_ten_thousand_is_started_once(oms: Running, running: Running) -> None:
    fill(oms)
    slowest = 0.0
    for tick in range(FAILED // LIMIT + 1):
        started_at = time.monotonic()
        reply = sweep(running, f"tick-{tick}")
        slowest = max(slowest, time.monotonic() - started_at)
        assert (reply.status_code, reply.json()["outcome"]) == (200, "swept")
    assert reply.json()["seen"] == 0
    assert starts(oms) == {0: TASKS - FAILED, 1: FAILED}
    assert slowest < DEADLINE_S


@pytest.mark.usefixtures("running")
def test_two_instances_that_sweep_at_the_same_time_start_nothing_twice(
    oms: Running, pair: tuple[Running, Running]
) -> None:
    one, other = pair
    fill(oms, tasks=100, failed=40)
    barrier = threading.Barrier(2)

    def rounds(running: Running, name: str) -> list[int]:
        statuses = []
        for tick in range(8):
            barrier.wait(10)
            statuses.append(sweep(running, f"{name}-{tick}").status_code)
        return statuses

    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(rounds, one, "one"), pool.submit(rounds, other, "other")]
        assert {status for future in found for status in future.result(60)} == {200}
    assert starts(oms) == {0: 60, 1: 40}
    assert sum(summary["started"] for running in (one, other) for summary in summaries(running)) == 40


def test_a_tick_that_is_delivered_twice_and_a_sweep_within_the_backoff_start_nothing(
    oms: Running, running: Running
) -> None:
    failing = {"id": 7, "status": 4, "started_ago": 60, "after_start": 4, "after_seconds": 0.1}
    oms.control("PUT", "/_sim/tasks", [failing])
    counts = []
    for tick in ("a", "a", "b"):
        counts.append(sweep(running, tick).json()["started"])
        wait_for(lambda: oms.control("GET", "/_sim/tasks")[0]["status"] == 4)
    assert counts == [1, 0, 0]
    assert starts(oms) == {1: 1}


def test_without_the_setting_no_call_is_made(oms: Running, redis: RedisServer) -> None:
    with function(settings(oms, redis, RESTART_SWEEP="off")) as running:
        oms.control("POST", "/_sim/reset")
        reply = sweep(running, "tick")
        assert (reply.status_code, reply.json()["reason"]) == (200, "sweep_off")
        assert oms.control("GET", "/_sim/calls") == []


def test_a_sweep_starts_tasks_only_while_fewer_wait_or_run_than_may(oms: Running, redis: RedisServer) -> None:
    """Those that it started before wait or run, too, as OMS itself lists them."""
    redis.empty()
    with function(settings(oms, redis, RESTART_MAX_RUNNING="4")) as running:
        states = [(1, 1), (2, 2), (3, 3), (4, 5), *((number, 4) for number in range(5, 11))]
        tasks = [{"id": number, "status": status, "started_ago": 3600} for number, status in states]
        oms.control("PUT", "/_sim/tasks", tasks)
        replies = [sweep(running, tick).json() for tick in ("a", "b")]
        assert [(one["outcome"], one["started"], one["left"]) for one in replies] == [("swept", 2, 4), ("swept", 0, 4)]
        assert starts(oms) == {0: 8, 1: 2}
