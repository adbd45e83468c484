"""A process that is stopped or frozen loses nothing: replies, receipts, claims and telemetry of what was in flight."""

import asyncio
import json
import os
import queue
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from lean_client import lean_client
from otlp_collector import Collector, collecting
from processes import EXAMPLE, TIMEOUT_S, Running, function
from redis_server import RedisServer

# `STOPS=10` repeats the stop under load as often as the figures in tests/README.md say.
pytestmark = pytest.mark.usefixtures("unmeasured")
STOPS = int(os.environ.get("STOPS", "1"))
IN_FLIGHT = 50
TASKS = range(1001, 1001 + IN_FLIGHT)
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
EVENT = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms"}

Stop = Callable[[Running], None]


def sigterm(running: Running) -> None:
    """As Cloud Run, Kubernetes and Docker stop a container."""
    running.process.send_signal(signal.SIGTERM)


def sigint(running: Running) -> None:
    """To the first process alone."""
    running.process.send_signal(signal.SIGINT)


def ctrl_c(running: Running) -> None:
    """As a terminal does it: the first process and its worker."""
    os.killpg(running.process.pid, signal.SIGINT)


def all_sigterm(running: Running) -> None:
    """As systemd does it: the first process and its worker."""
    os.killpg(running.process.pid, signal.SIGTERM)


@pytest.fixture
def settings(oms: Running, redis: RedisServer) -> dict[str, str]:
    """One failed task for each delivery, an OMS that takes half a second to look, and a ledger that is empty."""
    oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4} for task in TASKS])
    oms.control("DELETE", "/_sim/calls")
    oms.control("PUT", "/_sim/rules", [{"operation": "show", "action": {"delay": 0.5}}])
    redis.empty()
    return EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address}


def request(task: int) -> dict[str, Any]:
    """A direct call for every other task, an event for the rest; the trace's id is the task's."""
    headers = BEARER | {"traceparent": f"00-{task:032x}-{1:016x}-01"}
    if task % 2:
        return {"content": json.dumps({"task_id": task}), "headers": headers}
    event = EVENT | {"id": f"event-{task}", "data": {"task_id": task}}
    return {"content": json.dumps(event), "headers": headers | {"Content-Type": "application/cloudevents+json"}}


async def deliver(running: Running, meanwhile: Coroutine[Any, Any, None] | None = None) -> list[int]:
    """The statuses of deliveries for all tasks at once, and what happens while they are in flight."""
    async with lean_client() as client:
        deliveries = [asyncio.create_task(client.post(running.url, **request(task))) for task in TASKS]
        if meanwhile is not None:
            await meanwhile
        return [reply.status_code for reply in await asyncio.gather(*deliveries)]


async def all_look(oms: Running) -> None:
    """Wait until OMS has been asked about every task and has answered nobody."""
    give_up = time.monotonic() + TIMEOUT_S
    while len(await asyncio.to_thread(oms.control, "GET", "/_sim/calls")) < IN_FLIGHT:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


def starts(oms: Running) -> Counter[int]:
    """How many tasks were started how often."""
    return Counter(task["starts"] for task in oms.control("GET", "/_sim/tasks"))


def outcomes(running: Running) -> Counter[str]:
    """Of all receipts that the process wrote until it ended."""
    found: Counter[str] = Counter()
    while True:
        try:
            found[running.receipt(0.2)["outcome"]] += 1
        except queue.Empty:
            return found


def events_in(redis: RedisServer) -> Counter[str]:
    """What the ledger says of each event: settled, or claimed."""
    with redis.client() as client:
        kept = [str(client.get(key)) for key in client.scan_iter("oms-task-restarter:*event:*")]
    return Counter("settled" if value.startswith("settled") else "claimed" for value in kept)


async def stop_in_flight(oms: Running, running: Running, stop: Stop) -> None:
    """Stop it while it has IN_FLIGHT deliveries."""
    await all_look(oms)
    stop(running)


