"""The simulator keeps the documented rules of OMS, and breaks them only when told to. Loopback only."""

import asyncio
import gzip
import hashlib
import json
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from huaweicloudsdkoms.v2.model.show_task_response import ShowTaskResponse

import simulator as door
from oms_simulator import messages, signature
from oms_simulator.documents import InvalidDocument
from simulator import Simulator
from simulator_calls import BODY, BROKEN, NOON, PROJECT, TASKS, TOKEN, Clock, ask, code

# The official SDK has no types.
ORACLE: Any = Signer
ID = 191297407830872
START = f"{TASKS}/{ID}/start"
AK, SK = "AKEXAMPLE0000000001", "SKEXAMPLE00000000000000000000000000000001"
STS = {"X-Security-Token": "sts"}
DST = {"dst_ak": "c", "dst_sk": "d"}
LIST = {"result": True, "list_file_key": "oms/list.txt"}
FAILED = {"id": ID, "name": "photos", "status": 4, "error_reason": BROKEN}
NOON_TEXT = "20261124T120000Z"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return Simulator({"tasks": [FAILED]}, clock)


def start(sim: Simulator, task_id: object = ID, body: object = BODY, **options: Any) -> httpx.Response:
    return ask(sim, "POST", f"{TASKS}/{task_id}/start", json=body, **options)


def signed(
    method: str, path: str, query: str = "", body: bytes = b"", extra: dict[str, str] | None = None
) -> dict[str, str]:
    """Headers as the official SDK signs them, at noon."""
    fields = [pair.partition("=") for pair in query.split("&") if pair]
    headers = {"Content-Type": "application/json", "X-Sdk-Date": NOON_TEXT, **(extra or {})}
    request = SdkRequest(
        method=method,
        schema="http",
        host="oms.test",
        resource_path=path,
        query_params=[(name, value) for name, _, value in fields],
        header_params=headers,
        body=body,
    )
    return dict(ORACLE(BasicCredentials(AK, SK)).sign(request).header_params)


