"""The operator's command: every line a check, an exit status, never a start, and no secret in what it prints."""

import json
import runpy
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from pytest_httpx import HTTPXMock

from door import SHOW, TASKS
from example import BEARER, ENVIRONMENT, PROJECT, TASK, TASK_NAME, shown
from restarter.cli.check import NO_GROUP, NO_TASK
from restarter.cli.command import cli
from restarter.cli.explain import RULES
from signers import TOPIC, certificate, rsa_key, sign_smn, smn_message

EVENTS = Path(__file__).parents[2] / "events"
SEARCH = httpx.URL(TASKS, params={"limit": "50", "offset": "0", "task_name": NO_TASK})
SHOW_GROUP = TASKS.replace("tasks", f"taskgroups/{NO_GROUP}")
NO_SUCH_GROUP: dict[str, Any] = {"status_code": 400, "json": {"error_code": "OMS.1009"}}
SECRETS = [value for name, value in ENVIRONMENT.items() if name.endswith(("SDK_SK", "TOKENS"))]


def run(*arguments: str) -> tuple[int, str]:
    """The exit status and what was printed."""
    result = CliRunner().invoke(cli, list(arguments))
    assert not [secret for secret in SECRETS if secret in result.output]
    return result.exit_code, result.output


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, httpx_mock: HTTPXMock) -> HTTPXMock:
    monkeypatch.setattr("restarter.http.transport.connections", httpx.AsyncHTTPTransport)
    return httpx_mock


def test_all_is_well(network: HTTPXMock) -> None:
    network.add_response(method="GET", url=SEARCH, json={"tasks": [], "count": 0})
    network.add_response(method="GET", url=SHOW_GROUP, **NO_SUCH_GROUP)
    status, output = run("check")
    assert status == 0
    assert output.splitlines() == [
        f"ok     settings: project {PROJECT}, 1 set(s) of storage credentials",
        "ok     callers: bearer",
        f"ok     oms: project {PROJECT} at https://oms.cn-north-4.myhuaweicloud.com: answers",
        f"ok     task groups: project {PROJECT}: can be read (oms:taskgroup:get)",
        "ok     ledger: memory answers",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status_code": 404}, "can be read (oms:taskgroup:get)"),
        ({"status_code": 200, "json": {"status": 6}}, "can be read (oms:taskgroup:get)"),
        (
            {"status_code": 403, "json": {"error_code": "OMS.0206", "error_msg": "sk"}},
            "not permitted; without oms:taskgroup:get and oms:taskgroup:update failed task groups are not retried",
        ),
        ({"status_code": 503}, "not known whether they can be read: oms_error"),
    ],
)
def test_the_right_to_task_groups_is_told_and_its_lack_is_no_failed_check(
    answer: dict[str, Any], said: str, network: HTTPXMock
) -> None:
    """A project may have none."""
    network.add_response(method="GET", url=SEARCH, json={"tasks": [], "count": 0})
    network.add_response(method="GET", url=SHOW_GROUP, **answer)
    status, output = run("check")
    assert status == 0
    assert f"ok     task groups: project {PROJECT}: {said}\n" in output


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status_code": 401, "json": {"error_code": "APIGW.0301", "error_msg": "sk"}}, "APIGW.0301"),
        ({"status_code": 503}, "oms_error"),
        ({"status_code": 403}, "credentials"),
        ({"status_code": 200, "text": "<html>"}, "unreadable_answer"),
    ],
)
def test_keys_that_oms_refuses_are_a_failed_check(answer: dict[str, Any], said: str, network: HTTPXMock) -> None:
    network.add_response(url=SEARCH, **answer)
    status, output = run("check")
    assert status == 1
    assert f"FAILED oms: project {PROJECT} at https://oms.cn-north-4.myhuaweicloud.com: {said}" in output


