"""Bad deliveries get a 4xx that names the place, never the value; OMS is not called and nothing answers 500.

pytest-httpx fails each test here in which a call to OMS is made.
"""

import base64
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_httpx import HTTPXMock

from example import PROJECT, TASK, TASK_NAME, shown, slowness
from function_client import SHOW, Function

JSON = {"Content-Type": "application/json"}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BINARY = {
    "ce-specversion": "1.0",
    "ce-type": "oms.task.failed",
    "ce-source": "/oms",
    "ce-id": "1",
    "Content-Type": "application/json",
}

BAD_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({}, "give exactly one of task_id, task_name, group_id, sweep"),
    ({"task_id": None}, "give exactly one of task_id, task_name, group_id, sweep"),
    ({"task_id": 1, "task_name": "a"}, "give exactly one of task_id, task_name, group_id, sweep"),
    ({"task_id": 12345678901234567}, "task_id"),
    ({"task_id": "1234567890123456"}, "task_id"),
    ({"task_id": 10**5000}, "body"),
    ({"task_id": ""}, "task_id"),
    ({"task_id": -1}, "task_id"),
    ({"task_id": True}, "task_id"),
    ({"task_id": False}, "task_id"),
    ({"task_id": 1.0}, "task_id"),
    ({"task_id": 1e3}, "task_id"),
    ({"task_id": "1e3"}, "task_id"),
    ({"task_id": "0x1f"}, "task_id"),
    ({"task_id": "+1"}, "task_id"),
    ({"task_id": " 1"}, "task_id"),
    ({"task_id": "1\n"}, "task_id"),
    ({"task_id": "1\x00"}, "task_id"),
    ({"task_id": "../"}, "task_id"),
    ({"task_id": "1/../../2"}, "task_id"),
    ({"task_id": "%2e%2e"}, "task_id"),
    ({"task_id": "1?x=1"}, "task_id"),
    ({"task_id": "1#"}, "task_id"),
    ({"task_id": "١٢٣"}, "task_id"),
    ({"task_id": "\uff11\uff12\uff13"}, "task_id"),
    ({"task_id": "²"}, "task_id"),
    ({"task_id": [1]}, "task_id"),
    ({"task_id": {"id": 1}}, "task_id"),
    ({"task_name": ""}, "task_name"),
    ({"task_name": "x" * 1025}, "task_name"),
    ({"task_name": 7}, "task_name"),
    ({"task_id": 1, "project_id": "somebody-elses"}, "project_id"),
    ({"task_id": 1, "project_id": "../" + PROJECT}, "project_id"),
    ({"task_id": 1, "project_id": ""}, "project_id"),
    ({"task_id": 1, "project_id": 1}, "project_id"),
    ({"task_id": 1, "task_status": 5}, "task_status"),
    ({"task_id": 1, "migrate_failed_object": "true"}, "migrate_failed_object"),
    ({"task_id": 1, "migrate_failed_object": 1}, "migrate_failed_object"),
    ({"task_id": 1, "credentials": "no-such"}, "credentials"),
    ({"task_id": 1, "credentials": "Default"}, "credentials"),
    ({"task_id": 1, "credentials": "../x"}, "credentials"),
    ({"task_id": 1, "credentials": {"src_ak": "x"}}, "src_ak"),
    ({"task_id": 1, "reason": "x" * 257}, "reason"),
    ({"task_id": 1, "reason": 1}, "reason"),
    ({"task_id": 1, "src_ak": "x"}, "src_ak"),
    ({"task_id": 1, "src_ak": None}, "src_ak"),
    ({"task_id": 1, "src_sk": "x"}, "src_sk"),
    ({"task_id": 1, "src_security_token": "x"}, "src_security_token"),
    ({"task_id": 1, "connection_string": "x"}, "connection_string"),
    ({"task_id": 1, "json_auth_file": "x"}, "json_auth_file"),
    ({"task_id": 1, "dst_ak": "x"}, "dst_ak"),
    ({"task_id": 1, "dst_sk": "x"}, "dst_sk"),
    ({"task_id": 1, "dst_security_token": "x"}, "dst_security_token"),
    ({"task_id": 1, "source_cdn_authentication_key": "x"}, "source_cdn_authentication_key"),
    ({"task_id": 1, "DstSk": "x"}, "DstSk"),
    ({"task_id": 1, "dst-sk": "x"}, "dst-sk"),
    ({"task_id": 1, "DST_SK": "x"}, "DST_SK"),
    ({"task_id": 1, "group_id": "a"}, "give exactly one of task_id, task_name, group_id, sweep"),
    ({"group_id": ""}, "group_id"),
    ({"group_id": 7}, "group_id"),
    ({"group_id": "a/b"}, "group_id"),
    ({"group_id": ".."}, "group_id"),
    ({"group_id": "x" * 256}, "group_id"),
    ({"sweep": False}, "sweep"),
    ({"sweep": 1}, "sweep"),
    ({"sweep": 1.0}, "sweep"),
    ({"sweep": "true"}, "sweep"),
    ({"sweep": []}, "sweep"),
    ({"sweep": True, "task_id": 1}, "give exactly one of task_id, task_name, group_id, sweep"),
    ({"sweep": True, "task_status": "FAILED"}, "sweep: only project_id, credentials, reason may stand beside it"),
    ({"sweep": True, "task_status": "SUCCESS"}, "sweep: only project_id, credentials, reason may stand beside it"),
    (
        {"sweep": True, "migrate_failed_object": False},
        "sweep: only project_id, credentials, reason may stand beside it",
    ),
    ({"sweep": True, "project_id": "somebody-elses"}, "project_id"),
    ({"sweep": True, "credentials": "no-such"}, "credentials"),
]