def canonical_of(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> str:
    request = messages.Request(method, path, query, headers, body)
    return signature.canonical_request(request, tuple(headers))


START_BODY = (
    b'{"src_ak": "src_ak", "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk", "migrate_failed_object": false}'
)
OMS_HOST = {"host": "oms.cn-north-4.myhuaweicloud.com", "x-sdk-date": "20260102T030405Z"}
OMS_JSON = {**OMS_HOST, "content-type": "application/json"}

VECTORS = {
    "start with few headers": (
        ("POST", START, "", OMS_JSON, START_BODY),
        "9ebdb866a9d33a4c53bf269fd9c38770e74d97b027cd8140e08be39701db4b0c",
    ),
    "start with the SDK's headers": (
        (
            "POST",
            START,
            "",
            {
                **OMS_HOST,
                "content-type": "application/json;charset=UTF-8",
                "user-agent": "huaweicloud-usdk-python/3.0",
                "x-project-id": PROJECT,
            },
            START_BODY,
        ),
        "56e650a7f033b2b5bd03f69e0d15a07105183bd6a3704d0a763fd6e845541e4b",
    ),
    "start with a security token": (
        (
            "POST",
            START,
            "",
            {**OMS_JSON, "x-project-id": PROJECT, "x-security-token": "STSTOKENEXAMPLE"},
            START_BODY,
        ),
        "e9c36a68a672c28751086b92a04c56dea73c2f45e0f51f5f68beac81b4ea9912",
    ),
    "start of a url list": (
        (
            "POST",
            START,
            "",
            OMS_JSON,
            b'{"dst_ak": "dst_ak", "dst_sk": "dst_sk", "migrate_failed_object": false}',
        ),
        "11b576ecb010a112050917c89a02be4a9d4bd8f3f31c619bf66466488edae3d6",
    ),
    "show": (
        ("GET", f"{TASKS}/{ID}", "", {**OMS_JSON, "x-project-id": PROJECT}, b""),
        "8684d9e6ac1151b1babe0354e3c2641a2b70d8f9b8922471afd2de9f8219beae",
    ),
    "query": (
        ("GET", "/v3/projects", "name=cn-north-4", OMS_HOST, b""),
        "fbe8651b7cc95709f560d60d162a3e031de38ef93fe667ef222d092a3cb2d3cb",
    ),
    "escaped path": (
        ("POST", f"{TASKS}/..%2Fa%20b%2F%252f/start", "", OMS_JSON, START_BODY),
        "a8476354eaaea7db502134c324ef17e31a15d67eed0da05fe83aaf9b7812161b",
    ),
    "UTF-8 body": (
        ("POST", START, "", OMS_JSON, '{"dst_ak": "中文", "dst_sk": "d"}'.encode()),
        "d70f5181b5c651d1056f8f4f443e38c0f86818f11933afee2a1d1e9cd4189ae0",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_signatures_are_those_of_the_reference(name: str) -> None:
    given, expected = VECTORS[name]
    date = given[3]["x-sdk-date"]
    assert signature.signature(SK, date, canonical_of(*given)) == expected


def test_the_signature_printed_in_the_signing_guide_is_reproduced() -> None:
    """Inputs and signature as on https://support.huaweicloud.com/devg-apisign/api-sign-algorithm-002.html."""
    canonical = canonical_of(
        "GET",
        "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs",
        "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
        {
            "content-type": "application/json",
            "host": "service.region.example.com",
            "x-sdk-date": "20191115T033655Z",
        },
        b"",
    )
    assert canonical == (
        "GET\n/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs/\n"
        "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0\n"
        "content-type:application/json\nhost:service.region.example.com\nx-sdk-date:20191115T033655Z\n\n"
        "content-type;host;x-sdk-date\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    expected = "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
    secret = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"
    assert signature.signature(secret, "20191115T033655Z", canonical) == expected


def test_what_the_official_sdk_signs_is_accepted(sim: Simulator) -> None:
    raw = json.dumps(BODY).encode()
    extra = {"X-Project-Id": PROJECT, "User-Agent": "sdk; x/1"}
    headers = signed("POST", START, body=raw, extra=extra)
    assert ask(sim, "POST", START, headers=headers, content=raw).status_code == 200
    assert ask(sim, "GET", f"{TASKS}/{ID}", headers=signed("GET", f"{TASKS}/{ID}")).status_code == 200


@pytest.mark.parametrize("query", ["task_name=a%20b&limit=5", "limit=5&task_name=~x-_.", "task_name=%C3%A9"])
def test_queries_the_sdk_signs_are_accepted(sim: Simulator, query: str) -> None:
    plain = query.replace("%20", " ").replace("%C3%A9", "é")
    response = ask(sim, "GET", f"{TASKS}?{query}", headers=signed("GET", TASKS, plain))
    assert response.json() == {"tasks": [], "count": 0}


def test_an_unsigned_payload_is_accepted_only_if_it_says_so_in_a_signed_header(sim: Simulator) -> None:
    raw = json.dumps(BODY).encode()
    headers = signed("POST", START, body=b"other", extra={"Content-Type": "text/plain"})
    assert headers["X-Sdk-Content-Sha256"] == "UNSIGNED-PAYLOAD"
    assert ask(sim, "POST", START, headers=headers, content=raw).status_code == 200
    added = {"X-Sdk-Content-Sha256": hashlib.sha256(b"other").hexdigest()}
    headers = signed("POST", START, body=b"other") | added
    assert ask(sim, "POST", START, headers=headers, content=raw).status_code == 401


def test_a_call_without_credentials_is_refused_with_a_request_id(sim: Simulator) -> None:
    response = start(sim, headers={})
    assert (response.status_code, code(response)) == (401, "APIGW.0301")
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("token", "expected"), [("wrong", "APIGW.0301"), ("", "APIGW.0301"), ("expired-token", "APIGW.0307")]
)
def test_a_token_must_be_known_and_fresh(sim: Simulator, token: str, expected: str) -> None:
    response = start(sim, headers={"X-Auth-Token": token})
    assert (response.status_code, code(response)) == (401, expected)


def test_a_good_token_does_not_excuse_a_signature(sim: Simulator) -> None:
    assert start(sim, headers={**TOKEN, "Authorization": "SDK-HMAC-SHA256 Access=x"}).status_code == 401


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer x",
        "SDK-HMAC-SHA256",
        f"SDK-HMAC-SHA256 Access={AK}, SignedHeaders=host;x-sdk-date, Signature=zz",
        f"SDK-HMAC-SHA256 Access={AK}, SignedHeaders=, Signature={'0' * 64}",
    ],
)
def test_a_malformed_signature_is_a_401(sim: Simulator, authorization: str) -> None:
    assert code(start(sim, headers={"Authorization": authorization})) == "APIGW.0301"


@pytest.mark.parametrize("unsigned", ["host", "x-sdk-date", "x-security-token"])
def test_host_date_and_security_token_must_be_signed(sim: Simulator, unsigned: str) -> None:
    path = f"{TASKS}/{ID}"
    headers = {name.lower(): v for name, v in signed("GET", path, extra=STS).items()}
    headers["authorization"] = headers["authorization"].replace(f"{unsigned};", "").replace(f";{unsigned}", "")
    response = ask(sim, "GET", path, headers=headers)
    assert (response.status_code, code(response)) == (401, "APIGW.0301")
    assert f"not signed: {unsigned}" in response.json()["error_msg"]


@pytest.mark.parametrize(("seconds", "status"), [(0, 200), (900, 200), (-900, 200), (901, 401), (-901, 401)])
def test_a_date_is_good_for_fifteen_minutes(sim: Simulator, clock: Clock, seconds: int, status: int) -> None:
    headers = signed("GET", f"{TASKS}/{ID}")
    clock.now += seconds
    response = ask(sim, "GET", f"{TASKS}/{ID}", headers=headers)
    assert response.status_code == status
    assert status == 200 or code(response) == "APIGW.0303"


@pytest.mark.parametrize("date", ["yesterday", "20261399T990000Z", "2026-11-24T12:00:00Z", ""])
def test_a_date_that_is_none_is_refused_as_too_far_off(sim: Simulator, date: str) -> None:
    headers = signed("GET", f"{TASKS}/{ID}") | {"X-Sdk-Date": date}
    assert code(ask(sim, "GET", f"{TASKS}/{ID}", headers=headers)) == "APIGW.0303"


def test_a_wrong_signature_is_answered_with_an_echo_of_what_was_signed(sim: Simulator) -> None:
    headers = signed("GET", f"{TASKS}/{ID}", extra={"X-Security-Token": "sts-secret"})
    headers["Authorization"] = headers["Authorization"][:-64] + "0" * 64
    message = ask(sim, "GET", f"{TASKS}/{ID}", headers=headers).json()["error_msg"]
    begin = "Incorrect IAM authentication information: verify aksk signature fail, canonicalRequest:GET|"
    assert message.startswith(f"{begin}{TASKS}/{ID}/||")
    assert "|x-security-token:sts-secret|" in message


def test_a_temporary_key_needs_its_own_security_token(sim: Simulator) -> None:
    sim.set_auth({"security_tokens": {AK: "sts"}})
    path = f"{TASKS}/{ID}"
    for extra, status in ((STS, 200), ({"X-Security-Token": "no"}, 401), ({}, 401)):
        assert ask(sim, "GET", path, headers=signed("GET", path, extra=extra)).status_code == status


def fail(sim: Simulator, times: int) -> list[str]:
    headers = signed("GET", TASKS)
    headers["Authorization"] = headers["Authorization"][:-64] + "0" * 64
    return [ask(sim, "GET", TASKS, headers=headers).json()["error_msg"] for _ in range(times)]


def test_five_failures_in_a_row_are_forgiven(sim: Simulator) -> None:
    good = signed("GET", TASKS)
    for _ in range(2):
        fail(sim, 5)
        assert ask(sim, "GET", TASKS, headers=good).status_code == 200


def test_more_than_five_failures_lock_the_key_for_five_minutes(sim: Simulator, clock: Clock) -> None:
    messages = fail(sim, 7)
    assert all("verify aksk signature fail" in message for message in messages[:6])
    assert messages[6].endswith("AK access failed to reach the limit,forbidden")
    clock.now += 299
    locked = ask(sim, "GET", TASKS, headers=signed("GET", TASKS))
    assert (locked.status_code, code(locked)) == (401, "APIGW.0301")
    clock.now += 1
    assert ask(sim, "GET", TASKS, headers=signed("GET", TASKS)).status_code == 200


def test_a_lock_does_not_touch_tokens_and_its_time_can_be_set(sim: Simulator, clock: Clock) -> None:
    sim.set_auth({"lock_seconds": 2, "max_failures": 0})
    fail(sim, 1)
    assert start(sim).status_code == 200
    assert ask(sim, "GET", TASKS, headers=signed("GET", TASKS)).status_code == 401
    clock.now += 2
    assert ask(sim, "GET", TASKS, headers=signed("GET", TASKS)).status_code == 200


def test_the_project_of_the_header_must_be_that_of_the_path(sim: Simulator) -> None:
    response = start(sim, headers={**TOKEN, "X-Project-Id": "0" * 32})
    assert (response.status_code, code(response)) == (403, "APIGW.0310")
    assert start(sim, headers={**TOKEN, "X-Project-Id": PROJECT}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", START), ("PUT", TASKS), ("GET", f"/v1/{PROJECT}/tasks"), ("POST", f"{START}/x"), ("GET", "/")],
)
def test_other_calls_are_no_api(sim: Simulator, method: str, path: str) -> None:
    response = ask(sim, method, path)
    assert (response.status_code, code(response)) == (404, "APIGW.0101")


def test_a_body_of_more_than_twelve_megabytes_is_refused(sim: Simulator) -> None:
    response = ask(sim, "POST", START, content=b" " * (12 * 1024 * 1024 + 1))
    assert (response.status_code, code(response)) == (413, "APIGW.0201")


@pytest.mark.parametrize("status", [3, 4])
def test_a_paused_or_failed_task_starts_once(sim: Simulator, status: int) -> None:
    sim.set_tasks([FAILED | {"status": status}])
    response = start(sim)
    assert (response.status_code, response.content) == (200, b"")
    assert (sim.task(ID)["status"], sim.task(ID)["error_reason"], sim.starts(ID)) == (2, None, 1)
    assert code(start(sim)) == "OMS.0065"
    assert sim.starts(ID) == 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [(1, "OMS.0065"), (2, "OMS.0065"), (5, "OMS.0070"), (6, "OMS.0065"), (7, "OMS.0065")],
)
def test_no_other_task_starts(sim: Simulator, status: int, expected: str) -> None:
    sim.set_tasks([FAILED | {"status": status}])
    response = start(sim)
    assert (response.status_code, code(response)) == (400, expected)
    assert (sim.starts(ID), sim.task(ID)["status"]) == (0, status)


