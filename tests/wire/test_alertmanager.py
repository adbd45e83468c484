"""Alertmanager's own body and Grafana's: each firing alert about a task is one failed event."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpx import HTTPXMock

from example import PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, TASKS, Function

LABELS = {"alertname": "MigrationTaskFailed", "task_id": str(TASK)}


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f123Z")


def alert(labels: Any = None, **changes: Any) -> dict[str, Any]:
    found = {"status": "firing", "labels": LABELS if labels is None else labels, "annotations": {"summary": "failed"}}
    found |= {"startsAt": ago(60), "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "c2c7f0e1e5b8d2a1"}
    return found | changes


def group(*alerts: Any, **changes: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": '{}:{alertname="x"}', "status": "firing", "alerts": list(alerts)} | changes


@pytest.mark.parametrize(
    "version", [{"version": "4"}, {"version": 4}, {"version": "1", "orgId": 1}, {"version": 1, "orgId": 1}]
)
def test_a_firing_alert_about_a_task_says_that_it_failed(
    version: dict[str, Any], function: Function, httpx_mock: HTTPXMock
) -> None:
    """A paused task stays paused. Grafana counts its versions by itself, from 1, and names its organisation."""
    httpx_mock.add_response(url=SHOW, json=shown(3))
    firing = alert()
    reply = function.post(json=group(firing, **version))
    assert (reply.status_code, reply.content) == (204, b"")
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"], receipt["intent"]) == ("refused", "paused", "failed")
    assert (receipt["dialect"], receipt["event_id"]) == ("alertmanager", f"c2c7f0e1e5b8d2a1/{firing['startsAt']}")
    assert 58 <= receipt["event_age_s"] <= 70


@pytest.mark.parametrize(
    "changes",
    [{"version": "3"}, {"version": "1"}, {"version": 1}, {"version": True}, {"version": None}, {"alerts": {}}],
)
def test_another_shape_is_a_direct_call_and_malformed(changes: dict[str, Any], function: Function) -> None:
    assert function.post(json=group(alert(), **changes)).status_code == 400
    assert function.receipt()["dialect"] == "direct"
    document = group(alert())
    del document["groupKey"]
    assert function.post(json=document).status_code == 400
    assert function.receipt()["dialect"] == "direct"


def test_each_alert_stands_for_itself(make_function: Callable[..., Function], httpx_mock: HTTPXMock) -> None:
    """Others and resolved ones are ignored, a malformed one does not affect the others, a name is looked up."""
    httpx_mock.add_response(url=f"{TASKS}/1", json=shown(2, id=1))
    httpx_mock.add_response(
        url=f"{TASKS}?limit=50&offset=0&task_name={TASK_NAME}", json={"tasks": [shown(2)], "count": 1}
    )
    httpx_mock.add_response(url=SHOW, json=shown(2))
    other = SHOW.replace(PROJECT, "other").replace("cn-north-4", "cn-north-1")
    httpx_mock.add_response(url=other, json=shown(2))
    function = make_function(OMS_PROJECTS='{"other": "cn-north-1"}')
    alerts: list[Any] = [
        alert({"task_id": "1"}, fingerprint="a"),
        alert({"task_name": TASK_NAME}, fingerprint="b"),
        alert({"task_id": str(TASK), "project_id": "other", "credentials": ""}, fingerprint="c"),
        alert({"alertname": "x"}, fingerprint=None, startsAt=None),
        alert({"task_id": "", "task_name": "", "group_id": ""}),
        alert(status="resolved", startsAt="yesterday"),
        alert({"task_id": "1/../2"}),
        alert({"task_id": "1", "project_id": "unknown"}),
        alert({"task_id": "1", "credentials": "unknown"}),
        alert({"task_id": "1", "task_name": "a"}),
        alert({"task_id": "1", "dst_sk": "x"}),
        alert({"task_id": ["1"]}),
        alert({"group_id": "../1"}),
        alert(annotations={"src_ak": "x"}),
        alert(status="pending"),
        alert([]),
        alert(fingerprint=None),
        alert(fingerprint=""),
        alert(fingerprint="x" * 1020),
        alert(startsAt=None),
        alert(startsAt="0001-01-01"),
        None,
        7,
        "text",
        [],
        {},
    ]
    assert function.post(json=group(*alerts)).status_code == 422
    receipts = function.receipts()
    outcomes = ["already_running"] * 3 + ["ignored"] * 3 + ["malformed"] * (len(alerts) - 6)
    assert [receipt["outcome"] for receipt in receipts] == outcomes
    assert [receipt["project_id"] for receipt in receipts[:3]] == [PROJECT, PROJECT, "other"]
    assert [receipt["reason"] for receipt in receipts[3:]] == [
        *("alert_without_task", "alert_without_task", "alert_resolved"),
        *(
            "task_id: must be 1 to 15 digits",
            "project_id: not a configured project",
            "credentials: not a configured profile",
        ),
        *(
            "give exactly one of task_id, task_name, group_id, sweep",
            "dst_sk: credentials never travel in a delivery",
            "task_id: must be 1 to 15 digits",
        ),
        *(
            "group_id: must be a string of 1 to 255 letters, digits, - and _",
            "src_ak: credentials never travel in a delivery",
        ),
        *("status: neither firing nor resolved", "labels: must be an object"),
        *["fingerprint: must be a string of 1 to 1024 characters"] * 3,
        *["startsAt: not an RFC 3339 time"] * 2,
        *["labels: must be an object"] * 5,
    ]
    assert {receipt["dialect"] for receipt in receipts} == {"alertmanager"}


def test_an_alert_is_one_event_until_it_starts_anew(function: Function, httpx_mock: HTTPXMock) -> None:
    """Alertmanager repeats what fires (repeat_interval); each time that it starts is a failure of its own."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    first, later = ago(600), ago(60)
    in_another_zone = datetime.fromisoformat(first).astimezone(UTC).isoformat()
    alerts: list[Any] = [
        (alert(startsAt=first), "already_running"),
        (alert(startsAt=first, endsAt=ago(-60)), "duplicate"),
        (alert(startsAt=in_another_zone), "duplicate"),
        (alert(startsAt=later), "already_running"),
        (alert(startsAt=first, fingerprint="c2c7f0e1e5b8d2a2"), "already_running"),
    ]
    for one, outcome in alerts:
        assert function.post(json=group(one)).status_code == 204
        assert function.receipt()["outcome"] == outcome


def test_an_alert_that_fires_for_too_long_is_refused(function: Function) -> None:
    """It is older than events may be."""
    assert function.post(json=group(alert(startsAt=ago(86_500)))).status_code == 204
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"]) == ("refused", "stale_event")


def test_a_group_without_alerts_is_ignored(function: Function) -> None:
    assert function.post(json=group()).status_code == 204
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"], receipt["dialect"]) == ("ignored", "empty_batch", "alertmanager")
