"""What an attacker may send, and what must hold all the same: each test is a hole that was open once.

pytest-httpx fails each test in which OMS is asked what was not expected.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from click.testing import CliRunner
from pytest_httpx import HTTPXMock
from uvicorn.server import ServerState

from example import BEARER, ENVIRONMENT, PROJECT, TASK, TASK_NAME, settings, shown
from function_client import SHOW, START, TASKS, Function
from restarter.app import Application
from restarter.cli.command import cli
from restarter.model.errors import Busy
from restarter.reporting.redaction import Mask
from restarter.serving.worker import Worker
from signers import (
    AUDIENCE,
    EMAIL,
    TOPIC,
    WEBHOOK_SECRET,
    certificate,
    id_token,
    key_set,
    rsa_key,
    sign_smn,
    smn_message,
    string_to_sign,
    webhook_headers,
)

Make = Callable[..., Function]
CALL = json.dumps({"task_id": TASK})
JSON = {"Content-Type": "application/json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
SECRET = "SecretKey0123456789abcdefghijklmnopqrstuv"
MAX_LINE = 16 * 1024


# Never blocked: heads, lengths, batches


def head(number: int, size: int = 1) -> list[tuple[bytes, bytes]]:
    """So many headers of so many bytes, and those that a call needs."""
    needed = [(b"authorization", f"Bearer {BEARER}".encode()), (b"content-type", b"application/json")]
    return needed + [(b"x-%d" % n, b"x" * size) for n in range(number - len(needed))]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("headers", "status"), [(head(90), 400), (head(120), 431), (head(2000), 431), (head(3, 65_536), 431)]
)
def test_headers_are_counted_before_any_is_read(
    headers: list[tuple[bytes, bytes]], status: int, function: Function
) -> None:
    """Httpx adds a few of its own; the exact number is counted over a socket, in e2e."""
    reply = function.request("POST", headers=headers, content=b"{}")
    assert reply.status_code == status
    receipt = function.receipt()
    if status == 431:
        assert reply.headers["content-type"] == "application/problem+json"
        assert (receipt["outcome"], reply.json()["status"]) == ("content_too_large", 431)
        assert receipt["reason"] == reply.json()["reason"] == "headers: over 100, or over 65536 bytes"


def test_health_has_no_more_headers_than_a_delivery(function: Function) -> None:
    assert function.request("GET", "/healthz", headers=head(150)).status_code == 431


@pytest.mark.parametrize("length", ["9" * 5002, "9" * 19, "524289"])
def test_a_length_over_the_limit_is_413_however_many_digits_it_has(length: str, function: Function) -> None:
    reply = function.post(content=b"{}", headers=JSON | {"Content-Length": length})
    assert (reply.status_code, function.receipt()["outcome"]) == (413, "content_too_large")


def test_a_body_of_two_lengths_is_refused_and_its_connection_closed(function: Function) -> None:
    headers = JSON | {"Content-Length": "20", "Transfer-Encoding": "chunked"}
    reply = function.post(content=CALL.encode(), headers=headers)
    assert (reply.status_code, reply.headers["connection"]) == (400, "close")
    assert function.receipt()["reason"] == "content-length: stands beside transfer-encoding"


def test_each_event_of_a_batch_is_one_in_flight(environment: pytest.MonkeyPatch) -> None:
    environment.setattr("restarter.app.MAX_IN_FLIGHT", 120)
    application = Application(settings)
    with application.slots(100):
        with application.slots(20), pytest.raises(Busy), application.slots(1):
            pass
        with pytest.raises(Busy), application.slots(21):
            pass
        with application.slots(20):
            pass
    with application.slots(121):  # an idle instance takes any delivery
        pass


def test_a_delivery_beside_a_batch_gets_through(
    function: Function, httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr("restarter.app.MAX_IN_FLIGHT", 101)

    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)
        return httpx.Response(200, json=shown(2, id=int(request.url.path.rpartition("/")[2])))

    def event(number: int) -> dict[str, Any]:
        data = {"task_id": number}
        return {"specversion": "1.0", "type": "oms.task.failed", "source": "/x", "id": str(number), "data": data}

    async def together() -> list[int]:
        headers = {"Authorization": f"Bearer {BEARER}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(function.app), base_url="http://function") as client:
            batch = [event(number) for number in range(1, 101)]
            posts = [client.post("/", json=batch, headers=headers | BATCH)]
            posts += [client.post("/", json={"task_id": TASK}, headers=headers) for _ in range(2)]
            return [reply.status_code for reply in await asyncio.gather(*posts)]

    httpx_mock.add_callback(slow, is_reusable=True)
    assert function.run(together()) == [204, 200, 503]
    assert len(function.receipts()) == 102


# The server's options; what they are for is tested over sockets and processes in tests/e2e/test_hostile.py


async def answered(app: Any, *packets: bytes) -> bytes:
    """What the server, with the entry point's options, responds on one connection: each packet waits for a reply."""
    config = uvicorn.Config(app, log_config=None, **Worker.CONFIG_KWARGS)
    config.load()
    state = ServerState()

    def protocol() -> asyncio.Protocol:
        return config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        found = b""
        with suppress(OSError):  # it was closed before all was sent: what was answered tells
            for packet in packets:
                writer.write(packet)
                await writer.drain()
                found += await reader.read(65536)
            writer.write_eof()
            found += await reader.read()
        writer.close()
        return found


