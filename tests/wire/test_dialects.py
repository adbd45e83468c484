"""Batches, Pub/Sub, FunctionGraph's other triggers, APIG events, and the handshake of webhooks."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import BEARER, PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, START, TASKS, Function
from restarter import __version__

SAMPLES = Path(__file__).parents[1] / "unit" / "samples" / "functiongraph"
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
MESSAGE_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
TOPIC = "//pubsub.googleapis.com/projects/example/topics/oms"
REQUEST = {"task_id": TASK}

# What OMS says when the task is looked at, and the outcome for an event.
RUNNING: dict[str, Any] = {"json": shown(2)}
PAUSED: dict[str, Any] = {"json": shown(3)}
UNKNOWN: dict[str, Any] = {"status_code": 400, "json": {"error_code": "OMS.1009"}}
UNLIKED: dict[str, Any] = {"status_code": 400, "json": {"error_code": "OMS.0064"}}
BROKEN: dict[str, Any] = {"status_code": 500}


def sample(name: str) -> dict[str, Any]:
    """An event of FunctionGraph as it is documented or was seen."""
    document: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return document


def cloudevent(**changes: Any) -> dict[str, Any]:
    """A CloudEvent that says that the task failed."""
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms/cn-north-4", "id": "event-1"}
    return event | {"data": REQUEST} | changes


def encoded(document: Any) -> str:
    """JSON in base64."""
    return b64encode(json.dumps(document).encode()).decode()


def push(message: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """What Pub/Sub posts for one message."""
    message = {"data": encoded(REQUEST), "messageId": "2070443601311540"} if message is None else message
    return {"message": message, "subscription": "projects/example/subscriptions/restarter"} | changes


def eventarc(document: Any, **changes: Any) -> dict[str, Any]:
    """The same as Eventarc hands it over."""
    return cloudevent(type=MESSAGE_PUBLISHED, source=TOPIC, id="eventarc-1", data=document) | changes


def apig(body: Any = "", **changes: Any) -> dict[str, Any]:
    """What FunctionGraph's APIG trigger makes of a request."""
    event = {
        "httpMethod": "POST",
        "path": "/restart",
        "headers": {"content-type": "application/json", "host": "example.apigw.example.com"},
        "body": body,
        "isBase64Encoded": False,
        "pathParameters": {},
        "queryStringParameters": {},
        "requestContext": {"apiId": "a", "requestId": "11cdcdcf33949dc6d722640a13091c77", "stage": "RELEASE"},
    }
    return event | changes


def opened(function: Function, event: Any) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the response inside; what is around it is what APIG wants, to the letter."""
    reply = function.post("/invoke", json=event)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    response = reply.json()
    assert response.keys() == {"isBase64Encoded", "statusCode", "headers", "body"}
    assert response["isBase64Encoded"] is False
    assert type(response["statusCode"]) is int
    assert all(isinstance(value, str) for value in response["headers"].values())
    assert isinstance(response["body"], str)
    return response["statusCode"], response["headers"], response["body"]


def age_of(receipt: dict[str, Any]) -> float:
    age: float = receipt["event_age_s"]
    return age


def ago(seconds: int) -> str:
    """So many seconds before now, as Pub/Sub writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# Batches of CloudEvents


@pytest.mark.parametrize(
    ("answers", "outcomes", "status"),
    [
        ([RUNNING], ["already_running"], 204),
        ([RUNNING, RUNNING, PAUSED], ["already_running", "already_running", "refused"], 204),
        ([RUNNING, None, RUNNING], ["already_running", "malformed", "already_running"], 422),
        ([None, None], ["malformed", "malformed"], 422),
        ([None], ["malformed"], 400),
        ([UNKNOWN], ["not_found"], 422),
        ([RUNNING, UNKNOWN], ["already_running", "not_found"], 422),
        ([UNLIKED, RUNNING], ["rejected", "already_running"], 422),
        ([BROKEN, RUNNING], ["unavailable", "already_running"], 503),
        ([None, BROKEN, UNKNOWN, UNLIKED], ["malformed", "unavailable", "not_found", "rejected"], 503),
    ],
)
def test_the_most_urgent_part_of_a_batch_decides(
    answers: list[dict[str, Any] | None],
    outcomes: list[str],
    status: int,
    function: Function,
    httpx_mock: HTTPXMock,
) -> None:
    """One malformed event (None here) does not fail the rest of the batch; 503 decides before 422 and 204."""
    batch: list[dict[str, Any]] = []
    for number, answer in enumerate(answers, 1):
        if answer is not None:
            known = {"json": answer["json"] | {"id": number}} if "status" in answer.get("json", {}) else answer
            httpx_mock.add_response(url=f"{TASKS}/{number}", **known)
        batch.append(cloudevent(id=f"event-{number}", data={"task_id": number if answer is not None else "no number"}))
    reply = function.post(json=batch, headers=BATCH)
    receipts = function.receipts()
    assert [receipt["outcome"] for receipt in receipts] == outcomes
    assert [receipt["event_id"] for receipt in receipts] == [f"event-{n}" for n in range(1, len(batch) + 1)]
    assert {receipt["dialect"] for receipt in receipts} == {"cloudevents_batch"}
    assert reply.status_code == status
    assert ("retry-after" in reply.headers) == (status == 503)
    assert (reply.content == b"") == (status == 204)


def test_every_task_of_a_batch_is_started_once(function: Function, httpx_mock: HTTPXMock) -> None:
    for number in (1, 2, 3):
        httpx_mock.add_response(method="GET", url=f"{TASKS}/{number}", json=shown(id=number))
        httpx_mock.add_response(method="POST", url=f"{TASKS}/{number}/start")
    batch = [cloudevent(id=str(number), data={"task_id": number}) for number in (1, 2, 3)]
    assert function.post(json=batch, headers=BATCH).status_code == 204
    assert [receipt["outcome"] for receipt in function.receipts()] == ["started"] * 3


