"""Whose keys go where, and how the function uses a key, a token or a password after it was refused."""

import asyncio
import hmac
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from pytest_httpx import HTTPXMock

from example import BEARER, ENVIRONMENT, PROJECT, TASK, settings, shown
from function_client import SHOW, START, Function
from httpx_transport import HttpxTransport
from restarter.app import Application
from restarter.model.delivery import AccessKey, Delivery, DeliveryContext
from restarter.oms.credentials import BREAKER_CACHE_SIZE
from restarter.pipeline import Pipeline
from restarter.reporting.reply import Reply

OTHER = "00000000000000000000000000000001"
LOGIN = "https://iam.cn-north-4.myhuaweicloud.com/v3/auth/tokens?nocatalog=true"
TOKEN = "MIIexample-token"
BEGIN = datetime(2099, 11, 24, tzinfo=UTC)
IAM = {"iam_domain": "the-domain", "iam_user": "the-user", "iam_password": "the-password"}
Answers = Callable[[httpx.Request], httpx.Response]


def running(request: httpx.Request) -> httpx.Response:
    """The task is already running: one look ends a delivery."""
    return httpx.Response(200, json=shown(2, id=int(request.url.path.rpartition("/")[2])))


def refusing(status: int = 401, code: str = "APIGW.0301") -> Answers:
    return lambda _request: httpx.Response(status, json={"error_code": code, "error_msg": "no"})


class World:
    """The pipeline with a clock and settings of the test's own, before an OMS and an IAM that do what it wants."""

    def __init__(self, runner: asyncio.Runner, httpx_mock: HTTPXMock, **changes: Any) -> None:
        self.now = BEGIN
        self.settings = settings(**changes)
        self.oms: Answers = running
        self.iam: Answers = self.grant
        self.asked: list[httpx.Request] = []
        self.logins: list[httpx.Request] = []
        self.lasts = timedelta(hours=24)
        self.agency: AccessKey | None = None
        self.pause = 0.001  # a network takes its time, and lets others run
        self.crowd: list[int] = []
        self._under_way = 0
        self.application = Application(lambda: self.settings, now=lambda: self.now)
        self._runner = runner
        self._delivered = 0
        httpx_mock.add_callback(self._answer, is_reusable=True, is_optional=True)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self._under_way += 1
        self.crowd.append(self._under_way)
        await asyncio.sleep(self.pause)
        self._under_way -= 1
        if request.url.host.startswith("iam."):
            self.logins.append(request)
            return self.iam(request)
        self.asked.append(request)
        return self.oms(request)

    def grant(self, _request: httpx.Request) -> httpx.Response:
        """A token of its own for each login."""
        expires_at = (self.now + self.lasts).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        headers = {"X-Subject-Token": f"{TOKEN}-{len(self.logins)}"}
        return httpx.Response(201, headers=headers, json={"token": {"expires_at": expires_at}})

    def deliver(
        self, number: int = 1, project_id: str = PROJECT, ids: Sequence[str] = (), tasks: Sequence[int] = (TASK,)
    ) -> list[Reply]:
        """What is said to events that come at once: new ones, or those with these ids, about these tasks in turn."""
        self._delivered += number
        names = ids or [f"e{self._delivered - n}" for n in range(number)]

        async def answer(name: str, task: int) -> Reply:
            pipeline = self.application.pipeline()
            context = pipeline.begin(platform_key=self.agency)
            return await pipeline.handle(Delivery("POST", "/", HEADERS, event(name, project_id, task)), context)

        async def all_at_once() -> list[Reply]:
            return await asyncio.gather(*(answer(name, tasks[n % len(tasks)]) for n, name in enumerate(names)))

        return self._runner.run(all_at_once())

    def said(self, number: int = 1, project_id: str = PROJECT, task: int = TASK) -> tuple[int, str, str | None]:
        """Status, outcome and reason; of several at once there is but one kind."""
        (said,) = {told(reply) for reply in self.deliver(number, project_id, tasks=[task])}
        return said


HEADERS = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {BEARER}"}


def event(name: str, project_id: str, task: int = TASK) -> bytes:
    data = {"task_id": task, "project_id": project_id}
    attributes = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": name}
    return json.dumps(attributes | {"data": data}).encode()


def told(reply: Reply) -> tuple[int, str, str | None]:
    (receipt,) = reply.receipts
    return int(reply.status), str(receipt["outcome"]), receipt.get("reason")


GOOD = (204, "already_running", None)
REFUSED = (422, "rejected", "credentials")
BREAKER_OPEN = (503, "deferred", "credentials")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def make_world(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch, httpx_mock: HTTPXMock) -> Callable[..., World]:
    monkeypatch.setattr("restarter.http.transport.connections", HttpxTransport)
    return lambda **changes: World(runner, httpx_mock, **changes)


