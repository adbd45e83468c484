"""The table «sender x outcome -> status» of README, sender by sender, and that all of them mean the same task."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_httpx import HTTPXMock

from example import PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, START, Function

TOPIC = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
GOOGLE = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub.googleapis.com/projects/x"}
Arguments = dict[str, Any]


def encoded(document: Any) -> str:
    return b64encode(json.dumps(document).encode()).decode()


def direct(request: Any) -> Arguments:
    return {"json": request}


def binary(request: Any, kind: str = "oms.task.failed") -> Arguments:
    headers = {"ce-specversion": "1.0", "ce-type": kind, "ce-source": "/oms", "ce-id": "e-1"}
    return {"json": request, "headers": headers}


def event(data: Any, **changes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "e-1", "data": data} | changes


def structured(request: Any, **changes: Any) -> Arguments:
    return {"json": event(request, **changes), "headers": {"Content-Type": "application/cloudevents+json"}}


def batch(request: Any) -> Arguments:
    return {"json": [event(request)], "headers": {"Content-Type": "application/cloudevents-batch+json"}}


def push(request: Any) -> dict[str, Any]:
    return {"message": {"data": encoded(request), "messageId": "m-1"}, "subscription": "projects/x/subscriptions/y"}


def pubsub(request: Any) -> Arguments:
    return {"json": push(request)}


def eventarc(request: Any) -> Arguments:
    return structured(push(request), **GOOGLE)


def notice(request: Any) -> dict[str, Any]:
    return {"topic_urn": TOPIC, "message_id": "m-1", "message": json.dumps(request), "subject": "OMS"}


def smn(request: Any) -> Arguments:
    """The message is signed by nobody here: a token, which SMN can send as a header, authenticates the caller."""
    signed = {"type": "Notification", "signature": "c2ln", "signature_version": "v1"}
    signed["timestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"json": notice(request) | signed}


def functiongraph_smn(request: Any) -> Arguments:
    return {"json": {"record": [{"event_version": "1.0", "event_source": "smn", "smn": notice(request)}]}}


def apig(inside: Arguments) -> Arguments:
    """What APIG's trigger makes of any of the others."""
    headers = {"content-type": "application/json"} | {
        name.lower(): value for name, value in inside.get("headers", {}).items()
    }
    wrapped = {"httpMethod": "POST", "path": "/", "headers": headers, "requestContext": {}, "isBase64Encoded": True}
    return {"json": wrapped | {"body": encoded(inside["json"])}}


# What each sender posts for one request, the dialect that its receipt names, and what it says by that.
FAILED: dict[str, tuple[Callable[[Any], Arguments], str]] = {
    "cloudevent, binary": (binary, "cloudevent"),
    "cloudevent, structured": (structured, "cloudevent"),
    "cloudevents batch": (batch, "cloudevents_batch"),
    "pubsub": (pubsub, "pubsub"),
    "eventarc": (eventarc, "pubsub"),
    "smn": (smn, "smn"),
    "functiongraph smn": (functiongraph_smn, "functiongraph_smn"),
    "apig, cloudevent inside": (lambda request: apig(binary(request)), "cloudevent"),
    "apig, smn inside": (lambda request: apig(smn(request)), "smn"),
}
REQUESTED_EVENTS: dict[str, tuple[Callable[[Any], Arguments], str]] = {
    "cloudevent, start": (lambda request: structured(request, type="oms.task.start"), "cloudevent"),
    "cloudevent, binary start": (lambda request: binary(request, "oms.task.start"), "cloudevent"),
}
DIRECT: dict[str, tuple[Callable[[Any], Arguments], str]] = {
    "direct": (direct, "direct"),
    "apig, direct inside": (lambda request: apig(direct(request)), "direct"),
}
SENDERS = FAILED | REQUESTED_EVENTS | DIRECT

GOOD = {"task_id": TASK}

