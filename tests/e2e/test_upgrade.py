"""An upgrade with one ledger: what 0.1.0 and 0.2.0 wrote into Redis, recorded from them, and what this release does."""

import json
import time
from collections.abc import Iterator, Mapping

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

# Release 0.2.0 had started task 9 for event `e9` of `/oms`: authenticated by a token, and by the platform.
RESTARTS_OF_9 = "oms-task-restarter:restarts:b6cad6957e5b577eb00d2ba42fd48f695929c51f"
E9_BY_TOKEN = "a3aa997cd20cd71f2209ed50e7c7ef2aebaad0d2"
E9_BY_PLATFORM = "346b4a72d40b5d48bbd695f09cc25adda69add0c"
E9_SETTLED = "settled:2a6ceb76d051658e"

HEADERS = {
    "Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}",
    "Content-Type": "application/cloudevents+json",
}


@pytest.fixture(scope="module")
def running(redis: RedisServer) -> Iterator[Running]:
    """This release, at a ledger and an OMS where both tasks failed and fail again."""
    with simulator() as oms:
        oms.control("PUT", "/_sim/tasks", [{"id": task, "status": 4, "after_start": 4} for task in (7, 8, 9)])
        settings = {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address, "RESTART_BUDGET": "2/24h"}
        settings |= {"CALLER_TRUST_PLATFORM": "true"}
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


def wrote_0_2_0(redis: RedisServer, event: str, age: float) -> None:
    """Let the ledger hold what 0.2.0 wrote when it started task 9 for an event, so many seconds ago."""
    redis.empty()
    with redis.client() as client:
        client.set(f"oms-task-restarter:1:event:{event}", E9_SETTLED, ex=3600)
        client.zadd(RESTARTS_OF_9, {event: time.time() - age})


def deliver(
    running: Running, event_id: str, task: int, headers: Mapping[str, str] = HEADERS
) -> tuple[int, str, str | None, int | None]:
    """Status, outcome, reason and attempt."""
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": event_id}
    body = json.dumps(event | {"data": {"task_id": task}})
    status = httpx.post(running.url, content=body, headers=headers, timeout=10).status_code
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


def test_an_event_that_0_2_0_settled_is_a_duplicate_where_no_sender_has_a_name(
    redis: RedisServer, running: Running
) -> None:
    """The platform authenticates, or SMN's signature: its identity is the same in both releases."""
    wrote_0_2_0(redis, E9_BY_PLATFORM, 5000)
    by_platform = {"Content-Type": HEADERS["Content-Type"]}
    assert deliver(running, "e9", 9, by_platform) == (204, "duplicate", None, None)


def test_an_event_of_a_token_that_0_2_0_settled_is_judged_by_the_task_and_its_restarts(
    redis: RedisServer, running: Running
) -> None:
    """Its identity holds the sender now. The restart counts all the same, and holds the next one back."""
    wrote_0_2_0(redis, E9_BY_TOKEN, 30)
    assert deliver(running, "e9", 9)[:3] == (503, "deferred", "backoff")
    wrote_0_2_0(redis, E9_BY_TOKEN, 5000)
    assert deliver(running, "e9", 9) == (204, "started", None, 2)
    assert deliver(running, "e9", 9) == (204, "duplicate", None, None)
