"""RESTART_HOURS: outside them a failed event starts nothing and is not settled; whoever requests a start gets it."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from pytest_httpx import HTTPXMock

from example import ENDPOINT, PROJECT, TASK, hours_from, shown
from function_client import SHOW, START, Function
from httpx_transport import HttpxTransport
from restarter.cli.command import cli
from restarter.cli.explain import explain_delivery
from restarter.model.delivery import Delivery
from restarter.settings.model import load
from simulated import Simulated, event

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
SWEEPING = {"RESTART_SWEEP": "on"}


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """The address of a ledger that sweeps accept."""
    return f"sqlite://{tmp_path / 'ledger'}"


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", "Did not start task {task}: outside RESTART_HOURS; the next hour begins at {opening}"),
        ("zh-cn", "未启动任务 {task}：不在 RESTART_HOURS 规定的时段内；下一时段始于 {opening}"),
    ],
    ids=["en", "zh-cn"],
)
def test_a_failed_event_is_refused_without_a_call_to_oms(
    language: str, message: str, make_function: Callable[..., Function], ledger: str
) -> None:
    hours, opening = hours_from(datetime.now(UTC), 2)
    function = make_function(RESTART_HOURS=hours, RESTART_LEDGER=ledger, RESTART_LANGUAGE=language, **SWEEPING)
    for _ in range(2):  # it is not settled, so a redelivery is no duplicate
        assert function.post(json=event("e"), headers=STRUCTURED).status_code == 204
        receipt = function.receipt()
        assert (receipt["outcome"], receipt["reason"], receipt["severity"]) == ("refused", "outside_hours", "WARNING")
        assert receipt["message"] == message.format(task=TASK, opening=opening)
        assert receipt["start_called"] is False


def test_a_direct_call_that_reports_a_failure_is_told_when_to_come_again(
    make_function: Callable[..., Function], ledger: str
) -> None:
    hours, opening = hours_from(datetime.now(UTC), 2)
    function = make_function(RESTART_HOURS=hours, RESTART_LEDGER=ledger, **SWEEPING)
    reply = function.post(json={"group_id": "g-1", "intent": "failed", "id": "job-17"})
    assert (reply.status_code, reply.json()["reason"]) == (409, "outside_hours")
    assert reply.json()["detail"].endswith(f"the next hour begins at {opening}")


def test_a_start_that_is_requested_is_made_at_any_hour(
    make_function: Callable[..., Function], ledger: str, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    hours, _ = hours_from(datetime.now(UTC), 2)
    function = make_function(RESTART_HOURS=hours, RESTART_LEDGER=ledger, **SWEEPING)
    assert function.post(json={"task_id": TASK}).status_code == 200
    assert function.receipt()["outcome"] == "started"


def test_hours_decide_after_the_claim_and_before_the_key(make_simulated: Callable[..., Simulated], ledger: str) -> None:
    """A settled event stays a duplicate, and a key that OMS refused is not asked for."""
    hours, _ = hours_from(datetime.now(UTC), 0)
    world = make_simulated(restart_hours=hours, restart_ledger=ledger, restart_sweep="on", oms_cooldown=86400.0)
    assert said(world.deliver("settled")) == "started None"
    world.answers = [httpx.Response(401, json={"error_code": "APIGW.0301"})]
    world.now += timedelta(minutes=30)
    assert said(world.deliver("refused")) == "rejected credentials"
    assert said(world.deliver("another")) == "deferred credentials"
    world.now += timedelta(minutes=30)
    assert said(world.deliver("another")) == "refused outside_hours"
    assert said(world.deliver("settled")) == "duplicate None"
    world.now += timedelta(hours=23)
    assert said(world.deliver("another")) == "deferred credentials"
    assert len(world.starts) == 2


def said(delivered: tuple[int, dict[str, Any]]) -> str:
    """Outcome and reason."""
    return f"{delivered[1]['outcome']} {delivered[1].get('reason')}"


def closed(environment: pytest.MonkeyPatch, ledger: str) -> str:
    """Settings whose hours open in two hours; gives what is said of that."""
    hours, opening = hours_from(datetime.now(UTC), 2)
    for name, value in (SWEEPING | {"RESTART_HOURS": hours, "RESTART_LEDGER": ledger}).items():
        environment.setenv(name, value)
    return f"outside RESTART_HOURS; the next hour begins at {opening}"


def test_explain_says_when_the_next_hour_begins(environment: pytest.MonkeyPatch, ledger: str) -> None:
    why = closed(environment, ledger)
    body = json.dumps(event("e")).encode()
    delivery = Delivery("POST", "/", {"content-type": STRUCTURED["Content-Type"]}, body)
    lines = asyncio.run(explain_delivery(delivery, json.dumps(shown()).encode(), load()))
    assert ("hours", why) in lines
    assert ("outcome", "refused outside_hours: outside RESTART_HOURS") in lines
    assert "look" not in dict(lines)


def test_failed_says_when_the_next_hour_begins(
    environment: pytest.MonkeyPatch, ledger: str, httpx_mock: HTTPXMock
) -> None:
    """A person may start the tasks before."""
    why = closed(environment, ledger)
    environment.setattr("restarter.http.transport.connections", HttpxTransport)
    rows = {"tasks": [shown(start_time=1000 * int(datetime.now(UTC).timestamp() - 60))], "count": 1}
    listed = f"{ENDPOINT}/v2/{PROJECT}/tasks?limit=100&offset=0&status=4"
    httpx_mock.add_response(url=listed, json=rows, is_reusable=True)
    as_json = CliRunner().invoke(cli, ["failed", "--json"])
    found = json.loads(as_json.stdout.splitlines()[-1])
    assert (found["outcome"], found["reason"], found["rule"]) == ("refused", "outside_hours", why)
    assert f"{why[:1].upper()}{why[1:]}.\n" in as_json.stderr
    result = CliRunner().invoke(cli, ["failed", "--start", "--yes"])
    assert "refused outside_hours" in result.stdout
    assert "Nothing was started. 1 waits (--all starts them, too)." in result.stderr