def stop(sim: Simulator, task_id: object = ID) -> httpx.Response:
    return ask(sim, "POST", f"{TASKS}/{task_id}/stop")


@pytest.mark.parametrize("status", [1, 2, 6])
def test_a_task_in_progress_is_pausing_and_then_paused(sim: Simulator, clock: Clock, status: int) -> None:
    sim.set_tasks([FAILED | {"status": status, "pause_seconds": 5}])
    response = stop(sim)
    assert (response.status_code, response.content, sim.task(ID)["status"]) == (200, b"", 7)
    assert (code(stop(sim)), code(start(sim))) == ("OMS.0066", "OMS.0065")
    clock.now += 5
    assert sim.task(ID)["status"] == 3
    assert start(sim).status_code == 200


def test_a_stop_calls_off_the_end_of_a_started_task(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([FAILED | {"after_start": 4, "after_seconds": 10}])
    start(sim)
    clock.now += 5
    stop(sim)
    clock.now += 60
    assert sim.task(ID)["status"] == 3


@pytest.mark.parametrize(("status", "expected"), [(3, "OMS.0066"), (4, "OMS.0066"), (5, "OMS.0070"), (7, "OMS.0066")])
def test_no_other_task_stops(sim: Simulator, status: int, expected: str) -> None:
    sim.set_tasks([FAILED | {"status": status}])
    assert (code(stop(sim)), sim.task(ID)["status"]) == (expected, status)


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 6, 7])
def test_a_task_in_progress_cannot_be_deleted(sim: Simulator, status: int) -> None:
    sim.set_tasks([FAILED | {"status": status}])
    response = ask(sim, "DELETE", f"{TASKS}/{ID}")
    if status in {3, 4, 5}:
        assert (response.status_code, sim.tasks()) == (200, [])
        assert code(ask(sim, "GET", f"{TASKS}/{ID}")) == "OMS.1009"
    else:
        assert (code(response), len(sim.tasks())) == ("OMS.0063", 1)


@pytest.mark.parametrize(("method", "action"), [("POST", "/stop"), ("DELETE", "")])
def test_a_stop_or_delete_needs_a_task_of_its_own(sim: Simulator, method: str, action: str) -> None:
    sim.add_tasks([{"id": 1, "status": 2, "group_id": "g"}])
    told = [code(ask(sim, method, f"{TASKS}/{task_id}{action}")) for task_id in ("x", 5, 1)]
    assert told == ["OMS.0054", "OMS.1009", "OMS.1036"]


NEW = {"src_node": {"bucket": "photos"}, "dst_node": {"ak": "c", "sk": "d", "bucket": "backup"}}


def test_a_new_task_has_a_name_of_oms_and_runs(sim: Simulator) -> None:
    answer = ask(sim, "POST", TASKS, json=NEW | {"enable_restore": True}).json()
    assert answer == {"id": ID + 1, "task_name": "photos-backup-20261124120000000_873"}
    shown = ask(sim, "GET", f"{TASKS}/{ID + 1}").json()
    assert (shown["status"], shown["enable_restore"], shown["start_time"]) == (2, True, int(NOON * 1000))
    assert "sk" not in shown["dst_node"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], "OMS.0067"),
        ({}, "OMS.1004"),
        (NEW | {"name": "mine"}, "OMS.0074"),
        (NEW | {"task_type": "folder"}, "OMS.0064"),
        (NEW | {"dst_node": {"ak": "c", "bucket": "b"}}, "OMS.1004"),
        (NEW | {"dst_node": {"ak": "", "sk": "d", "bucket": "b"}}, "OMS.0064"),
    ],
)
def test_the_body_of_a_new_task_is_checked(sim: Simulator, body: object, expected: str) -> None:
    assert code(ask(sim, "POST", TASKS, json=body)) == expected
    assert len(sim.tasks()) == 1


