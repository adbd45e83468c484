"""Bad deliveries get a 4xx that names the place, never the value; OMS is not called and nothing answers 500.

pytest-httpx fails each test here in which a call to OMS is made.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from door import Function
from example import PROJECT, TASK, TASK_NAME

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
    ({}, "exactly_one"),
    ({"task_id": None}, "exactly_one"),
    ({"task_id": 1, "task_name": "a"}, "exactly_one"),
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
]

UNKNOWN = [
    {"endpoint": "https://evil.example"},
    {"region": "cn-east-3"},
    {"oms_endpoint": "https://evil.example"},
    {"url": "https://evil.example"},
    {"x": None},
]


@pytest.mark.parametrize(("document", "place"), BAD_REQUESTS)
def test_a_bad_request_is_refused_in_every_dialect_and_the_answer_names_the_place(
    document: dict[str, Any], place: str, function: Function
) -> None:
    text = _dumps(document)
    event = f'{{"specversion":"1.0","type":"oms.task.failed","source":"/oms","id":"1","data":{text}}}'
    encoded = {"specversion": "1.0", "type": "oms.task.start", "source": "/oms", "id": "1"}
    encoded["data_base64"] = base64.b64encode(text.encode()).decode()
    record = {"record": [{"smn": {"message_id": "m", "message": text, "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:t"}}]}
    replies = [
        function.post(content=text, headers=JSON),
        function.post(content=text, headers=BINARY),
        function.post(content=event, headers=STRUCTURED),
        function.post(json=encoded, headers=STRUCTURED),
        function.post("/invoke", json=record, headers=JSON),
    ]
    receipts = function.receipts()
    assert [reply.status_code for reply in replies] == [400] * 5
    assert [receipt["outcome"] for receipt in receipts] == ["malformed"] * 5
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


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_an_unknown_field_is_refused_in_a_direct_call(unknown: dict[str, str], function: Function) -> None:
    """Nothing in a delivery chooses where the call goes but `project_id`."""
    reply = function.post(json={"task_id": TASK} | unknown)
    assert reply.status_code == 400
    assert next(iter(unknown)) in reply.json()["reason"]


@pytest.mark.parametrize("name", ["AKEXAMPLE0000000001", "a\nb", "x" * 41, "<script>", "é", "a b", ""])
def test_a_name_that_may_be_a_key_or_worse_is_not_repeated(name: str, function: Function) -> None:
    reply = function.post(json={"task_id": TASK, name: 1})
    assert reply.status_code == 400
    assert reply.json()["reason"] == "a field: extra_forbidden"


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


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("headers", [JSON, STRUCTURED, BINARY])
def test_a_body_that_is_no_object_is_malformed(body: bytes, headers: dict[str, str], function: Function) -> None:
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
def test_a_body_over_the_limit_gets_413_whether_it_was_announced_or_not(streamed: bool, function: Function) -> None:  # noqa: FBT001
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
        ({"time": 1700000000}, "time"),
        ({"time": "2026-11-24"}, "time"),
        ({"time": "2026-13-24T00:00:00Z"}, "time"),
        ({"time": "2026-11-24T00:00:00"}, "time"),
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
def test_a_binary_cloudevent_with_a_missing_or_garbled_header_is_malformed(
    header: str, value: str | None, function: Function
) -> None:
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
        ({"message": f"both a-b-20261027211637786_544 and {TASK_NAME}"}, "message"),
        ({"message": "nobucket-20261027211637786_544"}, "message"),
        ({"message": "a-b-20261027211637786"}, "message"),
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