def test_every_project_is_asked_about(network: HTTPXMock, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMS_PROJECTS", '{"other": "la-south-2"}')
    network.add_response(url=SEARCH, json={"tasks": []})
    network.add_response(url=SHOW_GROUP, **NO_SUCH_GROUP)
    network.add_exception(httpx.ConnectError("no"))
    status, output = run("check")
    assert status == 1
    assert "FAILED oms: project other at https://oms.la-south-2.myhuaweicloud.com: no_connection" in output


def test_a_ledger_that_is_not_there_is_a_failed_check_and_its_password_is_not_shown(
    network: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("RESTART_LEDGER", "redis://:a-password@127.0.0.1:9/0")
    network.add_response(url=SEARCH, json={"tasks": []})
    network.add_response(url=SHOW_GROUP, **NO_SUCH_GROUP)
    status, output = run("check")
    assert status == 1
    assert "FAILED ledger: redis does not answer: ConnectionError" in output
    assert "a-password" not in output


def test_settings_that_do_not_load_are_listed_and_nobody_is_asked(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("OMS_DST_AK")
    environment.setenv("OMS_REGION", "the-moon")
    status, output = run("check")
    assert status == 1
    assert output.startswith("FAILED OMS_DST_AK: Field required\nFAILED OMS_REGION: unknown region")


def explained(
    tmp_path: Path, delivery: str, task: dict[str, object] | None = None, group: dict[str, object] | None = None
) -> str:
    """What `explain` says of a delivery, with or without a task and its group."""
    (tmp_path / "delivery").write_text(delivery, "utf-8")
    arguments = ["explain", str(tmp_path / "delivery")]
    if task is not None:
        (tmp_path / "task.json").write_text(json.dumps(task), "utf-8")
        arguments += ["--task", str(tmp_path / "task.json")]
    if group is not None:
        (tmp_path / "group.json").write_text(json.dumps(group), "utf-8")
        arguments += ["--group", str(tmp_path / "group.json")]
    status, output = run(*arguments)
    assert status == 0
    return output


def test_a_start_is_explained_with_the_call_and_its_secrets_masked(tmp_path: Path) -> None:
    output = explained(tmp_path, f'{{"task_id": {TASK}}}', shown())
    assert "caller    NOT AUTHENTICATED (no credentials)" in output
    assert f"look      GET {SHOW}" in output
    assert f"task      {TASK}, status 4, NORMAL_TASK, TRF.0001" in output
    assert f"decided   start: {RULES['start']}" in output
    assert '/start {"src_ak": "***", "src_sk": "***", "dst_ak": "***", "dst_sk": "***", "migrate_failed_obj' in output
    assert output.endswith("reply     200 OK\n")


def test_a_retry_of_a_members_group_is_explained_with_both_looks_and_its_one_put(tmp_path: Path) -> None:
    member = shown(group_type="GROUP_TASK", group_id="g-1")
    group: dict[str, object] = {"status": 5, "error_reason": {"error_code": "TRF.0061"}}
    output = explained(tmp_path, f'{{"task_id": {TASK}}}', member, group)
    assert f"look      GET {SHOW}\n" in output
    assert "/taskgroups/g-1\ngroup     g-1, status 5, TRF.0061\n" in output
    assert f"decided   retry the group: {RULES['start']}" in output
    assert '/taskgroups/g-1/retry {"src_ak": "***"' in output
    assert "PUT http" in output
    assert output.endswith("outcome   started\nreply     200 OK\n")


def test_a_group_that_is_not_given_is_not_made_up(tmp_path: Path) -> None:
    output = explained(tmp_path, '{"group_id": "g-1"}')
    assert f"outcome   unavailable offline: {RULES['offline']}" in output
    healthy = explained(tmp_path, '{"group_id": "g-1"}', None, {"status": 3, "error_reason": None})
    assert "group     g-1, status 3, no reason" in healthy
    assert f"outcome   refused paused_group: {RULES['paused_group']}" in healthy


def test_what_a_person_does_next_is_explained_where_one_is_needed(tmp_path: Path) -> None:
    event = (
        f'{{"specversion": "1.0", "type": "oms.task.failed", "source": "/s", "id": "1", "data": {{"task_id": {TASK}}}}}'
    )
    delivery = f"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{event}"
    output = explained(tmp_path, delivery, shown(error_reason={"error_code": "TRF.0055"}))
    assert "advice    Make room in the destination bucket, or raise its quota, then start it by hand" in output


@pytest.mark.parametrize(
    ("task", "outcome", "reply"),
    [
        (shown(3), f"refused paused: {RULES['paused']}", "204 No Content"),
        (shown(2), f"already_running: {RULES['already_running']}", "204 No Content"),
        (shown(7), f"deferred pausing: {RULES['pausing']}", "503 Service Unavailable"),
        ({"id": "x"}, "unavailable unreadable_answer", "503 Service Unavailable"),
    ],
)
def test_the_rule_that_decided_is_said(tmp_path: Path, task: dict[str, object], outcome: str, reply: str) -> None:
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "1", "data": {"task_id": TASK}}
    output = explained(tmp_path, json.dumps(event), task)
    assert output.splitlines()[-2:] == [f"outcome   {outcome}", f"reply     {reply}"]


def test_a_saved_request_is_read_with_its_headers_and_a_name_is_looked_up(tmp_path: Path) -> None:
    request = f"""# A note.
POST / HTTP/1.1
Authorization: Bearer {BEARER}
Content-Type: application/json

{{"task_name": "{TASK_NAME}"}}
"""
    output = explained(tmp_path, request)
    assert "caller    authenticated by bearer" in output
    assert f"task_name={TASK_NAME}" in output
    assert "outcome   unavailable offline: OMS is not asked; give the task with --task FILE" in output


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        ("GET /healthz HTTP/1.1\n\n", "answered  200, without being a delivery"),
        ("GET / HTTP/1.1\n\n", "outcome   method_not_allowed"),
        ('{"task_id": true}', "outcome   malformed task_id: task_id_type"),
        ('{"task_id": 1, "task_status": "SUCCESS"}', "outcome   ignored task_succeeded"),
        ('{"record": [{"smn": {}}]}', "outcome   malformed message_id"),
        ('{"httpMethod": "POST", "requestContext": {}, "body": "{\\"task_id\\": 7}"}', "envelope  APIG event"),
    ],
)
def test_what_is_no_request_is_explained_too(tmp_path: Path, delivery: str, said: str) -> None:
    assert said in explained(tmp_path, delivery)