@pytest.mark.parametrize(
    ("packets", "statuses"),
    [
        ([b"GET /healthz HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n"], [200]),
        ([b"nonsense\r\n\r\n"], [400]),
        ([b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 11_000], [400]),
        (
            [
                b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n81000\r\n" + b" " * 0x81000 + b"\r\n",
                b"no chunk\r\n",
            ],
            [413],
        ),
    ],
    ids=["a request", "no request", "a head without end", "garbage after the reply"],
)
def test_the_server_answers_or_closes(packets: list[bytes], statuses: list[int], function: Function) -> None:
    found = function.run(answered(function.app, *packets))
    assert [int(part[:3]) for part in found.split(b"HTTP/1.1 ")[1:]] == statuses


# Never fooled: webhooks, SMN, lent keys, another task


@pytest.fixture
def every_method(make_function: Make, tmp_path: Path) -> Function:
    """The function with every authentication method, and nothing to be fetched."""
    pem, keys = tmp_path / "smn.pem", tmp_path / "keys.json"
    pem.write_bytes(certificate(rsa_key("smn")))
    keys.write_text(json.dumps(key_set(rsa_key("google"))))
    return make_function(
        CALLER_WEBHOOK_SECRETS=WEBHOOK_SECRET,
        CALLER_SMN_TOPICS=TOPIC,
        CALLER_SMN_CERTIFICATE=str(pem),
        CALLER_OIDC_AUDIENCE=AUDIENCE,
        CALLER_OIDC_EMAILS=EMAIL,
        CALLER_OIDC_KEYS=str(keys),
    )


