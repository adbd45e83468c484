"""What an attempt of an event leaves behind: restarts that count, that are taken back, and that are under way."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import BEARER, TASK, shown
from function_client import SHOW, START, TASKS, Function
from signers import TOPIC, certificate, rsa_key, sign_smn, smn_message
from simulated import Simulated

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
Make = Callable[..., Simulated]
NO_KEY = {"HUAWEICLOUD_SDK_AK": None, "HUAWEICLOUD_SDK_SK": None}


def lost() -> Exception:
    return httpx.ReadTimeout("the answer was lost")


def away() -> httpx.Response:
    return httpx.Response(503)


def said(receipt: dict[str, Any]) -> str:
    return f"{receipt['outcome']} {receipt.get('reason', '')}".strip()


def test_an_attempt_that_was_refused_takes_back_its_own_restart_and_no_earlier_one(make_simulated: Make) -> None:
    """OMS may have accepted the unconfirmed one, so with a second accepted start the budget of two is used up."""
    world = make_simulated(restart_budget="2/24h", restart_backoff=0)
    world.answers = [lost(), away()]
    outcomes = [said(world.deliver(name)[1]) for name in ("e", "e", "f", "g")]
    assert outcomes == ["unconfirmed timeout", "unavailable oms_error", "started", "refused budget_exhausted"]
    assert world.deliver("g")[1]["severity"] == "ERROR"
    assert len(world.starts) == 3


def test_attempts_of_one_event_end_with_the_budget_and_no_backoff_holds_them_back(make_simulated: Make) -> None:
    world = make_simulated(restart_budget="3/24h")
    world.answers = [lost() for _ in range(9)]
    receipts = [world.deliver("e")[1] for _ in range(5)]
    assert [said(receipt) for receipt in receipts] == ["unconfirmed timeout"] * 3 + ["refused budget_exhausted"] * 2
    assert [receipt.get("attempt") for receipt in receipts] == [1, 2, 3, None, None]
    assert len(world.starts) == 3


def test_a_start_that_could_not_be_settled_counts_for_its_redelivery(make_simulated: Make) -> None:
    """The task failed again before the redelivery."""
    world = make_simulated(restart_budget="2/24h")
    world.break_ledger("settle", times=1)
    assert said(world.deliver("e")[1]) == "unconfirmed ledger"
    world.now += timedelta(seconds=10)
    second, third = [world.deliver(name)[1] for name in ("e", "f")]
    assert said(second) == "started"
    assert second["attempt"] == 2
    assert said(third) == "refused budget_exhausted"


def test_a_lost_report_of_a_used_budget_is_made_again(make_simulated: Make) -> None:
    """It is the only one within the window, and is repeated to its own event alone."""
    world = make_simulated(restart_budget="1/1h")
    world.deliver("e")
    world.break_ledger("mark", done=True, times=1)
    receipts = [world.deliver(name)[1] for name in ("f", "f", "g", "f")]
    assert [said(receipt) for receipt in receipts] == ["unavailable ledger", *["refused budget_exhausted"] * 3]
    assert [receipt["severity"] for receipt in receipts] == ["WARNING", "ERROR", "INFO", "ERROR"]


def test_an_event_waits_while_the_last_restart_is_under_way(make_simulated: Make, httpx_mock: HTTPXMock) -> None:
    """It would use up the budget, and is not made: an event that had been refused by it would never have come again."""
    world = make_simulated(restart_budget="1/24h")
    at_oms, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: httpx.Request) -> httpx.Response:
        at_oms.set()
        await go_on.wait()
        return away()

    async def both() -> list[tuple[int, dict[str, Any]]]:
        first = asyncio.ensure_future(world.answer("e"))
        await at_oms.wait()
        second = await world.answer("f")
        go_on.set()
        return [await first, second, await world.answer("f")]

    httpx_mock.reset()
    httpx_mock.add_response(url=SHOW, json=shown(), is_reusable=True)
    httpx_mock.add_callback(slow, method="POST", url=START)
    httpx_mock.add_response(method="POST", url=START)
    first, second, third = asyncio.run(both())
    assert said(first[1]) == "unavailable oms_error"
    assert (second[0], said(second[1])) == (503, "deferred in_progress")
    assert said(third[1]) == "started"


def test_a_restart_whose_instance_died_counts_once_its_claim_has_expired(
    make_simulated: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_simulated(restart_budget="1/24h")

    async def die(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    settle = world.application.ledger.settle
    monkeypatch.setattr(world.application.ledger, "settle", die)
    with pytest.raises(KeyboardInterrupt):
        world.deliver("e")
    monkeypatch.setattr(world.application.ledger, "settle", settle)
    world.now += timedelta(seconds=4)
    assert said(world.deliver("f")[1]) == "deferred in_progress"
    world.now += timedelta(seconds=6)
    assert said(world.deliver("f")[1]) == "refused budget_exhausted"


def test_nothing_is_reserved_where_no_time_is_left_for_a_start(
    make_simulated: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have to be taken back with a ledger that is late."""
    world = make_simulated(restart_deadline=1.5)
    history, reserved = world.application.ledger.history, []

    async def slow(*arguments: Any) -> Any:
        await asyncio.sleep(0.6)
        return await history(*arguments)

    async def reserve(*arguments: Any) -> bool:
        reserved.append(arguments)
        return True

    monkeypatch.setattr(world.application.ledger, "history", slow)
    monkeypatch.setattr(world.application.ledger, "reserve", reserve)
    assert said(world.deliver("e")[1]) == "unavailable deadline"
    assert reserved == []


