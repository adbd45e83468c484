"""Every sender's format at a real process, and a second implementation of CloudEvents as a sender."""

import json
import queue
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent

from example import TASK, TASK_NAME
from processes import EXAMPLE, Running

BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
TOPIC = f"urn:smn:cn-north-4:{EXAMPLE['OMS_PROJECT_ID']}:oms-failed"
# The same task again and again, by events of their own.
SETTINGS = {"RESTART_BUDGET": "9999/24h", "RESTART_BACKOFF": "0"}
pytestmark = pytest.mark.usefixtures("fresh_world")
REQUEST = {"task_id": TASK, "migrate_failed_object": False}


def encoded(document: Any) -> str:
    return b64encode(json.dumps(document).encode()).decode()


def event(number: int, **changes: Any) -> dict[str, Any]:
    """A CloudEvent as a JSON object."""
    named = {"specversion": "1.0", "type": "oms.task.failed", "source": "/e2e", "id": f"e-{number}"}
    return named | {"data": REQUEST} | changes


PUSH: dict[str, Any] = {
    "message": {"data": encoded(REQUEST), "messageId": "m-1"},
    "subscription": "projects/x/subscriptions/y",
}
GOOGLE = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub.googleapis.com/projects/x"}
NOTICE = {"topic_urn": TOPIC, "message": json.dumps(REQUEST), "subject": "OMS"}
NOW = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
SIGNED = {"type": "Notification", "signature": "c2ln", "signature_version": "v1", "timestamp": NOW}
TIMER = {"version": "v1.0", "time": NOW, "trigger_type": "TIMER", "trigger_name": "Timer_001"}
ALERT = {"status": "firing", "labels": {"task_id": str(TASK)}, "startsAt": NOW, "fingerprint": "f-1"}
BINARY = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/e2e"}
APIG = {"httpMethod": "POST", "path": "/", "headers": {}, "requestContext": {}, "isBase64Encoded": True}

# Path, headers, document; dialect and event id of the receipt; status, for APIG the one inside the envelope.
DELIVERIES: dict[str, tuple[str, dict[str, str], Any, str, str | None, int]] = {
    "direct": ("/", {"Idempotency-Key": "k-1"}, REQUEST, "direct", "k-1", 200),
    "binary": ("/", BINARY | {"ce-id": "e-1"}, REQUEST, "cloudevent", "e-1", 204),
    "structured": ("/", {"Content-Type": "application/cloudevents+json"}, event(2), "cloudevent", "e-2", 204),
    "batch": ("/", BATCH, [event(3)], "cloudevents_batch", "e-3", 204),
    "eventgrid": ("/invoke", {}, event(4, ttl="4000", dataschema=""), "cloudevent", "e-4", 204),
    "pubsub": ("/", {}, PUSH, "pubsub", "m-1", 204),
    "eventarc": ("/", {}, event(5, data=PUSH | {"message": PUSH["message"] | {"messageId": "m-2"}}, **GOOGLE),
                 "pubsub", "m-2", 204),
    "smn": ("/smn", {}, NOTICE | SIGNED | {"message_id": "n-1"}, "smn", "n-1", 204),
    "functiongraph smn": ("/invoke", {}, {"record": [{"smn": NOTICE | {"message_id": "n-2"}}]},
                          "functiongraph_smn", "n-2", 204),
    "functiongraph timer": ("/invoke", {}, TIMER | {"user_event": json.dumps(REQUEST)},
                            "functiongraph_timer", f"Timer_001/{NOW}", 204),
    "apig": ("/invoke", {}, APIG | {"body": encoded(REQUEST)}, "direct", None, 200),
    "apig, event inside": ("/invoke", {}, APIG | {"body": encoded(event(6))}, "cloudevent", "e-6", 204),
}  # fmt: skip


def test_an_alert_about_the_task_starts_it(oms: Running, public: Running) -> None:
    """Its labels cannot say which objects are to be sent again; the settings do."""
    group = {"version": "4", "groupKey": "{}", "alerts": [ALERT]}
    assert httpx.post(public.url, json=group, headers=BEARER).status_code == 204
    receipt = public.receipt()
    assert (receipt["outcome"], receipt["dialect"], receipt["intent"]) == ("started", "alertmanager", "failed")
    assert receipt["event_id"] == f"f-1/{NOW}"
    assert oms.operations() == ["show", "start"]