def test_refusals_carry_the_documented_words(sim: Simulator) -> None:
    start(sim)
    assert start(sim).json() == {"error_code": "OMS.0065", "error_msg": "The task has already started."}


def test_a_task_can_fail_again_for_the_same_reason(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([FAILED | {"after_start": 4, "after_seconds": 10}])
    assert start(sim).status_code == 200
    clock.now += 9
    assert (sim.task(ID)["status"], code(start(sim))) == (2, "OMS.0065")
    clock.now += 1
    assert (sim.task(ID)["status"], sim.task(ID)["error_reason"]) == (4, BROKEN)
    assert start(sim).status_code == 200
    assert sim.starts(ID) == 2


def test_a_task_can_succeed_after_its_start(sim: Simulator) -> None:
    sim.set_tasks([FAILED | {"after_start": 5, "total_num": 9, "failed_num": 2}])
    start(sim)
    shown = ask(sim, "GET", f"{TASKS}/{ID}").json()
    told = [shown[name] for name in ("status", "successful_num", "failed_num", "error_reason")]
    assert told == [5, 9, 0, None]


@pytest.mark.parametrize(
    ("task_id", "expected"),
    [
        ("1", "OMS.1009"),
        ("0", "OMS.1009"),
        ("999999999999999", "OMS.1009"),
        ("1000000000000000", "OMS.0054"),
        ("-1", "OMS.0054"),
        ("1.5", "OMS.0054"),
        ("%20", "OMS.0054"),
        ("..%2F..%2Fx", "OMS.0054"),
        ("%D9%A1%D9%A2", "OMS.0054"),
        ("191297407830872%0A", "OMS.0054"),
    ],
)
def test_an_id_is_one_to_fifteen_digits_and_must_exist(sim: Simulator, task_id: str, expected: str) -> None:
    response = start(sim, task_id)
    assert (response.status_code, code(response)) == (400, expected)
    shown = ask(sim, "GET", f"{TASKS}/{task_id}")
    assert (shown.status_code, code(shown)) == (400, expected)


def test_another_projects_task_does_not_exist(sim: Simulator) -> None:
    path = f"/v2/{'0' * 32}/tasks/{ID}"
    assert code(ask(sim, "POST", f"{path}/start", json=BODY)) == "OMS.1009"
    assert code(ask(sim, "GET", path)) == "OMS.1009"
    assert ask(sim, "GET", f"/v2/{'0' * 32}/tasks").json() == {"tasks": [], "count": 0}


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe\xff", b"[" * 100_000, b"1" * 5000, b"dst_ak=a"]
)
def test_a_body_that_is_no_json_object_is_refused(sim: Simulator, raw: bytes) -> None:
    response = ask(sim, "POST", START, content=raw)
    assert (response.status_code, code(response)) == (400, "OMS.0067")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dst_ak": None}, "OMS.1004"),
        ({"dst_sk": None}, "OMS.1004"),
        ({"dst_ak": ""}, "OMS.0064"),
        ({"dst_sk": "x" * 101}, "OMS.0064"),
        ({"dst_ak": 1}, "OMS.0064"),
        ({"src_ak": ""}, "OMS.0064"),
        ({"src_sk": None}, "OMS.0064"),
        ({"connection_string": "x" * 2049}, "OMS.0064"),
        ({"json_auth_file": "x" * 65536}, "OMS.0064"),
        ({"src_security_token": "x" * 16385}, "OMS.0064"),
        ({"dst_security_token": "x" * 16385}, "OMS.0064"),
        ({"source_cdn_authentication_key": "x" * 256}, "OMS.0064"),
        ({"migrate_failed_object": "true"}, "OMS.0064"),
        ({"migrate_failed_object": 1}, "OMS.0064"),
        ({"dst_crypto_type": "AES"}, "OMS.0064"),
        ({"dst_kms_key_id": "short"}, "OMS.0064"),
        ({"operation": "start"}, "OMS.0074"),
        ({"task_id": str(ID)}, "OMS.0074"),
        ({"src_cdn_authentication_key": "x"}, "OMS.0074"),
    ],
)
def test_fields_are_known_present_and_within_bounds(sim: Simulator, change: dict[str, object], expected: str) -> None:
    response = start(sim, body=BODY | change)
    assert (response.status_code, code(response)) == (400, expected)


def test_fields_at_their_bounds_are_accepted(sim: Simulator) -> None:
    body = {
        **dict.fromkeys(BODY, "x" * 100),
        "connection_string": "x" * 2048,
        "json_auth_file": "",
        "src_security_token": "x" * 16384,
        "dst_security_token": "",
        "source_cdn_authentication_key": "x" * 255,
        "src_crypto_type": "KMS",
        "src_kms_key_id": "x" * 36,
        "migrate_failed_object": False,
    }
    assert start(sim, body=body).status_code == 200


@pytest.mark.parametrize("name", ["dst_ak", "dst_sk"])
def test_destination_keys_are_required(sim: Simulator, name: str) -> None:
    assert code(start(sim, body={k: v for k, v in BODY.items() if k != name})) == "OMS.1004"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, 400),
        ({"src_ak": "a"}, 400),
        ({"src_sk": "a"}, 400),
        ({"connection_string": ""}, 400),
        ({"src_ak": "a", "src_sk": "b"}, 200),
        ({"connection_string": "azure"}, 200),
        ({"json_auth_file": "{}"}, 200),
    ],
)
@pytest.mark.parametrize("task_type", ["list", "object", "prefix", ""])
def test_a_task_needs_one_way_into_its_source(
    sim: Simulator, task_type: str, source: dict[str, str], expected: int
) -> None:
    sim.set_tasks([FAILED | {"task_type": task_type}])
    response = start(sim, body=DST | source)
    assert response.status_code == expected
    assert expected == 200 or code(response) == "OMS.0057"


@pytest.mark.parametrize("name", ["src_ak", "src_sk", "connection_string", "json_auth_file", "src_security_token"])
def test_a_url_list_takes_no_source_key(sim: Simulator, name: str) -> None:
    sim.set_tasks([FAILED | {"task_type": "url_list"}])
    assert code(start(sim, body=DST | {name: "leak"})) == "OMS.0057"
    assert start(sim, body=DST).status_code == 200