UNKNOWN = [
    {"endpoint": "https://evil.example"},
    {"region": "cn-east-3"},
    {"oms_endpoint": "https://evil.example"},
    {"url": "https://evil.example"},
    {"x": None},
]


@pytest.fixture(scope="module")
def app(start_once: Callable[..., Any]) -> Any:
    """For deliveries that leave nothing behind."""
    return start_once()


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(("document", "place"), BAD_REQUESTS)
def test_a_bad_request_is_refused_in_every_dialect(
    document: dict[str, Any], place: str, app: Any, httpx_mock: HTTPXMock
) -> None:
    """The response names the place."""
    function = Function(app)
    text = _dumps(document)
    event = f'{{"specversion":"1.0","type":"oms.task.failed","source":"/oms","id":"1","data":{text}}}'
    encoded = {"specversion": "1.0", "type": "oms.task.start", "source": "/oms", "id": "1"}
    encoded["data_base64"] = base64.b64encode(text.encode()).decode()
    push = {"message": {"data": base64.b64encode(text.encode()).decode(), "messageId": "m"}, "subscription": "s"}
    string = EVENT | {"data": text}
    record = {"record": [{"smn": {"message_id": "m", "message": text, "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:t"}}]}
    replies = [
        function.post(content=text, headers=JSON),
        function.post(content=text, headers=BINARY),
        function.post(content=event, headers=STRUCTURED),
        function.post(json=encoded, headers=STRUCTURED),
        function.post(json=string, headers=STRUCTURED),
        function.post(json=push, headers=JSON),
        function.post("/invoke", json=record, headers=JSON),
    ]
    receipts = function.receipts()
    assert [reply.status_code for reply in replies] == [400] * 7
    assert [receipt["outcome"] for receipt in receipts] == ["malformed"] * 7
    assert place in replies[0].json()["reason"]
    # A direct caller hears it himself; of an event a person has to hear, once its dialect could be told.
    events = ["ERROR" if "dialect" in receipt else "WARNING" for receipt in receipts[1:]]
    assert [receipt["severity"] for receipt in receipts] == ["WARNING", *events]
    assert ["advice" in receipt for receipt in receipts[1:]] == [severity == "ERROR" for severity in events]
    assert place not in ("task_id", "credentials") or "ERROR" in events


def _dumps(document: dict[str, Any]) -> str:
    if document.get("task_id") == 10**5000:  # Python prints no integer of that size
        return '{"task_id": 1' + "0" * 5000 + "}"
    return json.dumps(document)


