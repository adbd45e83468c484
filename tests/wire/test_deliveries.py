"""What the HTTP entry point does besides deliveries, and what dialects pass over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from functions_framework.aio import create_asgi_app
from huaweicloudsdkeg.v1 import CloudEvents
from pytest_httpx import HTTPXMock

from example import BEARER, PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, START, Function
from restarter import __version__
from restarter.serving.http_protocol import BROKEN_BODY

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def test_health_says_the_version_and_leaves_no_receipt(function: Function) -> None:
    reply = function.request("GET", "/healthz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok", "version": __version__})
    assert function.receipts() == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_browser_reads_in_one_sentence_what_this_is(method: str, function: Function) -> None:
    reply = function.request(method, "/", headers={"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert reply.text.endswith("; /healthz says whether it is well.\n") or method == "HEAD"
    assert reply.text.count("\n") <= 1
    assert function.receipts() == []


@pytest.mark.parametrize(("path", "accept"), [("/", "*/*"), ("/", "application/json"), ("/invoke", "text/html")])
def test_whoever_asks_for_no_page_gets_405(path: str, accept: str, function: Function) -> None:
    reply = function.request("GET", path, headers={"Accept": accept})
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert function.receipt()["outcome"] == "method_not_allowed"


def test_the_first_call_of_functiongraph_is_answered_without_work(function: Function) -> None:
    assert function.request("POST", "/init").status_code == 200
    assert function.receipts() == []


@pytest.mark.parametrize(
    ("method", "path", "accept", "status"),
    [
        ("GET", "/", "text/html,application/xhtml+xml,*/*;q=0.8", 200),
        ("HEAD", "/", "text/html", 200),
        ("GET", "/", "*/*", 405),
        ("GET", "/other", "text/html", 405),
        ("POST", "/", "text/html", 401),
    ],
)
def test_a_browser_is_told_what_this_is(method: str, path: str, accept: str, status: int, function: Function) -> None:
    reply = function.request(method, path, headers={"Accept": accept})
    assert reply.status_code == status
    if status == 200:
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert method == "HEAD" or reply.text.startswith("This is oms-task-restarter, which restarts failed")


@pytest.mark.parametrize("path", ["/", "/invoke", "/any/where", "/healthz"])
def test_deliveries_are_taken_on_every_path(path: str, function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    assert function.post(path, json={"task_id": TASK}).status_code == 200


def test_settings_that_are_wrong_stop_the_program_and_are_all_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("CALLER_BEARER_TOKENS")
    environment.setenv("OMS_REGION", "the-moon")
    with pytest.raises(SystemExit) as stop:
        create_asgi_app("restart", "function/main.py", "http")
    assert "CALLER_BEARER_TOKENS" in str(stop.value)
    assert "OMS_REGION: unknown region; OMS has af-south-1" in str(stop.value)
    assert "the-moon" not in str(stop.value)


@pytest.mark.parametrize("word", ["SUCCESS", "success", "Succeeded", " 5 ", "迁移成功"])
def test_what_says_success_is_ignored_in_every_dialect(word: str, function: Function) -> None:
    data = {"task_id": TASK, "task_status": word}
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "1", "data": data}
    message = f'{{"task_name": "{TASK_NAME}", "task_status": "{word}"}}'
    assert function.post(json=data).status_code == 200
    assert function.post(json=event, headers=STRUCTURED).status_code == 204
    assert function.post(json={"record": [{"smn": {"message_id": "m", "message": message}}]}).status_code == 204
    found = {(receipt["outcome"], receipt["reason"], receipt["severity"]) for receipt in function.receipts()}
    assert found == {("ignored", "task_succeeded", "INFO")}


@pytest.mark.parametrize("kind", ["com.example.other", "OMS.TASK.FAILED", "oms.task.failed.v2"])
def test_an_event_of_another_type_is_ignored_whatever_it_holds(kind: str, function: Function) -> None:
    event = {"specversion": "1.0", "type": kind, "source": "/x", "id": "1", "data": "anything"}
    assert function.post(json=event, headers=STRUCTURED).status_code == 204
    assert function.receipt()["reason"] == "event_type"


def test_a_dead_letter_is_no_new_failure(function: Function) -> None:
    headers = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms", "ce-id": "1"}
    headers |= {"ce-knativeerrordest": "http://function", "ce-knativeerrorcode": "422"}
    assert function.post(json={"task_id": TASK}, headers=headers).status_code == 204
    assert function.receipt()["reason"] == "dead_letter"


@pytest.mark.parametrize(
    ("kind", "setting", "intent"),
    [
        ("oms.task.failed", None, "failed"),
        ("oms.task.start", None, "requested"),
        ("com.example.broken", "com.example.broken, com.example.other", "failed"),
        ("com.example.other", "com.example.broken, com.example.other", "failed"),
    ],
)
def test_the_type_of_an_event_says_what_it_wants(
    kind: str, setting: str | None, intent: str, make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    event = {"specversion": "1.0", "type": kind, "source": "/x", "id": "1", "data": {"task_id": TASK}}
    function = make_function(EVENT_TYPES_FAILED=setting)
    assert function.post(json=event, headers=STRUCTURED).status_code == 204
    assert function.receipt()["intent"] == intent


@pytest.mark.parametrize(
    ("header", "event_id"), [('"a \\"b\\""', 'a "b"'), ("caf%C3%A9%20%25", "café %"), ("%22", '"'), ("a+b", "a+b")]
)
def test_binary_headers_are_unquoted_and_decoded_once(
    header: str, event_id: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    headers = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms", "ce-id": header}
    assert function.post(json={"task_id": TASK, "endpoint": "passed over"}, headers=headers).status_code == 204
    assert function.receipt()["event_id"] == event_id


def test_a_time_with_nine_digits_gives_the_age_of_the_event(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "1", "data": {"task_id": TASK}}
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    function.post(json=event | {"time": an_hour_ago}, headers=STRUCTURED)
    assert 3598 < function.receipt()["event_age_s"] < 3630


@pytest.mark.parametrize(
    ("header", "shown_id"),
    [({"Idempotency-Key": "k-1"}, "k-1"), ({"webhook-id": "w-1"}, "w-1"), ({}, None)],
)
def test_the_id_of_a_direct_call_is_its_header(
    header: dict[str, str], shown_id: str | None, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    function.post(json={"task_id": TASK}, headers=header)
    assert function.receipt().get("event_id") == shown_id


def test_an_eventgrid_event_is_known_by_its_members(function: Function, httpx_mock: HTTPXMock) -> None:
    """Whatever its content type."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "eg", "id": "1", "data": {"task_id": TASK}}
    event |= {"ttl": "4000", "dataschema": ""}
    assert function.post("/invoke", json=event, headers={"Content-Type": "text/plain"}).status_code == 204