@pytest.mark.parametrize(
    "task",
    [
        {"failed_num": 3},
        {"failed_num": 3, "failed_object_record": {"result": False}},
        {"failed_num": 3, "failed_object_record": LIST, "enable_failed_object_recording": False},
        {"failed_num": 0, "failed_object_record": LIST},
        {"failed_num": 3, "failed_object_record": None},
    ],
)
def test_failed_objects_alone_need_a_usable_list(sim: Simulator, task: dict[str, object]) -> None:
    sim.set_tasks([FAILED | task])
    assert code(start(sim, body=BODY | {"migrate_failed_object": True})) == "OMS.0167"
    assert start(sim, body=BODY | {"migrate_failed_object": False}).status_code == 200


def test_failed_objects_alone_can_be_sent_again(sim: Simulator) -> None:
    sim.set_tasks([FAILED | {"failed_num": 3, "failed_object_record": LIST}])
    assert start(sim, body=BODY | {"migrate_failed_object": True}).status_code == 200


def test_a_task_shows_the_documented_fields_and_no_other(sim: Simulator) -> None:
    shown = ask(sim, "GET", f"{TASKS}/{ID}").json()
    assert set(shown) == set(ShowTaskResponse.attribute_map)
    assert len(shown) == 39


def test_fields_can_be_empty_or_left_out(sim: Simulator) -> None:
    sim.set_tasks([FAILED | {"error_reason": "", "omit": ["failed_object_record"]}])
    shown = ask(sim, "GET", f"{TASKS}/{ID}").json()
    assert shown["error_reason"] == ""
    assert "failed_object_record" not in shown


def names(sim: Simulator, query: str) -> list[str]:
    return [task["name"] for task in ask(sim, "GET", f"{TASKS}?{query}").json()["tasks"]]


def test_a_name_matches_wherever_it_occurs(sim: Simulator) -> None:
    sim.set_tasks([{"id": n, "name": name} for n, name in enumerate(("a-b_1", "a-b_12", "x-a-b_1", "c"))])
    assert names(sim, "task_name=a-b_1") == ["a-b_1", "a-b_12", "x-a-b_1"]
    assert names(sim, "task_name=A-B_1") == []
    assert len(names(sim, "task_name=")) == 4


def test_tasks_are_found_by_status_and_group(sim: Simulator) -> None:
    sim.set_tasks([FAILED, {"id": 1, "name": "one", "status": 2, "group_id": "g"}])
    assert names(sim, "status=4") == ["photos"]
    assert names(sim, "group_id=g") == ["one"]
    assert names(sim, "group_id=g&status=4") == []


def test_a_page_holds_ten_tasks_and_the_count_all(sim: Simulator) -> None:
    sim.set_tasks([{"id": n, "name": f"task-{n}"} for n in range(120)])
    page = ask(sim, "GET", TASKS).json()
    assert (len(page["tasks"]), page["count"]) == (10, 120)
    assert names(sim, "offset=118&limit=100") == ["task-118", "task-119"]
    assert len(names(sim, "limit=100")) == 100


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=101", "OMS.0064"),
        ("limit=0", "OMS.0064"),
        ("limit=x", "OMS.0064"),
        ("offset=-1", "OMS.0064"),
        ("status=6", "OMS.0064"),
        ("status=failed", "OMS.0064"),
        ("task_name=a%3Cb", "OMS.0064"),
        (f"task_name={'x' * 256}", "OMS.0064"),
        ("name=x", "OMS.0074"),
    ],
)
def test_a_list_query_is_checked(sim: Simulator, query: str, expected: str) -> None:
    response = ask(sim, "GET", f"{TASKS}?{query}")
    assert (response.status_code, code(response)) == (400, expected)


def test_starts_beyond_the_rate_are_throttled_and_nothing_else(sim: Simulator, clock: Clock) -> None:
    sim.set_throttle({"starts_per_second": 2})
    sim.set_tasks([FAILED | {"after_start": 4}])
    statuses = [start(sim).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    response = start(sim)
    assert code(response) == "APIGW.0308"
    assert response.json()["error_msg"] == "policy user over ratelimit,limit:2,time:1 second"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "retry-after" not in response.headers
    assert ask(sim, "GET", TASKS).status_code == 200
    clock.now += 0.5
    assert [start(sim).status_code for _ in range(2)] == [200, 429]


def test_a_throttle_can_be_lifted(sim: Simulator) -> None:
    sim.set_throttle({"starts_per_second": 1, "burst": 0})
    assert start(sim).status_code == 429
    sim.set_throttle({})
    assert start(sim).status_code == 200


def test_a_rule_applies_to_its_operation_and_task_as_often_as_it_says(sim: Simulator) -> None:
    sim.set_rules([{"operation": "start", "task_id": ID, "count": 2, "action": {"answer": "unavailable"}}])
    assert ask(sim, "GET", f"{TASKS}/{ID}").status_code == 200
    assert code(start(sim, 5)) == "OMS.1009"
    assert [start(sim).status_code for _ in range(3)] == [503, 503, 200]


def test_a_rule_without_a_count_applies_always_and_to_any_call(sim: Simulator) -> None:
    sim.set_rules([{"action": {"answer": {"status": 500}}}])
    asked = (TASKS, f"{TASKS}/{ID}", "/elsewhere")
    assert [ask(sim, "GET", path).status_code for path in asked] == [500] * 3


def test_chance_is_the_same_for_the_same_seed(sim: Simulator) -> None:
    def series(seed: int) -> list[int]:
        sim.set_rules([{"probability": 0.5, "seed": seed, "action": {"answer": {"status": 500}}}])
        return [ask(sim, "GET", TASKS).status_code for _ in range(20)]

    assert series(1) == series(1) != series(2)
    assert {200, 500} == set(series(1))


@pytest.mark.parametrize(
    ("answer", "status", "content_type"),
    [
        ("throttled", 429, "application/json;charset=utf-8"),
        ("unavailable", 503, "application/json;charset=utf-8"),
        ("broken", 500, "application/json;charset=utf-8"),
        ("bad_gateway", 502, "text/html"),
        ("redirect", 302, None),
        ("html", 200, "text/html"),
        ({"status": 418, "body": "tea", "headers": {"Content-Type": "text/x"}}, 418, "text/x"),
        ({"status": 404, "body": {"a": 1}}, 404, "application/json;charset=utf-8"),
    ],
)
def test_an_answer_can_be_put_in_place_of_the_true_one(
    sim: Simulator, answer: object, status: int, content_type: str | None
) -> None:
    sim.set_rules([{"operation": "start", "action": {"answer": answer}}])
    response = start(sim)
    assert (response.status_code, response.headers.get("content-type")) == (status, content_type)
    assert response.headers["x-request-id"]
    assert sim.starts(ID) == 0


def test_an_answer_can_hide_a_start_that_was_made(sim: Simulator) -> None:
    sim.set_rules([{"count": 1, "action": {"answer": {"status": 504, "commit": True}}}])
    assert start(sim).status_code == 504
    assert (sim.starts(ID), code(start(sim))) == (1, "OMS.0065")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 20_000_000])