UNSIGNED_HEADERS: list[dict[str, str]] = [
    {"Idempotency-Key": "another"},
    {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/other", "ce-id": "2"},
    {"ce-specversion": "1.0", "ce-type": "oms.task.start", "ce-source": "/other", "ce-id": "3"},
    {"Content-Type": "application/cloudevents+json"},
    {"Content-Type": "application/cloudevents-batch+json"},
    {"Content-Type": "text/plain"},
    {"Content-Encoding": "gzip"},
    {"svix-id": "other", "svix-timestamp": "1", "svix-signature": "v1,AAAA"},
]


def test_a_signed_body_with_other_headers_starts_nothing_again(every_method: Function, httpx_mock: HTTPXMock) -> None:
    """It started four times: by another Idempotency-Key, by other ce- headers, by another Content-Type."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(), is_reusable=True)
    httpx_mock.add_response(method="POST", url=START)
    signed = webhook_headers(CALL, message_id="msg_1")
    assert every_method.request("POST", content=CALL, headers=signed | JSON).status_code == 200
    for changed in UNSIGNED_HEADERS:
        assert every_method.request("POST", content=CALL, headers=JSON | signed | changed).status_code == 200
    receipts = every_method.receipts()
    assert [receipt["outcome"] for receipt in receipts] == ["started"] + ["duplicate"] * len(UNSIGNED_HEADERS)
    assert {receipt["event_id"] for receipt in receipts} == {"msg_1"}
    assert {receipt["dialect"] for receipt in receipts} == {"direct"}


def test_a_signed_event_about_a_paused_task_stays_an_event(every_method: Function, httpx_mock: HTTPXMock) -> None:
    """With `ce-type: oms.task.start` beside the same signature the task was started."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(3), is_reusable=True)
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/x", "id": "1", "data": {"task_id": TASK}}
    body = json.dumps(event)
    for changed in ({}, {"ce-specversion": "1.0", "ce-type": "oms.task.start", "ce-source": "/x", "ce-id": "2"}):
        reply = every_method.request("POST", content=body, headers=webhook_headers(body) | JSON | changed)
        assert reply.status_code == 204
    assert {(line["outcome"], line["reason"]) for line in every_method.receipts()} == {("refused", "paused")}


def test_the_headers_of_svix_are_those_of_the_standard(every_method: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(2))
    svix = {name.replace("webhook-", "svix-"): value for name, value in webhook_headers(CALL, message_id="s").items()}
    assert every_method.request("POST", content=CALL, headers=svix).status_code == 200
    assert every_method.receipt()["event_id"] == "s"


def smn_signed(text: bytes, **fields: str) -> bytes:
    """A message with other fields than those that were signed as `text`."""
    message = {"type": "Notification", "topic_urn": TOPIC, **fields}
    return json.dumps(sign_smn(message, rsa_key("smn"), text=text)).encode()


def test_a_signed_text_is_cut_into_fields_in_one_way_only(every_method: Function) -> None:
    """Whoever may publish to a topic writes subject and message; what he writes must not become another field."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    original = smn_message(subject="OMS", message=f"a\nmessage_id\nforged\nsubject\nx\ntimestamp\n{now}")
    text = string_to_sign(original)
    real = {name: original[name] for name in ("message", "message_id", "subject", "timestamp")}
    cuts: list[tuple[bytes, dict[str, str]]] = [
        # the time folded into the subject, the message signed without one
        (
            string_to_sign({key: value for key, value in original.items() if key != "timestamp"}),
            {key: value for key, value in real.items() if key != "timestamp"},
        ),
        (text, real | {"subject": f"OMS\ntimestamp\n{original['timestamp']}"} | {"timestamp": ""}),
        # lines of the message taken for fields
        (
            text,
            {
                "message": "a",
                "message_id": f"forged\nsubject\nx\ntimestamp\n{now}\nmessage_id\n{original['message_id']}",
                "subject": "OMS",
                "timestamp": original["timestamp"],
            },
        ),
        (string_to_sign(smn_message(message_id="a\rb")), real | {"message_id": "a\rb"}),
        (string_to_sign(smn_message(message_id="")), real | {"message_id": ""}),
        (string_to_sign(smn_message(timestamp=f"{now}\n")), real | {"timestamp": f"{now}\n"}),
    ]
    for signed, fields in cuts:
        reply = every_method.request("POST", content=smn_signed(signed, **fields))
        assert (reply.status_code, every_method.receipt()["reason"]) == (401, "smn")


@pytest.mark.parametrize("taken_away", ["message_id", "timestamp"])
def test_a_message_of_smn_without_id_or_time_is_not_authenticated(taken_away: str, every_method: Function) -> None:
    message = smn_message()
    del message[taken_away]
    message = sign_smn(message, rsa_key("smn"))
    assert every_method.request("POST", content=json.dumps(message)).status_code == 401


def test_a_message_of_several_lines_is_taken(every_method: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(2))
    message = sign_smn(smn_message(message='{\r\n"task_id":\n' + f"{TASK}\n}}\n"), rsa_key("smn"))
    assert every_method.request("POST", content=json.dumps(message)).status_code == 204


@pytest.mark.parametrize(
    ("shown_id", "outcome", "reason"),
    [
        (TASK, "started", None),
        (str(TASK), "started", None),
        (f"000{TASK}", "started", None),
        (TASK + 1, "unavailable", "wrong_task"),
        (0, "unavailable", "wrong_task"),
        ("²", "unavailable", "unreadable_answer"),
        ("١٢٣", "unavailable", "unreadable_answer"),
        ("9" * 5000, "unavailable", "unreadable_answer"),
        (10**4000, "unavailable", "unreadable_answer"),
        (-TASK, "unavailable", "unreadable_answer"),
        (True, "unavailable", "unreadable_answer"),
        (None, "unavailable", "unreadable_answer"),
        ("../x", "unavailable", "unreadable_answer"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_showtask_answers_must_be_about_the_task_that_was_asked_for(
    shown_id: Any, outcome: str, reason: str | None, function: Function, httpx_mock: HTTPXMock
) -> None:
    """Another task's state does not count for this one, and nothing is started."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(id=shown_id))
    if outcome == "started":
        httpx_mock.add_response(method="POST", url=START)
    function.post(content=CALL, headers=JSON)
    receipt = function.receipt()
    assert (receipt["outcome"], receipt.get("reason")) == (outcome, reason)
    assert receipt["start_called"] is (outcome == "started")


# Never lost: clocks, large answers, what was called


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"iat": 25, "exp": 3600}, 200),
        ({"iat": 40, "exp": 3600}, 401),
        ({"nbf": 25}, 200),
        ({"nbf": 40}, 401),
        ({"exp": -25}, 200),
        ({"exp": -40}, 401),
    ],
)
def test_an_id_token_is_taken_with_30_s_of_clock_skew(
    claims: dict[str, int], status: int, every_method: Function, httpx_mock: HTTPXMock
) -> None:
    """Seconds from now. `iat` five seconds ahead was a 401."""
    if status == 200:
        httpx_mock.add_response(method="GET", url=SHOW, json=shown(2))
    times: dict[str, Any] = {name: int(time.time()) + seconds for name, seconds in claims.items()}
    headers = JSON | {"Authorization": f"Bearer {id_token(rsa_key('google'), **times)}"}
    assert every_method.request("POST", content=CALL, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("size", "outcome"), [(400_000, "started"), (3_900_000, "started"), (4_300_000, "unavailable")]
)
def test_an_answer_of_oms_of_up_to_4_mib_is_read(
    size: int, outcome: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    keys = ["k" * 96] * (size // 100)
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(src_node={"object_key": keys}))
    if outcome == "started":
        httpx_mock.add_response(method="POST", url=START)
    function.post(content=CALL, headers=JSON)
    assert function.receipt()["outcome"] == outcome


def test_a_start_whose_token_was_refused_was_called_all_the_same(make_function: Make, httpx_mock: HTTPXMock) -> None:
    expires_at = (datetime.now(UTC) + timedelta(hours=24)).isoformat()
    iam = {"IAM_DOMAIN": "domain", "IAM_USER": "user", "IAM_PASSWORD": "password"}
    function = make_function(HUAWEICLOUD_SDK_AK=None, HUAWEICLOUD_SDK_SK=None, **iam)
    httpx_mock.add_response(
        method="POST",
        url="https://iam.cn-north-4.myhuaweicloud.com/v3/auth/tokens?nocatalog=true",
        status_code=201,
        headers={"X-Subject-Token": "t" * 32},
        json={"token": {"expires_at": expires_at}},
    )
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START, status_code=401)
    assert function.post(content=CALL, headers=JSON).status_code == 503
    receipt = function.receipt()
    assert (receipt["reason"], receipt["oms_status"], receipt["start_called"]) == ("token_refused", 401, True)