def test_types_and_ids_count_in_a_batch_as_they_do_outside(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    batch: list[Any] = [
        cloudevent(id="a", type="oms.task.start"),
        cloudevent(id="b", type="com.example.other"),
        cloudevent(id=None),
        cloudevent(id="d", source=None),
        "no event",
        None,
        [],
    ]
    assert function.post(json=batch, headers=BATCH).status_code == 422
    receipts = function.receipts()
    assert [receipt["outcome"] for receipt in receipts] == ["already_running", "ignored"] + ["malformed"] * 5
    assert [receipt.get("event_id") for receipt in receipts] == ["a", "b", None, "d", None, None, None]
    assert receipts[0]["intent"] == "requested"


def test_a_push_in_a_batch_is_a_push(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    bad = push({"messageId": "m-2"})
    assert function.post(json=[eventarc(push()), eventarc(bad)], headers=BATCH).status_code == 422
    good, malformed = function.receipts()
    assert (good["dialect"], good["event_id"]) == ("pubsub", "2070443601311540")
    assert (malformed["dialect"], malformed["event_id"], malformed["outcome"]) == ("pubsub", "m-2", "malformed")


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_a_push_without_a_time_has_that_of_the_cloudevent_around_it(mode: str, function: Function) -> None:
    old = eventarc(push(), time=(datetime.now(UTC) - timedelta(days=2)).isoformat())
    arguments = binary(old) if mode == "binary" else {"json": old, "headers": STRUCTURED}
    assert function.post(**arguments).status_code == 204
    assert function.receipt()["reason"] == "stale_event"


def test_an_empty_batch_is_allowed_and_ignored(function: Function) -> None:
    """«An empty batch» is a batch (cloudevents/spec, formats/json-format.md, 4)."""
    reply = function.post(json=[], headers=BATCH)
    assert (reply.status_code, reply.content) == (204, b"")
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"]) == ("ignored", "empty_batch")
    assert receipt["dialect"] == "cloudevents_batch"


@pytest.mark.parametrize("body", ["{}", "null", "7", '"text"', json.dumps(cloudevent()), json.dumps({"events": []})])
def test_a_batch_that_is_no_array_is_malformed(body: str, function: Function) -> None:
    reply = function.post(content=body, headers=BATCH)
    assert (reply.status_code, reply.json()["reason"]) == (400, "batch: must be a JSON array")
    assert function.receipt()["dialect"] == "cloudevents_batch"


def test_a_delivery_has_at_most_100_events(function: Function, httpx_mock: HTTPXMock) -> None:
    """One of more is refused before any of them is read."""
    notice = {"message_id": "m", "message": json.dumps(REQUEST), "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:t"}
    alerts = {"version": "4", "groupKey": "{}"}
    for number in (101, 2000):
        batch = [1] * number
        replies = [
            function.post(json=batch, headers=BATCH),
            function.post("/invoke", json={"record": [{"smn": notice}] * number}),
            function.post(json=alerts | {"alerts": batch}),
        ]
        receipts = function.receipts()
        assert [reply.status_code for reply in replies] == [413] * 3
        assert {reply.json()["reason"] for reply in replies} == {"events: over 100 in one delivery"}
        assert [receipt["outcome"] for receipt in receipts] == ["content_too_large"] * 3
        assert [receipt["dialect"] for receipt in receipts] == [
            "cloudevents_batch",
            "functiongraph_smn",
            "alertmanager",
        ]
    status, _, body = opened(function, apig(json.dumps([1] * 101), headers={"content-type": BATCH["Content-Type"]}))
    assert (status, json.loads(body)["outcome"]) == (413, "content_too_large")


def test_a_delivery_of_100_events_is_taken(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    batch = [cloudevent(id=str(number)) for number in range(100)]
    assert function.post(json=batch, headers=BATCH).status_code == 204
    assert [receipt["outcome"] for receipt in function.receipts()] == ["already_running"] * 100


# Direct calls


@pytest.mark.parametrize(
    ("said", "headers"),
    [
        ({"id": "e-1"}, {}),
        ({}, {"Idempotency-Key": "e-1"}),
        ({}, {"webhook-id": "e-1"}),
        ({"id": "e-1"}, {"Idempotency-Key": "e-1"}),
        ({"id": None}, {"Idempotency-Key": "e-1"}),
    ],
)
def test_a_direct_call_may_say_that_the_task_failed(
    said: dict[str, Any], headers: dict[str, str], function: Function, httpx_mock: HTTPXMock
) -> None:
    """A paused task stays paused then, which a request would start."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(3), is_reusable=True)
    httpx_mock.add_response(method="POST", url=START)
    reply = function.post(json=REQUEST | said | {"intent": "failed"}, headers=headers)
    assert (reply.status_code, reply.json()["reason"]) == (409, "paused")
    receipt = function.receipt()
    assert (receipt["dialect"], receipt["intent"], receipt["event_id"]) == ("direct", "failed", "e-1")
    assert function.post(json=REQUEST | said | {"intent": "requested"}, headers=headers).status_code == 200
    assert function.receipt()["intent"] == "requested"


def test_backoff_depends_on_the_intent_of_a_direct_call(function: Function, httpx_mock: HTTPXMock) -> None:
    """It holds for one that says failed, and not for one that requests a start."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(), is_reusable=True)
    httpx_mock.add_response(method="POST", url=START, is_reusable=True)
    calls = [{"id": "1", "intent": "failed"}, {"id": "2", "intent": "failed"}, {"id": "3"}, {}, {"id": "1"}]
    for call in calls:
        function.post(json=REQUEST | call)
    found = [(receipt["outcome"], receipt.get("reason")) for receipt in function.receipts()]
    assert found == [
        ("started", None),
        ("deferred", "backoff"),
        ("started", None),
        ("started", None),
        ("duplicate", None),
    ]
    assert len(httpx_mock.get_requests(method="POST")) == 3


def test_an_id_is_the_same_in_the_body_and_in_the_header(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    function.post(json=REQUEST | {"id": "k-1"})
    function.post(json=REQUEST, headers={"Idempotency-Key": "k-1"})
    function.post(json=REQUEST | {"id": "k-1"}, headers={"Idempotency-Key": "k-1"})
    assert [receipt["outcome"] for receipt in function.receipts()] == ["already_running", "duplicate", "duplicate"]


def test_an_event_has_no_intent_and_id_in_its_data(function: Function, httpx_mock: HTTPXMock) -> None:
    """There they are unknown fields, which are passed over."""
    httpx_mock.add_response(url=SHOW, json=shown(3))
    event = cloudevent(data=REQUEST | {"intent": "requested", "id": 7})
    assert function.post(json=event, headers=STRUCTURED).status_code == 204
    receipt = function.receipt()
    assert (receipt["intent"], receipt["event_id"], receipt["reason"]) == ("failed", "event-1", "paused")


# Sweeps


@pytest.mark.parametrize("beside", [{}, {"project_id": PROJECT, "credentials": "default", "reason": "every hour"}])
def test_a_sweep_is_one_in_any_dialect(beside: dict[str, str], make_function: Callable[..., Function]) -> None:
    """OMS is not asked: pytest-httpx would fail."""
    function = make_function(EVENT_TYPES_FAILED="dev.knative.sources.ping")
    sweep = {"sweep": True, "task_id": None} | beside
    notice = {"message_id": "m", "message": json.dumps(sweep), "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:t"}
    deliveries: dict[str, list[dict[str, Any]]] = {
        "direct": [{"json": sweep}],
        "cloudevent": [
            {
                "json": cloudevent(type="dev.knative.sources.ping", data=sweep | {"topic": "passed over"}),
                "headers": STRUCTURED,
            },
            {"json": cloudevent(type="oms.task.start", id="2", data=json.dumps(sweep)), "headers": STRUCTURED},
        ],
        "pubsub": [{"json": push({"data": encoded(sweep), "messageId": "m"})}],
        "functiongraph_smn": [{"json": {"record": [{"smn": notice}]}}],
        "functiongraph_timer": [{"json": timer(sweep)}],
    }
    for dialect, forms in deliveries.items():
        for form in forms:
            assert function.post(**form).status_code == (200 if dialect == "direct" else 204)
            receipt = function.receipt()
            assert (receipt["dialect"], receipt["outcome"], receipt["reason"]) == (dialect, "ignored", "sweep_off")


# An id is its sender's own


def test_an_id_belongs_to_its_dialect_and_sender(make_function: Callable[..., Function], httpx_mock: HTTPXMock) -> None:
    """Of two senders neither can make the other's event a duplicate; what is sent again by the same one is."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    function = make_function(CALLER_TRUST_PLATFORM="true")
    notice = {"message_id": "1", "message": json.dumps(REQUEST), "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:t"}
    signed = notice | {"type": "Notification", "signature": "c2ln", "timestamp": ago(1)}
    deliveries: list[dict[str, Any]] = [
        {"json": REQUEST, "headers": {"Idempotency-Key": "1"}},
        {"json": cloudevent(id="1"), "headers": STRUCTURED},
        {"json": cloudevent(id="1", source="/another"), "headers": STRUCTURED},
        {"json": push({"data": encoded(REQUEST), "messageId": "1"})},
        {"json": signed},
        {"json": {"record": [{"smn": notice}]}},
    ]
    for outcome in ("already_running", "duplicate"):
        for delivery in deliveries:
            with_token = {"headers": {"Authorization": f"Bearer {BEARER}", **delivery.get("headers", {})}}
            assert function.request("POST", **delivery).status_code in (200, 204)
            assert function.request("POST", **(delivery | with_token)).status_code in (200, 204)
        assert [receipt["outcome"] for receipt in function.receipts()] == [outcome] * 2 * len(deliveries)


def test_an_event_is_the_same_in_each_mode(function: Function, httpx_mock: HTTPXMock) -> None:
    """A CloudEvent in each mode, a push with and without an event around it."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    event = cloudevent()
    inside = {name.lower(): value for name, value in STRUCTURED.items()}
    function.post(json=event, headers=STRUCTURED)
    function.post(**binary(event))
    function.post(json=[event], headers=BATCH)
    function.post("/invoke", json=apig(json.dumps(event), headers=inside))
    for form in forms_of(push()):
        function.post(**form)
    outcomes = [receipt["outcome"] for receipt in function.receipts()]
    assert outcomes == ["already_running", *["duplicate"] * 3, "already_running", *["duplicate"] * 2]


# CloudEvents, single


def test_data_in_base64_is_read_like_data(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    event = {name: value for name, value in cloudevent().items() if name != "data"}
    event["data_base64"] = encoded(REQUEST)
    assert function.post(json=event, headers=STRUCTURED).status_code == 204


BINARY = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms", "ce-id": "1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"ce-subject": "ü"},
        {"ce-subject": b"\xfc"},
        {"ce-team": "Köln"},
        {"ce-team": b"K\xf6ln%"},
        {"ce-dataschema": "%ff"},
        {"ce-": "%ff"},
        {"ce-data_base64": "%%%"},
        {"ce-data": "7"},
        {"ce-traceparent": "%ff"},
    ],
)
def test_an_attribute_that_decides_nothing_refuses_no_event(
    changes: dict[str, str | bytes], function: Function, httpx_mock: HTTPXMock
) -> None:
    """The SDKs of Node and of Python 1.x send them as they are, in UTF-8 or Latin-1."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    headers = {name: value.encode() if isinstance(value, str) else value for name, value in (BINARY | changes).items()}
    reply = function.request("POST", json=REQUEST, headers=[("Authorization", f"Bearer {BEARER}"), *headers.items()])
    assert reply.status_code == 204
    assert function.receipt()["event_id"] == "1"


@pytest.mark.parametrize("attribute", ["id", "source", "type"])
def test_an_attribute_is_percent_encoded_or_plain_utf_8(
    attribute: str, make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """In Latin-1 it is malformed."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    function = make_function(EVENT_TYPES_FAILED="größe")
    for value, status in (("größe".encode(), 204), ("größe".encode("latin-1"), 400)):
        headers = {
            name.encode(): text.encode() for name, text in (BINARY | {"Authorization": f"Bearer {BEARER}"}).items()
        }
        reply = function.request("POST", json=REQUEST, headers=headers | {f"ce-{attribute}".encode(): value})
        assert reply.status_code == status
        receipt = function.receipt()
        if status == 400:
            assert receipt["reason"] == f"ce-{attribute}: not percent-encoded UTF-8"
        elif attribute == "id":
            assert receipt["event_id"] == "größe"


@pytest.mark.parametrize("extension", ["knativeerrordest", "knativeerrorcode"])
def test_what_a_dead_letter_sink_hands_over_is_ignored_in_both_modes(extension: str, function: Function) -> None:
    assert function.post(json=REQUEST, headers=BINARY | {f"ce-{extension}": "%ff"}).status_code == 204
    assert function.post(json=cloudevent(**{extension: 500}), headers=STRUCTURED).status_code == 204
    assert [receipt["reason"] for receipt in function.receipts()] == ["dead_letter"] * 2


def test_data_that_is_a_string_of_json_is_read_as_json(function: Function, httpx_mock: HTTPXMock) -> None:
    """Once: what is a string in the string is no request."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    text = json.dumps(REQUEST)
    base64 = {name: value for name, value in cloudevent(id="2").items() if name != "data"} | {
        "data_base64": encoded(text)
    }
    assert function.post(json=cloudevent(data=text), headers=STRUCTURED).status_code == 204
    assert function.post(json=base64, headers=STRUCTURED).status_code == 204
    assert function.post(json=text, headers=BINARY | {"ce-id": "3"}).status_code == 204
    assert function.post(json=eventarc(json.dumps(push())), headers=STRUCTURED).status_code == 204
    assert {receipt["outcome"] for receipt in function.receipts()} == {"already_running"}
    for data in (json.dumps(text), "text", "", "{", "[" * 1000, "7"):
        reply = function.post(json=cloudevent(data=data), headers=STRUCTURED)
        assert (reply.status_code, reply.json()["reason"]) == (400, "request: must be a JSON object")


@pytest.mark.parametrize("broken", [{"ce-id": "%ff"}, {"Content-Type": "text/plain"}])
def test_what_is_wrong_with_a_binary_event_is_told_of_a_cloudevent(broken: dict[str, str], function: Function) -> None:
    headers = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms", "ce-id": "1"} | broken
    assert function.post(json=REQUEST, headers=headers).status_code in (400, 415)
    assert function.receipt()["dialect"] == "cloudevent"


def test_events_of_eventgrid_about_something_else_are_ignored(function: Function) -> None:
    """An object in a bucket, and our own StartTask as CTS audited it: acting on that would be a loop."""
    trace = sample("cts_event_real")["cts"] | {"service_type": "OMS", "trace_name": "startTask", "resource_id": TASK}
    audited = cloudevent(type="OMS:CloudTrace:ApiCall", source="HC.OMS", id="t-1", ttl="4000", data=trace)
    for event in (sample("eventgrid_obs_event"), audited):
        for headers in ({}, STRUCTURED, {"Content-Type": "text/plain"}):
            reply = function.post("/invoke", json=event, headers=headers)
            assert (reply.status_code, reply.content) == (204, b"")
            receipt = function.receipt()
            assert (receipt["outcome"], receipt["reason"]) == ("ignored", "event_type")
            assert (receipt["dialect"], receipt["event_id"]) == ("cloudevent", event["id"])


# Pub/Sub


def binary(event: dict[str, Any]) -> dict[str, Any]:
    """An event in binary mode, as arguments of a request."""
    headers = {f"ce-{name}": str(value) for name, value in event.items() if name not in ("data", "datacontenttype")}
    return {"headers": headers | {"Content-Type": "application/json; charset=utf-8"}, "json": event["data"]}


def forms_of(document: Any) -> list[dict[str, Any]]:
    """A push bare, and in an Eventarc CloudEvent of both modes, as arguments of a request."""
    around = eventarc(document)
    return [{"json": document}, {"json": around, "headers": STRUCTURED}, binary(around)]


MESSAGE = {"data": encoded(REQUEST)}


@pytest.mark.parametrize(
    ("ids", "bare", "wrapped"),
    [
        ({"messageId": "m-1"}, "m-1", "m-1"),
        ({"message_id": "m-1"}, "m-1", "m-1"),
        ({"messageId": "m-1", "message_id": "m-1"}, "m-1", "m-1"),
        ({"messageId": "", "message_id": "m-1"}, "m-1", "m-1"),
        ({}, None, "eventarc-1"),
        ({"messageId": 7}, None, None),
        ({"messageId": "a\x00b"}, None, None),
    ],
)
def test_the_id_of_a_push_is_never_made_up(
    ids: dict[str, Any], bare: str | None, wrapped: str | None, function: Function, httpx_mock: HTTPXMock
) -> None:
    """It is the message's own, or that of the event around it."""
    httpx_mock.add_response(url=SHOW, json=shown(3), is_reusable=True, is_optional=True)
    statuses = [function.post(**form).status_code for form in forms_of(push(MESSAGE | ids))]
    receipts = function.receipts()
    assert statuses == [204 if bare else 400, *[204 if wrapped else 400] * 2]
    assert {receipt["dialect"] for receipt in receipts} == {"pubsub"}
    for receipt, event_id in zip(receipts, (bare, wrapped, wrapped), strict=True):
        if event_id:
            assert (receipt["event_id"], receipt["intent"]) == (event_id, "failed")
        else:
            assert receipt["reason"].startswith("messageId: ")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"data": None},
        {"data": ""},
        {"data": "%%%"},
        {"data": "eyJ0YXNrX2lkIjogMX0=!"},
        {"data": "SGVsbG8gQ2xvdWQgUHViL1N1YiEgSGVyZSBpcyBteSBtZXNzYWdlIQ=="},
        {"data": 7},
        {"data": REQUEST},
        {"data": "é"},
        {"data": "//4="},
    ],
)
def test_a_push_without_json_in_base64_is_malformed(data: dict[str, Any], function: Function) -> None:
    """Also the message of the documentation, which is text, and one of attributes alone."""
    for form in forms_of(push({"messageId": "m-1", "attributes": {"task_id": str(TASK)}} | data)):
        reply = function.post(**form)
        assert (reply.status_code, reply.json()["reason"]) == (400, "data: not JSON in base64")
        receipt = function.receipt()
        assert (receipt["dialect"], receipt["event_id"]) == ("pubsub", "m-1")


