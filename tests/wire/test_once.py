"""Once per event, so many restarts per task, and a kill switch: with the ledger in memory and the network faked."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import BEARER, TASK, shown
from function_client import SHOW, START, Function
from simulated import Simulated, event

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def test_an_event_that_comes_again_after_it_was_settled_is_a_duplicate(
    function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    statuses = [function.post(json=event("e"), headers=STRUCTURED).status_code for _ in range(3)]
    assert statuses == [204, 204, 204]
    assert [receipt["outcome"] for receipt in function.receipts()] == ["started", "duplicate", "duplicate"]


def test_an_id_is_one_with_its_source(function: Function, httpx_mock: HTTPXMock) -> None:
    """A direct call without an id has no twin."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    key = {"Idempotency-Key": "e"}
    function.post(json=event("e"), headers=STRUCTURED)
    function.post(json=event("e", source="/other"), headers=STRUCTURED)
    function.post(json=event("f"), headers=STRUCTURED)
    for headers in ({}, {}, key, key):
        function.post(json={"task_id": TASK}, headers=headers)
    outcomes = [receipt["outcome"] for receipt in function.receipts()]
    assert outcomes == ["already_running"] * 6 + ["duplicate"]


def test_a_settled_id_that_names_another_task_is_a_duplicate(
    function: Function, httpx_mock: HTTPXMock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged as a warning."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    function.post(json=event("é"), headers=STRUCTURED)
    assert function.post(json=event("é"), headers=STRUCTURED).status_code == 204
    assert not caplog.records
    assert function.post(json=event("é", data={"task_id": 5}), headers=STRUCTURED).status_code == 204
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "restarter")
    assert record.getMessage() == "An event id came again with another task, which is not started"
    outcomes = [(line["outcome"], line.get("reason")) for line in function.receipts() if "outcome" in line]
    assert outcomes == [("already_running", None), ("duplicate", None), ("duplicate", "another_task")]


