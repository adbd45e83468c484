"""The operator's command as a process of its own, beside a running function, the simulator and a real Redis."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from redis import Redis

from child_processes import child_environment
from example_settings import TASK
from processes import EXAMPLE, FUNCTION, Running, function, run_python
from redis_server import RedisServer, wait_for

BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
EVENT = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms"}
AGAIN = {"id": 7, "status": 4, "started_ago": 60, "after_start": 4, "after_seconds": 0.05}


@pytest.fixture(autouse=True)
def as_at_first(oms: Running) -> None:
    """OMS with the world that it begins with."""
    oms.control("POST", "/_sim/reset")


def failed(settings: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`python -m restarter failed` to its end."""
    return run_python(["-m", "restarter", "failed", *arguments], settings)


def listed(settings: dict[str, str], *arguments: str) -> list[dict[str, Any]]:
    """The tasks of `failed --json`."""
    found = map(json.loads, failed(settings, "--json", *arguments).stdout.splitlines())
    return [one for one in found if one["kind"] == "failed"]


def contents(redis: RedisServer) -> dict[bytes, bytes | None]:
    """Every key of the ledger and its value."""
    with Redis.from_url(redis.address) as client:
        return {key: client.dump(key) for key in client.keys("*")}


def deliver(running: Running, event_id: str) -> int:
    """The reply's status for one failed event about task 7."""
    headers = BEARER | EVENT | {"ce-id": event_id}
    return httpx.post(running.url, json={"task_id": 7}, headers=headers, timeout=10).status_code


def test_what_an_event_would_do_is_what_the_next_event_does(oms: Running, redis: RedisServer) -> None:
    """The function restarted the task a moment ago; the command knows it from the ledger, and changes nothing there."""
    redis.empty()
    settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address}
    oms.control("PUT", "/_sim/tasks", [AGAIN])
    (before,) = listed(settings)
    assert before["outcome"] == "would_start"
    assert contents(redis) == {}
    with function(settings) as running:
        assert deliver(running, "1") == 204
        assert running.receipt()["outcome"] == "started"
        wait_until_failed(oms)
        kept = contents(redis)
        (now,) = listed(settings)
        assert (now["outcome"], now["reason"]) == ("deferred", "backoff")
        assert 0 < now["retry_after"] <= 61
        assert contents(redis) == kept != {}
        assert deliver(running, "2") == 503
        assert running.receipt()["reason"] == "backoff"
    assert [task["starts"] for task in oms.control("GET", "/_sim/tasks")] == [1]


def test_an_exhausted_budget_is_told_and_not_marked_as_told(oms: Running, redis: RedisServer) -> None:
    redis.empty()
    settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address, "RESTART_BUDGET": "1/24h"}
    oms.control("PUT", "/_sim/tasks", [AGAIN])
    with function(settings) as running:
        assert deliver(running, "1") == 204
        running.receipt()
        wait_until_failed(oms)
        kept = contents(redis)
        assert "refused budget_exhausted" in failed(settings).stdout
        assert contents(redis) == kept
        deliver(running, "2")
        receipt = running.receipt()
        assert (receipt["reason"], receipt["severity"]) == ("budget_exhausted", "ERROR")


def test_a_person_starts_all_of_them_at_once(oms: Running) -> None:
    """The world's first task was started within the default of --since, whatever the day."""
    settings = EXAMPLE | {"OMS_ENDPOINT": oms.url}
    first = failed(settings, "--prefix", "photos-photos-")
    assert (first.returncode, str(TASK) in first.stdout) == (1, True)
    refused = failed(settings, "--prefix", "photos-photos-", "--start")
    assert (refused.returncode, refused.stderr.endswith("[y/N] ")) == (1, True)
    assert not any(task["starts"] for task in oms.control("GET", "/_sim/tasks"))
    started = failed(settings, "--prefix", "photos-photos-", "--start", "--yes")
    assert f"Started task {TASK} (" in started.stdout


def test_check_all_proves_everything_and_makes_no_start(oms: Running, redis: RedisServer) -> None:
    redis.empty()
    settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address}
    done = run_python(["-m", "restarter", "check", "--all", "--json"], settings)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr, [one for one in findings if not one["ok"]]) == (0, "", [])
    assert [one for one in findings if one["check"] == "clock" and "OMS's" in one["found"]]
    assert {call["method"] for call in oms.control("GET", "/_sim/calls")} == {"GET"}
    assert contents(redis) == {}


OLD_S, FRESH_S = 5_000_000, 7200
OLD, FRESH = 600, 300
DEADLINE_S = 30  # a machine that is busy takes many times of what it takes else