@pytest.mark.parametrize("document", [{"message": None, "subscription": "s"}, {"subscription": "s"}, {}, [], "x", None])
def test_eventarc_without_a_message_is_malformed(document: Any, function: Function) -> None:
    reply = function.post(json=eventarc(document), headers=STRUCTURED)
    assert (reply.status_code, reply.json()["reason"]) == (400, "message: must be an object")
    receipt = function.receipt()
    assert (receipt["dialect"], receipt["event_id"]) == ("pubsub", "eventarc-1")


@pytest.mark.parametrize("name", ["publishTime", "publish_time"])
def test_the_time_of_publishing_gives_the_age_of_a_push(name: str, function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(3), is_reusable=True)
    for number, form in enumerate(forms_of(push(MESSAGE | {"messageId": "m", name: ago(90)}))):
        assert function.post(**form).status_code == 204, number
        assert 89 <= age_of(function.receipt()) <= 100


def test_a_push_without_a_time_has_no_age(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    assert function.post(json=push()).status_code == 204
    assert "event_age_s" not in function.receipt()


@pytest.mark.parametrize("published", ["yesterday", 4700000000, "2126-02-30T00:00:00Z"])
def test_a_push_of_no_time_at_all_is_malformed(published: Any, function: Function) -> None:
    message = MESSAGE | {"messageId": "m-1", "publishTime": published}
    for form in forms_of(push(message)):
        assert function.post(**form).json()["reason"] == "publishTime: not an RFC 3339 time"
        assert function.receipt()["event_id"] == "m-1"


def test_a_push_may_bring_more_than_is_needed(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(3), is_reusable=True)
    data = encoded(REQUEST | {"endpoint": "https://evil.example", "x": [1]})
    message = {"data": data, "messageId": "m-1", "attributes": {"dst": "value"}, "orderingKey": "k", "later": {}}
    for form in forms_of(push(message, deliveryAttempt=5, another=None)):
        assert function.post(**form).status_code == 204
        assert function.receipt()["outcome"] == "refused"


def test_a_push_of_success_is_ignored_and_one_with_a_key_is_refused(function: Function) -> None:
    success = push({"data": encoded(REQUEST | {"task_status": "SUCCESS"}), "messageId": "m-1"})
    for form in forms_of(success):
        assert function.post(**form).status_code == 204
        receipt = function.receipt()
        assert (receipt["outcome"], receipt["reason"], receipt["event_id"]) == ("ignored", "task_succeeded", "m-1")
    for form in forms_of(push({"data": encoded(REQUEST | {"dst_sk": "x"}), "messageId": "m-1"})):
        assert function.post(**form).status_code == 400
        assert function.receipt()["reason"] == "dst_sk: credentials never travel in a delivery"


@pytest.mark.parametrize("document", [{"message": "text", "subscription": "s"}, {"message": {"data": "x"}}])
def test_what_only_looks_like_a_push_is_a_direct_call(document: dict[str, Any], function: Function) -> None:
    assert function.post(json=document).status_code == 400
    assert function.receipt()["dialect"] == "direct"


def test_a_name_of_a_task_travels_in_a_push_too(function: Function, httpx_mock: HTTPXMock) -> None:
    listing = httpx.URL(TASKS, params={"limit": "50", "offset": "0", "task_name": TASK_NAME})
    httpx_mock.add_response(url=listing, json={"tasks": [shown(2)], "count": 1})
    httpx_mock.add_response(url=SHOW, json=shown(2))
    data = encoded({"task_name": TASK_NAME, "task_status": "FAILED"})
    assert function.post(json=push({"data": data, "messageId": "m-1"})).status_code == 204
    assert function.receipt()["task_id"] == str(TASK)


# FunctionGraph's triggers that tell of something else


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("timer_event", "timer"),
        ("timer_event_text", "timer"),
        ("obs_s3_event", "obs_object"),
        ("obs_event_2024", "obs_object"),
        ("cts_event", "cts_trace"),
        ("cts_event_ms", "cts_trace"),
        ("cts_event_real", "cts_trace"),
        ("async_destination", "function_result"),
    ],
)
def test_a_trigger_that_tells_of_something_else_is_ignored(name: str, reason: str, function: Function) -> None:
    for path in ("/invoke", "/"):
        reply = function.post(path, json=sample(name))
        assert (reply.status_code, reply.content) == (204, b"")
        receipt = function.receipt()
        assert (receipt["outcome"], receipt["reason"], receipt["dialect"]) == ("ignored", reason, "functiongraph")
        assert not receipt.keys() & {"task_id", "task_name", "event_id", "intent"}


