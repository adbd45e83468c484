"""The function in FunctionGraph's built-in runtime: what is returned, what is raised, and what 1,000 calls leave."""

import asyncio
import contextlib
import gc
import importlib.util
import io
import json
import logging
import os
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import ENVIRONMENT, PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, START, TASKS
from httpx_transport import HttpxTransport
from restarter.http import transport
from restarter.settings.errors import SettingsError
from simulator import Simulator

SOURCE = Path(__file__).parents[2] / "function" / "functiongraph.py"
REQUEST = {"task_id": TASK}
AGENCY: dict[str, Any] = {"ak": "AKAGENCY00000000001", "sk": "SKAGENCY0000000000000001", "token": "agency-session"}
NO_KEY: dict[str, str | None] = {"HUAWEICLOUD_SDK_AK": None, "HUAWEICLOUD_SDK_SK": None}


class Context:
    """What the platform hands over with each event, with the methods of its documentation."""

    def __init__(
        self,
        *,
        milliseconds: int = 30_000,
        ak: str | None = None,
        sk: str | None = None,
        token: str | None = None,
        user_data: dict[str, str] | None = None,
    ) -> None:
        self._milliseconds = milliseconds
        self._key = ak, sk, token
        self._user_data = user_data or {}

    def getRequestID(self) -> str:  # noqa: N802  # the platform's names, here and below
        return "14b8efac-308a-4a75-bf0b-14b2f4830328"

    def getRemainingTimeInMilliSeconds(self) -> int:  # noqa: N802
        return self._milliseconds

    def getSecurityAccessKey(self) -> str | None:  # noqa: N802
        return self._key[0]

    def getSecuritySecretKey(self) -> str | None:  # noqa: N802
        return self._key[1]

    def getSecurityToken(self) -> str | None:  # noqa: N802
        return self._key[2]

    def getUserData(self, name: str) -> str | None:  # noqa: N802
        return self._user_data.get(name)

    def getToken(self) -> str:  # noqa: N802
        return "token-of-the-agency-for-24-hours"

    def getFunctionName(self) -> str:  # noqa: N802
        return "restart"

    def getVersion(self) -> str:  # noqa: N802
        return "latest"

    def getMemorySize(self) -> int:  # noqa: N802
        return 128

    def getCPUNumber(self) -> int:  # noqa: N802
        return 100

    def getPackage(self) -> str:  # noqa: N802
        return "default"

    def getProjectID(self) -> str:  # noqa: N802
        return PROJECT

    def getAlias(self) -> str:  # noqa: N802
        return ""

    def getLogger(self) -> logging.Logger:  # noqa: N802
        return logging.getLogger("functiongraph")


def in_itself() -> dict[str, Any]:
    """An event that holds itself."""
    event: dict[str, Any] = {}
    event["event"] = event
    return event


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    event: list[Any] = []
    for _ in range(depth):
        event = [event]
    return event