def test_a_look_whose_token_was_refused_started_nothing(make_function: Make, httpx_mock: HTTPXMock) -> None:
    function = make_function(HUAWEICLOUD_SDK_AK=None, HUAWEICLOUD_SDK_SK=None, OMS_AUTH_TOKEN="t" * 32)
    httpx_mock.add_response(method="GET", url=SHOW, status_code=401)
    function.post(content=CALL, headers=JSON)
    assert function.receipt()["start_called"] is False


def test_a_task_that_is_not_there_is_a_problem_with_a_reason(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, status_code=404)
    reply = function.post(content=CALL, headers=JSON)
    assert (reply.status_code, reply.json()["reason"]) == (404, "no_such_task")


# Never too much: shapes, bounds, secrets


@pytest.mark.parametrize(
    ("code", "is_shown"),
    [
        ("OMS.0064", True),
        ("APIGW.0101", True),
        (SECRET, False),
        ("OMS.0064x", False),
        ("oms.0064", False),
        ("A.1", False),
        (["OMS.0064"], False),
        ("OMS.0064\n", False),
    ],
)
def test_a_code_of_oms_is_shown_in_its_form_alone(
    code: Any,
    is_shown: bool,  # noqa: FBT001  # a column of the table
    function: Function,
    httpx_mock: HTTPXMock,
) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START, status_code=400, json={"error_code": code})
    function.post(content=CALL, headers=JSON)
    assert function.receipt().get("oms_error_code") == (code if is_shown else None)


