"""Of a Standard Webhooks delivery only the body and `webhook-id` count: nothing else is covered by its signature."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpx import HTTPXMock

from example import TASK, shown
from function_client import SHOW, START, Function
from signers import WEBHOOK_SECRET, webhook_headers

REQUEST = {"task_id": TASK}
EVENT = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "event-1", "data": REQUEST}
ENVELOPE = {"type": "oms.task.failed", "timestamp": None, "data": REQUEST}
# What an eavesdropper can add to a signed body or change around it.
OTHER_HEADERS: list[dict[str, str]] = [
    {},
    {"ce-specversion": "1.0", "ce-type": "oms.task.start", "ce-source": "/elsewhere", "ce-id": "1"},
    {"ce-specversion": "1.0", "ce-type": "com.example.other", "ce-source": "/elsewhere", "ce-id": "2"},
    {"Idempotency-Key": "another"},
    {"Content-Type": "application/cloudevents+json"},
    {"Content-Type": "application/cloudevents-batch+json"},
    {"Content-Type": "application/cloudevents+xml"},
    {"Content-Type": "text/plain"},
    {"Content-Encoding": "gzip"},
]


@pytest.fixture
def function(make_function: Callable[..., Function]) -> Function:
    return make_function(CALLER_WEBHOOK_SECRETS=WEBHOOK_SECRET)


def signed(function: Function, document: Any, other: dict[str, str] | None = None, **changes: Any) -> tuple[int, Any]:
    """Status of a signed delivery, and its receipt."""
    body = json.dumps(document)
    reply = function.request("POST", content=body, headers=webhook_headers(body, **changes) | (other or {}))
    return reply.status_code, function.receipt()


@pytest.mark.parametrize(
    ("document", "dialect", "event_id", "intent"),
    [
        (REQUEST, "direct", "msg-1", "requested"),
        (REQUEST | {"id": "msg-1", "intent": "failed"}, "direct", "msg-1", "failed"),
        (EVENT, "cloudevent", "event-1", "failed"),
        (EVENT | {"type": "oms.task.start"}, "cloudevent", "event-1", "requested"),
        (ENVELOPE, "webhook", "msg-1", "failed"),
        (ENVELOPE | {"type": "oms.task.start"}, "webhook", "msg-1", "requested"),
        ({"type": "oms.task.failed", "data": REQUEST | {"id": 7, "endpoint": "x"}}, "webhook", "msg-1", "failed"),
    ],
)
def test_the_dialect_is_recognised_by_the_body_alone(
    document: Any, dialect: str, event_id: str, intent: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    """And a body that is sent again with other headers starts nothing again."""
    httpx_mock.add_response(url=SHOW, json=shown(), is_optional=False)
    httpx_mock.add_response(method="POST", url=START)
    outcomes = []
    for other in OTHER_HEADERS:
        _, receipt = signed(function, document, other, message_id="msg-1")
        assert (receipt["dialect"], receipt["event_id"], receipt["intent"]) == (dialect, event_id, intent)
        outcomes.append(receipt["outcome"])
    assert outcomes == ["started", *["duplicate"] * (len(OTHER_HEADERS) - 1)]


@pytest.mark.parametrize("document", [EVENT, ENVELOPE, REQUEST | {"intent": "failed"}])
def test_headers_do_not_make_a_request_of_an_event(document: Any, function: Function, httpx_mock: HTTPXMock) -> None:
    """A failed event about a paused task is refused, whatever type the headers say."""
    httpx_mock.add_response(url=SHOW, json=shown(3), is_reusable=True)
    for other in OTHER_HEADERS:
        _, receipt = signed(function, document, other)
        assert (receipt["outcome"], receipt["reason"]) == ("refused", "paused")


def test_the_type_of_an_envelope_decides(make_function: Callable[..., Function], httpx_mock: HTTPXMock) -> None:
    """Another type is ignored, and a configured one is not."""
    httpx_mock.add_response(url=SHOW, json=shown(3))
    function = make_function(CALLER_WEBHOOK_SECRETS=WEBHOOK_SECRET, EVENT_TYPES_FAILED="migration.failed")
    status, receipt = signed(function, ENVELOPE | {"type": "invoice.paid", "data": "anything"}, message_id="msg-2")
    assert (status, receipt["reason"], receipt["dialect"], receipt["event_id"]) == (
        204,
        "event_type",
        "webhook",
        "msg-2",
    )
    assert signed(function, ENVELOPE | {"type": "migration.failed"})[1]["intent"] == "failed"


def test_the_time_of_an_envelope_gives_the_age_of_its_event(function: Function) -> None:
    status, receipt = signed(function, ENVELOPE | {"timestamp": "2001-01-01T00:00:00Z"})
    assert (status, receipt["outcome"], receipt["reason"]) == (204, "refused", "stale_event")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (ENVELOPE | {"type": None}, "type: must be a string of 1 to 1024 characters"),
        (ENVELOPE | {"type": "a\nb"}, "type: must be a string of 1 to 1024 characters"),
        (ENVELOPE | {"timestamp": "yesterday"}, "timestamp: not an RFC 3339 time"),
        (ENVELOPE | {"timestamp": 4732406400}, "timestamp: not an RFC 3339 time"),
        (ENVELOPE | {"data": None}, "request: must be a JSON object"),
        (ENVELOPE | {"data": {}}, "give exactly one of task_id, task_name, group_id, sweep"),
        (ENVELOPE | {"data": REQUEST | {"dst_sk": "x"}}, "dst_sk: credentials never travel in a delivery"),
        (
            {"type": "oms.task.failed", "timestamp": None},
            "give exactly one of task_id, task_name, group_id, sweep; unknown field: type; ",
        ),
        ({"specversion": "1.0"}, "id: must be a string of 1 to 1024 characters"),
        ({key: value for key, value in EVENT.items() if key != "source"}, "source: must be"),
        (REQUEST | {"id": "another"}, "id: differs from the header webhook-id"),
        ([EVENT], "request: must be a JSON object"),
        ([REQUEST], "request: must be a JSON object"),
        (None, "request: must be a JSON object"),
        (
            {"httpMethod": "POST", "requestContext": {}, "body": json.dumps(REQUEST)},
            "give exactly one of task_id, task_name, group_id, sweep; ",
        ),
    ],
)
def test_a_signed_body_of_no_known_shape_is_malformed(document: Any, reason: str, function: Function) -> None:
    for other in OTHER_HEADERS:
        status, receipt = signed(function, document, other)
        assert (status, receipt["outcome"]) == (400, "malformed")
        assert receipt["reason"].startswith(reason)


def test_an_id_that_is_no_id_is_malformed_in_an_envelope_too(function: Function) -> None:
    status, receipt = signed(function, ENVELOPE, message_id="x" * 1025)
    assert (status, receipt["dialect"]) == (400, "webhook")
    assert receipt["reason"].startswith("webhook-id")


def test_an_envelope_needs_no_signature_of_its_own(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """So `explain` tells of a saved webhook whose signature is too old what it was; without an id it is no webhook."""
    httpx_mock.add_response(url=SHOW, json=shown(3))
    function = make_function()
    assert function.post(json=ENVELOPE, headers={"webhook-id": "msg-1"}).status_code == 204
    receipt = function.receipt()
    assert (receipt["dialect"], receipt["event_id"], receipt["intent"]) == ("webhook", "msg-1", "failed")
    assert function.post(json=ENVELOPE).status_code == 400
    assert function.receipt()["dialect"] == "direct"