def test_an_answer_can_be_of_any_size(sim: Simulator, size: int) -> None:
    sim.set_rules([{"action": {"answer": {"size": size}}}])
    assert len(start(sim).content) == size


def test_an_answer_can_be_compressed(sim: Simulator) -> None:
    sim.set_rules([{"action": {"answer": {"size": 1_000_000, "gzip": True}}}])
    response = start(sim)
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) == len(gzip.compress(b"x" * 1_000_000))
    assert len(response.content) == 1_000_000


def test_a_redirect_says_where_to(sim: Simulator) -> None:
    sim.set_rules([{"action": {"answer": {"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}}}])
    assert start(sim).headers["location"] == "http://127.0.0.1:9/"


def test_a_delay_waits_and_lets_the_next_rule_decide(sim: Simulator) -> None:
    sim.set_rules([{"count": 2, "action": {"delay": 0.05}}, {"count": 1, "action": {"answer": "broken"}}])
    begun = time.monotonic()
    assert [start(sim).status_code for _ in range(2)] == [500, 200]
    assert time.monotonic() - begun >= 0.1


@pytest.fixture(scope="module", params=[name for name in ("h11", "httptools") if find_spec(name)])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Simulator, str]]:
    """One server for each of uvicorn's protocols that is installed."""
    sim = Simulator({"tasks": [FAILED]})
    with sim.serving(http=request.param) as url:
        yield sim, url


@pytest.fixture
def served(server: tuple[Simulator, str], caplog: pytest.LogCaptureFixture) -> Iterator[tuple[Simulator, str]]:
    """A simulator behind a real socket, as good as new. That uvicorn finds something to log is a failure."""
    server[0].reset()
    logger = logging.getLogger("uvicorn")
    logger.addHandler(caplog.handler)
    yield server
    logger.removeHandler(caplog.handler)
    assert caplog.records == []


def send_start(url: str, seconds: float = 5) -> socket.socket:
    """A start sent by hand, to see every byte that comes back."""
    raw = json.dumps(BODY).encode()
    head = f"POST {START} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: example-token\r\n"
    length = f"Content-Length: {len(raw)}\r\n\r\n"
    connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=seconds)
    connection.sendall((head + length).encode() + raw)
    return connection


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("action", "starts"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_can_end_without_a_byte(served: tuple[Simulator, str], action: str, starts: int) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "count": 1, "action": {action: "fin"}}])
    with send_start(url) as connection:
        assert connection.recv(1) == b""
    assert sim.starts(ID) == starts
    assert [(call["status"], call["fault"], call["accepted"]) for call in sim.calls()] == [(None, action, bool(starts))]


@pytest.mark.parametrize(("action", "starts"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_can_be_reset(served: tuple[Simulator, str], action: str, starts: int) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "count": 1, "action": {action: "rst"}}])
    with send_start(url) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert sim.starts(ID) == starts


def test_the_next_connection_is_served_again(served: tuple[Simulator, str]) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "count": 1, "action": {"reset_after": "fin"}}])
    with httpx.Client(base_url=url, headers=TOKEN, trust_env=False) as client:
        assert client.get(TASKS).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(START, json=BODY)
        assert code(client.post(START, json=BODY)) == "OMS.0065"


@pytest.mark.parametrize(("when", "starts"), [("before", 0), ("after", 1)])
def test_a_call_can_hang_until_the_client_goes(served: tuple[Simulator, str], when: str, starts: int) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "action": {"hang": when}}])
    with send_start(url, seconds=0.2) as connection, pytest.raises(TimeoutError):
        connection.recv(1)
    assert sim.starts(ID) == starts
    assert [(call["status"], call["fault"]) for call in sim.calls()] == [(None, "hang")]
    assert httpx.get(f"{url}{TASKS}", headers=TOKEN, trust_env=False).status_code == 200


def test_a_delayed_start_is_made_though_its_client_gave_up(served: tuple[Simulator, str]) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "action": {"delay": 0.2}}])
    with send_start(url):
        wait_until(lambda: len(sim.calls()) == 1)
    wait_until(lambda: sim.starts(ID) == 1)


def test_a_huge_answer_passes_a_real_socket(served: tuple[Simulator, str]) -> None:
    sim, url = served
    sim.set_rules([{"action": {"answer": {"size": 3_000_001}}}])
    assert len(httpx.get(f"{url}{TASKS}", headers=TOKEN, trust_env=False).content) == 3_000_001


def test_in_process_a_closed_connection_is_an_exception(sim: Simulator) -> None:
    sim.set_rules([{"action": {"reset_after": "fin"}}])
    with pytest.raises(ConnectionResetError):
        start(sim)
    assert sim.starts(ID) == 1


def test_of_many_starts_at_once_one_is_accepted(served: tuple[Simulator, str]) -> None:
    sim, url = served

    def post(_: int) -> int:
        return httpx.post(f"{url}{START}", json=BODY, headers=TOKEN, trust_env=False).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(16))) == [200] + [400] * 15
    assert sim.starts(ID) == 1


def test_a_call_is_remembered_without_its_credentials(sim: Simulator, clock: Clock) -> None:
    start(sim, headers={**TOKEN, "X-Security-Token": "sts-secret", "X-Trace": "1"})
    (call,) = sim.calls()
    headers = call.pop("headers")
    assert call == {
        "n": 1,
        "time": clock.now,
        "operation": "start",
        "method": "POST",
        "path": START,
        "query": "",
        "task_id": str(ID),
        "group_id": None,
        "body": BODY,
        "status": 200,
        "error_code": None,
        "fault": None,
        "accepted": True,
    }
    assert (headers["x-auth-token"], headers["x-security-token"], headers["x-trace"]) == (
        "present",
        "present",
        "1",
    )
    assert "sts-secret" not in json.dumps(sim.calls())


