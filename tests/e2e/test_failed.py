"""The operator's command as a process of its own, beside a running function, the simulator and a real Redis."""

import json
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from redis import Redis

from example_settings import TASK
from processes import EXAMPLE, Running, function, run_python, simulator
from redis_server import RedisServer

BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
EVENT = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms"}
AGAIN = {"id": 7, "status": 4, "started_ago": 60, "after_start": 4, "after_seconds": 0.05}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """One real server for all tests of this file."""
    with RedisServer() as server:
        yield server


def failed(settings: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`python -m restarter failed` to its end."""
    return run_python(["-m", "restarter", "failed", *arguments], settings)


def contents(redis: RedisServer) -> dict[bytes, bytes | None]:
    """Every key of the ledger and its value."""
    with Redis.from_url(redis.address) as client:
        return {key: client.dump(key) for key in client.keys("*")}


def deliver(running: Running, event_id: str) -> int:
    """The reply's status for one failed event about task 7."""
    headers = BEARER | EVENT | {"ce-id": event_id}
    return httpx.post(running.url, json={"task_id": 7}, headers=headers, timeout=10).status_code


def test_what_an_event_would_do_is_what_the_next_event_does(redis: RedisServer) -> None:
    """The function restarted the task a moment ago; the command knows it from the ledger, and changes nothing there."""
    redis.empty()
    with simulator() as oms:
        settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address}
        oms.control("PUT", "/_sim/tasks", [AGAIN])
        (before,) = map(json.loads, failed(settings, "--json").stdout.splitlines())
        assert before["outcome"] == "would_start"
        assert contents(redis) == {}
        with function(settings) as running:
            assert deliver(running, "1") == 204
            assert running.receipt()["outcome"] == "started"
            wait_until_failed(oms)
            kept = contents(redis)
            result = failed(settings, "--json")
            (now,) = map(json.loads, result.stdout.splitlines())
            assert (result.returncode, now["outcome"], now["reason"]) == (1, "deferred", "backoff")
            assert 0 < now["retry_after"] <= 61
            assert contents(redis) == kept != {}
            assert deliver(running, "2") == 503
            assert running.receipt()["reason"] == "backoff"
        assert [task["starts"] for task in oms.control("GET", "/_sim/tasks")] == [1]


def test_an_exhausted_budget_is_told_and_not_marked_as_told(redis: RedisServer) -> None:
    redis.empty()
    with simulator() as oms:
        settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address, "RESTART_BUDGET": "1/24h"}
        oms.control("PUT", "/_sim/tasks", [AGAIN])
        with function(settings) as running:
            assert deliver(running, "1") == 204
            running.receipt()
            wait_until_failed(oms)
            kept = contents(redis)
            assert "refused budget_exhausted: it was restarted as often as RESTART_BUDGET" in failed(settings).stdout
            assert contents(redis) == kept
            deliver(running, "2")
            receipt = running.receipt()
            assert (receipt["reason"], receipt["severity"]) == ("budget_exhausted", "ERROR")


def test_a_person_starts_all_of_them_at_once() -> None:
    """The world's first task was started within the default of --since, whatever the day."""
    with simulator() as oms:
        settings = EXAMPLE | {"OMS_ENDPOINT": oms.url}
        first = failed(settings, "--prefix", "photos-photos-")
        assert (first.returncode, str(TASK) in first.stdout) == (1, True)
        refused = failed(settings, "--prefix", "photos-photos-", "--start")
        assert (refused.returncode, "Aborted!" in refused.stderr) == (1, True)
        assert not any(task["starts"] for task in oms.control("GET", "/_sim/tasks"))
        started = failed(settings, "--prefix", "photos-photos-", "--start", "--yes")
        assert f"Started task {TASK} (" in started.stdout


def test_check_all_proves_everything_and_makes_no_start(redis: RedisServer) -> None:
    redis.empty()
    with simulator() as oms:
        settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address}
        done = run_python(["-m", "restarter", "check", "--all", "--json"], settings)
        findings = [json.loads(line) for line in done.stdout.splitlines()]
        assert (done.returncode, done.stderr, [one for one in findings if not one["ok"]]) == (0, "", [])
        assert [one for one in findings if one["check"] == "clock" and "OMS's" in one["found"]]
        assert {call["method"] for call in oms.control("GET", "/_sim/calls")} == {"GET"}
    assert contents(redis) == {}


def wait_until_failed(oms: Running) -> None:
    """Until the started task has failed again."""
    for _ in range(200):
        if oms.control("GET", "/_sim/tasks")[0]["status"] == 4:
            return
    raise AssertionError("the task still runs")