def timer(user_event: Any, **changes: Any) -> dict[str, Any]:
    """What FunctionGraph's timer posts, now."""
    text = user_event if isinstance(user_event, str) else json.dumps(user_event)
    return sample("timer_event") | {"time": ago(0), "user_event": text} | changes


@pytest.mark.parametrize(
    "user_event",
    [
        {"message": "timer triggered event"},
        {"reason": "no task"},
        {"project_id": PROJECT},
        {},
        [],
        [REQUEST],
        7,
        "Hello world",
        "",
        "[" * 1000,
        "{",
        "task_id",
    ],
)
def test_a_timer_whose_words_are_no_request_is_ignored(user_event: Any, function: Function) -> None:
    assert function.post("/invoke", json=timer(user_event)).status_code == 204
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"], receipt["dialect"]) == ("ignored", "timer", "functiongraph")


@pytest.mark.parametrize("user_event", [None, 7, [], REQUEST])
def test_a_timer_whose_words_are_no_text_is_ignored(user_event: Any, function: Function) -> None:
    assert function.post("/invoke", json=timer("") | {"user_event": user_event} | REQUEST).status_code == 204
    assert function.receipt()["reason"] == "timer"


def test_another_trigger_with_a_request_in_its_words_is_no_timer(function: Function) -> None:
    assert function.post("/invoke", json=timer(REQUEST, trigger_type="OTHER")).status_code == 204
    assert function.receipt()["outcome"] == "ignored"