def test_a_signature_is_not_kept(sim: Simulator) -> None:
    headers = signed("GET", TASKS, "limit=5")
    ask(sim, "GET", f"{TASKS}?limit=5", headers=headers)
    (call,) = sim.calls()
    assert (call["headers"]["authorization"], call["operation"], call["query"]) == (
        "present",
        "list",
        "limit=5",
    )


def test_refusals_are_remembered_with_their_code(sim: Simulator) -> None:
    start(sim, 5)
    start(sim, headers={})
    start(sim, "..%2Fx")
    ask(sim, "GET", "/v9")
    told = [(call["operation"], call["task_id"], call["status"], call["error_code"]) for call in sim.calls()]
    assert told == [
        ("start", "5", 400, "OMS.1009"),
        ("start", str(ID), 401, "APIGW.0301"),
        ("start", "../x", 400, "OMS.0054"),
        ("unknown", None, 404, "APIGW.0101"),
    ]


def test_calls_can_be_forgotten(sim: Simulator) -> None:
    start(sim)
    sim.clear_calls()
    start(sim)
    assert [call["n"] for call in sim.calls()] == [1]


def test_everything_can_be_set_and_read_over_http(sim: Simulator) -> None:
    def put(method: str, name: str, value: object) -> int:
        return ask(sim, method, f"/_sim/{name}", json=value, headers={}).status_code

    assert put("PUT", "tasks", [{"id": 1, "name": "one", "status": 4}]) == 204
    assert put("POST", "tasks", [{"id": 2, "name": "two", "status": 4}]) == 204
    assert put("PUT", "auth", {"tokens": ["new"]}) == 204
    assert put("PUT", "throttle", {"starts_per_second": 5}) == 204
    assert put("PUT", "rules", [{"operation": "start", "task_id": 2, "action": {"answer": "broken"}}]) == 204
    headers = {"X-Auth-Token": "new"}
    assert [start(sim, n, headers=headers).status_code for n in (1, 2)] == [200, 500]
    tasks = ask(sim, "GET", "/_sim/tasks", headers={}).json()
    assert [(task["id"], task["status"], task["starts"]) for task in tasks] == [(1, 2, 1), (2, 4, 0)]
    assert [call["n"] for call in ask(sim, "GET", "/_sim/calls", headers={}).json()] == [1, 2]
    assert ask(sim, "DELETE", "/_sim/calls", headers={}).status_code == 204
    assert ask(sim, "GET", "/_sim/calls", headers={}).json() == []


def test_tasks_can_be_put_back_as_they_were_read(sim: Simulator) -> None:
    start(sim)
    before = sim.tasks()
    sim.set_tasks(before)
    assert sim.tasks() == before


def test_a_reset_brings_back_the_world_it_began_with(sim: Simulator) -> None:
    fail(sim, 6)
    sim.set_rules([{"action": {"answer": "broken"}}])
    sim.set_throttle({"starts_per_second": 0, "burst": 0})
    sim.set_auth({"tokens": []})
    sim.set_tasks([])
    assert ask(sim, "POST", "/_sim/reset", headers={}).status_code == 204
    assert sim.calls() == []
    assert ask(sim, "GET", TASKS, headers=signed("GET", TASKS)).status_code == 200
    assert start(sim).status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("tasks", {}, "tasks"),
        ("tasks", [1], "tasks[0]"),
        ("tasks", [{"name": "x"}], "tasks[0].id"),
        ("tasks", [{"id": 1}, {"id": 1}], "tasks[1].id"),
        ("tasks", [{"id": True}], "tasks[0].id"),
        ("tasks", [{"id": 10**15}], "tasks[0].id"),
        ("tasks", [{"id": 1, "status": 0}], "tasks[0].status"),
        ("tasks", [{"id": 1, "colour": "red"}], "tasks[0].colour"),
        ("tasks", [{"id": 1, "enable_restore": 1}], "tasks[0].enable_restore"),
        ("tasks", [{"id": 1, "failed_num": -1}], "tasks[0].failed_num"),
        ("tasks", [{"id": 1, "progress": 2}], "tasks[0].progress"),
        ("tasks", [{"id": 1, "bandwidth_policy": {}}], "tasks[0].bandwidth_policy"),
        ("tasks", [{"id": 1, "group_type": "X"}], "tasks[0].group_type"),
        ("tasks", [{"id": 1, "src_node": {"buckets": "x"}}], "tasks[0].src_node.buckets"),
        ("tasks", [{"id": 1, "error_reason": {"code": "x"}}], "tasks[0].error_reason.code"),
        ("groups", [{"group_id": "../x"}], "groups[0].group_id"),
        ("groups", [{"group_id": "a"}, {"group_id": "a"}], "groups[1].group_id"),
        ("groups", [{"group_id": "a", "status": 10}], "groups[0].status"),
        ("groups", [{"group_id": "a", "members": []}], "groups[0].members"),
        ("groups", [{"group_id": "a", "omit": ["name"]}], "groups[0].omit[0]"),
        ("listing", {"order": "random"}, "listing.order"),
        ("listing", {"changes": [{"after_lists": 0, "task_id": 1}]}, "listing.changes[0].after_lists"),
        ("listing", {"raw_rows": [{"page": 1}]}, "listing.raw_rows[0].rows"),
        ("tasks", [{"id": 1, "after_start": 9}], "tasks[0].after_start"),
        ("tasks", [{"id": 1, "omit": ["x"]}], "tasks[0].omit[0]"),
        ("rules", [{}], "rules[0].action"),
        ("rules", [{"action": {}}], "rules[0].action"),
        ("rules", [{"action": {"delay": 1, "hang": "before"}}], "rules[0].action"),
        ("rules", [{"action": {"explode": 1}}], "rules[0].action.explode"),
        ("rules", [{"action": {"delay": -1}}], "rules[0].action.delay"),
        ("rules", [{"action": {"delay": 10**400}}], "rules[0].action.delay"),
        ("rules", [{"action": {"hang": True}}], "rules[0].action.hang"),
        ("rules", [{"action": {"reset_after": True}}], "rules[0].action.reset_after"),
        ("rules", [{"action": {"answer": "nope"}}], "rules[0].action.answer"),
        ("rules", [{"action": {"answer": {"status": 99}}}], "rules[0].action.answer.status"),
        ("rules", [{"action": {"answer": {"headers": {"a": 1}}}}], "rules[0].action.answer.headers.a"),
        ("rules", [{"operation": "explode", "action": {"delay": 1}}], "rules[0].operation"),
        ("rules", [{"probability": 2, "action": {"delay": 1}}], "rules[0].probability"),
        ("rules", [{"times": 2, "action": {"delay": 1}}], "rules[0].times"),
        ("throttle", {"rate": 1}, "throttle.rate"),
        ("throttle", {"starts_per_second": "1"}, "throttle.starts_per_second"),
        ("auth", {"keys": {"AK": 1}}, "auth.keys.AK"),
        ("auth", {"tokens": "x"}, "auth.tokens"),
        ("auth", {"token": ["x"]}, "auth.token"),
    ],
)
def test_control_input_that_is_not_understood_is_named(sim: Simulator, name: str, value: object, field: str) -> None:
    before = sim.tasks()
    response = ask(sim, "PUT", f"/_sim/{name}", json=value, headers={})
    assert (response.status_code, response.json()["field"]) == (400, field)
    assert response.json()["error"].startswith(f"{field}: ")
    assert sim.tasks() == before