class Instance:
    """The module as the platform loads it into one instance of the function, and the log of the instance."""

    def __init__(self) -> None:
        spec = importlib.util.spec_from_file_location("functiongraph", SOURCE)
        assert spec
        assert spec.loader
        self.module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self._log = io.StringIO()

    def initialize(self, context: Context | None = None) -> None:
        """The call before the first event."""
        self.module.initializer(context or Context())

    def handle(self, event: Any, context: Context | None = None) -> Any:
        """One event; what is returned must be what the platform can write as JSON."""
        with contextlib.redirect_stdout(self._log):
            returned = self.module.handler(event, context or Context())
        return json.loads(json.dumps(returned))

    def not_done(self, event: Any, context: Context | None = None) -> str:
        """The text of what is raised."""
        with contextlib.redirect_stdout(self._log), pytest.raises(self.module.EventNotHandled) as raised:
            self.module.handler(event, context or Context())
        return str(raised.value)

    def receipts(self) -> list[dict[str, Any]]:
        """The lines on stdout so far."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def close(self) -> None:
        """End its thread, which the platform would end with the process."""
        runtime = vars(self.module)["_runtime"]
        if runtime is not None:
            runtime.close()


@pytest.fixture
def make_instance(environment: pytest.MonkeyPatch) -> Iterator[Callable[..., Instance]]:
    """An instance with changed settings; None takes one away. Its connections are closed on the loop they live on."""
    before = dict(os.environ)
    opened: list[tuple[asyncio.AbstractEventLoop, httpx.AsyncBaseTransport]] = []
    instances: list[Instance] = []

    def make(connect: Callable[[], httpx.AsyncBaseTransport] = HttpxTransport, **changes: Any) -> Instance:
        for name, value in changes.items():
            environment.delenv(name, raising=False) if value is None else environment.setenv(name, value)

        def connections() -> httpx.AsyncBaseTransport:
            opened.append((asyncio.get_running_loop(), connect()))
            return opened[-1][1]

        environment.setattr(transport, "connections", connections)
        instances.append(Instance())
        return instances[-1]

    yield make
    for loop, connection in opened:
        asyncio.run_coroutine_threadsafe(connection.aclose(), loop).result(5)
    for instance in instances:
        instance.close()
    assert not threads()
    os.environ.clear()  # user data was put there
    os.environ.update(before)


@pytest.fixture
def instance(make_instance: Callable[..., Instance], httpx_mock: HTTPXMock) -> Instance:
    """An initialised instance with the settings of `example`, and a faked network."""
    made = make_instance()
    made.initialize()
    return made


def threads() -> list[threading.Thread]:
    """The threads of ours that run."""
    return [thread for thread in threading.enumerate() if thread.name == "restarter"]


def record(message: Any = REQUEST, **changes: Any) -> dict[str, Any]:
    """One record of the SMN trigger."""
    smn = {
        "topic_urn": f"urn:smn:cn-north-4:{PROJECT}:oms-failed",
        "message_attributes": None,
        "message": message if isinstance(message, str) else json.dumps(message),
        "type": "notification",
        "message_id": "a51671f77d4a479cacb09e2cd591a983",
        "subject": "OMS",
    }
    return {"event_version": "1.0", "smn": smn | changes, "event_source": "smn"}


def notice(message: Any = REQUEST, **changes: Any) -> dict[str, Any]:
    """What the SMN trigger hands over for one message."""
    return {"record": [record(message, **changes)]}


def apig(body: str = "", **changes: Any) -> dict[str, Any]:
    """What the APIG trigger hands over."""
    event = {"httpMethod": "POST", "path": "/", "headers": {"content-type": "application/json"}, "body": body}
    return event | {"isBase64Encoded": False, "requestContext": {"stage": "RELEASE"}} | changes


def operations(simulator: Simulator) -> list[str]:
    """What OMS was asked, in order."""
    return [call["operation"] for call in simulator.calls()]


# Returned


def test_an_event_of_smn_starts_the_task_and_the_receipt_is_returned(instance: Instance, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    returned = instance.handle(notice())
    assert [returned] == instance.receipts()
    facts = {"outcome": "started", "dialect": "functiongraph_smn", "intent": "failed", "task_id": str(TASK)}
    assert returned | facts == returned
    assert returned["event_id"] == "a51671f77d4a479cacb09e2cd591a983"


def test_a_name_in_the_text_of_a_notice_is_enough(instance: Instance, httpx_mock: HTTPXMock) -> None:
    listing = httpx.URL(TASKS, params={"limit": "50", "offset": "0", "task_name": TASK_NAME})
    httpx_mock.add_response(method="GET", url=listing, json={"tasks": [shown()], "count": 1})
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    assert instance.handle(notice(f"Migration task {TASK_NAME} failed."))["outcome"] == "started"


def test_several_records_give_a_list_of_receipts(instance: Instance, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    httpx_mock.add_response(url=f"{TASKS}/7", json=shown(5, id=7))
    both = {"record": [record(), record({"task_id": 7}, message_id="second")]}
    returned = instance.handle(both)
    assert returned == instance.receipts()
    assert [receipt["outcome"] for receipt in returned] == ["already_running", "nothing_to_do"]


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (notice(REQUEST | {"task_status": "SUCCESS"}), "ignored"),
        ({"trigger_type": "TIMER", "trigger_name": "t", "version": "v1.0", "user_event": "x"}, "ignored"),
        ({"cts": {"service_type": "OMS", "trace_name": "startTask", "resource_id": str(TASK)}}, "ignored"),
        ({"specversion": "1.0", "type": "OBS:DWR:ObjectCreated:PUT", "source": "HC.OBS.DWR", "id": "1"}, "ignored"),
    ],
)
def test_what_no_repetition_could_change_is_returned_and_not_raised(
    event: Any, outcome: str, instance: Instance
) -> None:
    returned = instance.handle(event)
    assert returned["outcome"] == outcome
    assert [returned] == instance.receipts()
    assert "a-key" not in json.dumps(returned)


@pytest.mark.parametrize(
    "event",
    [
        notice("nothing of ours"),
        notice({"task_id": "1/../2"}),
        notice({"task_id": 1, "dst_sk": "a-key"}),
        {"record": [{"smn": None}]},
        {"record": []},
        {},
        [],
        None,
        "text",
        json.loads('{"a":' * 500 + "{}" + "}" * 500),
        {"task_id": float("nan")},
        {"task_name": "\ud800"},
        {"task_id": {1, 2}},
        {"task_id": b"1"},
        {"task_id": 10**5000},
        b'{"task_id": 1}',
        object(),
        in_itself(),
        nested(100_000),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_is_malformed_is_raised(event: Any, instance: Instance) -> None:
    """The destination for failures gets it then."""
    text = instance.not_done(event)
    (receipt,) = instance.receipts()
    assert (receipt["outcome"], receipt["message"]) == ("malformed", text)
    assert "a-key" not in text


@pytest.mark.parametrize(
    "event", [{"task_name": "x" * 600_000}, {"record": [record(message_id=str(number)) for number in range(101)]}]
)
def test_what_is_too_large_is_raised_for_nothing_of_it_was_handled(event: Any, instance: Instance) -> None:
    text = instance.not_done(event)
    (receipt,) = instance.receipts()
    assert (receipt["outcome"], receipt["message"]) == ("content_too_large", text)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [({"json": shown(3)}, "refused"), ({"json": shown(2)}, "already_running"), ({"json": shown(5)}, "nothing_to_do")],
)
def test_what_is_settled_or_refused_is_returned(
    answer: dict[str, Any], outcome: str, instance: Instance, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, **answer)
    assert instance.handle(notice())["outcome"] == outcome


def test_a_call_by_hand_returns_its_receipt(instance: Instance, httpx_mock: HTTPXMock) -> None:
    """Whoever invokes the function by hand makes a direct call."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown(3))
    httpx_mock.add_response(method="POST", url=START)
    httpx_mock.add_response(url=f"{TASKS}/7", status_code=404)
    assert instance.handle(REQUEST)["outcome"] == "started"  # a person may start what a person paused
    assert instance.handle({"task_id": 7})["outcome"] == "not_found"