def test_a_timer_whose_words_are_a_request_says_that_the_task_failed(function: Function, httpx_mock: HTTPXMock) -> None:
    """A paused task stays paused, and what else stands in the words is passed over."""
    httpx_mock.add_response(url=SHOW, json=shown(3))
    words = REQUEST | {"credentials": "default", "topic": "test", "intent": "requested", "id": 7}
    event = timer(words)
    assert function.post("/invoke", json=event).status_code == 204
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"], receipt["intent"]) == ("refused", "paused", "failed")
    assert (receipt["dialect"], receipt["event_id"]) == ("functiongraph_timer", f"Timer_001/{event['time']}")
    assert receipt["event_age_s"] <= 5


def test_each_tick_of_a_timer_is_an_event_of_its_own_and_counts_once(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """The timer's name, the time, the project and the task make the event; FunctionGraph may call again."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    httpx_mock.add_response(url=f"{TASKS}/7", json=shown(2, id=7), is_reusable=True)
    other = httpx.URL(SHOW.replace(PROJECT, "other").replace("cn-north-4", "cn-north-1"))
    httpx_mock.add_response(url=other, json=shown(2), is_reusable=True)
    function = make_function(OMS_PROJECTS='{"other": "cn-north-1"}')
    first = timer(REQUEST, time=ago(60))
    same_instant = first | {"time": first["time"].replace("Z", "+00:00")}
    events = [
        (first, "already_running"),
        (first, "duplicate"),
        (same_instant, "duplicate"),
        (timer(REQUEST, time=ago(30)), "already_running"),
        (first | {"trigger_name": "Timer_002"}, "already_running"),
        (first | {"user_event": '{"task_id": 7}'}, "already_running"),
        (first | {"user_event": json.dumps(REQUEST | {"project_id": "other"})}, "already_running"),
    ]
    for event, outcome in events:
        assert function.post("/invoke", json=event).status_code == 204
        assert function.receipt()["outcome"] == outcome, event


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"time": None}, "time"),
        ({"time": "yesterday"}, "time"),
        ({"trigger_name": None}, "trigger_name"),
        ({"trigger_name": "a\nb"}, "trigger_name"),
        ({"trigger_name": "x" * 1024}, "trigger_name"),
        ({"user_event": '{"task_id": null}'}, "give exactly one of task_id, task_name, group_id, sweep"),
        ({"user_event": '{"task_id": 1, "task_name": "a"}'}, "give exactly one of task_id, task_name, group_id, sweep"),
        ({"user_event": '{"sweep": false}'}, "sweep"),
        ({"user_event": '{"task_id": 1, "dst_sk": "x"}'}, "dst_sk"),
    ],
)
def test_a_timer_for_a_task_without_what_it_must_have_is_malformed(
    changes: dict[str, Any], place: str, function: Function
) -> None:
    reply = function.post("/invoke", json=timer(REQUEST) | changes)
    assert (reply.status_code, reply.json()["reason"].startswith(place)) == (400, True)
    assert function.receipt()["dialect"] == "functiongraph_timer"


# FunctionGraph's APIG events


def test_a_request_in_an_apig_event_is_a_direct_call(function: Function, httpx_mock: HTTPXMock) -> None:
    """The response holds its receipt."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    headers = {"content-type": "application/json", "idempotency-key": "k-1"}
    status, sent, body = opened(function, apig(json.dumps(REQUEST), headers=headers))
    assert (status, sent) == (200, {"Content-Type": "application/json"})
    receipt = function.receipt()
    assert json.loads(body) == receipt
    assert (receipt["outcome"], receipt["dialect"], receipt["event_id"]) == ("started", "direct", "k-1")


@pytest.mark.parametrize(
    ("body", "flag"),
    [
        (encoded(REQUEST), {"isBase64Encoded": True}),
        (json.dumps(REQUEST), {"isBase64Encoded": False}),
        (json.dumps(REQUEST), {"isBase64Encoded": True}),
        (json.dumps(REQUEST), {"isBase64Encoded": None}),
        (json.dumps(REQUEST | {"reason": "é\u2603"}), {"isBase64Encoded": False}),
    ],
)
def test_the_body_of_an_apig_event_is_read_in_base64_or_plain(
    body: str, flag: dict[str, Any], function: Function, httpx_mock: HTTPXMock
) -> None:
    """The documentation's own sample says base64 and has plain text."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    assert opened(function, apig(body, **flag))[0] == 200
    assert function.receipt()["outcome"] == "already_running"


def test_an_apig_body_is_base64_or_plain(function: Function, httpx_mock: HTTPXMock) -> None:
    """«isBase64Encoded, default value: true» (functiongraph_02_0102)."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    for body in (encoded(REQUEST), json.dumps(REQUEST)):
        event = {name: value for name, value in apig(body).items() if name != "isBase64Encoded"}
        assert opened(function, event)[0] == 200


@pytest.mark.parametrize("name", ["apig_event_base64", "apig_event_doc", "apig_event_plain", "apig_event_real"])
def test_the_documented_apig_events_are_gets(name: str, function: Function) -> None:
    """Two of them are a browser's, which is told what this is; the others get 405."""
    event = sample(name)
    status, headers, body = opened(function, event)
    if event["path"] == "/" and "text/html" in str(event["headers"]):
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
        return
    assert (status, headers["Allow"], headers["Content-Type"]) == (405, "POST", "application/problem+json")
    assert json.loads(body)["outcome"] == function.receipt()["outcome"] == "method_not_allowed"


@pytest.mark.parametrize("name", ["apig_event_base64", "apig_event_doc", "apig_event_plain", "apig_event_real"])
def test_the_documented_apig_events_start_nothing(name: str, function: Function) -> None:
    """Sent as POST they are no requests for a restart."""
    status, _, body = opened(function, sample(name) | {"httpMethod": "POST"})
    assert status == 400
    assert json.loads(body)["outcome"] == function.receipt()["outcome"] == "malformed"


def test_the_documented_apig_event_with_a_request(function: Function, httpx_mock: HTTPXMock) -> None:
    """It starts the task."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    for body in (encoded(REQUEST), json.dumps(REQUEST)):
        event = sample("apig_event_doc") | {"httpMethod": "POST", "body": body}
        assert opened(function, event)[0] == 200


@pytest.mark.parametrize("method", ["GET", "get", "HEAD"])
def test_health_is_told_inside_an_apig_event_too(method: str, function: Function) -> None:
    status, headers, body = opened(function, apig(httpMethod=method, path="/healthz"))
    assert (status, headers) == (200, {"Content-Type": "application/json"})
    assert json.loads(body) == {"status": "ok", "version": __version__}
    assert function.receipts() == []


def test_a_cloudevent_inside_an_apig_event_is_an_event(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(3), is_reusable=True)
    names = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms", "ce-id": "caf%C3%A9"}
    capital = {name.title(): value for name, value in names.items()}
    raw = names | {"ce-id": "café"}  # in JSON a header is text, on the wire it would be bytes
    for headers in (names, capital, raw):
        event = apig(json.dumps(REQUEST), headers=headers | {"content-type": "application/json"})
        assert opened(function, event) == (204, {}, "")
        receipt = function.receipt()
        assert (receipt["dialect"], receipt["intent"], receipt["event_id"]) == ("cloudevent", "failed", "café")
    structured = {"content-type": "application/cloudevents+json; charset=utf-8"}
    assert opened(function, apig(json.dumps(cloudevent()), headers=structured)) == (204, {}, "")
    batch = {"content-type": "application/cloudevents-batch+json"}
    assert opened(function, apig(json.dumps([cloudevent()]), headers=batch)) == (204, {}, "")


def test_smn_inside_an_apig_event(function: Function, httpx_mock: HTTPXMock) -> None:
    """A topic may send to an address of APIG; nobody but a signature of SMN makes us follow a URL."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    notice = {
        "type": "Notification",
        "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:oms-failed",
        "signature": "c2lnbmF0dXJl",
        "message_id": "d84bd6629ef04513ad2e37bffd6e17cb",
        "message": json.dumps(REQUEST),
        "timestamp": ago(5),
    }
    headers = {"x-smn-message-type": "Notification"}
    assert opened(function, apig(encoded(notice), headers=headers, isBase64Encoded=True)) == (204, {}, "")
    receipt = function.receipt()
    assert (receipt["dialect"], receipt["event_id"]) == ("smn", "d84bd6629ef04513ad2e37bffd6e17cb")
    question = notice | {"type": "SubscriptionConfirmation", "subscribe_url": "https://console.huaweicloud.com/x"}
    assert opened(function, apig(json.dumps(question))) == (204, {}, "")
    assert function.receipt()["reason"] == "subscription_not_signed"