@pytest.mark.parametrize(
    "answer", [{"status_code": 503}, {"status_code": 401}, {"status_code": 404}, {"status_code": 400}]
)
def test_an_event_that_was_not_dealt_with_can_be_delivered_again(
    answer: dict[str, Any], make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """Also what was refused for a reason that a person removes: a replayed dead letter is no duplicate."""
    function = make_function(OMS_COOLDOWN="0")
    httpx_mock.add_response(url=SHOW, json=shown(), is_reusable=True)
    httpx_mock.add_response(method="POST", url=START, **answer)
    httpx_mock.add_response(method="POST", url=START)
    function.post(json=event("e"), headers=STRUCTURED)
    assert function.post(json=event("e"), headers=STRUCTURED).status_code == 204
    second = function.receipts()[1]
    assert (second["outcome"], second["attempt"]) == ("started", 1)


def test_an_unconfirmed_start_counts_and_its_own_event_may_finish_the_job(
    function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(), is_reusable=True)
    httpx_mock.add_exception(httpx.ReadTimeout("lost"), method="POST", url=START)
    httpx_mock.add_response(method="POST", url=START)
    for event_id in ("e", "another", "e"):
        function.post(json=event(event_id), headers=STRUCTURED)
    outcomes = [(line["outcome"], line.get("reason")) for line in function.receipts()]
    assert outcomes == [("unconfirmed", "timeout"), ("deferred", "backoff"), ("started", None)]


class Countdown:
    """OMS answers only once so many replies have come, however busy the machine is."""

    def __init__(self, replies: int) -> None:
        self._left = replies
        self._over = asyncio.Event()

    async def counting(self, post: Awaitable[httpx.Response]) -> httpx.Response:
        reply = await post
        self._left -= 1
        if self._left <= 0:
            self._over.set()
        return reply

    def then(self, document: object) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
        async def answer(_request: httpx.Request) -> httpx.Response:
            await asyncio.wait_for(self._over.wait(), 10)
            return httpx.Response(200, json=document)

        return answer


def test_the_same_event_many_times_at_once_is_one_start(function: Function, httpx_mock: HTTPXMock) -> None:
    """The other senders are told to redeliver."""
    others = Countdown(49)

    async def all_at_once() -> list[int]:
        transport = httpx.ASGITransport(function.app)
        headers = STRUCTURED | {"Authorization": f"Bearer {BEARER}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://function") as client:
            posts = (others.counting(client.post("/", json=event("e"), headers=headers)) for _ in range(50))
            return [reply.status_code for reply in await asyncio.gather(*posts)]

    httpx_mock.add_callback(others.then(shown()), url=SHOW)
    httpx_mock.add_response(method="POST", url=START)
    assert sorted(function.run(all_at_once())) == [204] + [503] * 49
    receipts = function.receipts()
    assert sorted({(line["outcome"], line.get("reason")) for line in receipts}) == [
        ("deferred", "in_progress"),
        ("started", None),
    ]


def test_a_delivery_beyond_the_limit_is_rejected_at_once(
    function: Function, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected = Countdown(7)

    async def all_at_once() -> list[int]:
        transport = httpx.ASGITransport(function.app)
        headers = {"Authorization": f"Bearer {BEARER}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://function") as client:
            posts = (rejected.counting(client.post("/", json={"task_id": TASK}, headers=headers)) for _ in range(10))
            replies = await asyncio.gather(*posts, client.get("/healthz"))
            return [reply.status_code for reply in replies]

    monkeypatch.setattr("restarter.app.MAX_IN_FLIGHT", 3)
    httpx_mock.add_callback(rejected.then(shown(2)), url=SHOW, is_reusable=True)
    *statuses, health = function.run(all_at_once())
    assert sorted(statuses) == [200] * 3 + [503] * 7
    assert health == 200
    assert {line["reason"] for line in function.receipts() if line["outcome"] == "unavailable"} == {
        "busy: too many deliveries at once"
    }
    assert function.post(json={"task_id": TASK}).status_code == 200


def test_the_same_event_twice_in_one_delivery_is_one_start(function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    record = {"smn": {"message_id": "m", "message": f'{{"task_id": {TASK}}}', "topic_urn": "topicUrn"}}
    assert function.post("/invoke", json={"record": [record, record]}).status_code in (204, 503)
    assert function.post("/invoke", json={"record": [record, record]}).status_code == 204
    outcomes = [line["outcome"] for line in function.receipts()]
    assert outcomes[0] == "started"
    assert outcomes[2:] == ["duplicate", "duplicate"]


def test_the_kill_switch_starts_nothing_and_asks_nobody(make_function: Callable[..., Function]) -> None:
    function = make_function(RESTART_ENABLED="false")
    assert function.post(json={"task_id": TASK}).status_code == 409
    assert function.post(json=event("e"), headers=STRUCTURED).status_code == 204
    assert {(line["outcome"], line["reason"]) for line in function.receipts()} == {("refused", "disabled")}


@pytest.mark.parametrize(("age", "outcome"), [(3500, "already_running"), (3700, "refused"), (-400, "refused")])
def test_an_event_of_another_time_is_stale(
    age: int, outcome: str, make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2), is_optional=True)
    function = make_function(RESTART_MAX_EVENT_AGE="3600")
    at = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    function.post(json=event("e", time=at), headers=STRUCTURED)
    assert function.receipt()["outcome"] == outcome


def test_a_dry_run_does_everything_but_the_start_and_forgets_the_event(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(), is_reusable=True)
    function = make_function(RESTART_DRY_RUN="true")
    assert function.post(json={"task_id": TASK}).status_code == 200
    assert [function.post(json=event("e"), headers=STRUCTURED).status_code for _ in range(2)] == [204, 204]
    for line in function.receipts():
        assert (line["outcome"], line["start_called"], line["severity"]) == ("would_start", False, "INFO")


def test_what_only_an_operator_can_cure_is_refused_at_error(function: Function, httpx_mock: HTTPXMock) -> None:
    """It is started when the operator asks."""
    task = shown(error_reason={"error_code": "TRF.0055", "error_msg": "no space"})
    httpx_mock.add_response(url=SHOW, json=task, is_reusable=True)
    httpx_mock.add_response(method="POST", url=START)
    assert function.post(json=event("e"), headers=STRUCTURED).status_code == 204
    assert function.post(json={"task_id": TASK}).status_code == 200
    first, second = function.receipts()
    assert (first["outcome"], first["reason"], first["severity"]) == ("refused", "permanent_failure", "ERROR")
    assert second["outcome"] == "started"


@pytest.mark.parametrize(("setting", "outcome"), [("false", "refused"), ("true", "started")])
def test_archived_objects_are_not_restored_again(
    setting: str, outcome: str, make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """Restoring them costs money. The operator may allow it."""
    httpx_mock.add_response(url=SHOW, json=shown(enable_restore=True))
    httpx_mock.add_response(method="POST", url=START, is_optional=True)
    function = make_function(RESTART_ARCHIVED=setting)
    function.post(json=event("e"), headers=STRUCTURED)
    assert function.receipt()["outcome"] == outcome


def test_a_task_that_fails_for_a_day_ends_within_the_budget(make_simulated: Callable[..., Simulated]) -> None:
    """The backoff is kept, and the end is reported once.

    It fails again ten seconds after each start; each failure is an event, redelivered on 503 as Retry-After says.
    """
    world = make_simulated()
    begin, number, receipts = world.now, 0, []
    while world.now < begin + timedelta(days=1):
        status, receipt = world.deliver(f"e{number}")
        receipts.append(receipt)
        if status == 503:
            world.now += timedelta(seconds=60)
        else:
            number += 1
            world.now += timedelta(seconds=10 if receipt["outcome"] == "started" else 1800)
    assert len(world.starts) == 5
    gaps = [(later - earlier).total_seconds() for earlier, later in zip(world.starts, world.starts[1:], strict=False)]
    assert all(gap >= least for gap, least in zip(gaps, [60, 120, 240, 480], strict=True))
    assert [receipt["attempt"] for receipt in receipts if receipt["outcome"] == "started"] == [1, 2, 3, 4, 5]
    exhausted = [receipt for receipt in receipts if receipt.get("reason") == "budget_exhausted"]
    assert [receipt["severity"] for receipt in exhausted] == ["ERROR"] + ["INFO"] * (len(exhausted) - 1)
    assert len(exhausted) > 40


def test_a_task_that_fails_once_a_week_is_still_restarted_in_week_nine(
    make_simulated: Callable[..., Simulated],
) -> None:
    world = make_simulated()
    for week in range(9):
        assert world.deliver(f"week-{week}")[1]["attempt"] == 1
        world.now += timedelta(days=7)
    assert len(world.starts) == 9


def test_the_budget_is_refilled_as_restarts_leave_the_window(make_simulated: Callable[..., Simulated]) -> None:
    world = make_simulated(restart_budget="1/1h")
    assert world.deliver("a")[1]["outcome"] == "started"
    world.now += timedelta(minutes=59)
    assert world.deliver("b")[1]["severity"] == "ERROR"
    world.now += timedelta(minutes=1)
    assert world.deliver("c")[1]["outcome"] == "started"


def test_a_ledger_that_hangs_does_not_make_a_delivery_late(make_simulated: Callable[..., Simulated]) -> None:
    async def hang(*_arguments: Any) -> None:
        await asyncio.sleep(60)

    world = make_simulated(restart_deadline=1.7)
    world.application.ledger.settle = hang  # type: ignore[assignment]
    world.application.ledger.waits = True  # as those in other processes do
    status, receipt = world.deliver("e")
    assert (status, receipt["outcome"], receipt["reason"]) == (503, "unconfirmed", "ledger")
    assert receipt["duration_ms"] < 4000


@pytest.mark.parametrize(
    ("question", "outcome", "starts"),
    [
        ("claim", "unavailable", 0),
        ("history", "unavailable", 0),
        ("reserve", "unavailable", 0),
        ("settle", "unconfirmed", 1),
        ("release", "started", 1),
        ("confirm", "started", 1),
        ("purge", "started", 1),
    ],
)
def test_a_ledger_that_cannot_be_asked_starts_nothing(
    question: str, outcome: str, starts: int, make_simulated: Callable[..., Simulated]
) -> None:
    """One that cannot be told changes nothing."""
    world = make_simulated()
    world.break_ledger(question)
    status, receipt = world.deliver("e")
    assert (receipt["outcome"], len(world.starts)) == (outcome, starts)
    assert (status, receipt.get("reason")) == ((204, None) if outcome == "started" else (503, "ledger"))


def test_a_refusal_that_cannot_be_remembered_as_told_is_not_told(make_simulated: Callable[..., Simulated]) -> None:
    world = make_simulated(restart_budget="1/1h")
    world.deliver("a")
    world.break_ledger("mark")
    assert world.deliver("b")[1]["reason"] == "ledger"


def test_a_restart_that_others_always_outrun_is_deferred(make_simulated: Callable[..., Simulated]) -> None:
    async def never(*_arguments: Any) -> bool:
        return False

    world = make_simulated()
    world.application.ledger.reserve = never  # type: ignore[assignment]
    status, receipt = world.deliver("e")
    assert (status, receipt["outcome"], receipt["reason"]) == (503, "deferred", "in_progress")
    assert world.starts == []
