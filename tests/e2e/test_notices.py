"""The chain that OMS itself feeds: a task fails, its notice leaves, the trigger calls the function, the task runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from example_settings import PROJECT
from processes import EXAMPLE, Running, function, run_python
from simulator_calls import wait_until

URN = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
TEMPLATE = '{"source": "oms", "task_name": "{Task_Name}", "task_status": "{Task_Status}"}'
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
TASK = {
    "id": 7,
    "name": "photos-photos-20991027211637786_544",
    "status": 2,
    "started_ago": 60,
    "smn_config": {"topic_urn": URN, "trigger_conditions": ["FAILURE"], "message_template_name": "restart"},
}


@pytest.fixture(scope="module")
def restarter(oms: Running) -> Iterator[Running]:
    """The function as FunctionGraph runs its image."""
    settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "CALLER_TRUST_PLATFORM": "true", "RESTART_BACKOFF": "0"}
    with function(settings) as running:
        yield running


@pytest.fixture(autouse=True)
def world(oms: Running) -> None:
    """One task, which runs, and whose notice would go to the topic."""
    oms.control("POST", "/_sim/reset")
    oms.control("PUT", "/_sim/groups", [])
    oms.control("PUT", "/_sim/tasks", [TASK])


def topic(oms: Running, restarter: Running, *publishers: str) -> None:
    """The topic with these publishers, and the function's trigger on it."""
    subscribers = [{"url": f"{restarter.url}/invoke", "pause_seconds": 0.1}]
    made = {"topic_urn": URN, "publishers": list(publishers), "subscribers": subscribers}
    oms.control("PUT", "/_sim/smn", {"topics": [made], "templates": {"restart": TEMPLATE}})


def task(oms: Running) -> dict[str, Any]:
    """The one task as it is now."""
    (only,) = oms.control("GET", "/_sim/tasks")
    return dict(only)


def test_a_task_that_fails_is_running_again_once_its_notice_was_delivered(oms: Running, restarter: Running) -> None:
    topic(oms, restarter, "oms")
    oms.control("POST", "/_sim/fail", {"task_id": 7, "error_code": "TRF.0004", "failed_num": 3})
    receipt = restarter.receipt()
    assert (receipt["dialect"], receipt["outcome"], receipt["task_id"]) == ("functiongraph_smn", "started", "7")
    assert (receipt["failure_reason"], receipt["migrate_failed_object"]) == ("TRF.0004", True)
    assert (task(oms)["status"], task(oms)["starts"], task(oms)["smn_info"]["notify_result"]) == (2, 1, True)
    wait_until(lambda: bool(oms.control("GET", "/_sim/notices")[0]["attempts"]))
    (notice,) = oms.control("GET", "/_sim/notices")
    assert [attempt["status"] for attempt in notice["attempts"]] == [204]
    assert notice["event"]["record"][0]["smn"]["message_id"] == receipt["event_id"]


def test_each_further_failure_is_a_notice_and_a_start_of_its_own(oms: Running, restarter: Running) -> None:
    topic(oms, restarter, "oms")
    for starts in (1, 2):
        oms.control("POST", "/_sim/fail", {"task_id": 7})
        assert restarter.receipt()["outcome"] == "started"
        assert task(oms)["starts"] == starts


def test_a_delivery_that_oms_was_too_busy_for_is_repeated_and_starts_once(oms: Running, restarter: Running) -> None:
    topic(oms, restarter, "oms")
    oms.control("PUT", "/_sim/rules", [{"operation": "start", "count": 1, "action": {"answer": "throttled"}}])
    oms.control("POST", "/_sim/fail", {"task_id": 7})
    first, second = restarter.receipt(), restarter.receipt()
    assert (first["reason"], second["outcome"], first["event_id"]) == ("throttled", "started", second["event_id"])
    assert task(oms)["starts"] == 1


def test_a_closed_topic_leaves_the_task_failed_and_says_so(oms: Running, restarter: Running) -> None:
    topic(oms, restarter)
    oms.control("POST", "/_sim/fail", {"task_id": 7})
    assert task(oms)["smn_info"] == {
        "notify_result": False,
        "notify_error_message": "OMS.0158",
        "topic_name": "oms-failed",
    }
    (notice,) = oms.control("GET", "/_sim/notices")
    assert (notice["event"], notice["attempts"], restarter.lines.empty()) == (None, [], True)
    assert (task(oms)["status"], task(oms)["starts"]) == (4, 0)
    listed = run_python(["-m", "restarter", "failed", "--json"], EXAMPLE | {"OMS_ENDPOINT": oms.url})
    row = json.loads(listed.stdout.splitlines()[-1])
    assert (row["task_id"], row["notice_sent"], row["notice_error"]) == ("7", False, "OMS.0158")
    assert row["notice"] == "not sent: OMS.0158, OMS may not publish to the topic; open its policy for OMS"
    text = run_python(["-m", "restarter", "failed"], EXAMPLE | {"OMS_ENDPOINT": oms.url, "COLUMNS": "120"}).stdout
    assert f"\nNotices: {row['notice']} (1 task).\n" in text


def test_receipts_and_problems_are_chinese_and_a_sweep_says_why_no_notice_came(oms: Running, tmp_path: Path) -> None:
    settings = {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": f"sqlite://{tmp_path}/ledger", "RESTART_SWEEP": "on"}
    with function(EXAMPLE | settings | {"RESTART_LANGUAGE": "zh-cn"}) as chinese:
        topic(oms, chinese)
        oms.control("POST", "/_sim/fail", {"task_id": 7})
        swept = httpx.post(chinese.url, json={"sweep": True}, headers=BEARER)
        started, summary = chinese.receipt(), chinese.receipt()
        assert started["message"] == (
            "已启动任务 7（全部对象）；通知：未发送：OMS.0158，OMS 无权向该主题发布消息；在主题策略中允许 OMS"
        )
        assert (swept.status_code, swept.json()["message"], summary["started"]) == (200, "已扫描失败的任务", 1)
        problem = httpx.post(chinese.url, json={"task_id": 8}, headers=BEARER)
        receipt = chinese.receipt()
        assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
        assert problem.json()["detail"] == receipt["message"] == "OMS 中没有任务 8：不存在，或已被删除"
        assert problem.json()["advice"] == receipt["advice"]
        assert receipt["advice"].startswith("请检查事件源中的 task_id")