# Outcome: the request, what OMS says when the task is looked at, status for an event, status for a direct call.
OUTCOMES: dict[str, tuple[dict[str, Any], dict[str, Any] | None, int, int]] = {
    "already_running": (GOOD, {"json": shown(2)}, 204, 200),
    "nothing_to_do": (GOOD, {"json": shown(5)}, 204, 200),
    "ignored": (GOOD | {"task_status": "SUCCESS"}, None, 204, 200),
    "refused": (GOOD, {"json": shown(4, group_type="GROUP_TASK")}, 204, 409),
    "malformed": ({"task_id": "1/../2"}, None, 400, 400),
    "not_found": (GOOD, {"status_code": 400, "json": {"error_code": "OMS.1009"}}, 422, 404),
    "rejected": (GOOD, {"status_code": 401, "json": {"error_code": "APIGW.0301"}}, 422, 422),
    "unavailable": (GOOD, {"status_code": 502, "html": "<h1>Bad gateway</h1>"}, 503, 503),
    "deferred": (GOOD, {"json": shown(7)}, 503, 503),
}


def answer(function: Function, arguments: Arguments) -> tuple[int, dict[str, str], str]:
    """Status, headers and body as the sender's own HTTP client would see them; APIG's are in an object in a 200."""
    reply = function.post(**arguments)
    if "requestContext" not in arguments["json"]:
        return reply.status_code, dict(reply.headers), reply.text
    assert reply.status_code == 200
    inside = reply.json()
    return inside["statusCode"], {name.lower(): value for name, value in inside["headers"].items()}, inside["body"]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("sender", SENDERS)
def test_the_status_for_a_sender_and_an_outcome(
    sender: str, outcome: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    """An event is never answered 404, 408, 409 or 429, which Knative repeats, and never with a body on success."""
    request, answered, to_event, to_direct = OUTCOMES[outcome]
    if answered:
        httpx_mock.add_response(url=SHOW, **answered)
    deliver, dialect = SENDERS[sender]
    status, headers, body = answer(function, deliver(request))
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["dialect"]) == (outcome, dialect)
    assert status == (to_direct if sender in DIRECT else to_event)
    assert ("retry-after" in headers) == (status == 503)
    if status >= 400:
        assert headers["content-type"] == "application/problem+json"
        problem = json.loads(body)
        assert (problem["outcome"], problem["status"], problem.get("reason")) == (
            outcome,
            status,
            "no_such_task" if outcome == "not_found" else receipt.get("reason"),
        )
    elif status == 200:
        assert (json.loads(body), headers["content-type"]) == (receipt, "application/json")
    else:
        assert (body, "content-type" in headers) == ("", False)


@pytest.mark.parametrize("sender", SENDERS)
def test_every_sender_starts_the_same_task_in_the_same_way(
    sender: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    deliver, dialect = SENDERS[sender]
    request = GOOD | {"project_id": PROJECT, "migrate_failed_object": True, "task_status": "FAILED", "reason": "night"}
    status, _, _ = answer(function, deliver(request))
    assert status == (200 if sender in DIRECT else 204)
    body = json.loads(httpx_mock.get_requests(method="POST")[0].content)
    assert body.pop("migrate_failed_object") is True
    assert body == {"src_ak": "src_ak", "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk"}
    receipt = function.receipt()
    assert receipt["intent"] == ("failed" if sender in FAILED else "requested")
    expected = {
        "severity": "INFO",
        "message": f"Started task {TASK} (failed objects only)",
        "outcome": "started",
        "reason": "night",
        "dialect": dialect,
        "task_id": str(TASK),
        "task_name": TASK_NAME,
        "project_id": PROJECT,
        "region": "cn-north-4",
        "credentials": "default",
        "migrate_failed_object": True,
        "start_called": True,
        "oms_status": 200,
    }
    assert expected.items() <= receipt.items()


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("task", "intent_failed", "requested"),
    [
        (shown(1), "already_running", "already_running"),
        (shown(3), "refused", "started"),
        (shown(5), "nothing_to_do", "nothing_to_do"),
        (shown(6), "already_running", "already_running"),
        (shown(7), "deferred", "deferred"),
        (shown(4, group_type="SYNC_TASK"), "refused", "refused"),
    ],
)
def test_the_outcome_depends_on_what_was_said(
    task: dict[str, object],
    intent_failed: str,
    requested: str,
    make_function: Callable[..., Function],
    httpx_mock: HTTPXMock,
) -> None:
    """It does not depend on who said it."""
    httpx_mock.add_response(method="GET", url=SHOW, json=task, is_reusable=True)
    httpx_mock.add_response(method="POST", url=START, is_reusable=True, is_optional=True)
    for sender, (deliver, _) in SENDERS.items():
        function = make_function()  # another instance, which has not heard of the task yet
        answer(function, deliver(GOOD))
        assert function.receipt()["outcome"] == (intent_failed if sender in FAILED else requested), sender
