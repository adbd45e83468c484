"""FunctionGraph's built-in runtime as a process that is frozen between calls, as on the platform."""

import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest

from child_processes import Lines, started
from example import PROJECT
from processes import EXAMPLE, FUNCTION, TIMEOUT_S, Running, free_port, simulator
from redis_server import RedisServer

pytestmark = pytest.mark.long
PROGRAM = Path(__file__).parents[1] / "functiongraph_instance.py"
TASKS = range(1, 10)
FROZEN_S = 2.5


class Instance:
    """One instance of the function on the platform."""

    def __init__(self, process: "subprocess.Popen[str]", events: IO[str], lines: Lines) -> None:
        self._process, self._events, self._lines = process, events, lines

    def handle(self, task: int, happened: datetime | None = None) -> dict[str, Any]:
        """Send an event; what the handler returned or raised."""
        self.send(task, happened)
        return self.result()

    def result(self) -> dict[str, Any]:
        """What the handler returned or raised for the oldest event whose result was not read yet."""
        while True:
            line: dict[str, Any] = json.loads(self._lines.get(timeout=TIMEOUT_S))
            if line.keys() <= {"returned", "raised"}:
                return line

    def send(self, task: int, happened: datetime | None = None) -> None:
        """Hand an event over."""
        topic = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
        smn = {"topic_urn": topic, "message_id": f"m-{task}", "message": json.dumps({"task_id": task})}
        smn["timestamp"] = (happened or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._events.write(json.dumps({"record": [{"smn": smn}]}) + "\n")
        self._events.flush()

    @contextmanager
    def frozen(self, seconds: float = FROZEN_S) -> Iterator[None]:
        """A block during which the process is frozen, for at least so many seconds."""
        self._process.send_signal(signal.SIGSTOP)
        thaws_at = time.monotonic() + seconds
        yield
        time.sleep(max(0.0, thaws_at - time.monotonic()))
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def instance(folder: Path, settings: dict[str, str]) -> Iterator[Instance]:
    """An instance with these settings."""
    pipe, lines = folder / "events", queue.Queue[str]()
    os.mkfifo(pipe)
    command, environment = [sys.executable, str(PROGRAM), str(pipe)], {"PYTHONPATH": str(FUNCTION), **settings}
    with started(command, environment, stdout=lines) as process, pipe.open("w", encoding="utf-8") as events:
        yield Instance(process, events, lines)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """One for each test, some of which restart it."""
    with RedisServer() as server:
        yield server


@contextmanager
def oms(port: int) -> Iterator[Running]:
    """An OMS whose tasks failed."""
    with simulator(port) as running:
        running.control("PUT", "/_sim/tasks", [{"id": task, "status": 4} for task in TASKS])
        yield running


def outcome(result: dict[str, Any]) -> str:
    """How an event that was taken ended."""
    return str(result["returned"]["outcome"])


def test_connections_that_broke_while_it_was_frozen_cost_no_delivery(redis: RedisServer, tmp_path: Path) -> None:
    """Both servers were restarted meanwhile, so each connection is a broken one."""
    port = free_port()
    settings = EXAMPLE | {"OMS_ENDPOINT": f"http://127.0.0.1:{port}", "RESTART_LEDGER": redis.address}
    with instance(tmp_path, settings) as running:
        with oms(port):
            assert outcome(running.handle(1)) == "started"
            assert outcome(running.handle(1)) == "duplicate"
            with running.frozen(0):
                redis.stop()
                redis.start()
        with oms(port):
            assert outcome(running.handle(2)) == "started"
            assert outcome(running.handle(1)) == "duplicate"
        with oms(port), redis.client() as client:
            with running.frozen(0):
                client.client_kill_filter(_type="normal")
            assert outcome(running.handle(3)) == "started"


def test_ages_and_keys_are_those_of_the_time_when_it_goes_on(redis: RedisServer, tmp_path: Path) -> None:
    """An event that waited grew too old; storage keys that were replaced meanwhile are the new ones."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "OMS_DST_SK").write_text("dst_sk_before")
    with oms(0) as server:
        settings = EXAMPLE | {"OMS_ENDPOINT": server.url, "RESTART_LEDGER": redis.address}
        settings |= {"SECRETS_DIR": str(secrets), "RESTART_MAX_EVENT_AGE": "2"}
        with instance(tmp_path, settings) as running:
            assert outcome(running.handle(1)) == "started"
            with running.frozen():
                running.send(2, datetime.now(UTC))
                (secrets / "OMS_DST_SK").write_text("dst_sk_after")
            assert outcome(running.result()) == "refused"
            assert outcome(running.handle(3)) == "started"
        starts = [call for call in server.control("GET", "/_sim/calls") if call["operation"] == "start"]
    assert [start["body"]["dst_sk"] for start in starts] == ["dst_sk_before", "dst_sk_after"]