def test_a_reservation_whose_answer_was_lost_is_taken_back(make_simulated: Make) -> None:
    world = make_simulated(restart_budget="1/24h")
    world.break_ledger("reserve", done=True, times=1)
    assert said(world.deliver("e")[1]) == "unavailable ledger"
    assert said(world.deliver("f")[1]) == "started"


def test_whoever_is_outrun_at_the_storage_key_has_reserved_nothing(make_simulated: Make) -> None:
    """Of many tasks with one key at once, all but one are."""
    world = make_simulated(restart_backoff=0)
    world.task |= {"error_reason": {"error_code": "TRF.0151"}}
    notes = []

    async def outrun(*arguments: Any) -> bool:
        notes.append(arguments[-1])
        return False

    world.application.ledger.reserve = outrun  # type: ignore[method-assign,assignment]
    assert said(world.deliver("e")[1]) == "deferred in_progress"
    assert {note[:2] for note in notes} == {"+t"}


def test_an_instance_that_was_frozen_starts_nothing_late(make_simulated: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing after its deadline: its monotonic clock stopped; by the wall clock its claim has long expired."""
    world = make_simulated()
    reserve, ahead = world.application.ledger.reserve, [0.0]

    async def freeze(*arguments: Any) -> Any:
        reserved = await reserve(*arguments)
        ahead[0] = 10.0
        return reserved

    clock = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + ahead[0])
    monkeypatch.setattr("restarter.model.delivery.time", clock)
    monkeypatch.setattr("restarter.pipeline.time", clock)
    monkeypatch.setattr(world.application.ledger, "reserve", freeze)
    assert said(world.deliver("e")[1]) == "unavailable deadline"
    assert world.starts == []


@pytest.mark.parametrize(
    ("answer", "status", "outcome"),
    [
        (httpx.Response(502), 4, "unconfirmed oms_error"),
        (httpx.Response(504, json={"error_code": "APIGW.0201"}), 4, "unconfirmed oms_error"),
        (httpx.Response(501), 4, "unconfirmed oms_error"),
        (httpx.Response(504), 2, "started"),
        (httpx.Response(504, json={"error_code": "OMS.2004"}), 4, "unavailable oms_error"),
        (httpx.Response(500), 4, "unavailable oms_error"),
        (httpx.Response(503), 4, "unavailable oms_error"),
    ],
)
def test_a_gateways_error_leaves_the_start_behind_it_open(
    answer: httpx.Response, status: int, outcome: str, make_simulated: Make, httpx_mock: HTTPXMock
) -> None:
    world = make_simulated(restart_budget="1/24h")
    world.answers = [answer]
    httpx_mock.reset()
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(url=SHOW, json=shown(status), is_optional=True)
    httpx_mock.add_callback(world._start, method="POST", url=START)  # noqa: SLF001
    first = world.deliver("e")[1]
    assert (said(first), first["oms_status"], first["start_called"]) == (outcome, answer.status_code, True)
    httpx_mock.reset()
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START, is_optional=True)
    counted = outcome.startswith("un") and "unavailable" not in outcome
    assert said(world.deliver("f")[1]) == ("refused budget_exhausted" if counted or status == 2 else "started")


def test_a_sweep_comes_again_when_another_deliverys_claim_has_expired(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock, tmp_path: Any
) -> None:
    """The other delivery holds one of the sweep's tasks."""
    function = make_function(RESTART_SWEEP="on", RESTART_LEDGER=f"sqlite://{tmp_path / 'ledger'}")
    listed = {"tasks": [shown(start_time=1000 * int(time.time() - 60))], "count": 1}
    httpx_mock.add_response(url=f"{TASKS}?limit=100&offset=0&status=4", json=listed, is_reusable=True)

    async def hang(_request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    httpx_mock.add_callback(hang, url=SHOW)
    tick = {"Idempotency-Key": "tick"}
    with pytest.raises(KeyboardInterrupt):
        function.post(json={"sweep": True}, headers=tick)
    reply = function.post(json={"sweep": True}, headers=tick)
    assert (reply.status_code, reply.json()["reason"]) == (503, "in_progress")
    assert 8 <= int(reply.headers["Retry-After"]) <= 10
    task, summary = function.receipts()
    assert (said(task), said(summary)) == ("deferred in_progress", "unavailable in_progress")
    assert (summary["seen"], summary["held_back"]) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "unavailable deadline"),
        ({"iam_domain": "d", "iam_user": "u", "iam_password": "p"} | NO_KEY, "unavailable iam"),
    ],
    ids=["key", "login"],
)
def test_a_wait_for_a_key_ends_with_the_delivery(
    changes: dict[str, Any],
    outcome: str,
    make_simulated: Make,
    httpx_mock: HTTPXMock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A younger one tries a key that is not known yet, or logs in, for longer than the older one has time."""
    world = make_simulated(restart_deadline=1.5, **changes)
    claim, claims = world.application.ledger.claim, []

    async def late(*arguments: Any) -> Any:
        claims.append(arguments)
        await asyncio.sleep(0.8 if len(claims) == 1 else 0)
        return await claim(*arguments)

    async def silent(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    async def both() -> dict[str, Any]:
        older = asyncio.ensure_future(world.answer("e"))
        await asyncio.sleep(0.7)
        younger = asyncio.ensure_future(world.answer("f"))
        receipt = (await older)[1]
        await younger
        return receipt

    monkeypatch.setattr(world.application.ledger, "claim", late)
    httpx_mock.reset()
    httpx_mock.add_callback(silent, is_reusable=True)
    receipt = asyncio.run(both())
    assert said(receipt) == outcome
    assert 1400 < receipt["duration_ms"] < 1900


def test_the_look_after_a_start_without_an_answer_waits_for_nobody(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """The key was refused and is tried by another call just then; it was good for the start."""
    function = make_function(OMS_COOLDOWN="0", OMS_TIMEOUT="10", RESTART_DEADLINE="3")
    refused, started, trying, end = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def show_another(_request: httpx.Request) -> httpx.Response:
        if not refused.is_set():
            refused.set()
            return httpx.Response(401)
        trying.set()
        await end.wait()
        return httpx.Response(404)

    async def start(_request: httpx.Request) -> httpx.Response:
        started.set()
        await trying.wait()
        raise lost()

    async def post(client: httpx.AsyncClient, task: int) -> httpx.Response:
        return await client.post("/", json={"task_id": task}, headers={"Authorization": f"Bearer {BEARER}"})

    async def together() -> httpx.Response:
        transport = httpx.ASGITransport(function.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://function") as client:
            first = asyncio.ensure_future(post(client, TASK))
            await started.wait()
            await post(client, 7)
            tries_key = asyncio.ensure_future(post(client, 7))
            answer = await first
            end.set()
            await tries_key
            return answer

    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_callback(start, method="POST", url=START)
    httpx_mock.add_callback(show_another, url=f"{TASKS}/7", is_reusable=True)
    httpx_mock.add_response(url=SHOW, json=shown(2))
    answer = function.run(together())
    assert (answer.status_code, answer.json()["outcome"]) == (200, "started")


def notice(started_since_s: int) -> tuple[dict[str, Any], dict[str, object]]:
    """A notice of now in the form of FunctionGraph's trigger, and the task that was started so much later."""
    now = int(time.time())
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    smn = {"message_id": "m", "message": json.dumps({"task_id": TASK}), "topic_urn": "topicUrn", "timestamp": at}
    return {"record": [{"smn": smn}]}, shown(start_time=1000 * (now + started_since_s) + 999)


@pytest.mark.parametrize(
    ("trusted", "since", "outcomes"),
    [
        ("true", 1, ["duplicate started_since", "duplicate"]),
        ("true", 0, ["started", "duplicate"]),
        ("true", -60, ["started", "duplicate"]),
        ("false", 1, ["started", "duplicate"]),
    ],
)
def test_a_failure_before_the_last_start_is_over_by_smns_time(
    trusted: str, since: int, outcomes: list[str], make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """A caller with a token can write any time; SMN's has seconds, so only a later second tells."""
    body, task = notice(since)
    httpx_mock.add_response(url=SHOW, json=task)
    httpx_mock.add_response(method="POST", url=START, is_optional=True)
    function = make_function(CALLER_TRUST_PLATFORM=trusted)
    statuses = [function.request("POST", json=body, headers=auth(trusted)).status_code for _ in range(2)]
    assert statuses == [204, 204]
    assert [said(receipt) for receipt in function.receipts()] == outcomes


def auth(trusted: str) -> dict[str, str]:
    return {} if trusted == "true" else {"Authorization": f"Bearer {BEARER}"}


@pytest.mark.parametrize(("since", "outcome"), [(1, "duplicate started_since"), (0, "started")])
def test_the_time_that_smn_signed_is_its_own(
    since: int, outcome: str, make_function: Callable[..., Function], httpx_mock: HTTPXMock, tmp_path: Any
) -> None:
    pem = tmp_path / "smn.pem"
    pem.write_bytes(certificate(rsa_key("smn")))
    smn = notice(since)[0]["record"][0]["smn"]
    message = smn_message(message=smn["message"], timestamp=smn["timestamp"])
    httpx_mock.add_response(url=SHOW, json=notice(since)[1])
    httpx_mock.add_response(method="POST", url=START, is_optional=True)
    function = make_function(CALLER_SMN_TOPICS=TOPIC, CALLER_SMN_CERTIFICATE=str(pem))
    assert function.request("POST", json=sign_smn(message, rsa_key("smn"))).status_code == 204
    assert said(function.receipt()) == outcome