@pytest.mark.parametrize(
    ("changes", "status", "outcome"),
    [
        ({"body": "not json"}, 400, "malformed"),
        ({"body": "not json", "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"body": ""}, 400, "malformed"),
        ({"body": "", "isBase64Encoded": True}, 400, "malformed"),
        ({"body": None}, 400, "malformed"),
        ({"body": '{"task_id": true}'}, 400, "malformed"),
        ({"body": "[" * 1000}, 400, "malformed"),
        ({"body": "//79", "isBase64Encoded": True}, 400, "malformed"),
        ({"body": json.dumps(REQUEST | {"dst_sk": "x"})}, 400, "malformed"),
        ({"body": json.dumps(REQUEST), "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"body": json.dumps(REQUEST), "headers": {"Content-Encoding": "gzip"}}, 415, "unsupported_media_type"),
        ({"body": "{}", "headers": {"ce-id": "1"}}, 400, "malformed"),
        ({"httpMethod": "PUT"}, 405, "method_not_allowed"),
        ({"httpMethod": "CONNECT", "path": "\x00"}, 405, "method_not_allowed"),
        ({"httpMethod": ""}, 405, "method_not_allowed"),
    ],
)
def test_what_is_wrong_inside_an_apig_event_is_said_inside(
    changes: dict[str, Any], status: int, outcome: str, function: Function
) -> None:
    found, headers, body = opened(function, apig() | changes)
    assert (found, headers["Content-Type"]) == (status, "application/problem+json")
    assert json.loads(body)["outcome"] == function.receipt()["outcome"] == outcome


def each(member: str, *values: Any) -> list[dict[str, Any]]:
    """A change of one member for each value."""
    return [{member: value} for value in values]


@pytest.mark.parametrize(
    "changes",
    [
        *each("httpMethod", None, 7, 0.5, [], ["POST"], {}),
        *each("body", None, 7, 0.5, [], ["x"], {"task_id": TASK}),
        *each("headers", 7, 0.5, "x", ["a"], [["content-type", "application/json"]]),
    ],
)
def test_an_odd_apig_event_is_refused_inside(changes: dict[str, Any], function: Function) -> None:
    """APIG takes an answer of any other shape for a failure of the function."""
    status, _, body = opened(function, apig(json.dumps(REQUEST)) | changes)
    assert status == (405 if "httpMethod" in changes else 400)
    assert json.loads(body)["outcome"] == function.receipt()["outcome"]


@pytest.mark.parametrize(
    "changes",
    [
        *each("path", None, 7, [], "", "no slash", "/\x00", "/\U0001f600"),
        *each("headers", None, {}, {"": "x"}, {"a": None, "b": 7, "c": [], "d": {}, "e": [7]}),
        *each("requestContext", None, 7, [], {}),
        *each("queryStringParameters", None, 7, [], {"": ""}),
        *each("pathParameters", None, 7, [], {"": ""}),
        *each("isBase64Encoded", None, 0, "no", [], {}),
        {"headers": {"content-type": ["application/json"]}},
        {"headers": {"Authorization": "Bearer \u2603"}},
        {"headers": {"authorization": ["Bearer a", "Bearer b"]}},
        {"headers": {"traceparent": "\u2603\n", "x-\u2603": "\x00"}},
    ],
)
def test_an_apig_event_may_be_odd_where_nothing_depends_on_it(
    changes: dict[str, Any], function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    assert opened(function, apig(json.dumps(REQUEST)) | changes)[0] == 200
    assert function.receipt()["outcome"] == "already_running"


def test_repeated_headers_in_an_apig_event_are_joined(function: Function) -> None:
    """As on the wire: repeated ones are joined (RFC 9110, 5.3), so two types are no type that is known."""
    two_types = {"content-type": ["application/json", "text/plain"]}
    assert opened(function, apig(json.dumps(REQUEST), headers=two_types))[0] == 415
    by_case = {"Content-Type": "text/plain", "content-type": "application/json"}
    assert opened(function, apig(json.dumps(REQUEST), headers=by_case))[0] == 415
    binary_event = {"ce-specversion": ["1.0"], "ce-type": ["com.example.other"], "ce-source": ["/x"], "ce-id": ["1"]}
    assert opened(function, apig(json.dumps(REQUEST), headers=binary_event)) == (204, {}, "")
    assert [receipt["outcome"] for receipt in function.receipts()] == [
        "unsupported_media_type",
        "unsupported_media_type",
        "ignored",
    ]


def test_an_apig_event_inside_another_is_rejected(function: Function) -> None:
    status, _, body = opened(function, apig(json.dumps(apig(json.dumps(REQUEST)))))
    assert (status, json.loads(body)["reason"]) == (400, "body: an APIG event inside another")
    assert function.receipt()["outcome"] == "malformed"


def test_an_apig_event_whose_sender_is_not_proved_is_not_opened(function: Function) -> None:
    """A header inside proves nothing about who put it there."""
    inside = {"authorization": "Bearer example-caller-token-0001"}
    reply = function.request("POST", "/invoke", json=apig(json.dumps(REQUEST), headers=inside))
    assert (reply.status_code, reply.json()["outcome"]) == (401, "unauthenticated")


def test_retry_after_is_kept_in_the_envelope(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, status_code=500)
    status, headers, _ = opened(function, apig(json.dumps(REQUEST)))
    assert (status, headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("missing", ["httpMethod", "requestContext", "body"])
def test_without_one_of_its_members_it_is_no_apig_event(missing: str, function: Function) -> None:
    event = {name: value for name, value in apig(json.dumps(REQUEST)).items() if name != missing}
    assert function.post("/invoke", json=event).status_code == 400
    assert function.receipt()["dialect"] == "direct"


# The handshake of webhooks


def handshake(function: Function, headers: dict[str, str], path: str = "/") -> Any:
    """A sender asks whether it may deliver; it proves nothing, and it is not called back."""
    callback = {"WebHook-Request-Callback": "https://example.com/confirm?id=12345"}
    return function.request("OPTIONS", path, headers=callback | headers)


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        (None, "eventemitter.example.com"),
        ("*", "eventemitter.example.com"),
        ("*", "localhost:8080"),
        ("*", "EventEmitter.Example.com"),
        ("eventemitter.example.com", "eventemitter.example.com"),
        ("other.example.com, eventemitter.example.com", "eventemitter.example.com"),
        ("eventemitter.example.com", "EventEmitter.Example.com"),
        ("EventEmitter.Example.com", "eventemitter.example.com"),
    ],
)
def test_an_origin_that_is_allowed_hears_so(
    origins: str | None, origin: str, make_function: Callable[..., Function]
) -> None:
    """Names of hosts know no case (RFC 4343)."""
    function = make_function(CALLER_ORIGINS=origins)
    for path in ("/", "/events"):
        reply = handshake(function, {"WebHook-Request-Origin": origin}, path)
        assert (reply.status_code, reply.content) == (200, b"")
        assert (reply.headers["allow"], reply.headers["webhook-allowed-origin"]) == ("POST", origin)
        assert "webhook-allowed-rate" not in reply.headers
    assert function.receipts() == []


@pytest.mark.parametrize("rate", ["120", "1", "no number"])
def test_a_rate_that_is_asked_for_is_granted(rate: str, function: Function) -> None:
    headers = {"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": rate}
    assert handshake(function, headers).headers["webhook-allowed-rate"] == "*"


@pytest.mark.parametrize(
    ("origins", "headers"),
    [
        ("eventemitter.example.com", {"WebHook-Request-Origin": "evil.example.com"}),
        ("eventemitter.example.com", {"WebHook-Request-Origin": "x.eventemitter.example.com"}),
        ("eventemitter.example.com", {"WebHook-Request-Origin": "*"}),
        ("eventemitter.example.com", {}),
        ("*", {}),
        ("*", {"WebHook-Request-Origin": ""}),
        ("*", {"WebHook-Request-Origin": "*"}),
        ("*", {"WebHook-Request-Origin": "https://eventemitter.example.com/"}),
        ("*", {"WebHook-Request-Origin": "a b"}),
        ("*", {"WebHook-Request-Origin": "a, b"}),
        ("*", {"WebHook-Request-Origin": "<script>"}),
        ("*", {"WebHook-Request-Origin": "x" * 254}),
        ("*", {"Origin": "https://browser.example.com", "Access-Control-Request-Method": "POST"}),
    ],
)
def test_an_origin_that_is_not_allowed_or_no_origin_gets_405(
    origins: str, headers: dict[str, str], make_function: Callable[..., Function]
) -> None:
    function = make_function(CALLER_ORIGINS=origins)
    reply = handshake(function, headers)
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert not [name for name in reply.headers if name.startswith(("webhook-", "access-control-"))]
    assert "example.com" not in reply.text
    assert function.receipt()["reason"] == "webhook-request-origin: missing or not allowed"


@pytest.mark.parametrize(
    "origin", ["a\r\nSet-Cookie: x=1", "a\nX: 1", "a\x00", "a\r", "a.example\n", "é.example", "\u2603"]
)
def test_no_header_can_be_smuggled_into_the_answer_to_a_handshake(origin: str, function: Function) -> None:
    """A real socket would not carry these; inside an APIG event they are JSON."""
    event = apig(httpMethod="OPTIONS", headers={"WebHook-Request-Origin": origin})
    status, headers, body = opened(function, event)
    assert (status, sorted(headers)) == (405, ["Allow", "Content-Type"])
    assert origin not in body
    assert function.receipt()["outcome"] == "method_not_allowed"


def test_the_handshake_works_inside_an_apig_event(function: Function) -> None:
    asking = {"webhook-request-origin": "eventemitter.example.com", "webhook-request-rate": "120"}
    status, headers, body = opened(function, apig(httpMethod="OPTIONS", headers=asking))
    assert (status, body) == (200, "")
    assert headers == {
        "Allow": "POST",
        "WebHook-Allowed-Origin": "eventemitter.example.com",
        "WebHook-Allowed-Rate": "*",
    }


OTHER_BODIES: list[tuple[dict[str, str], bytes]] = [
    ({}, b""),
    ({"Content-Type": "application/json"}, b""),
    ({"Content-Type": "application/json"}, b"{not json"),
    ({"Content-Type": "application/json"}, b"[" * 100_000),
    ({"Content-Type": "application/json"}, b'{"dst_sk": "x"}'),
    ({"Content-Type": "text/plain"}, b"disk is full"),
    ({"Content-Type": "application/protobuf"}, bytes(range(256))),
    ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"\x1f\x8b"),
]


@pytest.mark.parametrize(("headers", "body"), OTHER_BODIES)
def test_a_binary_event_of_another_type_is_ignored_whatever_its_body_is(
    headers: dict[str, str], body: bytes, function: Function
) -> None:
    """Eventarc redelivers a 4xx for a day, and Knative fills its dead-letter sink with it."""
    other = {"ce-specversion": "1.0", "ce-type": "com.example.x", "ce-source": "/x", "ce-id": "1"} | headers
    failed = other | {"ce-type": "oms.task.failed"}
    dead = failed | {"ce-knativeerrordest": "http://x"}
    for sent, reason in ((other, "event_type"), (dead, "dead_letter")):
        assert function.post(content=body, headers=sent).status_code == 204
        receipt = function.receipt()
        assert (receipt["outcome"], receipt["reason"], receipt["event_id"]) == ("ignored", reason, "1")
    assert function.post(content=body, headers=failed).status_code in (400, 415)
    assert function.receipt()["dialect"] == "cloudevent"
    assert function.post(content=body, headers=other | {"ce-id": ""}).status_code == 400
    assert function.receipt()["reason"] == "id: must be a string of 1 to 1024 characters"