def test_an_event_of_eventgrid_is_a_cloudevent(instance: Instance, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "eg", "id": "1", "ttl": "4000", "data": REQUEST}
    assert instance.handle(event)["dialect"] == "cloudevent"


# Raised


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status_code": 400, "json": {"error_code": "OMS.1009"}}, f"OMS has no task {TASK}"),
        ({"status_code": 401, "json": {"error_code": "APIGW.0301"}}, "credentials"),
        ({"status_code": 503}, "oms_error"),
        ({"status_code": 429}, "throttled"),
        ({"json": shown(7)}, "pausing"),
    ],
)
def test_what_was_not_done_is_raised(
    answer: dict[str, Any], words: str, instance: Instance, httpx_mock: HTTPXMock
) -> None:
    """The platform retries it, or hands it on."""
    httpx_mock.add_response(url=SHOW, **answer)
    assert words in instance.not_done(notice())
    assert len(instance.receipts()) == 1


def test_one_failed_record_of_several_is_raised(instance: Instance, httpx_mock: HTTPXMock) -> None:
    """All of them are told."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    httpx_mock.add_response(url=f"{TASKS}/7", status_code=500)
    text = instance.not_done({"record": [record(), record({"task_id": 7}, message_id="second"), {"smn": 7}]})
    first, second, third = (receipt["message"] for receipt in instance.receipts())
    assert text == f"{first}; {second} (oms_error); {third}"
    assert [receipt["outcome"] for receipt in instance.receipts()] == ["already_running", "unavailable", "malformed"]


def test_neither_what_is_raised_nor_the_log_holds_a_secret(make_instance: Callable[..., Instance]) -> None:
    """The gateway's own error text echoes what was signed."""
    simulator = Simulator()
    with simulator.serving() as url:
        changes = {"OMS_ENDPOINT": url, "HUAWEICLOUD_SDK_SK": "SKWRONG", "OMS_DST_SK": "dst-secret"}
        made = make_instance(transport.connections, **changes)
        context = Context(**AGENCY)
        made.initialize(context)
        with pytest.raises(made.module.EventNotHandled) as raised:
            made.module.handler(notice(REQUEST | {"reason": "why"}), context)
        assert simulator.calls()[0]["error_code"] == "APIGW.0301"
    told = repr(raised.value) + json.dumps(made.receipts()) + repr(made.module.__dict__["_runtime"].__dict__)
    secrets = {value for name, value in ENVIRONMENT.items() if name.endswith(("_AK", "_SK", "_TOKENS"))}
    for secret in secrets | {"SKWRONG", "dst-secret", "SDK-HMAC", *AGENCY.values()}:
        assert secret not in told