@pytest.mark.parametrize(
    ("document", "headers", "reason"),
    [
        ({"intent": "failed"}, {}, "intent: failed needs an id"),
        ({"intent": "failed", "id": None}, {}, "intent: failed needs an id"),
        ({"intent": "FAILED", "id": "1"}, {}, "intent: must be failed or requested"),
        ({"intent": True, "id": "1"}, {}, "intent: must be failed or requested"),
        ({"intent": ["failed"], "id": "1"}, {}, "intent: must be failed or requested"),
        ({"id": ""}, {}, "id: must be a string of 1 to 1024 characters, none of them a control character"),
        ({"id": "x" * 1025}, {}, "id: must be a string of 1 to 1024 characters, none of them a control character"),
        ({"id": 1}, {}, "id: must be a string of 1 to 1024 characters, none of them a control character"),
        ({"id": "a\nb"}, {}, "id: must be a string of 1 to 1024 characters, none of them a control character"),
        ({"id": "a\x85"}, {}, "id: must be a string of 1 to 1024 characters, none of them a control character"),
        ({"id": "a"}, {"Idempotency-Key": "b"}, "id: differs from the header idempotency-key"),
        ({"id": "a", "intent": "failed"}, {"Idempotency-Key": "A"}, "id: differs from the header idempotency-key"),
        ({"id": "a"}, {"webhook-id": "b"}, "id: differs from the header webhook-id"),
        ({"id": "a"}, {"Idempotency-Key": ""}, "idempotency-key: must be"),
        (
            {"task_id": None, "sweep": True, "id": "a"},
            {},
            "sweep: only project_id, credentials, reason may stand beside it",
        ),
        (
            {"task_id": None, "sweep": True, "intent": "failed"},
            {},
            "sweep: only project_id, credentials, reason may stand beside it",
        ),
    ],
)
def test_a_direct_call_whose_intent_or_id_is_none_is_malformed(
    document: dict[str, Any], headers: dict[str, str], reason: str, function: Function
) -> None:
    reply = function.post(json={"task_id": TASK} | document, headers=headers)
    assert reply.status_code == 400
    assert reply.json()["reason"].startswith(reason)
    assert function.receipt()["dialect"] == "direct"


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_an_unknown_field_is_refused_in_a_direct_call(unknown: dict[str, str], function: Function) -> None:
    """Nothing in a delivery chooses where the call goes but `project_id`."""
    reply = function.post(json={"task_id": TASK} | unknown)
    assert reply.status_code == 400
    assert next(iter(unknown)) in reply.json()["reason"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (
            {"task": TASK},
            "give exactly one of task_id, task_name, group_id, sweep; unknown field: task (did you mean task_id?)",
        ),
        ({"task_id": "abc"}, "task_id: must be 1 to 15 digits"),
        (
            {"taskId": TASK, "task_id": True},
            "task_id: must be 1 to 15 digits; unknown field: taskId (did you mean task_id?)",
        ),
        ({"task_id": TASK, "resaon": "x"}, "unknown field: resaon (did you mean reason?)"),
        ({"task_id": TASK, "endpoint": "x"}, "unknown field: endpoint"),
        ({"task_id": TASK, "task_idX9": "x"}, "unknown field: a field"),
        ({"task_name": ""}, "task_name: must be a string of 1 to 1024 characters"),
        ({"task_id": TASK, "reason": "x" * 257}, "reason: must be a string of at most 256 characters"),
        ({"task_id": TASK, "migrate_failed_object": 1}, "migrate_failed_object: must be true or false"),
        ({"sweep": False}, "sweep: must be true"),
        ({"sweep": True, "task_status": "x"}, "sweep: only project_id, credentials, reason may stand beside it"),
    ],
)
def test_a_fault_is_a_sentence_that_a_caller_can_act_on(
    request_: dict[str, Any], reason: str, function: Function
) -> None:
    reply = function.post(json=request_)
    assert (reply.status_code, reply.json()["reason"]) == (400, reason)
    assert function.receipt()["reason"] == reason


@pytest.mark.parametrize("name", ["AKEXAMPLE0000000001", "a\nb", "x" * 41, "<script>", "é", "a b", ""])
def test_a_name_that_may_be_a_key_or_worse_is_not_repeated(name: str, function: Function) -> None:
    reply = function.post(json={"task_id": TASK, name: 1})
    assert reply.status_code == 400
    assert reply.json()["reason"] == "unknown field: a field"


