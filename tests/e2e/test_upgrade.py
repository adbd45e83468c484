"""An upgrade with one ledger: what release 0.1.0 wrote into Redis, recorded from it, and what this one does with it."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from processes import EXAMPLE, Running, function, simulator
from redis_server import RedisServer

# Release 0.1.0 had started task 7 for event `e7` of `/oms`, and was looking at task 8 for event `e8`.
TASK_7 = "9086bd3e2c42f8d4910698e604ee72d1f3321bfd"
E7_SETTLED = ("oms-task-restarter:event:4b0501acb22b6bda3069cafe7a8b999c57e41270", "settled")
E8_CLAIMED = ("oms-task-restarter:event:05f28896a720c49b33b5665b78031edcdd816598", "68be5838c6039dbf")
RESTARTS_OF_7 = f"oms-task-restarter:restarts:{TASK_7}"
RESTART_OF_E7 = "4b0501acb22b6bda3069cafe7a8b999c57e41270"
REFUSED_7 = (f"oms-task-restarter:refused:{TASK_7}", "1")

HEADERS = {
    "Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}",
    "Content-Type": "application/cloudevents+json",
}


@pytest.fixture(scope="module")
def running(redis: RedisServer) -> Iterator[Running]:
    """This release, at a ledger and an OMS where both tasks failed and fail again."""
    with simulator() as oms:
        oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4, "after_start": 4} for task in (7, 8)])
        settings = {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address, "RESTART_BUDGET": "2/24h"}
        with function(EXAMPLE | settings) as process:
            yield process


def wrote(redis: RedisServer, *ages: float) -> None:
    """Let the ledger hold what 0.1.0 wrote, with restarts of task 7 so many seconds ago, `e7`'s last."""
    redis.empty()
    with redis.client() as client:
        for key, value in (E7_SETTLED, E8_CLAIMED, REFUSED_7):
            client.set(key, value, ex=3600)
        names = [*(f"{n:040x}" for n in range(len(ages) - 1)), RESTART_OF_E7]
        client.zadd(RESTARTS_OF_7, {name: time.time() - age for name, age in zip(names, ages, strict=True)})


def deliver(running: Running, event_id: str, task: int) -> tuple[int, str, str | None, int | None]:
    """Status, outcome, reason and attempt."""
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": event_id}
    body = json.dumps(event | {"data": {"task_id": task}})
    status = httpx.post(running.url, content=body, headers=HEADERS, timeout=10).status_code
    receipt = running.receipt()
    return status, receipt["outcome"], receipt.get("reason"), receipt.get("attempt")


def test_an_event_of_the_old_release_waits_for_its_backoff(redis: RedisServer, running: Running) -> None:
    """The old release settled it, and its start counts."""
    wrote(redis, 30)
    assert deliver(running, "e7", 7)[:3] == (503, "deferred", "backoff")


def test_restarts_of_both_releases_count_in_one_budget(redis: RedisServer, running: Running) -> None:
    wrote(redis, 5000)
    assert deliver(running, "e7", 7) == (204, "started", None, 2)
    assert deliver(running, "another", 7)[:3] == (204, "refused", "budget_exhausted")
    wrote(redis, 6000, 5000)
    assert deliver(running, "e7", 7)[:3] == (204, "refused", "budget_exhausted")


def test_what_this_release_writes_is_what_the_old_one_reads(redis: RedisServer, running: Running) -> None:
    """A restart is a member of the set that begins with a hash, at the time in seconds since 1970.

    Marks of events stand beside those of the old release.
    """
    wrote(redis, 5000)
    assert deliver(running, "e7", 7)[1] == "started"
    with redis.client() as client:
        (_, old), (ours, at) = client.zrange(RESTARTS_OF_7, 0, -1, withscores=True)
        assert len(ours.partition(":")[0]) == len(RESTART_OF_E7)
        assert abs(at - old - 5000) < 60
        assert client.get(E7_SETTLED[0]) == E7_SETTLED[1]
        assert client.ttl(RESTARTS_OF_7) > 86000


def test_a_claim_of_the_old_release_holds_nothing_up(redis: RedisServer, running: Running) -> None:
    """Each release claims by itself; the restart that one of them recorded is what the other one sees."""
    wrote(redis, 30)
    assert deliver(running, "e8", 8) == (204, "started", None, 1)
    with redis.client() as client:
        assert client.get(E8_CLAIMED[0]) == E8_CLAIMED[1]