def test_what_stops_an_event_before_a_look_is_said(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RESTART_ENABLED", "false")
    assert f"outcome   refused disabled: {RULES['disabled']}" in explained(tmp_path, '{"task_id": 1}')


def test_a_dry_run_and_a_blind_start_are_explained(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RESTART_DRY_RUN", "true")
    environment.setenv("RESTART_LOOK_FIRST", "false")
    output = explained(tmp_path, '{"task_id": 1}')
    assert "outcome   would_start" in output
    assert "GET" not in output


def test_a_file_that_is_nothing_and_settings_that_do_not_load_are_errors(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("hello", "utf-8")
    assert run("explain", str(tmp_path / "file")) == (2, run("explain", str(tmp_path / "file"))[1])
    environment.delenv("OMS_DST_SK")
    status, output = run("explain", str(tmp_path / "file"))
    assert (status, "OMS_DST_SK: Field required" in output) == (2, True)


@pytest.mark.parametrize("sample", sorted(EVENTS.glob("*/*.http")), ids=lambda path: path.stem)
def test_every_sample_can_be_explained(sample: Path) -> None:
    status, output = run("explain", str(sample))
    assert status == 0
    assert output.startswith("delivery")
    assert sample.parent.name != "valid" or "malformed time" not in output


def test_the_program_is_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["restarter", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("restarter", run_name="__main__")
    assert end.value.code == 0
    assert runpy.run_module("restarter.__main__", run_name="imported")["cli"] is cli


def test_a_topic_that_asks_is_explained_and_no_certificate_is_fetched(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "smn.pem"
    pem.write_bytes(certificate(rsa_key("smn")))
    environment.setenv("CALLER_SMN_TOPICS", TOPIC)
    message = json.dumps(sign_smn(smn_message("SubscriptionConfirmation"), rsa_key("smn")))
    assert "NOT AUTHENTICATED (smn: the certificate could not be fetched)" in explained(tmp_path, message)
    environment.setenv("CALLER_SMN_CERTIFICATE", str(pem))
    assert "confirmed by one GET" in explained(tmp_path, message)


def test_help_says_what_each_command_does() -> None:
    status, output = run("--help")
    assert status == 0
    assert "Prove settings and keys, and start nothing." in output
    assert "Say what the function would do with the delivery saved in FILE" in output