BODIES = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b"{",
    b"{]",
    b"not json",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"{'task_id': 1}",
    b'{"task_id": NaN}',
    b'{"task_name": "\\ud800"}',
    b'{"task_id": 1} trailing',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"task_id": 01}',
]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("headers", [JSON, STRUCTURED, BINARY])
def test_a_body_that_is_no_object_is_malformed(
    body: bytes, headers: dict[str, str], app: Any, httpx_mock: HTTPXMock
) -> None:
    function = Function(app)
    reply = function.post(content=body, headers=headers)
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert function.receipt()["outcome"] == "malformed"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/cloudevents+xml"},
        {"Content-Type": "application/cloudevents"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        BINARY | {"Content-Type": "text/plain"},
    ],
)
@pytest.mark.parametrize("body", [b"<task/>", b'{"task_id": 1}'])
def test_a_format_that_is_not_spoken_here_gets_415(body: bytes, headers: dict[str, str], function: Function) -> None:
    assert function.post(content=body, headers=headers).status_code == 415
    assert function.receipt()["outcome"] == "unsupported_media_type"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_over_the_limit_gets_413(streamed: bool, function: Function) -> None:  # noqa: FBT001
    """Whether its length was announced or not."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield b" " * 1024

    reply = function.post(content=chunks() if streamed else b" " * 1024 * 1024, headers=JSON)
    assert reply.status_code == 413
    assert function.receipt()["outcome"] == "content_too_large"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_another_method_gets_405_and_learns_which_one_is_served(method: str, function: Function) -> None:
    reply = function.request(method)
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert function.receipt()["outcome"] == "method_not_allowed"


EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "oms.task.failed",
    "source": "/oms",
    "id": "1",
    "data": {"task_id": TASK},
}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"specversion": None}, "specversion"),
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": 1.0}, "specversion"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "a\x00b"}, "id"),
        ({"id": "x" * 1025}, "id"),
        ({"source": None}, "source"),
        ({"source": ""}, "source"),
        ({"type": None}, "type"),
        ({"type": []}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"time": 4700000000}, "time"),
        ({"time": "2126-11-24"}, "time"),
        ({"time": "2126-13-24T00:00:00Z"}, "time"),
        ({"time": "2126-11-24T00:00:00"}, "time"),
        ({"time": "0001-01-01T00:00:00+23:00"}, "time"),
        ({"data": None}, "request"),
        ({"data": "text"}, "request"),
        ({"data_base64": "%%%"}, "data_base64"),
        ({"data_base64": 7}, "data_base64"),
        ({"data_base64": "bm90IGpzb24="}, "data_base64"),
    ],
)
def test_a_cloudevent_without_what_it_must_have_is_malformed(
    changes: dict[str, Any], place: str, function: Function
) -> None:
    """Its id above all: ids are never made up."""
    reply = function.post(json=EVENT | changes, headers=STRUCTURED)
    assert reply.status_code == 400
    assert reply.json()["reason"].startswith(place)


@pytest.mark.parametrize("header", ["ce-id", "ce-source", "ce-type", "ce-specversion"])
@pytest.mark.parametrize("value", [None, "", "%ff", "%00"])
def test_a_binary_event_needs_its_headers(header: str, value: str | None, function: Function) -> None:
    """A missing or garbled one makes it malformed."""
    headers = {name: text for name, text in BINARY.items() if name != header}
    reply = function.post(json={"task_id": TASK}, headers=headers | ({header: value} if value is not None else {}))
    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"message_id": None}, "message_id"),
        ({"message_id": ""}, "message_id"),
        ({"message": None}, "message"),
        ({"message": {"task_id": 1}}, "message"),
        ({"message": "this is smn message content"}, "message"),
        ({"message": "7"}, "message"),
        ({"message": f"both a-b-21261027211637786_544 and {TASK_NAME}"}, "message"),
        ({"message": "nobucket-21261027211637786_544"}, "message"),
        ({"message": "a-b-21261027211637786"}, "message"),
        ({"topic_urn": f"urn:smn:cn-north-4:{'0' * 32}:t"}, "topic_urn"),
        ({"timestamp": "now"}, "timestamp"),
        ({"message": '{"task_id": 1, "project_id": "other"}'}, "project_id"),
    ],
)
def test_a_notice_of_smn_without_what_it_must_have_is_malformed(
    changes: dict[str, Any], place: str, make_function: Callable[..., Function]
) -> None:
    function = make_function(OMS_PROJECTS='{"other": "cn-north-1"}')
    smn = {"message_id": "m", "message": f'{{"task_id": {TASK}}}', "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:t"}
    reply = function.post("/invoke", json={"record": [{"smn": smn | changes}]}, headers=JSON)
    assert reply.status_code == 400
    assert reply.json()["reason"].startswith(place)


@pytest.mark.parametrize(
    "document",
    [
        {"record": []},
        {"record": None},
        {"record": {}},
        {"record": ["smn"]},
        {"record": [{"smn": None}]},
        {"record": [{"smn": []}]},
        {"record": [{"smn": {}}, 7]},
    ],
)
def test_records_of_no_notice_are_malformed(document: dict[str, Any], function: Function) -> None:
    assert function.post("/invoke", json=document, headers=JSON).status_code in (400, 422)
    assert {receipt["outcome"] for receipt in function.receipts()} == {"malformed"}


@pytest.mark.parametrize("header", ["Idempotency-Key", "webhook-id"])
@pytest.mark.parametrize("value", ["", "x" * 1025])
def test_an_id_of_a_direct_call_that_is_none_is_malformed(header: str, value: str, function: Function) -> None:
    reply = function.post(json={"task_id": TASK}, headers={header: value})
    assert reply.status_code == 400
    assert reply.json()["reason"].startswith(header.lower())


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"timestamp": None}, "timestamp: must be given"),
        ({"timestamp": "now"}, "timestamp: not an RFC 3339 time"),
        ({"timestamp": 4732406400}, "timestamp: not an RFC 3339 time"),
        ({"message_id": None}, "message_id"),
        ({"message_id": "a\nb"}, "message_id"),
        ({"subject": "OMS\ntimestamp\n2126-11-24T00:00:00Z"}, "subject: has a line break"),
        ({"subject": "OMS\rtimestamp"}, "subject: has a line break"),
        ({"topic_urn": "urn:smn:a\ntype\nNotification"}, "topic_urn: has a line break"),
        ({"unsubscribe_url": "https://example.com/\n"}, "unsubscribe_url: has a line break"),
        ({"AK0": "\n"}, "a field: has a line break"),
    ],
)
def test_no_field_of_smn_but_the_message_has_lines(changes: dict[str, Any], place: str, function: Function) -> None:
    """Only `message` may have lines of its own; whoever authenticated the delivery."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = {"type": "Notification", "signature": "c2ln", "message_id": "m", "timestamp": now, "subject": "OMS"}
    message |= {"message": json.dumps({"task_id": TASK}, indent=1), "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:t"}
    reply = function.post(json=message | changes)
    assert reply.status_code == 400
    assert reply.json()["reason"].startswith(place)
    assert function.receipt()["dialect"] == "smn"


