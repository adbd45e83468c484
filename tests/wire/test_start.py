"""What goes over the wire for one delivery, and what comes back."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import BEARER, PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, START, TASKS, Function

FAILED_EVENT = {
    "specversion": "1.0",
    "type": "oms.task.failed",
    "source": "/oms/cn-north-4",
    "id": "event-1",
    "data": {"task_id": TASK},
}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def notice(message: str, **changes: Any) -> dict[str, Any]:
    """What FunctionGraph's SMN trigger posts for one message."""
    smn = {
        "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:oms-failed",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message_attributes": None,
        "message": message,
        "type": "notification",
        "message_id": "a51671f77d4a479cacb09e2cd591a983",
        "subject": "OMS",
    }
    return {"record": [{"event_version": "1.0", "smn": smn | changes, "event_source": "smn"}]}


def page(*tasks: dict[str, object]) -> dict[str, object]:
    """A page of ListTasks."""
    return {"tasks": list(tasks), "count": len(tasks)}


def listing(name: str, offset: int = 0) -> httpx.URL:
    """The address of a page of ListTasks."""
    return httpx.URL(TASKS, params={"limit": "50", "offset": str(offset), "task_name": name})


def test_a_direct_call_makes_one_post_with_every_key(function: Function, httpx_mock: HTTPXMock) -> None:
    """The reply is the receipt."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START, headers={"X-Request-Id": "0a-1"})
    reply = function.post(json={"task_id": TASK, "reason": "nightly run"})
    post = httpx_mock.get_requests(method="POST")[0]
    assert json.loads(post.content) == {
        "src_ak": "src_ak",
        "src_sk": "src_sk",
        "dst_ak": "dst_ak",
        "dst_sk": "dst_sk",
        "migrate_failed_object": False,
    }
    assert post.headers["content-type"] == "application/json;charset=utf-8"
    assert post.headers["x-project-id"] == PROJECT
    assert post.headers["authorization"].startswith("SDK-HMAC-SHA256 Access=AKEXAMPLE0000000001, SignedHeaders=")
    assert reply.status_code == 200
    assert reply.json() == function.receipt()
    assert reply.json() | {"time": "", "duration_ms": 0} == {
        "time": "",
        "severity": "INFO",
        "message": f"Started task {TASK} (all objects)",
        "outcome": "started",
        "reason": "nightly run",
        "dialect": "direct",
        "intent": "requested",
        "task_id": str(TASK),
        "task_name": TASK_NAME,
        "project_id": PROJECT,
        "region": "cn-north-4",
        "credentials": "default",
        "migrate_failed_object": False,
        "failure_reason": "TRF.0001",
        "failure_class": "transient",
        "failed_objects": 0,
        "start_called": True,
        "oms_status": 200,
        "oms_request_id": "0a-1",
        "duration_ms": 0,
    }


def test_the_receipt_begins_with_its_time_in_utc_with_milliseconds(function: Function) -> None:
    before = datetime.now(UTC)
    function.post(json={"task_id": TASK, "task_name": "both"})
    receipt, after = function.receipt(), datetime.now(UTC)
    assert next(iter(receipt)) == "time"
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z", receipt["time"])
    assert before - timedelta(milliseconds=1) <= datetime.fromisoformat(receipt["time"]) <= after


def test_one_function_sends_each_start_its_own_body(function: Function, httpx_mock: HTTPXMock) -> None:
    """A body is kept for all tasks that are started in the same way, and for no other."""
    ways = [(kind, asked) for kind in ("object", "url_list") for asked in (True, False)] * 2
    for kind, asked in ways:
        httpx_mock.add_response(url=SHOW, json=shown(task_type=kind))
        httpx_mock.add_response(method="POST", url=START)
        assert function.post(json={"task_id": TASK, "migrate_failed_object": asked}).status_code == 200
    bodies = [json.loads(request.content) for request in httpx_mock.get_requests() if request.method == "POST"]
    sent = [("object" if "src_ak" in body else "url_list", body["migrate_failed_object"]) for body in bodies]
    assert sent == ways


def test_an_event_that_started_a_task_is_answered_204_without_a_body(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    reply = function.post(json=FAILED_EVENT, headers=STRUCTURED | trace)
    assert (reply.status_code, reply.content) == (204, b"")
    receipt = function.receipt()
    assert receipt["outcome"] == "started"
    assert receipt["event_id"] == "event-1"
    assert receipt["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_notice_with_only_a_name_starts_the_task_of_that_name(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """Of exactly that name. ListTasks matches fuzzily: a longer name that holds this one is another task."""
    longer = shown(id=1, name="other-" + TASK_NAME)
    httpx_mock.add_response(method="GET", url=listing(TASK_NAME), json=page(longer, shown()))
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    function = make_function(CALLER_TRUST_PLATFORM="true")
    reply = function.request("POST", "/invoke", json=notice(f'{{"task_name": "{TASK_NAME}"}}'))
    assert reply.status_code == 204
    assert [request.method for request in httpx_mock.get_requests()] == ["GET", "GET", "POST"]
    assert function.receipt()["task_id"] == str(TASK)


def test_a_name_is_looked_for_on_every_page(function: Function, httpx_mock: HTTPXMock) -> None:
    others = [shown(id=n, name=f"{TASK_NAME}{n}") for n in range(50)]
    httpx_mock.add_response(url=listing(TASK_NAME), json=page(*others))
    httpx_mock.add_response(url=listing(TASK_NAME, 50), json=page(shown()))
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    assert function.post(json={"task_name": TASK_NAME}).status_code == 200


@pytest.mark.parametrize(
    ("found", "outcome", "reason", "direct", "event"),
    [
        ([], "not_found", "no_such_task", 404, 422),
        ([shown(id=1, name="x" + TASK_NAME)], "not_found", "no_such_task", 404, 422),
        ([shown(id=1), shown(id=2)], "rejected", "ambiguous_task_name", 422, 422),
    ],
)
def test_a_name_of_no_task_or_of_several_starts_nothing(
    found: list[dict[str, object]],
    outcome: str,
    reason: str | None,
    direct: int,
    event: int,
    function: Function,
    httpx_mock: HTTPXMock,
) -> None:
    httpx_mock.add_response(url=listing(TASK_NAME), json=page(*found), is_reusable=True)
    assert function.post(json={"task_name": TASK_NAME}).status_code == direct
    assert function.post(json=notice(f"task {TASK_NAME} failed")).status_code == event
    for receipt in function.receipts():
        assert (receipt["outcome"], receipt.get("reason"), receipt["severity"]) == (outcome, reason, "ERROR")


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("task", "intent_failed", "requested"),
    [
        (shown(1), "already_running", "already_running"),
        (shown(2), "already_running", "already_running"),
        (shown(3), "refused paused", "started"),
        (shown(4), "started", "started"),
        (shown(5), "nothing_to_do", "nothing_to_do"),
        (shown(6), "already_running", "already_running"),
        (shown(7), "deferred pausing", "deferred pausing"),
        (shown(0), "deferred unknown_status", "deferred unknown_status"),
        (shown(4, group_type="GROUP_TASK"), "refused group_unknown", "refused group_unknown"),
        (shown(4, group_id="../a"), "refused group_unknown", "refused group_unknown"),
        (shown(4, group_id=7), "refused group_unknown", "refused group_unknown"),
        (shown(4, group_type="SYNC_TASK"), "refused sync_task", "refused sync_task"),
    ],
)
def test_the_status_and_the_kind_of_a_task_decide(
    task: dict[str, object], intent_failed: str, requested: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=task, is_reusable=True)
    starts = [intent_failed, requested].count("started")
    for _ in range(starts):
        httpx_mock.add_response(method="POST", url=START)
    statuses = {"already_running": (204, 200), "nothing_to_do": (204, 200), "started": (204, 200)}
    statuses |= {"refused": (204, 409), "deferred": (503, 503)}
    event = function.post(json=FAILED_EVENT, headers=STRUCTURED)
    direct = function.post(json={"task_id": TASK})
    assert event.status_code == statuses[intent_failed.partition(" ")[0]][0]
    assert direct.status_code == statuses[requested.partition(" ")[0]][1]
    found = [f"{line['outcome']} {line.get('reason', '')}".strip() for line in function.receipts()]
    assert found == [intent_failed, requested]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("answer", "outcome", "reason", "direct", "event", "severity"),
    [
        ({"status_code": 200}, "started", None, 200, 204, "INFO"),
        ({"status_code": 204}, "started", None, 200, 204, "INFO"),
        ({"status_code": 200, "text": "OK"}, "started", None, 200, 204, "INFO"),
        ({"status_code": 400, "json": {"error_code": "OMS.0065"}}, "already_running", None, 200, 204, "INFO"),
        ({"status_code": 400, "json": {"error_code": "OMS.0070"}}, "nothing_to_do", None, 200, 204, "INFO"),
        ({"status_code": 400, "json": {"error_code": "OMS.1009"}}, "not_found", "no_such_task", 404, 422, "ERROR"),
        ({"status_code": 400, "json": {"error_code": "OMS.0054"}}, "not_found", "no_such_task", 404, 422, "ERROR"),
        ({"status_code": 404}, "not_found", "no_such_task", 404, 422, "ERROR"),
        ({"status_code": 401, "json": {"error_code": "APIGW.0301"}}, "rejected", "credentials", 422, 422, "ERROR"),
        ({"status_code": 400, "json": {"error_code": "APIGW.0303"}}, "rejected", "credentials", 422, 422, "ERROR"),
        ({"status_code": 403}, "rejected", "credentials", 422, 422, "ERROR"),
        ({"status_code": 400, "json": {"error_code": "OMS.0068"}}, "rejected", "credentials", 422, 422, "ERROR"),
        ({"status_code": 400, "json": {"error_code": "OMS.1005"}}, "rejected", "credentials", 422, 422, "ERROR"),
        ({"status_code": 400, "json": {"error_code": "OMS.0072"}}, "rejected", "credentials", 422, 422, "ERROR"),
        ({"status_code": 403, "json": {"error_code": "OMS.0206"}}, "rejected", "credentials", 422, 422, "ERROR"),
        ({"status_code": 429}, "unavailable", "throttled", 503, 503, "WARNING"),
        ({"status_code": 429, "json": {"error_code": "APIGW.0308"}}, "unavailable", "throttled", 503, 503, "WARNING"),
        ({"status_code": 500}, "unavailable", "oms_error", 503, 503, "WARNING"),
        ({"status_code": 502, "html": "<h1>Bad gateway</h1>"}, "unconfirmed", "oms_error", 503, 503, "WARNING"),
        ({"status_code": 400, "json": {"error_code": "OMS.1001"}}, "unavailable", "oms_error", 503, 503, "WARNING"),
        ({"status_code": 400, "json": {"error_code": "OMS.0062"}}, "unavailable", "oms_error", 503, 503, "WARNING"),
        ({"status_code": 503, "json": {"error_code": "OMS.2004"}}, "unavailable", "oms_error", 503, 503, "WARNING"),
        ({"status_code": 400, "json": {"error_code": "OMS.0064"}}, "rejected", "refused_by_oms", 422, 422, "ERROR"),
        ({"status_code": 400}, "rejected", "refused_by_oms", 422, 422, "ERROR"),
        (
            {"status_code": 302, "headers": {"Location": "https://oms.example.com/"}},
            *("rejected", "redirect", 422, 422, "ERROR"),
        ),
    ],
)
def test_the_answer_to_the_start_decides(
    answer: dict[str, Any],
    outcome: str,
    reason: str | None,
    direct: int,
    event: int,
    severity: str,
    make_function: Callable[..., Function],
    httpx_mock: HTTPXMock,
) -> None:
    """OMS says 400 for nearly everything: the code decides, and the status where there is none."""
    function = make_function(OMS_COOLDOWN="0")
    httpx_mock.add_response(url=SHOW, json=shown(), is_reusable=True)
    httpx_mock.add_response(method="POST", url=START, **answer)
    httpx_mock.add_response(method="POST", url=START, **answer)
    to_direct = function.post(json={"task_id": TASK})
    to_event = function.post(json=FAILED_EVENT, headers=STRUCTURED)
    assert (to_direct.status_code, to_event.status_code) == (direct, event)
    for receipt in function.receipts():
        assert (receipt["outcome"], receipt.get("reason"), receipt["severity"]) == (outcome, reason, severity)
        assert receipt["oms_status"] == answer["status_code"]
        assert receipt["start_called"] is True
        assert receipt.get("oms_error_code") == answer.get("json", {}).get("error_code")
    for reply in (to_direct, to_event):
        if reply.status_code >= 400:
            assert reply.headers["content-type"] == "application/problem+json"
            assert (reply.json()["outcome"], reply.json().get("reason")) == (
                outcome,
                "no_such_task" if outcome == "not_found" else reason,
            )
            assert ("retry-after" in reply.headers) == (reply.status_code == 503)


@pytest.mark.parametrize(
    ("seen_afterwards", "outcome", "reason", "status"),
    [
        (shown(1), "started", None, 204),
        (shown(2), "started", None, 204),
        (shown(6), "started", None, 204),
        (shown(4), "unconfirmed", "timeout", 503),
        (shown(3), "unconfirmed", "timeout", 503),
        (None, "unconfirmed", "timeout", 503),
    ],
)
def test_a_start_without_an_answer_is_never_sent_again(
    seen_afterwards: dict[str, object] | None,
    outcome: str,
    reason: str | None,
    status: int,
    function: Function,
    httpx_mock: HTTPXMock,
) -> None:
    """The task is looked at again."""
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_exception(httpx.ReadTimeout("no answer"), method="POST", url=START)
    if seen_afterwards:
        httpx_mock.add_response(url=SHOW, json=seen_afterwards)
    else:
        httpx_mock.add_response(url=SHOW, status_code=500)
    assert function.post(json=FAILED_EVENT, headers=STRUCTURED).status_code == status
    receipt = function.receipt()
    assert (receipt["outcome"], receipt.get("reason"), receipt["start_called"]) == (outcome, reason, True)


def test_without_a_connection_nothing_was_started(function: Function, httpx_mock: HTTPXMock) -> None:
    """Nothing is looked at again."""
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_exception(httpx.ConnectError("refused"), method="POST", url=START)
    assert function.post(json=FAILED_EVENT, headers=STRUCTURED).status_code == 503
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"], receipt["start_called"]) == ("unavailable", "no_connection", False)


@pytest.mark.parametrize(
    ("answer", "outcome", "reason", "status"),
    [
        ({"status_code": 400, "json": {"error_code": "OMS.1009"}}, "not_found", "no_such_task", 422),
        ({"status_code": 401, "json": {"error_code": "APIGW.0301"}}, "rejected", "credentials", 422),
        ({"status_code": 429}, "unavailable", "throttled", 503),
        ({"status_code": 503}, "unavailable", "oms_error", 503),
        ({"status_code": 200, "html": "<html>"}, "unavailable", "unreadable_answer", 503),
        ({"status_code": 200, "json": {"id": "x", "status": 4}}, "unavailable", "unreadable_answer", 503),
        ({"status_code": 200, "content": b"[" * 300_000}, "unavailable", "unreadable_answer", 503),
    ],
)
def test_a_task_that_cannot_be_looked_at_is_not_started(
    answer: dict[str, Any], outcome: str, reason: str | None, status: int, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, **answer)
    assert function.post(json=FAILED_EVENT, headers=STRUCTURED).status_code == status
    receipt = function.receipt()
    assert (receipt["outcome"], receipt.get("reason"), receipt["start_called"]) == (outcome, reason, False)


@pytest.mark.parametrize("answer", [{"status_code": 500}, {"json": {"count": 0}}, {"text": "no"}])
def test_a_name_that_cannot_be_looked_for_starts_nothing(
    answer: dict[str, Any], function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=listing(TASK_NAME), **answer)
    assert function.post(json={"task_name": TASK_NAME}).status_code == 503


def test_a_task_of_a_url_list_is_started_without_keys_of_a_source(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(task_type="url_list"))
    httpx_mock.add_response(method="POST", url=START)
    function.post(json={"task_id": TASK})
    body = json.loads(httpx_mock.get_requests(method="POST")[0].content)
    assert body == {"dst_ak": "dst_ak", "dst_sk": "dst_sk", "migrate_failed_object": False}


LISTED: dict[str, Any] = {
    "failed_object_record": {"result": True, "list_file_key": "oms/x.txt", "error_code": None},
    "failed_num": 3,
}


@pytest.mark.parametrize(
    ("setting", "asked", "task", "sent"),
    [
        (None, None, shown(**LISTED), True),
        (None, None, shown(), False),
        (None, None, shown(**LISTED, enable_failed_object_recording=False), False),
        (None, None, shown(**(LISTED | {"failed_num": 0})), False),
        ("true", None, shown(), True),
        ("false", None, shown(**LISTED), False),
        ("false", True, shown(), True),
        ("true", False, shown(**LISTED), False),
    ],
)
def test_when_only_failed_objects_are_migrated(
    setting: str | None,
    asked: bool | None,  # noqa: FBT001  # a column of the table
    task: dict[str, object],
    sent: bool,  # noqa: FBT001
    make_function: Callable[..., Function],
    httpx_mock: HTTPXMock,
) -> None:
    """Where a request says so, or the task has a list of them."""
    httpx_mock.add_response(url=SHOW, json=task)
    httpx_mock.add_response(method="POST", url=START)
    function = make_function(OMS_MIGRATE_FAILED_OBJECT=setting)
    function.post(json={"task_id": TASK} | ({} if asked is None else {"migrate_failed_object": asked}))
    assert json.loads(httpx_mock.get_requests(method="POST")[0].content)["migrate_failed_object"] is sent
    assert function.receipt()["migrate_failed_object"] is sent


def test_every_body_field_of_the_api_is_sent_when_it_is_set(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    fields = {
        "src_ak": "a",
        "src_sk": "b",
        "connection_string": "AccountName=x;AccountKey=y",
        "src_crypto_type": "DEFAULT",
        "src_kms_key_id": "k" * 36,
        "json_auth_file": '{"type": "service_account"}',
        "src_security_token": "st",
        "dst_ak": "c",
        "dst_sk": "d",
        "dst_crypto_type": "KMS",
        "dst_kms_key_id": "l" * 36,
        "dst_security_token": "dt",
        "source_cdn_authentication_key": "ck",
        "source_cdn_crypto_type": "DEFAULT",
        "source_cdn_kms_key_id": "m" * 36,
    }
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    make_function(**{f"OMS_{name.upper()}": value for name, value in fields.items()}).post(json={"task_id": TASK})
    body = json.loads(httpx_mock.get_requests(method="POST")[0].content)
    assert body == fields | {"migrate_failed_object": False}


def test_a_token_is_sent_in_place_of_a_signature(make_function: Callable[..., Function], httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START, match_headers={"X-Auth-Token": "a-token"})
    function = make_function(HUAWEICLOUD_SDK_AK=None, HUAWEICLOUD_SDK_SK=None, OMS_AUTH_TOKEN="a-token")
    assert function.post(json={"task_id": TASK}).status_code == 200
    assert all("authorization" not in request.headers for request in httpx_mock.get_requests())


def test_a_second_project_is_called_in_its_own_region(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    there = f"https://oms.la-south-2.myhuaweicloud.com/v2/other/tasks/{TASK}"
    httpx_mock.add_response(url=there, json=shown())
    httpx_mock.add_response(method="POST", url=f"{there}/start", match_headers={"X-Project-Id": "other"})
    function = make_function(OMS_PROJECTS='{"other": "la-south-2"}')
    assert function.post(json={"task_id": TASK, "project_id": "other"}).status_code == 200
    assert function.receipt()["region"] == "la-south-2"


def test_two_records_in_one_delivery_are_two_requests_with_a_receipt_each(
    function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    httpx_mock.add_response(url=f"{TASKS}/7", status_code=500)
    both = notice(f'{{"task_id": {TASK}}}')
    both["record"] += notice('{"task_id": "7"}', message_id="second")["record"]
    assert function.post(json=both).status_code == 503
    assert [receipt["outcome"] for receipt in function.receipts()] == ["started", "unavailable"]


def test_a_token_of_another_length_gets_401(function: Function) -> None:
    """So does no token, and no call is made."""
    for header in (None, "Bearer", "Bearer ", "Bearer x", f"Basic {BEARER}", f"Bearer {BEARER}x", f"Bearer {BEARER}é"):
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        reply = function.request("POST", "/", json={"task_id": TASK}, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert function.receipt()["outcome"] == "unauthenticated"