@pytest.mark.parametrize(
    ("request_id", "shown_as"),
    [
        ("0bb39b0d5d0f4d3d9f9a5d2b1a7c6e5f", "0bb39b0d5d0f4d3d9f9a5d2b1a7c6e5f"),
        ("0bb39b0d-5d0f-4d3d-9f9a-5d2b1a7c6e5f", "0bb39b0d-5d0f-4d3d-9f9a-5d2b1a7c6e5f"),
        ("req-1", "req-1"),
        ("f" * 64, "f" * 64),
        ("f" * 65, None),
        ("two words", None),
        ("AKEXAMPLE0000000001", None),
        (SECRET, None),
    ],
)
def test_a_request_id_of_oms_is_shown_if_it_can_be_one(
    request_id: str,
    shown_as: str | None,
    function: Function,
    httpx_mock: HTTPXMock,
) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START, headers={"X-Request-Id": request_id})
    function.post(content=CALL, headers=JSON)
    assert function.receipt().get("oms_request_id") == shown_as


@pytest.mark.parametrize("letter", ["x", "\U0001f600", '"', "\x00", "\u202e"])
def test_a_name_of_any_length_leaves_a_small_line_and_a_small_reply(
    letter: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    """A name of 200 KB made a receipt of 200 KB."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(name=letter * 200_000))
    httpx_mock.add_response(method="POST", url=START)
    headers = JSON | {"Idempotency-Key": "k" * 1024}
    body = json.dumps({"task_id": TASK, "reason": "\U0001f600" * 256})
    reply = function.post(content=body, headers=headers)
    assert len(reply.content) < MAX_LINE
    receipt = function.receipt()
    assert len(receipt["task_name"]) <= 1024
    assert receipt["task_name"].isprintable()
    assert len(json.dumps(receipt, ensure_ascii=False).encode()) < MAX_LINE


def test_the_longest_of_everything_is_a_line_under_16_kib() -> None:
    """Event id, task name, list of failed objects, group, project, message: six texts can be long."""
    few = dict.fromkeys("abcdef", "\U0001f600" * 5000)
    assert len(json.dumps(Mask(settings()).receipt(few), ensure_ascii=False).encode()) < MAX_LINE


WHERE: list[Callable[[str], dict[str, Any]]] = [
    lambda secret: {"content": json.dumps({"task_id": TASK, "reason": f"because {secret}"})},
    lambda secret: {"content": CALL, "headers": {"Idempotency-Key": f"{secret}-1"}},
    lambda secret: {"content": json.dumps({"task_name": secret})},
    lambda secret: {"content": json.dumps({"task_id": TASK, secret: 1})},
    lambda secret: {"content": json.dumps({"task_id": TASK, "project_id": secret})},
    lambda secret: {"content": json.dumps({"task_id": TASK, "credentials": secret.lower()})},
]


@pytest.mark.parametrize("place", WHERE)
@pytest.mark.parametrize(
    "name", ["HUAWEICLOUD_SDK_SK", "OMS_DST_SK", "OMS_PROFILES__AWS__SRC_SK", "CALLER_BEARER_TOKENS"]
)
def test_a_configured_secret_is_shown_wherever_it_comes_from_as_asterisks(
    name: str, place: Callable[[str], dict[str, Any]], make_function: Make, httpx_mock: HTTPXMock
) -> None:
    """A sender may have it from elsewhere, and OMS may echo it."""
    profile = {"SRC_AK": "a" * 9, "SRC_SK": "b" * 9, "DST_AK": "c" * 9, "DST_SK": "d" * 9}
    given = {f"OMS_PROFILES__AWS__{field}": value for field, value in profile.items()}
    given |= {name: f"{BEARER},{SECRET}" if name == "CALLER_BEARER_TOKENS" else SECRET}
    function = make_function(**given)
    named = shown(name=SECRET, error_reason={"error_code": SECRET})
    httpx_mock.add_response(
        method="GET", url=re.compile(rf"{TASKS}(/{TASK})?(\?.*)?"), json=named | {"tasks": [named]}, is_optional=True
    )
    httpx_mock.add_response(method="GET", url=SHOW, json=named, is_optional=True)
    httpx_mock.add_response(method="POST", url=START, is_optional=True)
    delivery = place(SECRET)
    reply = function.post(content=delivery["content"], headers=JSON | delivery.get("headers", {}))
    said = json.dumps(function.receipts()) + reply.text
    assert SECRET not in said
    assert SECRET.lower() not in said or "credentials" in delivery["content"]


def test_every_spelling_of_a_secret_is_masked_and_no_word_of_ours_is() -> None:
    given = settings(
        oms_connection_string="AccountName=account;AccountKey=c2VjcmV0LXNlY3JldA==",
        oms_json_auth_file=json.dumps({"type": "service_account", "private_key": "-----KEY-----"}),
        caller_webhook_secrets=WEBHOOK_SECRET,
        iam_user="the-user",
        iam_domain="domain",
        iam_password="a-password",
        restart_ledger="redis://user:secret-password@host:6379/0",
        oms_dst_sk="started-",
    )
    mask = Mask(given)
    for secret in (
        "c2VjcmV0LXNlY3JldA==",
        "-----KEY-----",
        "a-password",
        "secret-password",
        ENVIRONMENT["HUAWEICLOUD_SDK_SK"],
    ):
        assert mask.text(f"x{secret}y") == "x***y"
    assert mask.text(WEBHOOK_SECRET) == mask.text(WEBHOOK_SECRET.removeprefix("whsec_")) == "***"
    for word in ("service_account", "memory://", "redis://", "host:6379", "the-user", "src_ak"):
        assert mask.text(word) == word
    assert mask.receipt({"severity": "INFO", "start_called": True, "attempt": 2}) == {
        "severity": "INFO",
        "start_called": True,
        "attempt": 2,
    }


@pytest.mark.parametrize(
    ("address", "passwords"),
    [
        ("redis://:p%40ssw%2Frd-12345@host", ["p%40ssw%2Frd-12345", "p@ssw/rd-12345"]),
        ("rediss://user:plain-password@host/0?ssl_check_hostname=false", ["plain-password"]),
        (
            "redis+sentinel://:of%20the%20server@h/main?sentinel_username=u&sentinel_password=of+the+sentinel%21",
            ["of the server", "of%20the%20server", "of the sentinel!", "of+the+sentinel%21"],
        ),
        ("redis+sentinel://h/main?sentinel_password=with@in%2Dit", ["with@in-it", "with@in%2Dit"]),
    ],
)
def test_passwords_of_the_ledger_are_masked_as_written_and_as_meant(address: str, passwords: list[str]) -> None:
    mask = Mask(settings(restart_ledger=address))
    assert [mask.text(f"x {password} y") for password in passwords] == ["x *** y"] * len(passwords)
    assert mask.text("host user main 6379") == "host user main 6379"


@pytest.mark.parametrize(
    "secret", ["{no-document-000000000000", "abc://not-of-the-ledger-", '"quoted-0000000000000000"']
)
def test_a_secret_that_looks_like_a_document_or_an_address_is_masked_whole(secret: str) -> None:
    mask = Mask(settings(oms_dst_sk=secret, caller_bearer_tokens=secret))
    assert mask.text(f"x {secret} y") == "x *** y"


@pytest.mark.parametrize("before", [0, 236, 250, 900, 1010, 1023])
def test_a_secret_is_masked_before_a_name_is_cut(before: int, make_function: Make, httpx_mock: HTTPXMock) -> None:
    """No head of it is left, wherever the cut falls: in the receipt, in its message and in the reply."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(2, name="x" * before + SECRET))
    httpx_mock.add_response(method="GET", url=re.compile(rf"{TASKS}\?.*"), json={"tasks": [], "count": 0})
    function = make_function(OMS_DST_SK=SECRET)
    by_id = function.post(content=CALL, headers=JSON)
    by_name = function.post(json={"task_name": "x" * min(before, 980) + SECRET})
    assert (by_id.status_code, by_name.status_code) == (200, 404)
    assert SECRET[:6] not in by_id.text + by_name.text + json.dumps(function.receipts())


def test_a_lent_key_is_masked_too(make_function: Make, httpx_mock: HTTPXMock) -> None:
    lent = {"X-CFF-Security-Access-Key": "AKLENT0000000001", "X-CFF-Security-Secret-Key": SECRET}
    lent |= {"X-CFF-Security-Token": "lent-token-0000001"}
    function = make_function(HUAWEICLOUD_SDK_AK=None, HUAWEICLOUD_SDK_SK=None, OMS_AGENCY="true")
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(2, name=f"{SECRET} lent-token-0000001"))
    reply = function.post(content=CALL, headers=JSON | lent)
    assert function.receipt()["task_name"] == reply.json()["task_name"] == "*** ***"


