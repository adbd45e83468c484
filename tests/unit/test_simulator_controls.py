"""What can be set and read of the simulator, its world, and its command. Loopback only."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import simulator
from oms_simulator.documents import InvalidDocument
from simulator import Simulator
from simulator_calls import (
    BODY,
    FAILED,
    ID,
    START,
    TASKS,
    TOKEN,
    Clock,
    ask,
    fail,
    send_start,
    signed,
    start,
    wait_until,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return Simulator({"tasks": [FAILED]}, clock)


def test_a_call_is_remembered_without_its_credentials(sim: Simulator, clock: Clock) -> None:
    start(sim, headers={**TOKEN, "X-Security-Token": "sts-secret", "X-Trace": "1"})
    (call,) = sim.calls()
    headers = call.pop("headers")
    assert call == {
        "n": 1,
        "time": clock.now,
        "operation": "start",
        "method": "POST",
        "path": START,
        "query": "",
        "task_id": str(ID),
        "group_id": None,
        "body": BODY,
        "status": 200,
        "error_code": None,
        "fault": None,
        "accepted": True,
    }
    assert (headers["x-auth-token"], headers["x-security-token"], headers["x-trace"]) == (
        "present",
        "present",
        "1",
    )
    assert "sts-secret" not in json.dumps(sim.calls())


def test_a_signature_is_not_kept(sim: Simulator) -> None:
    headers = signed("GET", TASKS, "limit=5")
    ask(sim, "GET", f"{TASKS}?limit=5", headers=headers)
    (call,) = sim.calls()
    assert (call["headers"]["authorization"], call["operation"], call["query"]) == (
        "present",
        "list",
        "limit=5",
    )


def test_refusals_are_remembered_with_their_code(sim: Simulator) -> None:
    start(sim, 5)
    start(sim, headers={})
    start(sim, "..%2Fx")
    ask(sim, "GET", "/v9")
    told = [(call["operation"], call["task_id"], call["status"], call["error_code"]) for call in sim.calls()]
    assert told == [
        ("start", "5", 400, "OMS.1009"),
        ("start", str(ID), 401, "APIGW.0301"),
        ("start", "../x", 400, "OMS.0054"),
        ("unknown", None, 404, "APIGW.0101"),
    ]


def test_calls_can_be_forgotten(sim: Simulator) -> None:
    start(sim)
    sim.clear_calls()
    start(sim)
    assert [call["n"] for call in sim.calls()] == [1]


def test_everything_can_be_set_and_read_over_http(sim: Simulator) -> None:
    def put(method: str, name: str, value: object) -> int:
        return ask(sim, method, f"/_sim/{name}", json=value, headers={}).status_code

    assert put("PUT", "tasks", [{"id": 1, "name": "one", "status": 4}]) == 204
    assert put("POST", "tasks", [{"id": 2, "name": "two", "status": 4}]) == 204
    assert put("PUT", "auth", {"tokens": ["new"]}) == 204
    assert put("PUT", "throttle", {"starts_per_second": 5}) == 204
    assert put("PUT", "rules", [{"operation": "start", "task_id": 2, "action": {"answer": "broken"}}]) == 204
    headers = {"X-Auth-Token": "new"}
    assert [start(sim, n, headers=headers).status_code for n in (1, 2)] == [200, 500]
    tasks = ask(sim, "GET", "/_sim/tasks", headers={}).json()
    assert [(task["id"], task["status"], task["starts"]) for task in tasks] == [(1, 2, 1), (2, 4, 0)]
    assert [call["n"] for call in ask(sim, "GET", "/_sim/calls", headers={}).json()] == [1, 2]
    assert ask(sim, "DELETE", "/_sim/calls", headers={}).status_code == 204
    assert ask(sim, "GET", "/_sim/calls", headers={}).json() == []


def test_tasks_can_be_put_back_as_they_were_read(sim: Simulator) -> None:
    start(sim)
    before = sim.tasks()
    sim.set_tasks(before)
    assert sim.tasks() == before


def test_a_reset_brings_back_the_world_it_began_with(sim: Simulator) -> None:
    fail(sim, 6)
    sim.set_rules([{"action": {"answer": "broken"}}])
    sim.set_throttle({"starts_per_second": 0, "burst": 0})
    sim.set_auth({"tokens": []})
    sim.set_tasks([])
    assert ask(sim, "POST", "/_sim/reset", headers={}).status_code == 204
    assert sim.calls() == []
    assert ask(sim, "GET", TASKS, headers=signed("GET", TASKS)).status_code == 200
    assert start(sim).status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("tasks", {}, "tasks"),
        ("tasks", [1], "tasks[0]"),
        ("tasks", [{"name": "x"}], "tasks[0].id"),
        ("tasks", [{"id": 1}, {"id": 1}], "tasks[1].id"),
        ("tasks", [{"id": True}], "tasks[0].id"),
        ("tasks", [{"id": 10**15}], "tasks[0].id"),
        ("tasks", [{"id": 1, "status": 0}], "tasks[0].status"),
        ("tasks", [{"id": 1, "colour": "red"}], "tasks[0].colour"),
        ("tasks", [{"id": 1, "enable_restore": 1}], "tasks[0].enable_restore"),
        ("tasks", [{"id": 1, "failed_num": -1}], "tasks[0].failed_num"),
        ("tasks", [{"id": 1, "progress": 2}], "tasks[0].progress"),
        ("tasks", [{"id": 1, "bandwidth_policy": {}}], "tasks[0].bandwidth_policy"),
        ("tasks", [{"id": 1, "group_type": "X"}], "tasks[0].group_type"),
        ("tasks", [{"id": 1, "src_node": {"buckets": "x"}}], "tasks[0].src_node.buckets"),
        ("tasks", [{"id": 1, "error_reason": {"code": "x"}}], "tasks[0].error_reason.code"),
        ("groups", [{"group_id": "../x"}], "groups[0].group_id"),
        ("groups", [{"group_id": "a"}, {"group_id": "a"}], "groups[1].group_id"),
        ("groups", [{"group_id": "a", "status": 10}], "groups[0].status"),
        ("groups", [{"group_id": "a", "members": []}], "groups[0].members"),
        ("groups", [{"group_id": "a", "omit": ["name"]}], "groups[0].omit[0]"),
        ("listing", {"order": "random"}, "listing.order"),
        ("listing", {"changes": [{"after_lists": 0, "task_id": 1}]}, "listing.changes[0].after_lists"),
        ("listing", {"raw_rows": [{"page": 1}]}, "listing.raw_rows[0].rows"),
        ("tasks", [{"id": 1, "after_start": 9}], "tasks[0].after_start"),
        ("tasks", [{"id": 1, "omit": ["x"]}], "tasks[0].omit[0]"),
        ("rules", [{}], "rules[0].action"),
        ("rules", [{"action": {}}], "rules[0].action"),
        ("rules", [{"action": {"delay": 1, "hang": "before"}}], "rules[0].action"),
        ("rules", [{"action": {"explode": 1}}], "rules[0].action.explode"),
        ("rules", [{"action": {"delay": -1}}], "rules[0].action.delay"),
        ("rules", [{"action": {"delay": 10**400}}], "rules[0].action.delay"),
        ("rules", [{"action": {"hang": True}}], "rules[0].action.hang"),
        ("rules", [{"action": {"reset_after": True}}], "rules[0].action.reset_after"),
        ("rules", [{"action": {"answer": "nope"}}], "rules[0].action.answer"),
        ("rules", [{"action": {"answer": {"status": 99}}}], "rules[0].action.answer.status"),
        ("rules", [{"action": {"answer": {"headers": {"a": 1}}}}], "rules[0].action.answer.headers.a"),
        ("rules", [{"operation": "explode", "action": {"delay": 1}}], "rules[0].operation"),
        ("rules", [{"probability": 2, "action": {"delay": 1}}], "rules[0].probability"),
        ("rules", [{"times": 2, "action": {"delay": 1}}], "rules[0].times"),
        ("throttle", {"rate": 1}, "throttle.rate"),
        ("throttle", {"starts_per_second": "1"}, "throttle.starts_per_second"),
        ("auth", {"keys": {"AK": 1}}, "auth.keys.AK"),
        ("auth", {"tokens": "x"}, "auth.tokens"),
        ("auth", {"token": ["x"]}, "auth.token"),
    ],
)
def test_control_input_that_is_not_understood_is_named(sim: Simulator, name: str, value: object, field: str) -> None:
    before = sim.tasks()
    response = ask(sim, "PUT", f"/_sim/{name}", json=value, headers={})
    assert (response.status_code, response.json()["field"]) == (400, field)
    assert response.json()["error"].startswith(f"{field}: ")
    assert sim.tasks() == before


def test_controls_that_do_not_exist_or_are_no_json_are_refused(sim: Simulator) -> None:
    assert ask(sim, "PUT", "/_sim/weather", json={}).status_code == 404
    assert ask(sim, "DELETE", "/_sim/tasks").status_code == 404
    assert ask(sim, "PUT", "/_sim/tasks", content=b"{").json()["field"] == "body"


def test_a_task_cannot_be_added_twice(sim: Simulator) -> None:
    response = ask(sim, "POST", "/_sim/tasks", json=[FAILED])
    assert (response.status_code, response.json()["field"]) == (400, "tasks[0].id")


def test_a_world_that_is_not_understood_is_refused_at_once() -> None:
    with pytest.raises(InvalidDocument, match=r"world\.task"):
        Simulator({"task": []})


def test_the_demo_world_holds_what_the_demo_needs() -> None:
    sim = Simulator()
    main = sim.task(ID)
    assert time.time() - main["start_time"] / 1000 < 86_400
    assert (main["name"], main["status"]) == ("photos-photos-20261027211637786_544", 4)
    assert (main["error_reason"]["error_code"], main["failed_object_record"]["result"]) == ("TRF.0001", True)
    tasks = sim.tasks()
    assert {task["status"] for task in tasks} == {1, 2, 3, 4, 5, 6, 7}
    assert {task["group_type"] for task in tasks} == {"NORMAL_TASK", "SYNC_TASK", "GROUP_TASK"}
    all_names = [task["name"] for task in tasks]
    assert len(all_names) - len(set(all_names)) == 1
    assert sum(main["name"] in name for name in all_names) == 3
    assert any(task["enable_restore"] for task in tasks)
    assert any(task["task_type"] == "url_list" for task in tasks)
    reasons = {(task["error_reason"] or {}).get("error_code") for task in tasks}
    assert reasons >= {None, "TRF.0001", "TRF.0055", "TRF.0058", "TRF.0151", "TRF.0157", "TRF.0159", "TRF.9999"}
    assert {bool((task["smn_info"] or {}).get("notify_result")) for task in tasks} == {True, False}


def test_the_demo_world_holds_a_group_of_each_kind() -> None:
    sim = Simulator()
    failed, *others = sim.groups()
    assert (failed["group_id"], sim.task(191297407830880)["group_id"]) == (failed["group_id"],) * 2
    assert failed["group_id"] == "8a1f6f0e-3c0b-4f55-9f0e-2b6a4f1c7d11"
    told = [failed[name] for name in ("status", "total_task_num", "failed_task_num", "complete_task_num", "fail_num")]
    assert told == [5, 3, 2, 1, 7]
    assert {group["status"] for group in others} == {2, 3, 4, 5, 6, 7, 8}
    assert {group["task_type"] for group in others} == {"PREFIX", "URL_LIST"}
    assert sum(group["enable_restore"] for group in others) == 1


def test_the_simulator_speaks_http_only(sim: Simulator) -> None:
    async def unused(*_: object) -> Any:
        raise AssertionError

    async def connect(app: Callable[..., Awaitable[None]]) -> None:
        await app({"type": "websocket"}, unused, unused)

    with pytest.raises(RuntimeError):
        asyncio.run(connect(sim))


def test_the_command_says_where_it_listens_and_stops_when_told(tmp_path: Path) -> None:
    world = tmp_path / "world.json"
    hang = [{"operation": "start", "action": {"hang": "before"}}]
    world.write_text(json.dumps({"tasks": [FAILED], "rules": hang}), "utf-8")
    command = [sys.executable, str(Path(simulator.__file__)), "--port", "0", "--world", str(world)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # noqa: S603 - our own command
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            assert urlsplit(url).hostname == "127.0.0.1"
            assert [task["id"] for task in httpx.get(f"{url}/_sim/tasks", trust_env=False).json()] == [ID]
            with send_start(url) as hanging:
                wait_until(lambda: bool(httpx.get(f"{url}/_sim/calls", trust_env=False).json()))
                process.send_signal(signal.SIGTERM)
                assert hanging.recv(1) == b""
            out, errors = process.communicate(timeout=5)
        finally:
            process.kill()
    assert (process.returncode, out, errors) == (0, "", "")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["simulator.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        simulator.main()
    return ended.value.code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"tasks": [{"id": "1"}]}', "world.tasks[0].id: Input should be a valid integer"),
        ("{", "Expecting"),
        (None, "No such file"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong_with_a_world(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    expected: str,
) -> None:
    world = tmp_path / "world.json"
    if text is not None:
        world.write_text(text, "utf-8")
    assert run(monkeypatch, "--world", str(world)) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert expected in errors.splitlines()[-1]


def test_the_command_says_that_its_port_is_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(monkeypatch, "--port", str(taken.getsockname()[1])) == 2
    assert "Address already in use" in capsys.readouterr().err