# -- storage credentials

AZURE = "DefaultEndpointsProtocol=https;AccountName=azure-account;AccountKey=azure-key=="
GOOGLE = '{"type": "service_account", "private_key": "google-key"}'
PROFILES = {
    "OMS_PROFILES__AZURE__CONNECTION_STRING": AZURE,
    "OMS_PROFILES__AZURE__DST_AK": "azure-dst-ak",
    "OMS_PROFILES__AZURE__DST_SK": "azure-dst-sk",
    "OMS_PROFILES__GOOGLE__JSON_AUTH_FILE": GOOGLE,
    "OMS_PROFILES__GOOGLE__DST_AK": "google-dst-ak",
    "OMS_PROFILES__GOOGLE__DST_SK": "google-dst-sk",
    "OMS_PROFILES__GOOGLE__DST_SECURITY_TOKEN": "google-dst-token",
}
BODIES = {
    "default": {"src_ak": "src_ak", "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk"},
    "azure": {"connection_string": AZURE, "dst_ak": "azure-dst-ak", "dst_sk": "azure-dst-sk"},
    "google": {
        "json_auth_file": GOOGLE,
        "dst_ak": "google-dst-ak",
        "dst_sk": "google-dst-sk",
        "dst_security_token": "google-dst-token",
    },
}