# APIG events


def test_an_apig_event_is_answered_with_the_response_that_apig_wants(instance: Instance, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    body = b64encode(json.dumps(REQUEST).encode()).decode()
    response = instance.handle(apig(body, isBase64Encoded=True))
    assert response.keys() == {"isBase64Encoded", "statusCode", "headers", "body"}
    assert (response["isBase64Encoded"], response["statusCode"]) == (False, 200)
    assert response["headers"] == {"Content-Type": "application/json"}
    assert [json.loads(response["body"])] == instance.receipts()


@pytest.mark.parametrize(
    ("answer", "status"),
    [({"status_code": 500}, 503), ({"status_code": 404}, 404), ({"status_code": 403}, 422), ({"json": shown(7)}, 503)],
)
def test_nothing_is_raised_to_a_caller_who_waits_for_a_response(
    answer: dict[str, Any], status: int, instance: Instance, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, **answer)
    assert instance.handle(apig(json.dumps(REQUEST)))["statusCode"] == status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"httpMethod": "GET", "path": "/healthz"}, 200),
        ({"httpMethod": "GET"}, 405),
        ({"httpMethod": None}, 405),
        ({"body": "{"}, 400),
        ({"body": None}, 400),
        ({"headers": 7}, 400),
        ({"body": '"\\ud800"'}, 400),
        ({"body": "\ud800"}, 400),
        ({"queryStringParameters": {"x": "\ud800"}}, 400),
        ({"queryStringParameters": float("inf")}, 400),
        ({"body": "x" * 600_000}, 413),
    ],
)
def test_any_apig_event_gets_a_response(changes: dict[str, Any], status: int, instance: Instance) -> None:
    response = instance.handle(apig(json.dumps(REQUEST)) | changes)
    assert response.keys() == {"isBase64Encoded", "statusCode", "headers", "body"}
    assert (response["isBase64Encoded"], response["statusCode"]) == (False, status)
    json.loads(response["body"])