# The terminal

CONTROLS = "\x1b[2J\x07\x9b31m\u202e\u2066\u200b\x00\r"


def test_what_a_terminal_might_obey_is_replaced_and_other_scripts_stay() -> None:
    mask = Mask(settings())
    assert mask.text(CONTROLS) == "\ufffd[2J\ufffd\ufffd31m\ufffd\ufffd\ufffd\ufffd\ufffd"
    for text in ("plain", "任务失败", "Köln", "a\u00a0b", "\U0001f600", "שלום"):
        assert mask.text(text) == text


@pytest.mark.parametrize(
    "delivery",
    [
        {"task_name": f"name{CONTROLS}", "reason": f"reason{CONTROLS}"},
        {f"field{CONTROLS}": 1},
        {"specversion": "1.0", "type": f"t{CONTROLS}", "source": "/x", "id": "1"},
        {
            "specversion": "1.0",
            "type": "oms.task.failed",
            "source": "/x\u202e",
            "id": "\u202e1\u2066",
            "data": {"task_id": 1},
        },
        {"record": [{"smn": {"message_id": f"m{CONTROLS}", "message": CALL, "topic_urn": CONTROLS}}]},
    ],
    ids=lambda delivery: next(iter(ascii(name) for name in delivery)),
)
def test_no_control_character_of_a_delivery_reaches_the_terminal(
    delivery: dict[str, Any], tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("CALLER_TRUST_PLATFORM", "true")
    saved, task = tmp_path / "delivery.json", tmp_path / "task.json"
    saved.write_text(json.dumps(delivery))
    task.write_text(json.dumps(shown(name=f"{TASK_NAME}{CONTROLS}", error_reason={"error_code": CONTROLS})))
    request = tmp_path / "delivery.http"
    request.write_bytes(f"POST /{CONTROLS.strip()}\x1b[1m HTTP/1.1\nx: y\n\n".encode() + saved.read_bytes())
    for arguments in (["explain", str(saved), "--task", str(task)], ["explain", str(request)]):
        output = CliRunner().invoke(cli, arguments).output
        assert output
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", output)


def test_explain_shows_no_configured_secret(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMS_DST_SK", SECRET)
    environment.setenv("CALLER_TRUST_PLATFORM", "true")
    saved = tmp_path / "delivery.json"
    saved.write_text(json.dumps({"task_name": SECRET, "project_id": PROJECT}))
    output = CliRunner().invoke(cli, ["explain", str(saved)]).output
    assert "task_name=***" in output
    assert SECRET not in output