def test_controls_that_do_not_exist_or_are_no_json_are_refused(sim: Simulator) -> None:
    assert ask(sim, "PUT", "/_sim/weather", json={}).status_code == 404
    assert ask(sim, "DELETE", "/_sim/tasks").status_code == 404
    assert ask(sim, "PUT", "/_sim/tasks", content=b"{").json()["field"] == "body"


def test_a_task_cannot_be_added_twice(sim: Simulator) -> None:
    response = ask(sim, "POST", "/_sim/tasks", json=[FAILED])
    assert (response.status_code, response.json()["field"]) == (400, "tasks[0].id")


def test_a_world_that_is_not_understood_is_refused_at_once() -> None:
    with pytest.raises(InvalidDocument, match=r"world\.task"):
        Simulator({"task": []})


def test_the_demo_world_holds_what_the_demo_needs() -> None:
    sim = Simulator()
    main = sim.task(ID)
    assert (main["name"], main["status"]) == ("photos-photos-20261027211637786_544", 4)
    assert (main["error_reason"]["error_code"], main["failed_object_record"]["result"]) == ("TRF.0001", True)
    tasks = sim.tasks()
    assert {task["status"] for task in tasks} == {1, 2, 3, 4, 5, 6, 7}
    assert {task["group_type"] for task in tasks} == {"NORMAL_TASK", "SYNC_TASK", "GROUP_TASK"}
    all_names = [task["name"] for task in tasks]
    assert len(all_names) - len(set(all_names)) == 1
    assert sum(main["name"] in name for name in all_names) == 3
    assert any(task["enable_restore"] for task in tasks)
    assert any(task["task_type"] == "url_list" for task in tasks)
    reasons = {(task["error_reason"] or {}).get("error_code") for task in tasks}
    assert reasons >= {None, "TRF.0001", "TRF.0055", "TRF.0058", "TRF.0151", "TRF.0157", "TRF.0159", "TRF.9999"}
    assert {bool((task["smn_info"] or {}).get("notify_result")) for task in tasks} == {True, False}


def test_the_demo_world_holds_a_group_of_each_kind() -> None:
    sim = Simulator()
    failed, *others = sim.groups()
    assert (failed["group_id"], sim.task(191297407830880)["group_id"]) == (failed["group_id"],) * 2
    assert failed["group_id"] == "8a1f6f0e-3c0b-4f55-9f0e-2b6a4f1c7d11"
    told = [failed[name] for name in ("status", "total_task_num", "failed_task_num", "complete_task_num", "fail_num")]
    assert told == [5, 3, 2, 1, 7]
    assert {group["status"] for group in others} == {2, 3, 4, 5, 6, 7, 8}
    assert {group["task_type"] for group in others} == {"PREFIX", "URL_LIST"}
    assert sum(group["enable_restore"] for group in others) == 1


def test_the_simulator_speaks_http_only(sim: Simulator) -> None:
    async def unused(*_: object) -> Any:
        raise AssertionError

    async def connect(app: Callable[..., Awaitable[None]]) -> None:
        await app({"type": "websocket"}, unused, unused)

    with pytest.raises(RuntimeError):
        asyncio.run(connect(sim))


def test_the_command_says_where_it_listens_and_stops_when_told(tmp_path: Path) -> None:
    world = tmp_path / "world.json"
    hang = [{"operation": "start", "action": {"hang": "before"}}]
    world.write_text(json.dumps({"tasks": [FAILED], "rules": hang}), "utf-8")
    command = [sys.executable, str(Path(door.__file__)), "--port", "0", "--world", str(world)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # noqa: S603 - our own command
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            assert urlsplit(url).hostname == "127.0.0.1"
            assert [task["id"] for task in httpx.get(f"{url}/_sim/tasks", trust_env=False).json()] == [ID]
            with send_start(url) as hanging:
                wait_until(lambda: bool(httpx.get(f"{url}/_sim/calls", trust_env=False).json()))
                process.send_signal(signal.SIGTERM)
                assert hanging.recv(1) == b""
            out, errors = process.communicate(timeout=5)
        finally:
            process.kill()
    assert (process.returncode, out, errors) == (0, "", "")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["simulator.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        door.main()
    return ended.value.code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"tasks": [{"id": "1"}]}', "world.tasks[0].id: Input should be a valid integer"),
        ("{", "Expecting"),
        (None, "No such file"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong_with_a_world(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    expected: str,
) -> None:
    world = tmp_path / "world.json"
    if text is not None:
        world.write_text(text, "utf-8")
    assert run(monkeypatch, "--world", str(world)) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert expected in errors.splitlines()[-1]


def test_the_command_says_that_its_port_is_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(monkeypatch, "--port", str(taken.getsockname()[1])) == 2
    assert "Address already in use" in capsys.readouterr().err