def test_each_start_carries_the_keys_of_its_own_profile_and_no_other_key(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    function = make_function(**PROFILES)
    httpx_mock.add_response(url=SHOW, json=shown(), is_reusable=True)
    httpx_mock.add_response(method="POST", url=START, is_reusable=True)
    wanted = ["azure", "default", "google", None, "google", "azure"]
    for profile in wanted:
        assert function.post(json={"task_id": TASK, "credentials": profile}).status_code == 200
    assert [receipt["credentials"] for receipt in function.receipts()] == [name or "default" for name in wanted]
    for profile, start in zip(wanted, httpx_mock.get_requests(method="POST"), strict=True):
        assert json.loads(start.content) == BODIES[profile or "default"] | {"migrate_failed_object": False}


def test_an_unknown_profile_is_malformed(make_function: Callable[..., Function]) -> None:
    """And those that are configured are not named."""
    function = make_function(**PROFILES)
    reply = function.post(json={"task_id": TASK, "credentials": "aws"})
    assert reply.status_code == 400
    assert reply.json()["reason"] == "credentials: not a configured profile"
    assert function.receipt()["outcome"] == "malformed"


# -- a refused key


@pytest.mark.parametrize("at_once", [1, 10], ids=["one after the other", "at once"])
def test_a_refused_key_is_tried_once_and_no_event_is_lost(at_once: int, make_world: Callable[..., World]) -> None:
    """The breaker is open for OMS_COOLDOWN, and the events that came meanwhile are delivered again."""
    world = make_world(oms_cooldown=300)
    world.oms = refusing()
    ids = [f"e{n}" for n in range(10)]
    replies = [reply for begin in range(0, 10, at_once) for reply in world.deliver(ids=ids[begin : begin + at_once])]
    assert sorted(map(told, replies), key=str) == [REFUSED, *[BREAKER_OPEN] * 9]
    assert len(world.asked) == 1
    put_off = [name for name, reply in zip(ids, replies, strict=True) if reply.status == 503]
    assert {reply.headers["Retry-After"] for reply in replies if reply.status == 503} == {"300"}
    world.now += timedelta(seconds=299)
    again = world.deliver(ids=put_off)
    assert {told(reply) for reply in again} == {BREAKER_OPEN}
    assert {reply.headers["Retry-After"] for reply in again} == {"1"}
    assert len(world.asked) == 1
    world.now += timedelta(seconds=1)
    world.oms = running
    assert {told(reply) for reply in world.deliver(ids=put_off)} == {GOOD}
    assert len(world.asked) == 1 + 9


def test_after_the_cooldown_a_refused_key_is_tried_by_one_request_alone(make_world: Callable[..., World]) -> None:
    world = make_world(oms_cooldown=300)
    world.oms = refusing(401, "")
    for calls in (1, 2, 3):
        assert sorted(map(told, world.deliver(10)), key=str) == [REFUSED, *[BREAKER_OPEN] * 9]
        assert len(world.asked) == calls
        world.now += timedelta(seconds=300)


def test_a_key_that_was_good_may_be_refused_later(make_world: Callable[..., World]) -> None:
    world = make_world()
    assert world.said(5) == GOOD
    world.oms = refusing()
    assert [world.said(), world.said()] == [REFUSED, BREAKER_OPEN]
    assert len(world.asked) == 6


def test_another_key_is_tried_at_once_and_the_refused_one_is_remembered(make_world: Callable[..., World]) -> None:
    """Also a new SK of the same AK is another key."""
    world = make_world()
    bad = world.settings
    world.oms = refusing()
    assert world.said() == REFUSED
    world.oms = running
    world.settings = settings(HUAWEICLOUD_SDK_SK="another-sk")
    assert world.said(10) == GOOD
    world.settings = bad
    assert world.said(10) == BREAKER_OPEN
    assert len(world.asked) == 1 + 10


@pytest.mark.parametrize("answer", [refusing(401, ""), refusing(401, "OMS.0206"), refusing(403, "APIGW.0302")])
def test_a_refused_key_opens_its_breaker_for_every_project(answer: Answers, make_world: Callable[..., World]) -> None:
    """Each further try, in whatever project, brings the key nearer to being locked."""
    world = make_world(oms_projects={OTHER: "cn-north-1"})
    assert world.said() == GOOD
    world.oms = answer
    assert [world.said(project_id=OTHER), world.said(10), world.said(10, OTHER)] == [
        REFUSED,
        BREAKER_OPEN,
        BREAKER_OPEN,
    ]
    assert len(world.asked) == 2


@pytest.mark.parametrize("answer", [refusing(403, "OMS.0206"), refusing(403, ""), refusing(403, "APIGW.0802")])
def test_a_403_is_for_its_own_task_and_opens_no_breaker(answer: Answers, make_world: Callable[..., World]) -> None:
    """Two tasks of another enterprise project kept the key from every other task for 98 % of the time."""
    world = make_world()
    world.oms = lambda request: (running if request.url.path.endswith("/9") else answer)(request)
    assert [world.said(task=task) for task in (1, 2, 3, 1, 9, 2)] == [REFUSED] * 4 + [GOOD, REFUSED]
    assert len(world.asked) == 6


def test_a_403_that_says_something_else_is_read_by_its_code(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.oms = refusing(403, "OMS.0065")
    assert [world.said(task=task) for task in (1, 2, 3)] == [GOOD] * 3
    world.oms = refusing(403, "APIGW.0308")
    assert [world.said(task=task) for task in (1, 2, 3)] == [(503, "unavailable", "throttled")] * 3


def test_a_clock_that_is_set_back_keeps_no_breaker_open_for_longer(make_world: Callable[..., World]) -> None:
    world = make_world(oms_cooldown=300)
    world.oms = refusing()
    assert world.said() == REFUSED
    world.now -= timedelta(hours=1)
    assert {reply.headers["Retry-After"] for reply in world.deliver(3)} == {"300"}


@pytest.mark.parametrize(("status", "code"), [(403, "OMS.0206"), (403, ""), (400, "OMS.0068")])
def test_one_task_that_oms_refuses_affects_no_other(status: int, code: str, make_world: Callable[..., World]) -> None:
    world = make_world()
    world.oms = lambda request: (refusing(status, code) if request.url.path.endswith("/1") else running)(request)
    replies = world.deliver(10, tasks=range(10))
    assert sorted(map(told, replies), key=str) == [GOOD] * 9 + [REFUSED]
    assert [world.said(task=task) for task in (1, 1, 2)] == [REFUSED, REFUSED, GOOD]


@pytest.mark.parametrize("code", ["OMS.0068", "OMS.0072", "OMS.1005", "OMS.0057"])
def test_what_oms_refuses_with_400_opens_no_breaker(code: str, make_world: Callable[..., World]) -> None:
    """Among it is what it says of a profile's storage keys."""
    world = make_world()
    world.oms = refusing(400, code)
    assert {world.said(task=task)[:2] for task in range(1, 6)} == {(422, "rejected")}
    world.oms = running
    assert world.said() == GOOD


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusing(429, "APIGW.0308"), (503, "unavailable", "throttled")),
        (refusing(500, "OMS.1001"), (503, "unavailable", "oms_error")),
        (refusing(503, ""), (503, "unavailable", "oms_error")),
        (lambda _request: httpx.Response(502, html="<h1>Bad gateway</h1>"), (503, "unavailable", "oms_error")),
        (refusing(400, "OMS.0064"), (422, "rejected", "refused_by_oms")),
        (refusing(404, "OMS.1009"), (422, "not_found", "no_such_task")),
        (lambda _request: httpx.Response(302, headers={"Location": "/"}), (422, "rejected", "redirect")),
    ],
)
def test_what_is_no_refusal_of_the_key_does_not_keep_it_from_being_used(
    answer: Answers, said: tuple[int, str, str | None], make_world: Callable[..., World]
) -> None:
    world = make_world()
    world.oms = answer
    assert [world.said() for _ in range(7)] == [said] * 7
    assert len(world.asked) == 7
    world.oms = running
    assert world.said() == GOOD