def check_stop(oms: Running, redis: RedisServer, settings: dict[str, str], stop: Stop, collector: Collector) -> None:
    """Nothing is lost: replies, receipts, starts, events of the ledger, spans and metrics; and nothing is logged."""
    log: queue.Queue[str] = queue.Queue()
    with function(settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, stderr=log) as running:
        replies = asyncio.run(deliver(running, stop_in_flight(oms, running, stop)))
        status = running.process.wait(8)
    assert (Counter(replies), status) == ({200: IN_FLIGHT // 2, 204: IN_FLIGHT // 2}, 0)
    assert outcomes(running) == {"started": IN_FLIGHT}
    assert starts(oms) == {1: IN_FLIGHT}
    assert events_in(redis) == {"settled": IN_FLIGHT // 2}
    deliveries = [int.from_bytes(trace) for name, trace in collector.spans if name == "delivery"]
    assert sorted(trace for trace in deliveries if trace in TASKS) == list(TASKS)
    assert "restarter.requests" in collector.metrics
    assert list(log.queue) == []


@pytest.mark.parametrize("_round", range(STOPS))
def test_sigterm_with_fifty_deliveries_in_flight_loses_nothing(
    _round: int, oms: Running, redis: RedisServer, settings: dict[str, str]
) -> None:
    with collecting() as collector:
        check_stop(oms, redis, settings, sigterm, collector)


@pytest.mark.long
@pytest.mark.parametrize("stop", [sigint, ctrl_c, all_sigterm])
def test_nor_does_any_other_way_to_stop(stop: Stop, oms: Running, redis: RedisServer, settings: dict[str, str]) -> None:
    """Each of them ends within 8 s."""
    with collecting() as collector:
        check_stop(oms, redis, settings, stop, collector)


@pytest.mark.parametrize("stop", [sigterm, sigint])
def test_an_idle_process_stops_at_once_and_logs_nothing(stop: Stop, settings: dict[str, str]) -> None:
    log: queue.Queue[str] = queue.Queue()
    with function(settings, stderr=log) as running, httpx.Client() as kept_open:
        assert kept_open.get(f"{running.url}/healthz").status_code == 200
        started_at = time.monotonic()
        stop(running)
        assert running.process.wait(TIMEOUT_S) == 0
        assert time.monotonic() - started_at < 8
    assert list(log.queue) == []


@pytest.mark.long
def test_a_collector_that_does_not_answer_holds_the_end_up_for_a_few_seconds_only(settings: dict[str, str]) -> None:
    """Platforms kill what has not ended ten seconds after SIGTERM."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        log: queue.Queue[str] = queue.Queue()
        with function(settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": address}, stderr=log) as running:
            assert httpx.post(running.url, **request(TASKS[0])).status_code == 200
            started_at = time.monotonic()
            sigterm(running)
            assert running.process.wait(TIMEOUT_S) == 0
            assert time.monotonic() - started_at < 9
    assert "Failed to export" in "".join(log.queue)


async def freeze(oms: Running, running: Running, seconds: float) -> None:
    """Freeze it in the middle of its deliveries."""
    await all_look(oms)
    os.killpg(running.process.pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    os.killpg(running.process.pid, signal.SIGCONT)


@pytest.mark.long
def test_a_process_that_was_frozen_beyond_its_deadline_answers_all(
    oms: Running, redis: RedisServer, settings: dict[str, str]
) -> None:
    """What it refuses then can be redelivered."""
    with function(settings | {"RESTART_DEADLINE": "1.5"}) as running:
        frozen = asyncio.run(deliver(running, freeze(oms, running, 2.5)))
        assert set(frozen) <= {200, 204, 503}
        assert frozen.count(503) > 0
        assert sum(outcomes(running).values()) == IN_FLIGHT
        oms.control("PUT", "/_sim/rules", [])
        again, give_up = [503], time.monotonic() + TIMEOUT_S
        while 503 in again and time.monotonic() < give_up:  # a claim that could not be given up ends by itself
            again = asyncio.run(deliver(running))
            time.sleep(0.2)
    assert Counter(again) == {200: IN_FLIGHT // 2, 204: IN_FLIGHT // 2}
    assert starts(oms) == {1: IN_FLIGHT}
    assert events_in(redis) == {"settled": IN_FLIGHT // 2}