def test_an_event_as_the_official_sdk_of_eventgrid_models_it_is_taken(
    function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    made = CloudEvents(
        id="1",
        source="oms-watch",
        specversion="1.0",
        type="oms.task.failed",
        datacontenttype="application/json",
        subject="oms",
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        data={"task_id": TASK},
    )
    event = {name: value for name, value in made.to_dict().items() if value is not None}
    assert function.post("/invoke", json=event, headers={"Content-Type": "application/json"}).status_code == 204
    assert (receipt := function.receipt())["intent"] == "failed"
    assert receipt["event_id"] == "1"


def test_a_topic_of_a_second_project_means_a_task_of_that_project(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(
        url=f"https://oms.la-south-2.myhuaweicloud.com/v2/other/tasks/{TASK}", json=shown(2), method="GET"
    )
    function = make_function(OMS_PROJECTS='{"other": "la-south-2"}')
    smn = {"message_id": "m", "message": f'{{"task_id": {TASK}}}', "topic_urn": "urn:smn:la-south-2:other:t"}
    assert function.post("/invoke", json={"record": [{"smn": smn}]}).status_code == 204
    assert function.receipt()["project_id"] == "other"


def test_a_topic_that_is_no_urn_leaves_the_default_project(function: Function, httpx_mock: HTTPXMock) -> None:
    """As in FunctionGraph's own samples."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    smn = {"message_id": "m", "message": f'{{"task_id": {TASK}}}', "topic_urn": "topicUrn"}
    assert function.post("/invoke", json={"record": [{"smn": smn}]}).status_code == 204
    assert function.receipt()["project_id"] == PROJECT


def test_where_only_an_endpoint_is_known_the_receipt_has_no_region(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=f"https://oms.example.com/v2/{PROJECT}/tasks/{TASK}", json=shown(2))
    function = make_function(OMS_REGION=None, OMS_ENDPOINT="https://oms.example.com")
    assert function.post(json={"task_id": TASK}).status_code == 200
    assert "region" not in function.receipt()


@pytest.mark.parametrize(("trusting", "status"), [(True, 200), (False, 401)])
def test_only_a_function_told_so_trusts_its_platform(
    trusting: bool,  # noqa: FBT001
    status: int,
    make_function: Callable[..., Function],
    httpx_mock: HTTPXMock,
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2), is_optional=True)
    changes = {"CALLER_BEARER_TOKENS": None, "CALLER_TRUST_PLATFORM": "true"} if trusting else {}
    assert make_function(**changes).request("POST", json={"task_id": TASK}).status_code == status


def test_a_body_that_does_not_arrive_in_time_is_503(make_function: Callable[..., Function]) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    function = make_function(RESTART_DEADLINE="1.1")
    reply = function.post(content=stalled(), headers={"Content-Type": "application/json"})
    assert reply.status_code == 503
    assert function.receipt()["reason"] == "body: did not arrive in time"


def test_a_body_that_the_server_could_not_read_is_malformed(function: Function) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b"", "http_version": "1.1"}
    function.run(function.app(scope | {"state": {BROKEN_BODY: True}}, receive, send))
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"connection"]) == (400, b"close")
    assert function.receipt()["reason"].startswith("body: not chunked by HTTP/1.1, or over 4096 more bytes of framing")


def test_a_caller_that_hangs_up_leaves_a_receipt(function: Function) -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(_message: dict[str, object]) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b"", "http_version": "1.1"}
    function.run(function.app(scope, receive, send))
    assert function.receipt()["reason"] == "body: the caller hung up"


def test_a_start_is_not_begun_with_under_a_second_left(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.3)
        return httpx.Response(200, json=shown())

    httpx_mock.add_callback(slow, url=SHOW)
    function = make_function(RESTART_DEADLINE="1.2")
    assert function.post(json={"task_id": TASK}).status_code == 503
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"], receipt["start_called"]) == ("unavailable", "deadline", False)


def test_a_call_that_takes_too_long_is_given_up(make_function: Callable[..., Function], httpx_mock: HTTPXMock) -> None:
    async def stuck(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(200, json=shown())

    httpx_mock.add_callback(stuck, url=SHOW)
    function = make_function(OMS_TIMEOUT="0.1")
    assert function.post(json={"task_id": TASK}).status_code == 503
    receipt = function.receipt()
    assert receipt["reason"] == "timeout"
    assert receipt["duration_ms"] < 4000


def test_the_last_look_is_not_taken_when_no_time_is_left(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    async def stuck(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(200)

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(200, json=shown(2))

    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_callback(stuck, method="POST", url=START)
    httpx_mock.add_callback(slow, url=SHOW)
    function = make_function(RESTART_DEADLINE="1.7")
    assert function.post(json={"task_id": TASK}).status_code == 503
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"]) == ("unconfirmed", "timeout")
    assert receipt["duration_ms"] < 4000


def test_bodies_over_the_bound_together_are_busy(
    make_function: Callable[..., Function], environment: pytest.MonkeyPatch, httpx_mock: HTTPXMock
) -> None:
    """The second is refused while the first waits for OMS. What one delivery held, the next may hold."""
    environment.setattr("restarter.app.MAX_BODY_BYTES_IN_FLIGHT", 3000)
    function = make_function()

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.1)
        return httpx.Response(200, json=shown(2))

    async def both() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(function.app), base_url="http://function") as client:
            headers = {"Authorization": f"Bearer {BEARER}", "Content-Type": "application/json"}
            body = (f'{{"task_id": {TASK}}}' + " " * 2000).encode()
            return await asyncio.gather(*(client.post("/", content=body, headers=headers) for _ in range(2)))

    httpx_mock.add_callback(slow, url=SHOW, is_reusable=True)
    for _ in range(2):
        taken, busy = function.run(both())
        assert (taken.status_code, busy.status_code) == (200, 503)
        assert (busy.headers["connection"], "connection" in taken.headers) == ("close", False)
        assert [receipt["reason"] for receipt in function.receipts() if "reason" in receipt] == [
            "busy: too many bytes at once"
        ]


@pytest.mark.parametrize("method", ["TRACE", "BREW", "GET", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/robots.txt", "/favicon.ico", "*", "/x%0D%0Ay"])
def test_the_function_itself_answers_what_the_framework_would(method: str, path: str, function: Function) -> None:
    reply = function.request(method, f"http://function{path}" if path != "*" else "/*")
    assert (reply.status_code, reply.headers["content-type"]) == (405, "application/problem+json")
    assert function.receipt()["outcome"] == "method_not_allowed"


def test_a_function_that_finds_no_certificates_to_trust_does_not_start(
    make_function: Callable[..., Function], environment: pytest.MonkeyPatch
) -> None:
    environment.setattr("restarter.app.tls_context", partial(open, "/not/there.pem"))
    with pytest.raises(SystemExit, match="SSL_CERT_FILE, SSL_CERT_DIR: FileNotFoundError: cannot be read"):
        make_function()
    make_function(OMS_ENDPOINT="http://127.0.0.1:9")  # where plain HTTP is spoken, none are needed
