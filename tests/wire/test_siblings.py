"""Parts of one delivery that name the same event or target: the first acts, and the others follow it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import ENDPOINT, PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, START, TASKS, Function

GROUP = "8a1f6f0e-3c0b-4f55-9f0e-2b6a4f1c7d11"
SHOW_GROUP = f"{ENDPOINT}/v2/{PROJECT}/taskgroups/{GROUP}"
FIND = f"{TASKS}?limit=50&offset=0&task_name={TASK_NAME}"
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
Make = Callable[..., Function]


def event(event_id: str, **data: Any) -> dict[str, Any]:
    attributes = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": event_id}
    return attributes | {"data": data or {"task_id": TASK}}


def batch(function: Function, *events: dict[str, Any]) -> tuple[int, list[tuple[str, bool | None]]]:
    """The status of a batch; of each part its outcome and reason, and whether it called a start."""
    status = function.post(json=list(events), headers=BATCH).status_code
    receipts = function.receipts()
    said = [f"{receipt['outcome']} {receipt.get('reason', '')}".strip() for receipt in receipts]
    return status, list(zip(said, [receipt.get("start_called") for receipt in receipts], strict=True))


def slowly(**answer: Any) -> Callable[[httpx.Request], Any]:
    """A response that leaves time for the other parts to come first."""

    async def respond(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.03)
        return httpx.Response(200, **answer)

    return respond


@pytest.mark.parametrize("second", ["e-1", "e-2"], ids=["same event", "same target"])
def test_a_second_part_about_the_same_is_a_duplicate(second: str, function: Function, httpx_mock: HTTPXMock) -> None:
    """OMS is asked and called once: pytest-httpx refuses a second request."""
    httpx_mock.add_callback(slowly(json=shown()), url=SHOW)
    httpx_mock.add_callback(slowly(), method="POST", url=START)
    assert batch(function, event("e-1"), event(second)) == (204, [("started", True), ("duplicate", False)])
    assert batch(function, event("e-1")) == (204, [("duplicate", False)])


def test_a_task_by_its_id_and_by_its_name_is_one_target(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=FIND, json={"tasks": [shown()], "count": 1})
    httpx_mock.add_callback(slowly(json=shown()), url=SHOW, is_reusable=True)
    httpx_mock.add_callback(slowly(), method="POST", url=START)
    status, parts = batch(function, event("e-1"), event("e-2", task_name=TASK_NAME))
    assert (status, sorted(parts)) == (204, [("duplicate", False), ("started", True)])


@pytest.mark.parametrize("backoff", ["60", "0"])
def test_two_failed_members_of_one_group_make_one_put(backoff: str, make_function: Make, httpx_mock: HTTPXMock) -> None:
    for task in (1, 2):
        member = shown(id=task, group_type="GROUP_TASK", group_id=GROUP)
        httpx_mock.add_response(url=f"{TASKS}/{task}", json=member)
    group = {"group_id": GROUP, "status": 5, "task_type": "PREFIX", "enable_restore": False}
    httpx_mock.add_response(url=SHOW_GROUP, json=group, is_reusable=True)
    httpx_mock.add_callback(slowly(), method="PUT", url=f"{SHOW_GROUP}/retry")
    function = make_function(RESTART_BACKOFF=backoff)
    status, parts = batch(function, event("e-1", task_id=1), event("e-2", task_id=2))
    assert (status, sorted(parts)) == (204, [("duplicate", False), ("started", True)])


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (204, shown(3), "refused paused"),
        (503, shown(7), "deferred pausing"),
        (204, shown(2), "already_running"),
    ],
)
def test_a_second_part_has_the_outcome_of_the_first(
    status: int, answer: dict[str, Any], said: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    """Where nothing was started."""
    httpx_mock.add_callback(slowly(json=answer), url=SHOW)
    assert batch(function, event("e-1"), event("e-1"), event("e-2")) == (status, [(said, False)] * 3)


def test_only_the_first_part_says_that_a_start_was_called(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(), is_reusable=True)
    httpx_mock.add_exception(httpx.ReadError("gone"), method="POST", url=START)
    status, parts = batch(function, event("e-1"), event("e-2"))
    assert (status, parts[0][1], parts[1][1]) == (503, True, False)
    assert parts[0][0] == parts[1][0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [(shown(2), ("already_running", "duplicate another_task")), (shown(7), ("deferred pausing", "deferred pausing"))],
)
def test_a_second_part_with_the_same_id_and_another_task_shows_its_own(
    answer: dict[str, Any], said: tuple[str, str], function: Function, httpx_mock: HTTPXMock
) -> None:
    """As it would if the two came one after the other."""
    httpx_mock.add_callback(slowly(json=answer), url=SHOW)
    function.post(json=[event("e-1"), event("e-1", task_id=7)], headers=BATCH)
    receipts = function.receipts()
    assert tuple(f"{one['outcome']} {one.get('reason', '')}".strip() for one in receipts) == said
    assert [one["task_id"] for one in receipts] == [str(TASK), "7"]


def test_a_refusal_of_another_task_with_the_same_id_is_told_once(function: Function, httpx_mock: HTTPXMock) -> None:
    """The second task was not read, so no person has to do anything about it."""
    httpx_mock.add_response(url=SHOW, json=shown(error_reason={"error_code": "TRF.0055", "error_msg": ""}))
    function.post(json=[event("e-1"), event("e-1", task_id=7)], headers=BATCH)
    told = [(one["task_id"], one["reason"], one["severity"], "advice" in one) for one in function.receipts()]
    assert told == [(str(TASK), "permanent_failure", "ERROR", True), ("7", "permanent_failure", "INFO", False)]


def test_a_stale_part_stands_for_no_other(function: Function, httpx_mock: HTTPXMock) -> None:
    """The fresh failure would be lost."""
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    old = event("e-1") | {"time": (datetime.now(UTC) - timedelta(days=2)).isoformat()}
    assert batch(function, old, event("e-2")) == (204, [("refused stale_event", False), ("started", True)])


def test_two_sweeps_of_one_delivery_are_one(make_function: Make, httpx_mock: HTTPXMock) -> None:
    function = make_function()
    status, parts = batch(function, event("e-1", sweep=True), event("e-2", sweep=True), event("e-1", sweep=True))
    assert (status, parts) == (204, [("ignored sweep_off", False)] * 3)
