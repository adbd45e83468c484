"""A ledger in a file, between real processes that are killed, and over a night in which every instance vanishes."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from example import TASK
from processes import EXAMPLE, FUNCTION, TIMEOUT_S, Running, function, simulator

pytestmark = pytest.mark.usefixtures("unmeasured")
PROCESSES, EVENTS, KILLS = 8, 200, 40
CLAIM_S = 4.0

# Deliver each event until it is settled, as senders do. What OMS would be told is a line in a file, and a task that
# was started runs on: so a second line for a task is a second start.
WORKER = """
import asyncio, os, random, sys, time
from restarter.ledger import Claim, EventKey, LedgerError, LedgerKeys, open_ledger
from restarter.settings.ledger_address import parse_ledger_address

address, starts, events, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])

def started():
    with open(starts) as file:
        return {line.strip() for line in file}

def start(name):
    descriptor = os.open(starts, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"{name}\\n".encode())
    os.close(descriptor)

async def deliver(ledger, name):
    key, keys = EventKey(name, "t"), LedgerKeys(name, f"task of {name}")
    claimed = await ledger.claim(key, seconds)
    if claimed.state is not Claim.OURS:
        return claimed.state is Claim.SETTLED
    if name not in started():
        if not await ledger.reserve(keys, await ledger.history(keys, 60), 60, claimed.token):
            return False
        await asyncio.sleep(random.random() / 100)
        start(name)
        await asyncio.sleep(random.random() / 100)
    await ledger.settle(key, claimed.token)
    await ledger.confirm(keys, claimed.token)
    await ledger.purge()
    return True

async def main():
    ledger, left = open_ledger(parse_ledger_address(address), time.time), [f"e{number}" for number in range(events)]
    while left:
        random.shuffle(left)
        left = [name for name in left if not await deliver(ledger, name)]
        await asyncio.sleep(0.05)
    await ledger.close()

asyncio.run(main())
"""


def worker(address: str, starts: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WORKER, address, str(starts), str(EVENTS), str(CLAIM_S)]
    return subprocess.Popen(command, env={"PYTHONPATH": str(FUNCTION)})  # noqa: S603


@pytest.mark.long
def test_processes_that_are_killed_at_any_moment_lose_no_event_and_start_none_twice(tmp_path: Path) -> None:
    starts, address = tmp_path / "starts", f"sqlite://{tmp_path / 'ledger.db'}"
    starts.touch()
    chance = random.Random(20)
    workers = [worker(address, starts) for _ in range(PROCESSES)]
    killed = 0
    try:
        give_up = time.monotonic() + 6 * TIMEOUT_S
        while any(one.poll() is None for one in workers) and time.monotonic() < give_up:
            time.sleep(chance.random() / 5)
            running = [number for number, one in enumerate(workers) if one.poll() is None]
            if running and killed < KILLS:
                victim = chance.choice(running)
                workers[victim].kill()
                workers[victim].wait(TIMEOUT_S)
                workers[victim] = worker(address, starts)
                killed += 1
        codes = [one.poll() for one in workers]
    finally:
        for one in workers:
            one.kill()
            one.wait(TIMEOUT_S)
    assert killed > PROCESSES
    assert codes == [0] * PROCESSES
    assert Counter(starts.read_text("utf-8").split()) == {f"e{number}": 1 for number in range(EVENTS)}


@pytest.fixture
def oms() -> Iterator[Running]:
    with simulator() as running:
        running.control("PUT", "/_sim/tasks", [{"id": TASK, "status": 4, "after_start": 4, "after_seconds": 0.01}])
        yield running


@pytest.mark.parametrize(("ledger", "starts"), [("sqlite://{folder}/ledger.db", 2), ("memory://", 3)])
def test_a_night_with_instances_that_vanish_after_each_event(
    ledger: str, starts: int, oms: Running, tmp_path: Path
) -> None:
    """A task that always fails is started as often as the budget allows, or without end where nothing is remembered."""
    settings = {"RESTART_LEDGER": ledger.format(folder=tmp_path), "RESTART_BUDGET": "2/24h", "RESTART_BACKOFF": "0"}
    outcomes = []
    for number in range(3):
        data = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": f"failure {number}"}
        body = json.dumps(data | {"data": {"task_id": TASK}}).encode()
        with function(EXAMPLE | {"OMS_ENDPOINT": oms.url} | settings) as instance:
            headers = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
            headers |= {"Content-Type": "application/cloudevents+json"}
            assert httpx.post(instance.url, content=body, headers=headers, timeout=TIMEOUT_S).status_code == 204
            outcomes.append(instance.receipt()["outcome"])
            instance.kill()
    assert outcomes == ["started"] * starts + ["refused"] * (3 - starts)
    assert oms.control("GET", "/_sim/starts") == {str(TASK): starts}