# Settings


def test_settings_may_all_be_user_data(make_instance: Callable[..., Instance], httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    data = dict(ENVIRONMENT)
    data["CLOUD_SDK_AK"], data["CLOUD_SDK_SK"] = data.pop("HUAWEICLOUD_SDK_AK"), data.pop("HUAWEICLOUD_SDK_SK")
    del data["CALLER_BEARER_TOKENS"]  # the built-in runtime has authenticated the caller
    made = make_instance(**dict.fromkeys(ENVIRONMENT))
    made.initialize(Context(user_data=data))
    assert made.handle(notice())["outcome"] == "already_running"
    (request,) = httpx_mock.get_requests()
    assert "Access=AKEXAMPLE0000000001," in request.headers["authorization"]


@pytest.mark.parametrize(("set_", "region"), [("la-south-2", "la-south-2"), ("", "cn-east-3"), (None, "cn-east-3")])
def test_the_environment_precedes_user_data(
    set_: str | None, region: str, make_instance: Callable[..., Instance], httpx_mock: HTTPXMock
) -> None:
    """An empty setting counts as not set."""
    address = f"https://oms.{region}.myhuaweicloud.com/v2/{PROJECT}/tasks/{TASK}"
    httpx_mock.add_response(url=address, json=shown(2))
    made = make_instance(OMS_REGION=set_)
    made.initialize(Context(user_data={"OMS_REGION": "cn-east-3", "OMS_TIMEOUT": ""}))
    assert made.handle(notice())["region"] == region


def test_bad_settings_are_raised_at_each_call(
    make_instance: Callable[..., Instance], httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    """They are named until they are mended."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    made = make_instance(OMS_REGION="the-moon", OMS_DST_SK=None, OMS_SRC_SK="pass phrase")
    for call in (made.initialize, lambda: made.handle(notice())):
        with pytest.raises(SettingsError) as raised:
            call()
        for name in ("OMS_REGION", "OMS_DST_SK", "OMS_SRC_SK"):
            assert name in str(raised.value)
        assert "the-moon" not in str(raised.value)
        assert "pass phrase" not in str(raised.value)
    assert not threads()
    for name in ("OMS_REGION", "OMS_DST_SK", "OMS_SRC_SK"):
        environment.setenv(name, ENVIRONMENT[name])
    assert made.handle(notice())["outcome"] == "already_running"


def test_without_an_initializer_the_first_event_builds(
    make_instance: Callable[..., Instance], httpx_mock: HTTPXMock
) -> None:
    """Later events build nothing."""
    httpx_mock.add_response(url=SHOW, json=shown(3), is_reusable=True)
    made = make_instance()
    assert not threads()
    assert made.handle(notice())["outcome"] == "refused"
    (thread,) = threads()
    made.initialize()
    assert made.handle(notice())["outcome"] == "refused"
    assert threads() == [thread]


# The key of the agency


def agency_simulator() -> Simulator:
    """OMS, which knows the key of the example and the agency's, and which session token belongs to the latter."""
    simulator = Simulator()
    keys = {"AKEXAMPLE0000000001": ENVIRONMENT["HUAWEICLOUD_SDK_SK"], AGENCY["ak"]: AGENCY["sk"]}
    simulator.set_auth({"keys": keys, "security_tokens": {AGENCY["ak"]: AGENCY["token"]}})
    return simulator


def test_the_key_of_the_agency_signs(make_instance: Callable[..., Instance]) -> None:
    """The simulator refuses a session token that is missing, another one, or not signed."""
    simulator = agency_simulator()
    with simulator.serving() as url:
        made = make_instance(transport.connections, OMS_ENDPOINT=url, **NO_KEY)
        made.initialize()
        assert made.handle(notice(), Context(**AGENCY))["outcome"] == "started"
        assert operations(simulator) == ["show", "start"]
        for call in simulator.calls():
            assert call["headers"]["x-security-token"] == "present"
            assert call["status"] == 200
        wrong = Context(**(AGENCY | {"token": "another"}))
        assert "credentials" in made.not_done(notice(message_id="second"), wrong)


def test_each_event_brings_its_own_key(make_instance: Callable[..., Instance], httpx_mock: HTTPXMock) -> None:
    """A temporary key runs out within the day; an instance may live longer."""
    httpx_mock.add_response(url=SHOW, json=shown(3), is_reusable=True)
    made = make_instance(**NO_KEY)
    made.initialize()
    for number in (1, 2):
        made.handle(notice(), Context(ak=f"AK{number}", sk="SK", token=f"token-{number}"))
    first, second = httpx_mock.get_requests()
    for number, request in ((1, first), (2, second)):
        assert f"Access=AK{number}, SignedHeaders=" in request.headers["authorization"]
        assert "x-security-token" in request.headers["authorization"]
        assert request.headers["x-security-token"] == f"token-{number}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "Access=AKEXAMPLE0000000001,"), (NO_KEY | {"OMS_AUTH_TOKEN": "iam-token"}, None)],
)
def test_what_is_configured_goes_before_the_agencys_key(
    changes: dict[str, Any], expected: str | None, make_instance: Callable[..., Instance], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    made = make_instance(**changes)
    made.initialize()
    assert made.handle(notice(), Context(**AGENCY))["outcome"] == "started"
    for request in httpx_mock.get_requests():
        assert "x-security-token" not in request.headers
        if expected:
            assert expected in request.headers["authorization"]
        else:
            assert "authorization" not in request.headers
            assert request.headers["x-auth-token"] == "iam-token"


@pytest.mark.parametrize("missing", [("ak", "sk", "token"), ("ak",), ("sk",), ("token",)])
@pytest.mark.parametrize("nothing", [None, ""])
def test_without_any_key_nothing_is_asked_and_that_is_raised(
    missing: tuple[str, ...], nothing: str | None, make_instance: Callable[..., Instance], httpx_mock: HTTPXMock
) -> None:
    made = make_instance(**NO_KEY)
    made.initialize()
    key = AGENCY | dict.fromkeys(missing, nothing)
    assert "no_key_for_oms" in made.not_done(notice(), Context(**key))
    (receipt,) = made.receipts()
    assert (receipt["outcome"], receipt["start_called"]) == ("unavailable", False)


# Time


def test_nothing_is_started_in_the_last_second(instance: Instance, httpx_mock: HTTPXMock) -> None:
    """That the platform leaves."""
    httpx_mock.add_response(method="GET", url=SHOW, json=shown())
    assert "deadline" in instance.not_done(notice(), Context(milliseconds=900))
    (receipt,) = instance.receipts()
    assert (receipt["outcome"], receipt["start_called"]) == ("unavailable", False)


@pytest.mark.parametrize("milliseconds", [0, 100, 300, 310])
def test_where_no_time_is_left_the_event_is_handed_back_at_once(
    milliseconds: int, make_instance: Callable[..., Instance]
) -> None:
    simulator = Simulator()
    simulator.set_rules([{"operation": "show", "action": {"delay": 3}}])
    with simulator.serving() as url:
        made = make_instance(transport.connections, OMS_ENDPOINT=url)
        made.initialize()
        made.not_done(notice(), Context(milliseconds=milliseconds))
    (receipt,) = made.receipts()
    assert receipt["outcome"] == "unavailable"
    assert receipt["reason"] in ("deadline", "timeout", "no_connection")
    assert receipt["duration_ms"] < 2500
    assert simulator.starts(TASK) == 0


def test_a_function_with_much_time_gives_up_at_its_own_deadline(
    make_instance: Callable[..., Instance], httpx_mock: HTTPXMock
) -> None:
    async def stuck(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(200, json=shown())

    httpx_mock.add_callback(stuck, url=SHOW)
    made = make_instance(RESTART_DEADLINE="1.1")
    made.initialize()
    assert "timeout" in made.not_done(notice(), Context(milliseconds=900_000))
    assert made.receipts()[0]["duration_ms"] < 4000


# Many calls


class Counting(Simulator):
    """OMS, which counts the connections that were made to it."""

    def __init__(self) -> None:
        task = {"id": TASK, "name": TASK_NAME, "status": 4, "after_start": 4, "after_seconds": 0}
        broken = {"error_reason": {"error_code": "TRF.0001", "error_msg": "System error."}}
        super().__init__({"tasks": [task | broken]})
        self.clients: set[tuple[str, int]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.clients.add(tuple(scope["client"]))
        await super().__call__(scope, receive, send)


def held() -> tuple[int, int, int]:
    """Open files, objects and threads of this process, once what is unused is gone."""
    gc.collect()
    return len(os.listdir("/dev/fd")), len(gc.get_objects()), threading.active_count()  # noqa: PTH208


@pytest.mark.long
@pytest.mark.usefixtures("unmeasured")
def test_a_thousand_calls_leave_nothing_behind(make_instance: Callable[..., Instance]) -> None:
    """Each is a look and a start; the task fails again at once."""
    simulator = Counting()
    with simulator.serving() as url:
        made = make_instance(transport.connections, OMS_ENDPOINT=url)
        made.initialize()

        def call(times: int) -> tuple[int, int, int]:
            for _ in range(times):
                assert made.module.handler(REQUEST, Context())["outcome"] == "started"
            simulator.clear_calls()
            return held()

        before = call(50)
        after = call(1000)
        (thread,) = threads()
        assert thread.daemon
        assert simulator.starts(TASK) == 1050
    files, objects, running = (now - then for now, then in zip(after, before, strict=True))
    assert (files, running) == (0, 0)
    assert objects < 200
    assert len(simulator.clients) <= 2


def test_eight_threads_may_call_an_instance_at_once(make_instance: Callable[..., Instance]) -> None:
    """Even for the first time."""
    simulator = Counting()
    with simulator.serving() as url, ThreadPoolExecutor(8) as pool:
        made = make_instance(transport.connections, OMS_ENDPOINT=url)
        together = threading.Barrier(8)

        def call(number: int) -> str:
            if number < 8:
                together.wait(5)
            outcome: str = made.module.handler(REQUEST | {"reason": str(number)}, Context())["reason"]
            return outcome

        assert list(pool.map(call, range(200))) == [str(number) for number in range(200)]
        assert len(threads()) == 1
        assert operations(simulator).count("start") == 200
    assert len(simulator.clients) <= 8


@pytest.mark.parametrize(
    ("compiled", "here", "wanted"),
    [
        ([], "39", None),
        (["cpython-312-x86_64-linux-gnu"], "312", None),
        (["cpython-311-x86_64-linux-gnu", "cpython-312-x86_64-linux-gnu"], "312", None),
        (
            ["cpython-312-x86_64-linux-gnu"],
            "39",
            "made for Python 3.12: choose that runtime, or build it for Python 3.9",
        ),
        (
            ["cpython-312-x86_64-linux-gnu"],
            "313",
            "made for Python 3.12: choose that runtime, or build it for Python 3.13",
        ),
    ],
)
def test_a_package_for_another_python_names_it(
    compiled: list[str], here: str, wanted: str | None, tmp_path: Path, make_instance: Callable[..., Instance]
) -> None:
    (tmp_path / "pydantic_core").mkdir()
    for name in compiled:
        (tmp_path / "pydantic_core" / f"_pydantic_core.{name}.so").touch()
    with pytest.raises(ImportError, match=wanted) if wanted else contextlib.nullcontext():
        make_instance().module.check_python(tmp_path, here)
