"""Who may call the simulator: signatures, tokens and locks, as the gateway in front of OMS has them. In-process."""

import hashlib
import json

import pytest

from oms_simulator import messages, signature
from simulator import Simulator
from simulator_calls import (
    AK,
    BODY,
    FAILED,
    ID,
    PROJECT,
    SK,
    START,
    TASKS,
    TOKEN,
    Clock,
    ask,
    code,
    fail,
    signed,
    start,
)

STS = {"X-Security-Token": "sts"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return Simulator({"tasks": [FAILED]}, clock)


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


@pytest.mark.parametrize("date", ["yesterday", "21261399T990000Z", "2126-11-24T12:00:00Z", ""])
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