def test_a_network_that_fails_does_not_keep_a_key_from_being_used(make_world: Callable[..., World]) -> None:
    world = make_world()

    def cut(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("cut", request=request)

    world.oms = cut
    assert [world.said() for _ in range(3)] == [(503, "unavailable", "no_connection")] * 3
    world.oms = running
    assert world.said() == GOOD


def test_a_key_without_a_cool_down_is_always_tried(make_world: Callable[..., World]) -> None:
    world = make_world(oms_cooldown=0)
    world.oms = refusing()
    assert [world.said() for _ in range(3)] == [REFUSED] * 3


def test_of_many_at_once_one_proves_a_new_key(make_world: Callable[..., World]) -> None:
    """After a start a hundred calls of 100 ms in a row would miss every deadline."""
    world = make_world()
    world.pause = 0.5
    assert world.said(100) == GOOD
    assert world.crowd[:2] == [1, 1]
    assert max(world.crowd) > 50


def test_of_many_keys_the_oldest_is_forgotten(make_world: Callable[..., World]) -> None:
    """An agency brings a new one every day, and a process may live for years."""
    world = make_world(**NO_KEY, oms_agency=True)
    world.oms, world.pause = refusing(), 0
    for number in range(BREAKER_CACHE_SIZE + 1):
        world.agency = lent(number)
        assert world.said() == REFUSED
    assert world.said() == BREAKER_OPEN
    world.agency = lent(0)
    assert world.said() == REFUSED


NO_KEY = {"HUAWEICLOUD_SDK_AK": None, "HUAWEICLOUD_SDK_SK": None}


def lent(number: int = 0) -> AccessKey:
    """A key of an agency."""
    ak, sk, token = (SecretStr(f"agency-{part}-{number}") for part in ("ak", "sk", "token"))
    return AccessKey(ak, sk, token)


# -- settings that changed meanwhile


def test_an_event_comes_again_where_the_key_was_replaced_meanwhile(make_world: Callable[..., World]) -> None:
    world = make_world()

    def replace(request: httpx.Request) -> httpx.Response:
        world.settings = settings(HUAWEICLOUD_SDK_SK="another-sk")
        return refusing()(request)

    world.oms = replace
    assert told(world.deliver(ids=["e"])[0]) == (503, "unavailable", "credentials_changed")
    world.oms = running
    assert told(world.deliver(ids=["e"])[0]) == GOOD


def test_a_key_that_is_refused_too_is_not_said_to_have_changed(make_world: Callable[..., World]) -> None:
    world = make_world()
    fresh = iter([settings(HUAWEICLOUD_SDK_SK="another-sk")])

    def replace(request: httpx.Request) -> httpx.Response:
        world.settings = next(fresh, world.settings)
        return refusing()(request)

    world.oms = replace
    assert [world.said()[2] for _ in range(3)] == ["credentials_changed", "credentials", "credentials"]
    assert len(world.asked) == 2


def test_a_secret_file_that_changed_is_read_after_a_refusal(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock, tmp_path: Path
) -> None:
    """Its key was refused, and the new one is used."""
    key = tmp_path / "HUAWEICLOUD_SDK_SK"
    key.write_text("revoked-sk")
    function = make_function(SECRETS_DIR=str(tmp_path))

    def replace(_request: httpx.Request) -> httpx.Response:
        key.write_text(ENVIRONMENT["HUAWEICLOUD_SDK_SK"] + "\n")
        return httpx.Response(401)

    httpx_mock.add_callback(replace, url=SHOW)
    structured = {"Content-Type": HEADERS["content-type"]}
    first = function.post(content=event("e", PROJECT), headers=structured)
    assert (first.status_code, first.json()["reason"]) == (503, "credentials_changed")
    httpx_mock.add_response(url=SHOW, json=shown(2))
    assert function.post(content=event("e", PROJECT), headers=structured).status_code == 204


# -- tokens of IAM


def test_the_login_is_exactly_this_and_the_password_goes_nowhere_else(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM)
    assert world.said() == GOOD
    (login,) = world.logins
    assert (login.method, str(login.url)) == ("POST", LOGIN)
    assert login.headers["content-type"] == "application/json;charset=utf8"
    user = {"domain": {"name": "the-domain"}, "name": "the-user", "password": "the-password"}
    identity = {"methods": ["password"], "password": {"user": user}}
    assert json.loads(login.content) == {"auth": {"identity": identity, "scope": {"project": {"id": PROJECT}}}}
    assert "the-password" not in f"{login.url} {login.headers.raw}"
    (call,) = world.asked
    assert call.headers["x-auth-token"] == f"{TOKEN}-1"
    assert "authorization" not in call.headers
    assert b"the-password" not in call.content
    assert "the-password" not in f"{call.url} {call.headers.raw}"


def test_the_login_goes_to_the_endpoint_of_the_settings(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM, iam_endpoint="https://iam.example.com:8443")
    assert world.said() == GOOD
    assert str(world.logins[0].url) == "https://iam.example.com:8443/v3/auth/tokens?nocatalog=true"


def tokens(world: World) -> list[str]:
    """The tokens that OMS was shown, in order, without repetitions."""
    return list(dict.fromkeys(request.headers["x-auth-token"] for request in world.asked))


def test_a_token_is_kept_and_renewed_ten_minutes_before_it_expires(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM)
    for hours, minutes, logins in [(0, 0, 1), (12, 0, 1), (23, 50, 1), (23, 51, 2), (47, 40, 2), (47, 42, 3)]:
        world.now = BEGIN + timedelta(hours=hours, minutes=minutes)
        assert world.said(10) == GOOD
        assert len(world.logins) == logins
    assert tokens(world) == [f"{TOKEN}-1", f"{TOKEN}-2", f"{TOKEN}-3"]


@pytest.mark.parametrize(
    "before", [None, timedelta(hours=24), timedelta(hours=25)], ids=["none", "expiring", "expired"]
)
def test_a_hundred_deliveries_at_once_are_one_login(before: timedelta | None, make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM)
    if before is not None:
        assert world.said() == GOOD
        world.now += before
    assert world.said(100) == GOOD
    assert len(world.logins) == (1 if before is None else 2)
    assert tokens(world)[-1] == f"{TOKEN}-{len(world.logins)}"


def test_while_one_delivery_renews_the_token_the_others_use_the_old_one(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM)
    assert world.said() == GOOD
    world.now += timedelta(hours=23, minutes=55)
    assert world.said(10) == GOOD
    assert len(world.logins) == 2
    assert [call.headers["x-auth-token"] for call in world.asked[1:]].count(f"{TOKEN}-1") == 9


@pytest.mark.parametrize("iam", [refusing(500, ""), refusing(401, "")], ids=["away", "another password"])
def test_a_token_that_cannot_be_renewed_is_used_on(iam: Answers, make_world: Callable[..., World]) -> None:
    """Until half a minute before its end."""
    world = make_world(**NO_KEY, **IAM)
    assert world.said() == GOOD
    world.iam = iam
    world.now += timedelta(hours=23, minutes=59, seconds=29)
    assert world.said() == GOOD
    world.now += timedelta(seconds=1)
    assert world.said()[0] == 503
    assert tokens(world) == [f"{TOKEN}-1"]


def test_a_token_that_oms_no_longer_takes_is_dropped(make_world: Callable[..., World]) -> None:
    """The next delivery logs in. A token ends early when the user's password or rights change."""
    world = make_world(**NO_KEY, **IAM)
    assert world.said() == GOOD
    world.oms = refusing(401, "APIGW.0307")
    assert told(world.deliver(ids=["e"])[0]) == (503, "unavailable", "token_refused")
    world.oms = running
    assert told(world.deliver(ids=["e"])[0]) == GOOD
    assert len(world.logins) == 2
    assert tokens(world) == [f"{TOKEN}-1", f"{TOKEN}-2"]


def test_many_refusals_of_an_old_token_do_not_drop_the_new_one(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM)
    assert world.said() == GOOD
    world.oms = lambda request: (refusing() if request.headers["x-auth-token"].endswith("-1") else running)(request)
    assert world.said(10) == (503, "unavailable", "token_refused")
    assert world.said(10) == GOOD
    assert len(world.logins) == 2


@pytest.mark.parametrize("answer", [refusing(401, "APIGW.0301"), refusing(401, ""), refusing(403, "APIGW.0302")])
def test_a_new_token_that_oms_refuses_opens_the_breaker_of_the_login(
    answer: Answers, make_world: Callable[..., World]
) -> None:
    """Each delivery was a login at IAM and a refused request, without end."""
    world = make_world(**NO_KEY, **IAM, oms_cooldown=300, oms_projects={OTHER: "cn-north-1"})
    world.oms = answer
    assert world.said() == (503, "unavailable", "token_refused")
    assert [world.said(10), world.said(10, OTHER)] == [BREAKER_OPEN] * 2
    world.now += timedelta(seconds=299)
    assert (world.said(), len(world.logins), len(world.asked)) == (BREAKER_OPEN, 1, 1)
    world.now += timedelta(seconds=1)
    assert world.said() == (503, "unavailable", "token_refused")
    assert (world.said(), len(world.logins), len(world.asked)) == (BREAKER_OPEN, 2, 2)
    world.now += timedelta(seconds=300)
    world.oms = running
    assert [world.said(), world.said(project_id=OTHER)] == [GOOD] * 2


def test_a_token_that_may_not_do_it_is_used_again(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM)
    world.oms = refusing(403, "")
    assert [world.said(task=1), world.said(task=2), world.said(10)] == [REFUSED] * 3
    assert (len(world.logins), len(world.asked)) == (1, 12)


def test_a_wrong_password_is_not_tried_again_for_another_project(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM, oms_projects={OTHER: "cn-north-1"})
    world.iam = refusing(401, "")
    assert [world.said(), world.said(project_id=OTHER)] == [REFUSED, BREAKER_OPEN]
    assert len(world.logins) == 1


def test_a_login_that_is_forbidden_for_one_project_keeps_no_other_waiting(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM, oms_projects={OTHER: "cn-north-1"})
    world.iam = lambda request: (refusing(403, "") if OTHER in request.content.decode() else world.grant)(request)
    assert [world.said(project_id=OTHER, task=task) for task in (1, 1, 2, 3)] == [REFUSED] * 4
    assert world.said() == GOOD


def test_a_token_that_is_refused_at_the_start_was_called(make_world: Callable[..., World]) -> None:
    """The receipt tells of a start that was called."""
    world = make_world(**NO_KEY, **IAM)
    world.oms = lambda request: refusing()(request) if request.method == "POST" else httpx.Response(200, json=shown(4))
    (reply,) = world.deliver()
    (receipt,) = reply.receipts
    assert (told(reply), receipt["start_called"]) == ((503, "unavailable", "token_refused"), True)


@pytest.mark.parametrize("at_once", [1, 10], ids=["one after the other", "at once"])
def test_a_wrong_password_is_tried_once_for_it_locks_the_user(at_once: int, make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM)
    world.iam = refusing(401, "")
    replies = [reply for _ in range(0, 10, at_once) for reply in world.deliver(at_once)]
    assert sorted(map(told, replies), key=str) == [REFUSED, *[BREAKER_OPEN] * 9]
    assert (len(world.logins), world.asked) == (1, [])
    world.now += timedelta(seconds=300)
    world.iam = world.grant
    assert world.said(10) == GOOD


@pytest.mark.parametrize(
    "mended",
    [
        {"iam_password": "another"},
        {"iam_user": "another"},
        {"iam_domain": "another"},
        {"iam_endpoint": "https://iam.example.com"},
    ],
)
def test_after_a_refused_login_another_user_or_password_is_tried_at_once(
    mended: dict[str, str], make_world: Callable[..., World]
) -> None:
    world = make_world(**NO_KEY, **IAM)
    world.iam = refusing(401, "")
    assert world.said() == REFUSED
    world.iam = world.grant
    world.settings = settings(**NO_KEY, **(IAM | mended))
    assert world.said(10) == GOOD


EXPIRES = "2099-11-25T00:00:00.000000Z"
UNUSABLE: dict[str, dict[str, Any]] = {
    "500": {"status_code": 500},
    "503 with a code": {"status_code": 503, "json": {"error_code": "OMS.2004"}},
    "429": {"status_code": 429},
    "garbage": {"status_code": 201, "headers": {"X-Subject-Token": TOKEN}, "content": b"\xff<html>"},
    "no document": {"status_code": 201, "headers": {"X-Subject-Token": TOKEN}, "json": ["token"]},
    "no token": {"status_code": 201, "json": {"token": {"expires_at": EXPIRES}}},
    "a token with a line break": {
        "status_code": 201,
        "headers": [(b"X-Subject-Token", b"a b")],
        "json": {"token": {"expires_at": EXPIRES}},
    },
    "200": {"status_code": 200, "headers": {"X-Subject-Token": TOKEN}, "json": {"token": {"expires_at": EXPIRES}}},
    "a time that is none": {
        "status_code": 201,
        "headers": {"X-Subject-Token": TOKEN},
        "json": {"token": {"expires_at": "tomorrow"}},
    },
    "a time without a zone": {
        "status_code": 201,
        "headers": {"X-Subject-Token": TOKEN},
        "json": {"token": {"expires_at": "2099-11-25T00:00:00"}},
    },
    "a number for a time": {
        "status_code": 201,
        "headers": {"X-Subject-Token": TOKEN},
        "json": {"token": {"expires_at": 4800000000}},
    },
    "no time": {"status_code": 201, "headers": {"X-Subject-Token": TOKEN}, "json": {"token": {}}},
}


@pytest.mark.parametrize("answer", UNUSABLE)
def test_an_iam_that_fails_makes_the_event_come_again(answer: str, make_world: Callable[..., World]) -> None:
    """It opens no breaker."""
    world = make_world(**NO_KEY, **IAM)
    world.iam = lambda _request: httpx.Response(**UNUSABLE[answer])
    assert [world.said() for _ in range(3)] == [(503, "unavailable", "iam")] * 3
    assert (len(world.logins), world.asked) == (3, [])
    world.iam = world.grant
    assert world.said() == GOOD


def test_an_iam_that_does_not_answer_makes_the_event_come_again(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM)

    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silent", request=request)

    world.iam = silent
    assert world.said() == (503, "unavailable", "iam")
    world.iam = world.grant
    assert world.said() == GOOD


@pytest.mark.parametrize("changes", [{}, {**NO_KEY, **IAM}], ids=["key", "login"])
def test_whoever_waits_for_another_delivery_ends_with_its_own_deadline(
    changes: dict[str, str | None], make_world: Callable[..., World]
) -> None:
    """A key or login of which nothing is known yet is tried by one at a time, and OMS and IAM do not respond."""
    world = make_world(**changes, restart_deadline=1.1, oms_timeout=5.0)
    world.pause = 3
    began = time.monotonic()
    replies = world.deliver(5)
    assert time.monotonic() - began < 2
    assert {reply.status for reply in replies} == {503}


@pytest.mark.parametrize("answer", [refusing(400, "IAM.0011"), refusing(404, ""), refusing(302, "")])
def test_a_login_that_iam_does_not_understand_is_for_a_person(
    answer: Answers, make_world: Callable[..., World]
) -> None:
    """A wrong IAM_ENDPOINT answers 404, which must not look like a task that is not there."""
    world = make_world(**NO_KEY, **IAM)
    world.iam = answer
    assert world.said() == (422, "rejected", "iam")


def test_each_project_has_a_token_of_its_own(make_world: Callable[..., World]) -> None:
    world = make_world(**NO_KEY, **IAM, oms_projects={OTHER: "cn-north-1"})
    for project_id in (PROJECT, OTHER, PROJECT, OTHER):
        assert world.said(project_id=project_id) == GOOD
    scopes = [json.loads(login.content)["auth"]["scope"]["project"]["id"] for login in world.logins]
    assert scopes == [PROJECT, OTHER]
    assert [login.url.host for login in world.logins] == [
        "iam.cn-north-4.myhuaweicloud.com",
        "iam.cn-north-1.myhuaweicloud.com",
    ]
    shown_by = [(PROJECT in call.url.path, call.headers["x-auth-token"]) for call in world.asked]
    assert shown_by == [(True, f"{TOKEN}-1"), (False, f"{TOKEN}-2")] * 2


# -- which of them is used

LENT = {
    "X-CFF-Security-Access-Key": "agency-ak",
    "X-CFF-Security-Secret-Key": "agency-sk",
    "X-CFF-Security-Token": "agency-token",
}
EVERY: dict[str, str | None] = {
    "HUAWEICLOUD_SDK_SECURITY_TOKEN": "temporary-token",
    "OMS_AUTH_TOKEN": "fixed-token",
    "IAM_DOMAIN": "the-domain",
    "IAM_USER": "the-user",
    "IAM_PASSWORD": "the-password",
    "OMS_AGENCY": "true",
}
UNSIGNED: dict[str, str | None] = {
    "HUAWEICLOUD_SDK_AK": None,
    "HUAWEICLOUD_SDK_SK": None,
    "HUAWEICLOUD_SDK_SECURITY_TOKEN": None,
}
NO_TOKEN = UNSIGNED | {"OMS_AUTH_TOKEN": None}
NO_IAM = NO_TOKEN | {"IAM_DOMAIN": None, "IAM_USER": None, "IAM_PASSWORD": None}


def proof(request: httpx.Request) -> tuple[str | None, str | None, str | None]:
    """The access key, the security token and the token with which OMS was asked."""
    access = request.headers.get("authorization", "").partition("Access=")[2].partition(",")[0]
    return access or None, request.headers.get("x-security-token"), request.headers.get("x-auth-token")


@pytest.mark.parametrize(
    ("without", "used"),
    [
        ({}, (ENVIRONMENT["HUAWEICLOUD_SDK_AK"], "temporary-token", None)),
        ({"HUAWEICLOUD_SDK_SECURITY_TOKEN": None}, (ENVIRONMENT["HUAWEICLOUD_SDK_AK"], None, None)),
        (UNSIGNED, (None, None, "fixed-token")),
        (NO_TOKEN, (None, None, TOKEN)),
        (NO_IAM, ("agency-ak", "agency-token", None)),
    ],
    ids=["key", "key without a token", "token", "login", "agency"],
)
def test_keys_are_used_in_their_order(
    without: dict[str, str | None],
    used: tuple[str | None, str | None, str | None],
    make_function: Callable[..., Function],
    httpx_mock: HTTPXMock,
) -> None:
    """A key comes before a token, before a login, before the key of the agency."""
    expires_at = (datetime.now(UTC) + timedelta(hours=24)).isoformat()
    granted: dict[str, Any] = {"headers": {"X-Subject-Token": TOKEN}, "json": {"token": {"expires_at": expires_at}}}
    if without == NO_TOKEN:
        httpx_mock.add_response(method="POST", url=LOGIN, status_code=201, **granted)
    httpx_mock.add_response(url=SHOW, json=shown(2))
    function = make_function(**(EVERY | without))
    assert function.post(json={"task_id": TASK}, headers=LENT).status_code == 200
    assert proof(httpx_mock.get_requests(method="GET")[0]) == used


def test_a_lent_key_signs_the_call_and_its_token_is_signed_too(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    function = make_function(**UNSIGNED, OMS_AGENCY="true")
    assert function.post(json={"task_id": TASK}, headers=LENT).status_code == 200
    (request,) = httpx_mock.get_requests()
    assert expected_authorization(request, "agency-ak", "agency-sk") == request.headers["authorization"]
    assert "x-security-token" in request.headers["authorization"].partition("SignedHeaders=")[2]
    assert request.headers["x-security-token"] == "agency-token"


def expected_authorization(request: httpx.Request, ak: str, sk: str) -> str:
    """By the rule of the vendor's guide, and not by our own signer."""
    names = ["content-type", "host", "x-project-id", "x-sdk-date", "x-security-token"]
    headers = "".join(f"{name}:{request.headers[name]}\n" for name in names)
    parts = [request.method, request.url.path + "/", "", headers, ";".join(names), sha256(b"").hexdigest()]
    digest = sha256("\n".join(parts).encode()).hexdigest()
    text = f"SDK-HMAC-SHA256\n{request.headers['x-sdk-date']}\n{digest}"
    signature = hmac.new(sk.encode(), text.encode(), sha256).hexdigest()
    return f"SDK-HMAC-SHA256 Access={ak}, SignedHeaders={';'.join(names)}, Signature={signature}"


NO_AGENCY = [*({name: word} for name in LENT for word in ("null", "")), dict.fromkeys(LENT, "null")]


@pytest.mark.parametrize("changes", NO_AGENCY)
def test_where_the_function_has_no_agency_null_and_nothing_are_no_key(
    changes: dict[str, str], make_function: Callable[..., Function]
) -> None:
    """FunctionGraph writes `null`; OMS is not asked without a key."""
    function = make_function(**UNSIGNED, OMS_AGENCY="true")
    reply = function.post(json={"task_id": TASK}, headers=LENT | changes)
    assert (reply.status_code, reply.json()["reason"]) == (503, "no_key_for_oms")
    assert function.receipt()["start_called"] is False


@pytest.mark.parametrize("trusted", ["true", "false"])
@pytest.mark.parametrize(("agency", "taken"), [("true", "agency-ak"), ("false", None), (None, None)])
def test_a_key_in_headers_is_taken_by_oms_agency_alone(
    agency: str | None,
    taken: str | None,
    trusted: str,
    make_function: Callable[..., Function],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever reaches the function can send such headers, so a trusted platform is not enough."""
    lent: list[AccessKey | None] = []
    made = Pipeline.handle

    def note(pipeline: Pipeline, delivery: Delivery, context: DeliveryContext) -> Coroutine[Any, Any, Reply]:
        lent.append(context.platform_key)
        return made(pipeline, delivery, context)

    monkeypatch.setattr(Pipeline, "handle", note)
    function = make_function(OMS_AGENCY=agency, CALLER_TRUST_PLATFORM=trusted)
    assert function.post(json={}, headers=LENT).status_code == 400
    assert [key and key.ak.get_secret_value() for key in lent] == [taken]


def test_without_a_key_the_function_starts_only_with_oms_agency(make_function: Callable[..., Function]) -> None:
    with pytest.raises(SystemExit, match="HUAWEICLOUD_SDK_AK: required unless OMS_AUTH_TOKEN, IAM_USER or OMS_AGENCY"):
        make_function(**UNSIGNED, CALLER_TRUST_PLATFORM="true")
    make_function(OMS_AGENCY="true")


@pytest.mark.parametrize("value", [b"\xe9", b"a b"])
@pytest.mark.parametrize("name", LENT)
def test_a_lent_key_that_cannot_be_one_is_no_key(
    name: str, value: bytes, make_function: Callable[..., Function]
) -> None:
    function = make_function(**UNSIGNED, OMS_AGENCY="true")
    headers = {key.encode(): text.encode() for key, text in LENT.items()} | {name.encode(): value}
    headers[b"Authorization"] = f"Bearer {BEARER}".encode()
    reply = function.request("POST", json={"task_id": TASK}, headers=headers)
    assert (reply.status_code, reply.json()["reason"]) == (503, "no_key_for_oms")