LIMIT = 16 * 1024
LONG_NAME = "a" * 1000 + "!"
HALF_A_MEGABYTE = 500 * 1024
ABOUT_A_TASK = f'"task_id": {TASK}'
HOSTILE: dict[str, str] = {
    "a name of 1000 letters and a sign": f'{{{ABOUT_A_TASK}, "{LONG_NAME}": 1}}',
    "a name of half a megabyte": f'{{{ABOUT_A_TASK}, "{"a" * HALF_A_MEGABYTE}": 1}}',
    "names with signs": f'{{{ABOUT_A_TASK}, "{"a-" * (HALF_A_MEGABYTE // 2)}": 1}}',
    "57,000 unknown fields": f"{{{ABOUT_A_TASK}, " + ", ".join(f'"{n:x}":1' for n in range(47_000)) + "}",
    "fields that could be fields": f"{{{ABOUT_A_TASK}, "
    + ", ".join(f'"{"a" * 39}{n}":1' for n in "abcdefghijklmn")
    + "}",
    "an array of numbers": "[" + "1," * (HALF_A_MEGABYTE // 2) + "1]",
    "an array in a field": f'{{{ABOUT_A_TASK}, "x": [' + "1," * (HALF_A_MEGABYTE // 2) + "1]}",
    "objects in an array": f'{{{ABOUT_A_TASK}, "x": [' + '{"a":1},' * (HALF_A_MEGABYTE // 8) + "1]}",
    "objects without members": f'{{{ABOUT_A_TASK}, "x": [' + "{}," * (HALF_A_MEGABYTE // 3) + "1]}",
    "objects with one member": f'{{{ABOUT_A_TASK}, "x": [' + '{"":0},' * (HALF_A_MEGABYTE // 7) + "1]}",
    "brackets in a string": f'{{{ABOUT_A_TASK}, "x": "' + "[{" * (HALF_A_MEGABYTE // 2) + '"}',
    "brackets in many strings": f'{{{ABOUT_A_TASK}, "x": [' + '"[{",' * (HALF_A_MEGABYTE // 5) + "1]}",
    "a string of quotes without an end": "[" * 20_001 + '"' + '\\"' * (HALF_A_MEGABYTE // 3),
    "strings of a backslash": "[" * 20_001 + '"\\"' * (HALF_A_MEGABYTE // 4),
    "199 levels": f'{{{ABOUT_A_TASK}, "x": ' + "[" * 198 + '{"dst_sk": 1}' + "]" * 198 + "}",
    "a long id": f'{{"task_id": "{"1" * HALF_A_MEGABYTE}"}}',
    "a long number": f'{{"task_id": {"1" * HALF_A_MEGABYTE}}}',
    "a long task name": f'{{"task_name": "{"a" * HALF_A_MEGABYTE}"}}',
    "a long group": f'{{"group_id": "{"a" * HALF_A_MEGABYTE}"}}',
    "a long profile": f'{{{ABOUT_A_TASK}, "credentials": "{"a" * HALF_A_MEGABYTE}"}}',
    "a long intent": f'{{{ABOUT_A_TASK}, "intent": "{"a" * HALF_A_MEGABYTE}"}}',
    "half of a time sequence, often": json.dumps("-12345678901234567_1 " * (HALF_A_MEGABYTE // 22)),
    "a text of hyphens": json.dumps("-" * HALF_A_MEGABYTE),
    "escapes": '"' + "\\\\" * (HALF_A_MEGABYTE // 4) + '"',
}
ENVELOPES: dict[str, tuple[str, dict[str, str], str]] = {
    "direct": ("%s", JSON, ""),
    "cloudevent": ('{"specversion":"1.0","type":"oms.task.failed","source":"/oms","id":"1","data":%s}', STRUCTURED, ""),
    "cloudevent string": (
        '{"specversion":"1.0","type":"oms.task.failed","source":"/oms","id":"1","data":%s}',
        STRUCTURED,
        "json",
    ),
    "cloudevent id": (
        '{"specversion":"1.0","type":"oms.task.failed","source":"/oms","id":%s,"time":%s}',
        STRUCTURED,
        "json",
    ),
    "binary": ("%s", BINARY, ""),
    "pubsub": ('{"message":{"messageId":"m","data":"%s"},"subscription":"s"}', JSON, "base64"),
    "smn": ('{"record":[{"smn":{"message_id":"m","message":%s}}]}', JSON, "json"),
    "smn time": (
        '{"type":"Notification","topic_urn":"","signature":"","message_id":"m","message":"","timestamp":%s}',
        JSON,
        "json",
    ),
    "timer": (
        '{"trigger_type":"TIMER","trigger_name":"t","time":"2126-11-24T00:00:00Z","user_event":%s}',
        JSON,
        "json",
    ),
    "alert": (
        '{"version":"4","groupKey":"","alerts":[{"status":"firing","fingerprint":"1","startsAt":%s,"labels":{"task_id":%s}}]}',
        JSON,
        "json",
    ),
    "batch": ("[%s]", {"Content-Type": "application/cloudevents-batch+json"}, ""),
}


@pytest.fixture(scope="module")
def disabled_app(start_once: Callable[..., Any]) -> Any:
    """It starts nothing, whatever is in a delivery."""
    return start_once(RESTART_ENABLED="false")


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_body_stalls_the_function(hostile: str, envelope: str, disabled_app: Any, httpx_mock: HTTPXMock) -> None:
    """CPU time is measured without the client's; parsing half a megabyte takes some milliseconds of it."""
    function = Function(disabled_app)
    template, headers, coding = ENVELOPES[envelope]
    text = HOSTILE[hostile]
    text = json.dumps(text) if coding == "json" else text
    text = base64.b64encode(text.encode()).decode() if coding == "base64" else text
    body = template.replace("%s", text).encode()
    begun = time.process_time()
    reply = function.post(content=body, headers=headers)
    took = time.process_time() - begun
    assert reply.status_code < 500
    assert len(reply.content) < LIMIT
    assert max(len(json.dumps(receipt)) for receipt in function.receipts()) < LIMIT
    assert took < 0.1 or took < 0.1 * slowness()


@pytest.mark.parametrize("inside", ["", "1", '"[["'])
@pytest.mark.parametrize(("levels", "status"), [(200, 204), (201, 400)])
def test_json_has_at_most_200_levels(levels: int, status: int, inside: str, function: Function) -> None:
    """The event and its data are two of them, and brackets in strings are none."""
    deep = "[" * (levels - 2) + inside + "]" * (levels - 2)
    event = f'{{"specversion":"1.0","type":"other","source":"/oms","id":"1","data":{{"x":{deep}}}}}'
    assert function.post(content=event, headers=STRUCTURED).status_code == status


@pytest.mark.parametrize("filler", ["[]", "{}", '{"":0}'])
@pytest.mark.parametrize(("count", "status"), [(19_997, 204), (19_998, 400)])
def test_json_has_at_most_20000_objects_and_arrays(filler: str, count: int, status: int, function: Function) -> None:
    """Event, data and array count, and brackets in strings do not."""
    strings = json.dumps(["{[" * 50_000, "\\", '"[{'])[1:-1]
    data = f'{{"task_id": 1, "task_status": "5", "x": [{strings}, {",".join([filler] * count)}]}}'
    event = f'{{"specversion":"1.0","type":"oms.task.failed","source":"/oms","id":"1","data":{data}}}'
    reply = function.post(content=event, headers=STRUCTURED)
    assert reply.status_code == status
    if status == 400:
        assert reply.json()["reason"] == "body: over 20000 objects and arrays"


def test_of_many_faults_ten_are_named_and_the_others_counted(function: Function) -> None:
    fields = {f"field_{chr(97 + number)}": 1 for number in range(26)}
    reason = function.post(json=fields).json()["reason"].split("; ")
    assert reason == [
        "give exactly one of task_id, task_name, group_id, sweep",
        *(f"unknown field: {name}" for name in list(fields)[:9]),
        "and 17 more",
    ]
    reason = function.post(json={"task_id": TASK} | dict(list(fields.items())[:10])).json()["reason"].split("; ")
    assert reason == [f"unknown field: {name}" for name in list(fields)[:10]]


@pytest.mark.parametrize("depth", [1, 50, 190])
def test_a_secret_is_refused_at_any_depth(depth: int, function: Function) -> None:
    for inner, outer in (('{"a":', "}"), ("[", "]")):
        body = f'{{{ABOUT_A_TASK}, "x": ' + inner * depth + '{"srcSk": "x"}' + outer * depth + "}"
        assert function.post(content=body, headers=JSON).json()["reason"].startswith("srcSk: credentials never travel")


@pytest.mark.parametrize("character", ["a", "é", "成", "\U0001f600", "\x01"])
def test_a_reply_and_a_receipt_stay_under_16_kib(character: str, function: Function, httpx_mock: HTTPXMock) -> None:
    """However long the names are."""
    name = character * 1024
    task = shown(2, name=name)
    httpx_mock.add_response(url=re.compile(r".*/tasks\?"), json={"tasks": [task], "count": 1}, is_reusable=True)
    httpx_mock.add_response(url=SHOW, json=task)
    httpx_mock.add_response(url=SHOW, json=shown(3, name=name))
    for intent, status in (("requested", 200), ("failed", 409)):
        event_id = intent[0] + "\U0001f600" * 1023
        request = {"task_name": name, "reason": character * 256, "id": event_id, "intent": intent}
        reply = function.post(json=request)
        assert (reply.status_code, len(reply.content) < LIMIT) == (status, True)
        assert len(json.dumps(function.receipt(), ensure_ascii=False).encode()) < LIMIT