def generate(oms: Running, first_id: int, count: int, started_ago: int) -> None:
    """Failed tasks that were started so many seconds ago."""
    reason = {"error_code": "TRF.0001", "error_msg": "x"}
    template = {"id": first_id, "name": "mass-{n}", "status": 4, "error_reason": reason, "started_ago": started_ago}
    oms.control("POST", "/_sim/generate", {"count": count, "step_ms": 10, "template": template})


@pytest.fixture
def crowded(oms: Running) -> Running:
    """OMS with 600 old failed tasks and 300 fresh ones: nine pages of a list."""
    oms.control("PUT", "/_sim/tasks", [])
    generate(oms, 200_000_000_000_000, OLD, OLD_S)
    generate(oms, 300_000_000_000_000, FRESH, FRESH_S)
    return oms


@pytest.mark.parametrize(
    "order",
    ["created", *(pytest.param(order, marks=pytest.mark.long) for order in ("newest", "start_time", "shuffled"))],
)
def test_fresh_tasks_are_found_among_old_ones(order: str, crowded: Running, redis: RedisServer) -> None:
    """By the command and by a sweep, which starts within its limit and its deadline, whatever the order of the list."""
    redis.empty()
    crowded.control("PUT", "/_sim/listing", {"order": order})
    settings = EXAMPLE | {"OMS_ENDPOINT": crowded.url, "RESTART_LEDGER": redis.address}
    settings |= {"RESTART_SWEEP": "on", "RESTART_DEADLINE": str(DEADLINE_S)}
    found = listed(settings)
    assert len(found) == len({one["task_id"] for one in found}) == FRESH
    assert all(one["task_id"].startswith("3") for one in found)
    with function(settings) as running:
        httpx.post(running.url, json={"sweep": True}, headers=BEARER, timeout=DEADLINE_S + 5)
        *started, summary = (running.receipt() for _ in range(6))
    assert [one["outcome"] for one in started] == ["started"] * 5
    assert all(one["task_id"].startswith("3") for one in started)
    counts = [summary.get(name) for name in ("outcome", "reason", "seen", "too_old", "started", "left")]
    assert counts == ["swept", None, OLD + FRESH, OLD, 5, FRESH - 5]
    assert summary["duration_ms"] < 1000 * DEADLINE_S


# -- Ctrl-C


@contextmanager
def terminal(settings: dict[str, str], *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """The command on a terminal of its own, which is the second value."""
    ours, theirs = pty.openpty()
    environment = child_environment(PYTHONPATH=str(FUNCTION), **settings)
    command = [sys.executable, "-m", "restarter", *arguments]
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)  # noqa: S603
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, text: str) -> str:
    """What was written, up to the text or the end."""
    read = b""
    while text.encode() not in read:
        try:
            read += os.read(terminal, 65536)
        except OSError:  # the process has ended
            break
    return read.decode(errors="replace")


def interrupted(process: "subprocess.Popen[bytes]", terminal: int) -> tuple[int, float, str]:
    """The status after Ctrl-C, the seconds until then, and what was written meanwhile."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    said = read_until(terminal, "never written")
    return process.wait(10), time.monotonic() - began, said


def delay(oms: Running, operation: str, skip: int = 0) -> None:
    """Let calls of an operation wait, but for the first few."""
    oms.control("PUT", "/_sim/rules", [{"operation": operation, "action": {"delay": 2.5}, "skip": skip}])


@pytest.mark.parametrize("where", ["prompt", "list", "starts"])
def test_ctrl_c_ends_it_at_once(oms: Running, where: str) -> None:
    """At the prompt, in the list and in the middle of starts: within half a second, with 130 and no traceback."""
    settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "COLUMNS": "100"}
    oms.control("PUT", "/_sim/tasks", [])
    generate(oms, 300_000_000_000_000, 6, FRESH_S)
    if where == "list":
        delay(oms, "list")
    if where == "starts":
        delay(oms, "start", skip=4)
    arguments = ["failed", "--start", *(["--yes"] if where == "starts" else [])]
    with terminal(settings, *arguments) as (process, ours):
        if where == "list":
            wait_for(lambda: "list" in oms.operations())
        else:
            read_until(ours, "[y/N]" if where == "prompt" else "Started task 3")
            time.sleep(0.3)
        status, seconds, said = interrupted(process, ours)
    assert (status, "Traceback" in said) == (130, False)
    assert seconds < 1.5  # half a second on a quiet machine; the call that it does not wait for takes longer
    assert "Interrupted" in said
    if where == "starts":
        assert "started. Run it again for the rest." in said


def wait_until_failed(oms: Running) -> None:
    """Until the started task has failed again."""
    for _ in range(200):
        if oms.control("GET", "/_sim/tasks")[0]["status"] == 4:
            return
    raise AssertionError("the task still runs")
