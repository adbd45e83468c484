"""A task group through real processes: two functions, one Valkey, one OMS, and forty members that fail at once."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from lean_client import lean_client
from processes import EXAMPLE, Running, function
from redis_server import RedisServer

GROUP = "5c3de8f1-6a0b-4f55-9f0e-2b6a4f1c7d40"
MEMBERS = range(2001, 2041)
HEADERS = {
    "Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}",
    "Content-Type": "application/cloudevents+json",
}
HELD_BACK = {("deferred", "backoff"), ("deferred", "group_running"), ("deferred", "in_progress")}
FAILURE = {"error_code": "TRF.0061", "error_msg": "The destination object storage service is abnormal."}


@pytest.fixture(scope="module")
def pair(oms: Running) -> Iterator[tuple[Running, Running]]:
    with RedisServer() as redis:
        settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": redis.address}
        with function(settings) as one, function(settings) as other:
            yield one, other


@pytest.fixture(autouse=True)
def failed_group(oms: Running) -> None:
    """A group whose forty members have failed, and stay so until the group is retried."""
    oms.control("POST", "/_sim/reset")
    member = {"status": 4, "group_type": "GROUP_TASK", "group_id": GROUP, "error_reason": FAILURE}
    oms.control("PUT", "/_sim/tasks", [member | {"id": task_id, "name": f"member-{task_id}"} for task_id in MEMBERS])
    oms.control("PUT", "/_sim/groups", [{"group_id": GROUP, "status": 5, "error_reason": FAILURE}])


def event(task_id: int) -> bytes:
    data = {"task_id": task_id}
    attributes = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": f"e-{task_id}"}
    return json.dumps(attributes | {"data": data}).encode()


def all_at_once(pair: tuple[Running, Running]) -> list[int]:
    """The statuses of forty notices, one for each member, that both processes get at the same moment."""

    async def post() -> list[int]:
        async with lean_client(headers=HEADERS) as client:
            posts = (client.post(pair[n % 2].url, content=event(task_id)) for n, task_id in enumerate(MEMBERS))
            return [reply.status_code for reply in await asyncio.gather(*posts)]

    return asyncio.run(post())


def receipts(pair: tuple[Running, Running]) -> list[dict[str, Any]]:
    """The forty lines of both processes."""
    return [running.receipt() for running in pair for _ in range(len(MEMBERS) // 2)]


def test_forty_members_that_fail_at_once_make_one_put_and_forty_receipts(
    oms: Running, pair: tuple[Running, Running]
) -> None:
    """What is held back is delivered again, and finds the group and its members at work.

    So does what comes late on a busy machine, when the retry was made.
    """
    # Until the one retry has arrived, the group looks as if it could be retried: only the ledger holds the others back.
    oms.control("PUT", "/_sim/rules", [{"operation": "retry_group", "action": {"delay": 0.5}}])
    statuses = all_at_once(pair)
    first = receipts(pair)
    asked = Counter(oms.operations())
    assert (asked["retry_group"], asked["start"]) == (1, 0)
    assert {receipt["task_id"] for receipt in first} == {str(task_id) for task_id in MEMBERS}
    said = Counter((receipt["outcome"], receipt.get("reason")) for receipt in first)
    assert said.pop(("started", None)) == 1
    late = said.pop(("already_running", None), 0)
    assert set(said) <= HELD_BACK
    assert Counter(statuses) == Counter({204: 1 + late, 503: 39 - late})
    (started,) = [receipt for receipt in first if receipt["outcome"] == "started"]
    assert (started["group_id"], started["attempt"], started["failure_class"]) == (GROUP, 1, "transient")

    oms.control("PUT", "/_sim/rules", [])
    again = all_at_once(pair)
    outcomes = Counter(receipt["outcome"] for receipt in receipts(pair))
    assert outcomes == Counter({"duplicate": 1 + late, "already_running": 39 - late})
    assert set(again) == {204}
    asked = Counter(oms.operations())
    assert (asked["retry_group"], asked["start"]) == (1, 0)