@pytest.mark.parametrize("sender", DELIVERIES)
def test_every_sender_starts_the_task(sender: str, oms: Running, public: Running) -> None:
    path, headers, document, dialect, event_id, status = DELIVERIES[sender]
    reply = httpx.post(public.url + path, json=document, headers=BEARER | headers)
    inside = reply.json()["statusCode"] if "apig" in sender else reply.status_code
    assert (inside, reply.status_code) == (status, 200 if "apig" in sender else status)
    receipt = public.receipt()
    assert (receipt["outcome"], receipt["dialect"], receipt.get("event_id")) == ("started", dialect, event_id)
    assert (receipt["task_id"], receipt["task_name"]) == (str(TASK), TASK_NAME)
    assert receipt["intent"] == ("requested" if dialect == "direct" else "failed")
    show, start = oms.control("GET", "/_sim/calls")
    assert (show["operation"], start["operation"], start["accepted"]) == ("show", "start", True)
    assert start["body"]["migrate_failed_object"] is False


@pytest.mark.parametrize(
    "document",
    [
        TIMER | {"user_event": '{"message": "timer triggered event"}'},
        {"version": "4", "groupKey": "{}", "alerts": [ALERT | {"status": "resolved"}]},
        {"cts": {"service_type": "OMS", "trace_name": "startTask", "resource_id": str(TASK)}},
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "x"}}}]},
        {"request_context": {}, "response_context": {}, "request_payload": REQUEST, "response_payload": ""},
        event(7, type="OMS:CloudTrace:ApiCall"),
    ],
)
def test_what_tells_of_something_else_starts_nothing(document: Any, oms: Running, public: Running) -> None:
    assert httpx.post(f"{public.url}/invoke", json=document, headers=BEARER).status_code == 204
    assert public.receipt()["outcome"] == "ignored"
    assert oms.control("GET", "/_sim/calls") == []


def by_sdk(number: int, data: Any = REQUEST, **changes: str) -> CloudEvent:
    """An event of the CloudEvents SDK for Python, which adds a time of its own."""
    attributes = {"type": "oms.task.failed", "source": "/sdk/python", "id": f"sdk-{number}", "extension": "x"}
    return CloudEvent(attributes | changes, data)


def json_of(made: CloudEvent) -> Any:
    return json.loads(to_structured(made)[1])


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(to_binary(by_sdk(1)), id="binary"),
        pytest.param(to_binary(by_sdk(2, datacontenttype="application/json", subject="a/b")), id="binary, typed"),
        pytest.param(to_binary(by_sdk(3, json.dumps(REQUEST).encode()), lambda data: data), id="binary, of bytes"),
        pytest.param(to_structured(by_sdk(4)), id="structured"),
        pytest.param(to_structured(by_sdk(5, datacontenttype="application/json")), id="structured, typed"),
        pytest.param(to_structured(by_sdk(6, json.dumps(REQUEST).encode())), id="structured, base64"),
        pytest.param((BATCH, json.dumps([json_of(by_sdk(7))]).encode()), id="batch"),
        pytest.param(to_binary(by_sdk(8, PUSH | {"message": {"data": encoded(REQUEST)}}, **GOOGLE)), id="eventarc"),
    ],
)
def test_events_of_another_implementation_are_understood(
    made: tuple[dict[str, str], bytes], oms: Running, public: Running
) -> None:
    """The SDK percent-encodes nothing and names no type of content unless told to."""
    headers, body = made
    reply = httpx.post(public.url, content=body, headers=BEARER | headers)
    receipt = public.receipt()
    assert (reply.status_code, reply.content, receipt["outcome"]) == (204, b"", "started")
    assert receipt["event_id"].startswith("sdk-")
    assert receipt.get("event_age_s", 0) in range(3600)
    assert oms.operations() == ["show", "start"]


def test_a_batch_of_another_implementation_has_one_reply(oms: Running, public: Running) -> None:
    """The reply is for all of its events, and each has a receipt."""
    batch = [by_sdk(11), by_sdk(12, {"task_id": TASK + 3}), by_sdk(13, {"task_id": "x"}), by_sdk(14, {"task_id": 7})]
    reply = httpx.post(public.url, content=json.dumps([json_of(made) for made in batch]), headers=BEARER | BATCH)
    assert reply.status_code == 422
    receipts = [public.receipt() for _ in batch]
    assert [receipt["outcome"] for receipt in receipts] == ["started", "refused", "malformed", "not_found"]
    with pytest.raises(queue.Empty):
        public.receipt(seconds=0)
