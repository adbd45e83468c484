"""A task group, by its id or by a failed member: one look at it, one PUT, and every row of its table."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import BEARER, ENDPOINT, PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, START, TASKS, Function

GROUP = "8a1f6f0e-3c0b-4f55-9f0e-2b6a4f1c7d11"
SHOW_GROUP = f"{ENDPOINT}/v2/{PROJECT}/taskgroups/{GROUP}"
RETRY = f"{SHOW_GROUP}/retry"
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
MEMBER = shown(group_type="GROUP_TASK", group_id=GROUP)
LIST_KEY = f"oms/task_group/{GROUP}/failed_object_lists/4948897000000.failed_list.txt"
Make = Callable[..., Function]


def group(status: Any = 5, **changes: Any) -> dict[str, Any]:
    """A task group as ShowTaskGroup answers it."""
    document = {
        "group_id": GROUP,
        "status": status,
        "task_type": "PREFIX",
        "error_reason": {"error_code": "TRF.0061", "error_msg": "Destination abnormal."} if status in (4, 5) else None,
        "enable_restore": False,
        "enable_failed_object_recording": True,
        "failed_object_record": {"result": None, "list_file_key": None, "error_code": None},
        "total_task_num": 40,
        "failed_task_num": 3,
        "fail_num": 17,
    }
    return document | changes


def event(event_id: str = "e-1", **data: Any) -> dict[str, Any]:
    """A CloudEvent that says that the member failed, or what `data` names instead."""
    attributes = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": event_id}
    return attributes | {"data": data or {"task_id": TASK}}


def methods(httpx_mock: HTTPXMock) -> list[str]:
    """The calls that were made, in short."""
    names = {SHOW: "task", SHOW_GROUP: "group", RETRY: "retry"}
    return [f"{request.method} {names[str(request.url)]}" for request in httpx_mock.get_requests()]


def said(receipt: dict[str, Any]) -> str:
    return f"{receipt['outcome']} {receipt.get('reason', '')}".strip()


def test_a_failed_member_makes_two_looks_and_one_put(function: Function, httpx_mock: HTTPXMock) -> None:
    """One look at the task, and one at the group."""
    httpx_mock.add_response(method="GET", url=SHOW, json=MEMBER)
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group(failed_object_record={"list_file_key": LIST_KEY}))
    httpx_mock.add_response(method="PUT", url=RETRY, headers={"X-Request-Id": "0a-1"})
    assert function.post(json=event(), headers=STRUCTURED).status_code == 204
    assert methods(httpx_mock) == ["GET task", "GET group", "PUT retry"]
    put = httpx_mock.get_requests()[-1]
    assert json.loads(put.content) == {
        "src_ak": "src_ak",
        "src_sk": "src_sk",
        "dst_ak": "dst_ak",
        "dst_sk": "dst_sk",
        "migrate_failed_object": False,
    }
    assert put.headers["content-type"] == "application/json;charset=utf-8"
    assert put.headers["x-project-id"] == PROJECT
    assert function.receipt() | {"time": "", "duration_ms": 0} == {
        "time": "",
        "severity": "INFO",
        "message": f"Started task group {GROUP} (all objects)",
        "outcome": "started",
        "dialect": "cloudevent",
        "intent": "failed",
        "event_id": "e-1",
        "task_id": str(TASK),
        "task_name": TASK_NAME,
        "group_id": GROUP,
        "project_id": PROJECT,
        "region": "cn-north-4",
        "credentials": "default",
        "migrate_failed_object": False,
        "failure_reason": "TRF.0061",
        "failure_class": "transient",
        "failed_objects": 17,
        "failed_objects_list": LIST_KEY,
        "start_called": True,
        "oms_status": 200,
        "oms_request_id": "0a-1",
        "attempt": 1,
        "duration_ms": 0,
    }


def test_a_group_by_its_id_is_one_look_and_one_put(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group())
    httpx_mock.add_response(method="PUT", url=RETRY)
    reply = function.post(json={"group_id": GROUP})
    assert reply.status_code == 200
    assert (reply.json()["outcome"], reply.json()["group_id"], "task_id" in reply.json()) == ("started", GROUP, False)
    assert methods(httpx_mock) == ["GET group", "PUT retry"]


def test_a_member_by_its_name_is_listed_shown_and_retried_with_its_group(
    function: Function, httpx_mock: HTTPXMock
) -> None:
    listing = httpx.URL(TASKS, params={"limit": "50", "offset": "0", "task_name": TASK_NAME})
    httpx_mock.add_response(url=listing, json={"tasks": [MEMBER], "count": 1})
    httpx_mock.add_response(url=SHOW, json=MEMBER)
    httpx_mock.add_response(url=SHOW_GROUP, json=group())
    httpx_mock.add_response(method="PUT", url=RETRY)
    assert function.post(json=event(task_name=TASK_NAME), headers=STRUCTURED).status_code == 204
    assert said(function.receipt()) == "started"


ROWS: list[tuple[dict[str, Any], str, str]] = [
    (group(0), "deferred group_running", "deferred group_running"),
    (group(1), "deferred group_running", "deferred group_running"),
    (group(2), "deferred group_running", "deferred group_running"),
    (group(3), "refused paused", "refused paused_group"),
    (group(4), "started", "started"),
    (group(5), "started", "started"),
    (group(6), "nothing_to_do", "nothing_to_do"),
    (group(7), "deferred pausing", "deferred pausing"),
    (group(8), "not_found no_such_group", "not_found no_such_group"),
    (group(9), "not_found no_such_group", "not_found no_such_group"),
    (group(10), "deferred unknown_status", "deferred unknown_status"),
    (group(None), "deferred unknown_status", "deferred unknown_status"),
    (group("5"), "deferred unknown_status", "deferred unknown_status"),
    (group(True), "deferred unknown_status", "deferred unknown_status"),  # noqa: FBT003
    (group(enable_restore=True), "refused archive_restore", "refused archive_restore"),
    (group(error_reason={"error_code": "TRF.0055"}), "refused permanent_failure", "started"),
    (group(error_reason={"error_code": "TRF.9999"}), "started", "started"),
    (group(error_reason=None), "started", "started"),
]
STATUSES = {"started": (204, 200), "nothing_to_do": (204, 200), "refused": (204, 409), "deferred": (503, 503)}
STATUSES |= {"not_found": (422, 404), "rejected": (422, 422), "unavailable": (503, 503)}


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("by", ["id", "member"])
@pytest.mark.parametrize(("found", "failed", "requested"), ROWS)
def test_a_row_of_the_table_for_both_intents(
    found: dict[str, Any], failed: str, requested: str, by: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    """The reason, the restore flag and the list are the group's own: the member's would forbid a start here."""
    member = MEMBER | {"enable_restore": True, "error_reason": {"error_code": "TRF.0012"}}
    httpx_mock.add_response(url=SHOW, json=member, is_reusable=True, is_optional=True)
    httpx_mock.add_response(url=SHOW_GROUP, json=found, is_reusable=True)
    for _ in range([failed, requested].count("started")):
        httpx_mock.add_response(method="PUT", url=RETRY)
    request = {"task_id": TASK} if by == "member" else {"group_id": GROUP}
    to_event = function.post(json=event(**request), headers=STRUCTURED)
    to_direct = function.post(json=request)
    assert to_event.status_code == STATUSES[failed.split(maxsplit=1)[0]][0]
    assert to_direct.status_code == STATUSES[requested.split(maxsplit=1)[0]][1]
    receipts = function.receipts()
    assert [said(receipt) for receipt in receipts] == [failed, requested]
    assert {receipt["group_id"] for receipt in receipts} == {GROUP}
    assert {receipt.get("task_id") for receipt in receipts} == {str(TASK) if by == "member" else None}


@pytest.mark.parametrize(
    ("task", "failed", "requested", "group_asked"),
    [
        ({"status": 1}, "already_running", "already_running", 0),
        ({"status": 2}, "already_running", "already_running", 0),
        ({"status": 6}, "already_running", "already_running", 0),
        ({"status": 5}, "nothing_to_do", "nothing_to_do", 0),
        ({"status": 7}, "deferred pausing", "deferred pausing", 0),
        ({"status": 3}, "refused paused", "refused paused_group", 1),
        ({"status": 0}, "deferred unknown_status", "deferred unknown_status", 0),
        ({"group_type": "SYNC_TASK"}, "refused sync_task", "refused sync_task", 0),
        ({"group_id": ""}, "refused group_unknown", "refused group_unknown", 0),
        ({"group_id": None}, "refused group_unknown", "refused group_unknown", 0),
        ({"group_id": 7}, "refused group_unknown", "refused group_unknown", 0),
        ({"group_id": "../tasks/1/start?"}, "refused group_unknown", "refused group_unknown", 0),
        ({"group_id": f"{GROUP}\n"}, "refused group_unknown", "refused group_unknown", 0),
        ({"group_id": "a" * 256}, "refused group_unknown", "refused group_unknown", 0),
        ({"group_type": "NORMAL_TASK"}, "refused paused", "refused paused_group", 2),
        ({"group_type": None}, "refused paused", "refused paused_group", 2),
    ],
)
def test_the_rows_of_the_member_come_first(
    task: dict[str, Any], failed: str, requested: str, group_asked: int, function: Function, httpx_mock: HTTPXMock
) -> None:
    """A group is asked about only by an id that is safe in a path."""
    httpx_mock.add_response(url=SHOW, json=MEMBER | task, is_reusable=True)
    httpx_mock.add_response(url=SHOW_GROUP, json=group(3), is_reusable=True, is_optional=True)
    function.post(json=event(), headers=STRUCTURED)
    function.post(json={"task_id": TASK})
    assert [said(receipt) for receipt in function.receipts()] == [failed, requested]
    assert methods(httpx_mock).count("GET group") == group_asked


ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"status_code": 404}, "not_found no_such_group"),
    ({"status_code": 400, "json": {"error_code": "OMS.1009"}}, "not_found no_such_group"),
    ({"status_code": 400, "json": {"error_code": "OMS.0054"}}, "not_found no_such_group"),
    ({"status_code": 401}, "rejected credentials"),
    ({"status_code": 401, "json": {"error_code": "APIGW.0301"}}, "rejected credentials"),
    ({"status_code": 403, "json": {"error_code": "APIGW.0302"}}, "rejected credentials"),
    ({"status_code": 400, "json": {"error_code": "OMS.0068"}}, "rejected credentials"),
    ({"status_code": 403}, "rejected group_permission"),
    ({"status_code": 403, "html": "<h1>Forbidden</h1>"}, "rejected group_permission"),
    ({"status_code": 403, "json": {"error_code": "OMS.0206"}}, "rejected group_permission"),
    ({"status_code": 403, "json": {"error_code": "APIGW.0802"}}, "rejected group_permission"),
    ({"status_code": 429}, "unavailable throttled"),
    ({"status_code": 429, "json": {"error_code": "APIGW.0308"}}, "unavailable throttled"),
    ({"status_code": 500}, "unavailable oms_error"),
    ({"status_code": 400, "json": {"error_code": "OMS.1001"}}, "unavailable oms_error"),
    ({"status_code": 503, "json": {"error_code": "OMS.2004"}}, "unavailable oms_error"),
    ({"status_code": 400, "json": {"error_code": "OMS.0064"}}, "rejected refused_by_oms"),
    ({"status_code": 400, "content": b"[" * 300_000}, "rejected refused_by_oms"),
    ({"status_code": 302, "headers": {"Location": "https://oms.example.com/"}}, "rejected redirect"),
]
UNREADABLE: list[tuple[dict[str, Any], str]] = [
    ({"status_code": 200}, "unavailable unreadable_answer"),
    ({"status_code": 200, "html": "<html>"}, "unavailable unreadable_answer"),
    ({"status_code": 200, "json": []}, "unavailable unreadable_answer"),
    ({"status_code": 200, "json": {}}, "unavailable unreadable_answer"),
    ({"status_code": 200, "json": None}, "unavailable unreadable_answer"),
    ({"status_code": 200, "content": b"[" * 300_000}, "unavailable unreadable_answer"),
    ({"status_code": 200, "content": b'{"status": 5, "x": "' + b"x" * 5_000_000 + b'"}'}, "unavailable"),
    ({"status_code": 200, "json": {"status": {"status": 5}}}, "deferred unknown_status"),
    ({"status_code": 200, "json": {"status": 5.0}}, "deferred unknown_status"),
]


@pytest.mark.parametrize(("answer", "outcome"), ANSWERS + UNREADABLE)
def test_a_group_that_cannot_be_looked_at_is_not_retried(
    answer: dict[str, Any], outcome: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=MEMBER)
    httpx_mock.add_response(url=SHOW_GROUP, **answer)
    assert function.post(json=event(), headers=STRUCTURED).status_code == STATUSES[outcome.split(maxsplit=1)[0]][0]
    receipt = function.receipt()
    assert said(receipt).startswith(outcome)
    assert (receipt["group_id"], receipt["task_id"], receipt["start_called"]) == (GROUP, str(TASK), False)


@pytest.mark.parametrize("failure", [httpx.ConnectError("no"), httpx.ReadTimeout("no")])
def test_a_group_that_does_not_answer_is_not_retried(
    failure: httpx.TransportError, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_exception(failure, url=SHOW_GROUP)
    assert function.post(json={"group_id": GROUP}).status_code == 503
    assert (function.receipt()["outcome"], methods(httpx_mock)) == ("unavailable", ["GET group"])


RETRY_ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"status_code": 200}, "started"),
    ({"status_code": 202, "text": "OK"}, "started"),
    ({"status_code": 200, "content": b"[" * 300_000}, "started"),
    ({"status_code": 400, "json": {"error_code": "OMS.0065"}}, "already_running"),
    ({"status_code": 400, "json": {"error_code": "OMS.0070"}}, "nothing_to_do"),
    ({"status_code": 400, "json": {"error_code": "OMS.1037"}}, "rejected refused_by_oms"),
    ({"status_code": 400, "json": {"error_code": ["OMS.1036"]}}, "rejected refused_by_oms"),
]


@pytest.mark.parametrize(("answer", "outcome"), ANSWERS + RETRY_ANSWERS)
def test_the_answer_to_the_retry_decides_and_there_is_no_second_one(
    answer: dict[str, Any], outcome: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group())
    httpx_mock.add_response(method="PUT", url=RETRY, **answer)
    status = (STATUSES | {"already_running": (204, 200)})[outcome.split(maxsplit=1)[0]][1]
    assert function.post(json={"group_id": GROUP}).status_code == status
    receipt = function.receipt()
    assert (said(receipt), receipt["start_called"]) == (outcome, True)
    assert methods(httpx_mock) == ["GET group", "PUT retry"]


@pytest.mark.parametrize("code", ["OMS.1036", "OMS.1040"])
@pytest.mark.parametrize(
    ("then", "outcome"),
    [
        ({"json": group(0)}, "deferred group_running"),
        ({"json": group(2)}, "deferred group_running"),
        ({"json": group(3)}, "refused paused"),
        ({"json": group(4)}, "rejected refused_by_oms"),
        ({"json": group(5)}, "rejected refused_by_oms"),
        ({"json": group(6)}, "nothing_to_do"),
        ({"json": group(7)}, "deferred pausing"),
        ({"json": group(9)}, "not_found no_such_group"),
        ({"json": group(44)}, "deferred unknown_status"),
        ({"status_code": 404}, "not_found no_such_group"),
        ({"status_code": 503}, "unavailable oms_error"),
    ],
)
def test_a_group_whose_state_forbids_a_retry_is_looked_at_again(
    then: dict[str, Any], outcome: str, code: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    """Once more, and the row of its state decides."""
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group())
    httpx_mock.add_response(method="PUT", url=RETRY, status_code=400, json={"error_code": code})
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, **then)
    reply = function.post(json=event(group_id=GROUP), headers=STRUCTURED)
    assert reply.status_code == STATUSES[outcome.split(maxsplit=1)[0]][0]
    receipt = function.receipt()
    assert (said(receipt), receipt["oms_error_code"], receipt["start_called"]) == (outcome, code, True)
    assert methods(httpx_mock) == ["GET group", "PUT retry", "GET group"]


def test_a_retry_that_oms_refused_does_not_count_in_the_budget(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group(), is_reusable=True)
    httpx_mock.add_response(method="PUT", url=RETRY, status_code=400, json={"error_code": "OMS.1040"})
    httpx_mock.add_response(method="PUT", url=RETRY)
    for event_id in ("e-1", "e-2"):
        function.post(json=event(event_id, group_id=GROUP), headers=STRUCTURED)
    assert [(said(receipt), receipt["attempt"]) for receipt in function.receipts()] == [
        ("rejected refused_by_oms", 1),
        ("started", 1),
    ]


@pytest.mark.parametrize(
    ("seen_afterwards", "outcome"),
    [
        ({"json": group(0)}, "started"),
        ({"json": group(1)}, "started"),
        ({"json": group(2)}, "started"),
        ({"json": group(3)}, "unconfirmed timeout"),
        ({"json": group(5)}, "unconfirmed timeout"),
        ({"json": group(6)}, "unconfirmed timeout"),
        ({"status_code": 500}, "unconfirmed timeout"),
        ({"html": "<html>"}, "unconfirmed timeout"),
    ],
)
def test_a_retry_without_an_answer_is_never_sent_again(
    seen_afterwards: dict[str, Any], outcome: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    """The group is looked at again."""
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group())
    httpx_mock.add_exception(httpx.ReadTimeout("no answer"), method="PUT", url=RETRY)
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, **seen_afterwards)
    assert function.post(json={"group_id": GROUP}).status_code == (200 if outcome == "started" else 503)
    receipt = function.receipt()
    assert (said(receipt), receipt["start_called"]) == (outcome, True)
    assert methods(httpx_mock) == ["GET group", "PUT retry", "GET group"]


def test_without_a_connection_no_group_was_retried(function: Function, httpx_mock: HTTPXMock) -> None:
    """Nothing is looked at again."""
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group())
    httpx_mock.add_exception(httpx.ConnectError("refused"), method="PUT", url=RETRY)
    assert function.post(json={"group_id": GROUP}).status_code == 503
    receipt = function.receipt()
    assert (said(receipt), receipt["start_called"]) == ("unavailable no_connection", False)


def all_at_once(function: Function, bodies: list[dict[str, Any]]) -> list[int]:
    """The statuses of events that are delivered at the same moment."""

    async def post() -> list[int]:
        transport = httpx.ASGITransport(function.app)
        headers = STRUCTURED | {"Authorization": f"Bearer {BEARER}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://function") as client:
            replies = await asyncio.gather(*(client.post("/", json=body, headers=headers) for body in bodies))
            return [reply.status_code for reply in replies]

    return function.run(post())


@pytest.mark.usefixtures("unmeasured")
def test_forty_notices_of_forty_members_at_once_make_one_put(function: Function, httpx_mock: HTTPXMock) -> None:
    """Each of the forty has its own outcome and receipt."""
    members = range(1001, 1041)
    for number in members:
        task = MEMBER | {"id": number, "name": f"member-{number}"}
        httpx_mock.add_response(url=f"{TASKS}/{number}", json=task)
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group(), is_reusable=True)
    httpx_mock.add_response(method="PUT", url=RETRY)
    statuses = all_at_once(function, [event(f"e-{number}", task_id=number) for number in members])
    assert Counter(statuses) == {204: 1, 503: 39}
    receipts = function.receipts()
    assert {receipt["task_id"] for receipt in receipts} == {str(number) for number in members}
    assert {receipt["group_id"] for receipt in receipts} == {GROUP}
    counted = Counter(said(receipt) for receipt in receipts)
    assert counted.pop("started") == 1
    assert set(counted) <= {"deferred backoff", "deferred in_progress"}


def test_the_budget_and_the_backoff_are_the_groups(make_function: Make, httpx_mock: HTTPXMock) -> None:
    """Whichever member failed."""
    httpx_mock.add_response(url=SHOW, json=MEMBER, is_reusable=True)
    httpx_mock.add_response(url=f"{TASKS}/7", json=MEMBER | {"id": 7}, is_reusable=True)
    document = group(failed_object_record={"result": True, "list_file_key": LIST_KEY})
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=document, is_reusable=True)
    httpx_mock.add_response(method="PUT", url=RETRY)
    httpx_mock.add_response(method="PUT", url=RETRY)
    function = make_function(RESTART_BUDGET="2/24h", RESTART_BACKOFF="0")
    requests: list[dict[str, Any]] = [{"task_id": TASK}, {"task_id": 7}, {"group_id": GROUP}, {"task_id": 7}]
    for number, request in enumerate(requests):
        function.post(json=event(f"e-{number}", **request), headers=STRUCTURED)
    receipts = function.receipts()
    assert [(said(receipt), receipt.get("attempt"), receipt["severity"]) for receipt in receipts] == [
        ("started", 1, "INFO"),
        ("started", 2, "INFO"),
        ("refused budget_exhausted", None, "ERROR"),
        ("refused budget_exhausted", None, "INFO"),
    ]
    assert "advice" not in receipts[3]
    assert receipts[2]["advice"] == (
        "Wait until the destination's storage service is healthy again (2 restarts within 24h did not help; the failed "
        f"objects are listed in the destination bucket in {LIST_KEY}), then start it by hand: with a direct call of "
        f"group_id {GROUP}, or in OMS's console"
    )


def test_the_budget_of_a_task_is_not_that_of_a_group_with_the_same_id(
    make_function: Make, httpx_mock: HTTPXMock
) -> None:
    function = make_function()
    of_group = f"{ENDPOINT}/v2/{PROJECT}/taskgroups/{TASK}"
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    httpx_mock.add_response(method="GET", url=of_group, json=group(group_id=str(TASK)))
    httpx_mock.add_response(method="PUT", url=f"{of_group}/retry")
    function.post(json=event("e-1"), headers=STRUCTURED)
    function.post(json=event("e-2", group_id=str(TASK)), headers=STRUCTURED)
    assert [said(receipt) for receipt in function.receipts()] == ["started", "started"]


def test_a_dry_run_says_which_group_would_be_retried(make_function: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=MEMBER)
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group())
    make_function(RESTART_DRY_RUN="true").post(json=event(), headers=STRUCTURED)
    assert methods(httpx_mock) == ["GET task", "GET group"]


@pytest.mark.parametrize(
    ("tokens", "found", "outcome"),
    [
        ({"OMS_SRC_SECURITY_TOKEN": "t"}, group(), "refused temporary_keys"),
        ({"OMS_DST_SECURITY_TOKEN": "t"}, group(), "refused temporary_keys"),
        ({"OMS_DST_SECURITY_TOKEN": "t"}, group(task_type="URL_LIST"), "refused temporary_keys"),
        ({"OMS_SRC_SECURITY_TOKEN": "t"}, group(task_type="URL_LIST"), "started"),
        ({"OMS_DST_SECURITY_TOKEN": "t"}, group(2), "deferred group_running"),
        ({"OMS_DST_SECURITY_TOKEN": "t"}, group(enable_restore=True), "refused temporary_keys"),
    ],
)
def test_temporary_keys_retry_no_group_and_no_token_is_ever_sent(
    tokens: dict[str, str], found: dict[str, Any], outcome: str, make_function: Make, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=found, is_reusable=True)
    httpx_mock.add_response(method="PUT", url=RETRY, is_reusable=True, is_optional=True)
    function = make_function(**tokens)
    function.post(json={"group_id": GROUP})
    function.post(json=event(group_id=GROUP), headers=STRUCTURED)
    assert [said(receipt) for receipt in function.receipts()] == [outcome, outcome]
    assert not [request for request in httpx_mock.get_requests() if b"security_token" in request.content]


def test_temporary_keys_of_another_profile_do_not_matter(make_function: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group(), is_reusable=True)
    httpx_mock.add_response(method="PUT", url=RETRY)
    keys = {"DST_AK": "a", "DST_SK": "b", "DST_SECURITY_TOKEN": "t"}
    function = make_function(**{f"OMS_PROFILES__OTHER__{name}": value for name, value in keys.items()})
    assert function.post(json={"group_id": GROUP}).status_code == 200
    assert function.post(json={"group_id": GROUP, "credentials": "other"}).json()["reason"] == "temporary_keys"


def test_a_group_of_a_url_list_is_sent_no_source_keys(function: Function, httpx_mock: HTTPXMock) -> None:
    listed = {"result": True, "list_file_key": LIST_KEY}
    httpx_mock.add_response(url=SHOW_GROUP, json=group(task_type="URL_LIST", failed_object_record=listed))
    httpx_mock.add_response(method="PUT", url=RETRY)
    function.post(json={"group_id": GROUP})
    body = json.loads(httpx_mock.get_requests()[-1].content)
    assert body == {"dst_ak": "dst_ak", "dst_sk": "dst_sk", "migrate_failed_object": True}


@pytest.mark.parametrize(
    ("setting", "asked", "changes", "sent"),
    [
        ("auto", None, {}, False),
        ("auto", None, {"failed_object_record": {"result": True}}, True),
        ("auto", None, {"failed_object_record": {"result": True}, "fail_num": 0}, False),
        ("auto", None, {"failed_object_record": {"result": True}, "enable_failed_object_recording": False}, False),
        ("true", None, {}, True),
        ("false", None, {"failed_object_record": {"result": True}}, False),
        ("false", True, {}, True),
    ],
)
def test_failed_objects_only_by_the_same_rule_as_for_tasks(
    setting: str,
    asked: bool | None,  # noqa: FBT001  # a column of the table
    changes: dict[str, Any],
    sent: bool,  # noqa: FBT001
    make_function: Make,
    httpx_mock: HTTPXMock,
) -> None:
    httpx_mock.add_response(url=SHOW_GROUP, json=group(**changes))
    httpx_mock.add_response(method="PUT", url=RETRY)
    request: dict[str, Any] = {"group_id": GROUP} | ({} if asked is None else {"migrate_failed_object": asked})
    make_function(OMS_MIGRATE_FAILED_OBJECT=setting).post(json=request)
    assert json.loads(httpx_mock.get_requests()[-1].content)["migrate_failed_object"] is sent


@pytest.mark.parametrize("refused", ["show", "retry"])
def test_a_403_on_groups_is_no_word_about_the_key(refused: str, function: Function, httpx_mock: HTTPXMock) -> None:
    """A key without the rights to groups goes on starting tasks."""
    forbidden: dict[str, Any] = {"status_code": 403, "json": {"error_code": "OMS.0206"}}
    if refused == "show":
        httpx_mock.add_response(method="GET", url=SHOW_GROUP, is_reusable=True, **forbidden)
    else:
        httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group(), is_reusable=True)
        httpx_mock.add_response(method="PUT", url=RETRY, is_reusable=True, **forbidden)
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    for _ in range(3):
        reply = function.post(json={"group_id": GROUP})
        assert (reply.status_code, reply.json()["reason"]) == (422, "group_permission")
        assert "oms:taskgroup:update" in reply.json()["advice"]
    assert function.post(json={"task_id": TASK}).status_code == 200


def test_a_key_that_the_gateway_refuses_for_a_group_is_not_used_again(
    function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="GET", url=SHOW_GROUP, status_code=401, json={"error_code": "APIGW.0301"})
    assert function.post(json={"group_id": GROUP}).json()["reason"] == "credentials"
    assert function.post(json={"group_id": GROUP}).status_code == 503
    assert said(function.receipts()[1]) == "deferred credentials"


def test_a_notice_that_came_while_the_group_ran_restarts_it(function: Function, httpx_mock: HTTPXMock) -> None:
    """When it comes again."""
    httpx_mock.add_response(url=SHOW, json=MEMBER, is_reusable=True)
    for status in (2, 5, 2):
        httpx_mock.add_response(method="GET", url=SHOW_GROUP, json=group(status))
    httpx_mock.add_response(method="PUT", url=RETRY)
    first = function.post(json=event(), headers=STRUCTURED)
    assert (first.status_code, first.headers["retry-after"]) == (503, "60")
    function.post(json=event(), headers=STRUCTURED)
    function.post(json=event(), headers=STRUCTURED)
    function.post(json=event("of another member"), headers=STRUCTURED)
    outcomes = [said(receipt) for receipt in function.receipts()]
    assert outcomes == ["deferred group_running", "started", "duplicate", "deferred group_running"]


@pytest.mark.parametrize("group_id", ["", "a b", "../a", "é", "a" * 256, 7, True, None])
def test_an_id_that_is_none_is_malformed_and_nobody_is_asked(group_id: Any, function: Function) -> None:
    reply = function.post(json={"group_id": group_id})
    assert (reply.status_code, function.receipt()["outcome"]) == (400, "malformed")
