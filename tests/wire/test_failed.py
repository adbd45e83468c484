"""`failed` lists what failed and what an event would do now; it starts nothing unless a person says so."""

import asyncio
import csv
import io
import json
import re
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from pytest_httpx import HTTPXMock

from example import BEARER, ENVIRONMENT, PROJECT, shown
from httpx_transport import HttpxTransport
from restarter.app import Application
from restarter.cli import failed_output
from restarter.cli.command import cli
from restarter.cli.output import Column, cells, columns, interruptible
from restarter.ledger import Claim, EventKey, LedgerError, LedgerKeys
from restarter.ledger.memory import MemoryLedger
from restarter.ledger.read_only import ReadOnlyLedger
from restarter.model.delivery import Delivery
from restarter.model.task import Restart
from restarter.settings.model import load

NOW = datetime.now(UTC)
CLOSED = "not sent: OMS.0158, OMS may not publish to the topic; open its policy for OMS"
GROUP: dict[str, Any] = {"status": 5, "error_reason": {"error_code": "TRF.0061"}, "fail_num": 9}


def row(number: int, *, hours: float = 1, **changes: Any) -> dict[str, Any]:
    """A failed task as OMS lists it; `hours`: how long ago it was started."""
    named: dict[str, Any] = {"id": number, "name": f"photos-{number}", "failed_num": 3, "total_time": 60_000}
    started_at = int((NOW - timedelta(hours=hours)).timestamp() * 1000)
    return shown(**named | {"start_time": started_at} | changes)


class Oms:
    """OMS with the tasks of a test; every call is written down."""

    def __init__(self, httpx_mock: HTTPXMock) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.not_failed: list[dict[str, Any]] = []
        self.groups: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.list_status = self.show_status = 200
        self.total: int | None = None
        self.page_size = 100
        httpx_mock.add_callback(self._answer, is_reusable=True, is_optional=True)

    @property
    def starts(self) -> list[str]:
        """The calls that start something."""
        return [call for call in self.calls if not call.startswith("GET")]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v2/").partition("/")[2]
        self.calls.append(f"{request.method} {path}")
        if request.method != "GET":
            return httpx.Response(200)
        kind, _, name = path.partition("/")
        if kind == "taskgroups":
            found = self.groups.get(name)
            return httpx.Response(200, json=found) if found else httpx.Response(404)
        if not name:
            offset, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
            rows = self.tasks[offset : offset + min(limit, self.page_size)]
            return httpx.Response(self.list_status, json={"tasks": rows, "count": self.total})
        return httpx.Response(
            self.show_status, json=next(one for one in [*self.tasks, *self.not_failed] if str(one["id"]) == name)
        )


@pytest.fixture
def oms(environment: pytest.MonkeyPatch, httpx_mock: HTTPXMock) -> Oms:
    """OMS behind the command's own transport."""
    environment.setattr("restarter.http.transport.connections", HttpxTransport)
    return Oms(httpx_mock)


def run(*arguments: str, answer: str | None = None) -> Result:
    """`failed` with these arguments; `answer` is what a person types."""
    result = CliRunner().invoke(cli, ["failed", *arguments], input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def listed(*arguments: str) -> list[dict[str, Any]]:
    """The tasks of `failed --json`."""
    found = map(json.loads, run("--json", *arguments).stdout.splitlines())
    return [one for one in found if one["kind"] == "failed"]


def test_without_failed_tasks_it_says_so_and_ends_with_0(oms: Oms) -> None:
    found, as_json = run(), run("--json")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "No failed tasks.\n", "")
    assert (as_json.exit_code, as_json.stdout) == (0, "")


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_older_failures_are_said_to_scripts_too(form: str, oms: Oms) -> None:
    """On stderr."""
    oms.tasks = [row(1, hours=80)]
    found = run(form)
    assert (found.exit_code, found.stderr) == (0, "None of the last 3d; 1 older one is failed.\n")
    assert "photos-1" not in found.stdout


def test_what_is_known_of_a_task(oms: Oms) -> None:
    """Cause, time, objects, OMS's notice with its reason, and what an event would do."""
    oms.tasks = [row(7, smn_info={"notify_result": False, "notify_error_message": "S3M.0158"})]
    (found,) = listed()
    failed_at = (NOW - timedelta(minutes=59)).replace(microsecond=0)
    assert found == {
        "kind": "failed",
        "project_id": PROJECT,
        "task_id": "7",
        "task_name": "photos-7",
        "failed_at": failed_at.isoformat(),
        "failure_reason": "TRF.0001",
        "failure_class": "transient",
        "failure": "OMS had an internal error",
        "failed_objects": 3,
        "notice_sent": False,
        "notice_error": "OMS.0158",
        "notice": CLOSED,
        "outcome": "would_start",
        "migrate_failed_object": False,
    }
    result = run()
    *summary, _, head, cause, line = result.stdout.splitlines()
    assert " ".join(map(str.strip, summary)) == (
        "TRF.0001: 1 task, 3 failed objects; an event now: 1 would start. OMS had an internal error. "
        f"To do: Ask Huawei's support for the cause. Notices: {CLOSED} (1 task)."
    )
    assert (result.exit_code, head.split("  ")[0], cause) == (1, "task or group", "TRF.0001")
    assert re.split(r" {2,}", line) == [
        *("7", f"{failed_at:%m-%d %H:%M}Z", "3", "OMS.0158", "starts it, all objects", "photos-7")
    ]
    assert result.stderr == "The restarts of a running function are not known here: RESTART_LEDGER is memory://.\n"
    assert oms.starts == []
    assert f"notice error: OMS.0158\nnotice: {CLOSED}\n" in run("--long").stdout
    (as_csv,) = csv.DictReader(io.StringIO(run("--csv").stdout))
    assert (as_csv["notice_error"], as_csv["notice"]) == ("OMS.0158", CLOSED)


@pytest.mark.parametrize(
    ("smn_info", "cell", "notice"),
    [
        (None, "no topic", "no topic: found by a sweep only"),
        ({"notify_result": None, "notify_error_message": None, "topic_name": None}, "?", None),
        ({"notify_result": True, "notify_error_message": ""}, "sent", None),
        ({"notify_result": False, "notify_error_message": "OMS.9999"}, "OMS.9999", "not sent: OMS.9999"),
        ({"notify_result": False, "notify_error_message": "OMS.0158 of bucket b"}, "not sent", "not sent"),
        ({"notify_result": False, "notify_error_message": "OMS.0158\n"}, "not sent", "not sent"),
        ({"notify_result": False, "notify_error_message": "OMS.\u0660158"}, "not sent", "not sent"),
        ({"notify_result": False, "notify_error_message": 158}, "not sent", "not sent"),
        ({"notify_result": False, "notify_error_message": "TRF.0001"}, "not sent", "not sent"),
    ],
)
def test_of_a_notice_a_code_is_shown_and_no_text_of_oms(
    smn_info: Any, cell: str, notice: str | None, oms: Oms, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("COLUMNS", "200")
    oms.tasks = [row(7, smn_info=smn_info), row(8)]
    assert [one.get("notice") for one in listed()] == [notice, None]
    text = run().stdout
    assert re.search(rf"^7 .* 3 +{re.escape(cell)}  +starts it", text, re.MULTILINE)
    assert text.count("Notices: ") == (1 if notice else 0)
    assert notice is None or f"\nNotices: {notice} (1 task).\n" in text


def test_of_a_group_the_first_notice_that_was_not_sent_is_told(oms: Oms) -> None:
    infos = [{"notify_result": True}, {"notify_result": False, "notify_error_message": "OMS.0158"}, None]
    oms.tasks = [row(number, group_id="g", smn_info=info) for number, info in enumerate(infos, 1)]
    oms.groups = {"g": GROUP}
    (group,) = listed()
    assert (group["notice_sent"], group["notice_error"], group["notice"]) == (False, "OMS.0158", CLOSED)


def test_a_task_is_read_once(oms: Oms) -> None:
    """The list has all that the rules ask for, so no task is read again."""
    oms.tasks = [row(number) for number in range(1, 8)]
    assert run().exit_code == 1
    assert oms.calls == ["GET tasks"]


def test_a_task_that_the_ledger_names_is_read_once_for_all_rows(
    oms: Oms, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two tasks were restarted with a storage key; before it alone holds others back, both are looked at."""
    environment.setenv("RESTART_LEDGER", f"sqlite://{tmp_path}/ledger")
    environment.setenv("RESTART_BUDGET", "2/24h")
    environment.setenv("RESTART_BACKOFF", "0")
    refused: dict[str, Any] = {"error_reason": {"error_code": "TRF.0057"}}
    oms.tasks = [row(number, **refused) for number in range(1, 3)]
    receipts: list[bytes] = []
    application = Application(load, write=receipts.extend)
    for number in (1, 2):
        direct = {"task_id": number, "intent": "failed", "id": f"event-{number}"}
        delivery = Delivery("POST", "/", {"authorization": f"Bearer {BEARER}"}, json.dumps(direct).encode())
        pipeline = application.pipeline()
        asyncio.run(pipeline.handle(delivery, pipeline.begin(4.5, None)))
    assert [json.loads(one)["outcome"] for one in receipts] == ["started", "started"]
    oms.tasks, oms.not_failed = [row(number, **refused) for number in range(3, 8)], oms.tasks
    oms.calls.clear()
    assert {one["reason"] for one in listed()} == {"storage_key"}
    assert sorted(oms.calls) == ["GET tasks", "GET tasks/1", "GET tasks/2"]
    oms.show_status = 503
    oms.calls.clear()
    assert {one["outcome"] for one in listed()} == {"deferred"}
    assert oms.calls.count("GET tasks/1") == 5, "what could not be read is asked for again"


def test_a_task_with_a_longer_id_than_a_caller_may_give_is_listed(oms: Oms) -> None:
    oms.tasks = [row(1), row(10**18)]
    assert sorted(one["task_id"] for one in listed()) == ["1", str(10**18)]


def test_the_size_of_what_a_restart_touches_is_shown(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("COLUMNS", "200")
    overwrites: dict[str, Any] = {"object_overwrite_mode": "FULL_OVERWRITE"}
    record = {"result": True, "list_file_key": "oms/list", "error_code": None}
    oms.tasks = [
        row(1, total_size=2 * 10**12),
        row(2, total_size=5 * 10**9, **overwrites),
        row(3, total_size=7, failed_object_record=record, **overwrites),
    ]
    sizes = {one["task_id"]: one.get("total_size") for one in listed()}
    assert sizes == {"1": 2 * 10**12, "2": 5 * 10**9, "3": None}
    text = run().stdout
    assert "starts it, all objects (2.0 TB)" in text
    assert "refused full_overwrite (5.0 GB)" in text
    assert "starts it, failed only" in text
    assert ", 2.0 TB in all objects; an event now: " in text


def test_the_summary_by_cause(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    """The most frequent cause first, and in each the task that failed first."""
    environment.setenv("COLUMNS", "200")
    oms.tasks = [
        row(1, error_reason={"error_code": "TRF.0055"}),
        row(2, hours=2, failed_num=None),
        row(3, hours=3, status=2, error_reason={"error_code": "TRF.0001"}),
        row(4, error_reason=None, group_type="SYNC_TASK"),
    ]
    found = [json.loads(line) for line in run("--json").stdout.splitlines()]
    assert [one.get("failure_reason") for one in found if one["kind"] == "cause"] == ["TRF.0001", "TRF.0055", None]
    assert found[0] == {
        "kind": "cause",
        "failure_reason": "TRF.0001",
        "failure": "OMS had an internal error",
        "tasks": 2,
        "failed_objects": 3,
        "outcomes": {"already_running": 1, "would_start": 1},
        "to_do": "Ask Huawei's support for the cause",
    }
    assert found[2] == {"kind": "cause", "tasks": 1, "failed_objects": 3, "outcomes": {"refused": 1}}
    assert [one["task_id"] for one in found if one["kind"] == "failed"] == ["3", "2", "1", "4"]
    text = run().stdout
    assert "no cause known: 1 task, 3 failed objects; an event now: 1 refused.\n" in text
    assert "TRF.0055: 1 task, 3 failed objects; an event now: 1 refused. The destination bucket" in text
    assert [one["task_id"] for one in listed("--cause", "TRF.0055")] == ["1"]
    assert run("--cause", "TRF.9998").exit_code == 0


def test_a_spreadsheet_has_the_members_of_json_and_no_formula(oms: Oms) -> None:
    oms.tasks = [
        row(1, name="=1+1", hours=2),
        row(2, name='-a,"b"\nc', group_id="g"),
        row(3, group_id="g", status=7),
    ]
    oms.groups = {"g": GROUP}
    result = run("--csv")
    first, second = csv.DictReader(io.StringIO(result.stdout))
    assert list(first) == list(failed_output.MEMBERS)
    assert (first["task_name"], first["task_id"], first["notice_sent"]) == ("'=1+1", "1", "")
    assert (second["task_name"], second["failed_tasks"], second["group_id"]) == ('\'-a,"b"\ufffdc', "2 3", "g")
    assert (first["migrate_failed_object"], result.exit_code) == ("false", 1)
    for other in ("--json", "--start"):
        assert run("--csv", other).exit_code == 2


def test_the_members_of_a_group_are_one_row(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    """The group decides."""
    environment.setenv("COLUMNS", "200")
    oms.tasks = [row(1, group_id="g-1"), row(2, group_id="g-1", smn_info={"notify_result": True}), row(3, hours=9)]
    oms.groups = {"g-1": GROUP}
    first, group = listed()
    assert (first["task_id"], group["group_id"], group["failed_tasks"]) == ("3", "g-1", ["1", "2"])
    assert "task_id" not in group
    assert (group["failure_reason"], group["failed_objects"], group["notice_sent"]) == ("TRF.0061", 9, True)
    assert re.search(r"g-1 .*photos-1 and 1 more", run().stdout)
    oms.groups = {}
    assert "not_found no_such_group" in run().stdout


@pytest.mark.parametrize(
    ("changes", "settings", "said"),
    [
        ({"error_reason": {"error_code": "TRF.0055"}}, {}, "refused permanent_failure"),
        ({"group_type": "SYNC_TASK"}, {}, "refused sync_task"),
        ({}, {"RESTART_ENABLED": "false"}, "refused disabled"),
        ({}, {"OMS_MIGRATE_FAILED_OBJECT": "true"}, "starts it, failed only"),
        ({"status": 2}, {}, "already_running"),
        ({"status": 7}, {}, "deferred pausing, 30 s"),
        ({}, {"RESTART_LEDGER": "redis://127.0.0.1:9/0"}, "unavailable ledger"),
        ({"start_time": None, "error_reason": None, "failed_num": None, "name": None}, {}, "?             ?"),
        ({"start_time": 10**15 - 1, "total_time": 10**15 - 1}, {}, "\n7              ?"),
        ({"smn_info": {"notify_result": "\x1b[2J"}, "name": "\x1b[2J\u202e[red]x"}, {}, "[2J\ufffd[red]x"),
    ],
)
def test_what_an_event_would_do_is_what_the_rules_say(
    changes: dict[str, Any], settings: dict[str, str], said: str, oms: Oms, environment: pytest.MonkeyPatch
) -> None:
    oms.tasks = [row(7, **changes)]
    for name, value in settings.items():
        environment.setenv(name, value)
    environment.setenv("COLUMNS", "200")
    result = run()
    assert said in result.stdout
    assert result.exit_code == 1
    assert oms.starts == []
    assert "\x1b" not in result.output


def test_a_secret_that_oms_echoes_is_masked(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("COLUMNS", "200")
    secret = ENVIRONMENT["HUAWEICLOUD_SDK_SK"]
    oms.tasks = [row(7, name=f"photos-{secret}", smn_info={"notify_result": False, "notify_error_message": secret})]
    for result in (run(), run("--json"), run("--csv"), run("--long"), run("--start", "--yes", "--json")):
        assert "photos-***" in result.stdout
        assert secret not in result.output


def test_options_narrow_the_list_and_what_is_left_out_is_said(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    oms.tasks = [row(1), row(2, name="other-2"), row(3, hours=30), row(4, hours=80)]
    assert [one["task_id"] for one in listed()] == ["3", "1", "2"]
    assert run().stderr.startswith("Left out: 1 that failed before the last 3d; --since 365d lists them.\n")
    assert [one["task_id"] for one in listed("--since", "1d", "--prefix", "photos-")] == ["1"]
    environment.setenv("RESTART_SWEEP_PREFIX", "other-")
    environment.setenv("RESTART_SWEEP_AGE", "2d")
    assert [one["task_id"] for one in listed()] == ["2"]
    assert "Left out: 3 whose names do not begin with other-.\n" in run().stderr
    assert [one["task_id"] for one in listed("--prefix", "", "--since", "365d")] == ["4", "3", "1", "2"]


def test_age_is_judged_by_when_a_task_failed(oms: Oms) -> None:
    """One that ran for a month and failed tonight is a fresh one; older ones are no all-clear."""
    oms.tasks = [row(1, hours=720, total_time=719 * 3_600_000), row(2, hours=720)]
    assert [one["task_id"] for one in listed()] == ["1"]
    oms.tasks = oms.tasks[1:]
    assert (run().exit_code, run().stdout) == (0, "None of the last 3d; 1 older one is failed.\n")
    oms.tasks *= 1
    oms.tasks += [row(3, hours=100)]
    assert run().stdout == "None of the last 3d; 2 older ones are failed.\n"


def test_another_project_is_asked_where_it_is_configured(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMS_PROJECTS", '{"other": "la-south-2"}')
    oms.tasks = [row(1)]
    assert listed("--project", "other")[0]["project_id"] == "other"
    assert run("--project", "third").exit_code == 2


@pytest.mark.parametrize(
    "arguments", [("--since", "3"), ("--since", "366d"), ("--credentials", "none"), ("--what",), ("x",)]
)
def test_wrong_usage_ends_with_2_and_asks_nobody(arguments: tuple[str, ...], oms: Oms) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout, oms.calls) == (2, "", [])


def test_it_needs_a_region_a_project_and_a_key_and_nothing_else(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    """No storage keys and no caller, until something is to be started."""
    for name in ENVIRONMENT:
        if not name.startswith(("OMS_REGION", "OMS_PROJECT_ID", "HUAWEICLOUD_SDK_")):
            environment.delenv(name)
    oms.tasks = [row(1)]
    assert [one["outcome"] for one in listed()] == ["would_start"]
    result = run("--start", "--yes")
    assert (result.exit_code, result.stdout, oms.starts) == (2, "", [])
    assert result.stderr.startswith("OMS_DST_AK: required with --start, because OMS keeps no keys")
    environment.setenv("OMS_PROFILES__AWS__DST_AK", "a")
    environment.setenv("OMS_PROFILES__AWS__DST_SK", "s")
    assert run("--start", "--yes", "--credentials", "aws").exit_code == 0


def test_settings_that_do_not_load_are_told_all_at_once(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    """On stderr, with the name that was meant."""
    environment.delenv("OMS_PROJECT_ID")
    environment.setenv("OMS_PROJEKT_ID", PROJECT)
    environment.delenv("OMS_SRC_SK")
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "OMS_PROJECT_ID: required, because every call to OMS names a project",
        "OMS_PROJEKT_ID is not a setting and has no effect; did you mean OMS_PROJECT_ID?",
        "OMS_SRC_SK: required with OMS_SRC_AK",
    ]


# -- the list is whole, or it is said that it is not


def test_a_list_that_cannot_be_read_is_not_empty(oms: Oms) -> None:
    oms.list_status = 503
    result = run()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "NOT ALL WAS READ: the list of failed tasks could not be read to its end: unavailable, oms_error\n"
    )


@pytest.mark.parametrize(("total", "page_size"), [(460, 100), (460, 50), (None, 100)])
def test_all_pages_are_read(total: int | None, page_size: int, oms: Oms) -> None:
    """Whether OMS says how many tasks there are or not, and with shorter pages than it was asked for."""
    oms.tasks = [row(number, hours=80) for number in range(450)] + [row(number) for number in range(450, 460)]
    oms.total, oms.page_size = total, page_size
    assert len(listed()) == 10
    assert len(oms.calls) == -(-460 // page_size)


def test_more_than_oms_gives_is_said_and_is_not_0(oms: Oms) -> None:
    oms.tasks = [row(number, hours=80) for number in range(10_100)]
    oms.total = 10_100
    result = run()
    assert "NOT ALL WAS READ: OMS gives no more than 10000 failed tasks, and there are more." in result.stderr
    assert (result.stdout, result.exit_code, len(oms.calls)) == ("", 1, 100)


def test_a_list_that_changed_meanwhile_is_not_0(oms: Oms) -> None:
    """It is said how many tasks may be missing."""
    oms.tasks, oms.total = [row(1, hours=80)], 3
    result = run()
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == "NOT ALL WAS READ: the list changed meanwhile; run it again for 2 tasks.\n"


# -- starts


def test_start_asks_once(oms: Oms) -> None:
    """It starts what an event would start, and says what holds the others back."""
    oms.tasks = [row(1, error_reason={"error_code": "TRF.0055"}), row(2, group_id="g-1"), row(3, status=3), row(4)]
    oms.tasks += [row(5, status=7), row(6, status=2)]
    oms.groups = {"g-1": GROUP}
    result = run("--start", answer="y\n")
    others = "1 needs a person first, 1 is paused, 1 waits, 1 is running or done (--all starts them, too)"
    assert f"\nStart 2 of 6? {others} [y/N] " in result.stderr
    assert sorted(result.stdout.splitlines()[-2:]) == [
        "Started task 4 (all objects)",
        "Started task group g-1 (all objects)",
    ]
    assert sorted(oms.starts) == ["POST tasks/4/start", "PUT taskgroups/g-1/retry"]
    assert result.stderr.endswith("\n2 started\n") or result.stderr.endswith("] 2 started\n")
    assert result.exit_code == 0


def test_all_starts_the_rest_too(oms: Oms) -> None:
    oms.tasks = [row(1, error_reason={"error_code": "TRF.0055"}), row(2, enable_restore=True), row(3)]
    result = run("--start", "--all", answer="yes\n")
    assert "Start 3 of 3? [y/N] " in result.stderr
    assert sorted(oms.starts) == ["POST tasks/1/start", "POST tasks/3/start"]
    assert "2 started, 1 refused\n" in result.stderr
    assert "Did not start task 2: each restart pays for the retrieval again" in result.stdout
    assert result.exit_code == 1


def test_where_an_event_would_start_none_nothing_is_started(oms: Oms) -> None:
    oms.tasks = [row(1, status=3), row(2, status=3)]
    result = run("--start", "--yes")
    assert (result.exit_code, oms.starts) == (1, [])
    assert "Nothing was started. 2 are paused (--all starts them, too).\n" in result.stderr


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_started(answer: str, oms: Oms) -> None:
    oms.tasks = [row(1)]
    result = run("--start", answer=answer)
    assert (result.exit_code, oms.starts) == (1, [])
    assert "Start 1 of 1? [y/N] " in result.stderr


def test_a_script_is_not_asked_and_reads_the_receipts(oms: Oms) -> None:
    oms.tasks = [row(1)]
    result = run("--start", "--yes", "--json")
    cause, failed, started = map(json.loads, result.stdout.splitlines())
    assert (cause["kind"], failed["kind"], failed["outcome"]) == ("cause", "failed", "would_start")
    assert (started["kind"], started["outcome"], started["intent"]) == ("start", "started", "requested")
    assert (result.exit_code, oms.starts) == (0, ["POST tasks/1/start"])


def test_a_task_that_is_gone_is_said_with_what_to_do(oms: Oms) -> None:
    oms.tasks = [row(1, group_id="gone")]
    result = run("--start", "--all", "--yes")
    assert ". To do: Check group_id and project_id at the sender" in result.stdout
    assert "0 started, 1 not found" in result.stderr


class Terminal(io.TextIOWrapper):
    """What a terminal is written."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8")

    def isatty(self) -> bool:
        """It is one."""
        return True

    def text(self) -> str:
        """What was written."""
        self.seek(0)
        return self.read()


@pytest.mark.parametrize("with_rich", [True, False])
def test_a_terminal_has_a_bar_while_it_starts(with_rich: bool, oms: Oms, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001  # of a table
    """Where rich is installed; a name in a line is no markup."""
    oms.tasks = [row(1, name="[bold]x"), row(2)]
    if not with_rich:
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    written, errors = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setattr(sys, "stderr", errors)
    with pytest.raises(SystemExit) as end:
        cli(["failed", "--start", "--yes"])
    assert end.value.code == 0
    assert ("starting" in written.text()) is with_rich
    assert "Started task 1 (all objects)" in written.text()
    assert "2 started" in errors.text()


# -- the table


TABLE = (Column("id", 0), Column("since", 2), Column("what", 1, is_whole=False), Column("name", 3, is_whole=False))
ROWS = [("1" * 36, "11-25 08:56Z", "refused permanent_failure", "任务" * 40), ("7", "?", "starts it", "e\u0301" * 20)]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 300])
def test_no_line_is_longer_than_the_terminal_and_no_id_is_cut(width: int) -> None:
    """Characters of East Asia take two cells, and combining marks none."""
    head, first, second = columns(TABLE, ROWS, width)
    assert all(cells(line) <= width for line in (head, first, second))
    assert first.startswith("1" * 36)
    assert second.startswith("7")
    assert ("since" in head) == (width >= 80)
    assert ("任" in first, "…" in first) == (width >= 120, width in (60, 120))


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("width", ["80", "120"])
def test_two_thousand_tasks_fit(width: str, oms: Oms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    group = "8a1f6f0e-3c0b-4f55-9f0e-2b6a4f1c7d11"
    oms.tasks = [row(191297407830000 + n, error_reason={"error_code": f"TRF.{n % 7:04}"}) for n in range(2000)]
    oms.tasks[0] |= {"group_id": group}
    oms.groups = {group: GROUP}
    lines = run().stdout.splitlines()
    assert max(map(cells, lines)) <= int(width)
    assert {line.split(" ")[0] for line in lines} >= {group, *(str(191297407830000 + n) for n in range(1, 2000))}


def test_an_interrupted_command_ends_in_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of tests/e2e/test_failed.py prove it; here it is seen what the handler does."""
    ended: list[object] = []
    monkeypatch.setattr("os._exit", ended.append)
    monkeypatch.setattr("os.write", lambda _, text: ended.append(text))
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with interruptible(lambda: "3 started"):
        signal.raise_signal(signal.SIGINT)
    assert ended == [b"\x1b[?25h\n3 started\n", 130]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with interruptible():
        signal.raise_signal(signal.SIGINT)
    assert ended[2:] == [b"\nInterrupted.\n", 130]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_ledger_that_is_only_read() -> None:
    """It knows the real restarts, and records nothing."""
    ledger = MemoryLedger(lambda: 100.0)
    read_only, event, keys = ReadOnlyLedger(ledger), EventKey("e", "t"), LedgerKeys("mine", "task")

    async def ask() -> None:
        other = LedgerKeys("other", "task")
        assert await ledger.reserve(other, await ledger.history(other, 60), 60, "an attempt")
        seen = await read_only.history(keys, 60)
        assert seen.restarts == (Restart(0.0, own=False, under_way=True),)
        token = (await read_only.claim(event, 10)).token
        await read_only.settle(event, token)
        claimed = await ledger.claim(event, 10)
        assert claimed.state is Claim.OURS
        await read_only.release(event, claimed.token)
        assert (await ledger.claim(event, 10)).state is Claim.HELD
        with pytest.raises(LedgerError):
            await read_only.reserve(keys, seen, 60, token)
        await read_only.confirm(other, "an attempt")
        await read_only.unreserve(other, "an attempt")
        await read_only.purge()
        assert await ledger.history(keys, 60) == seen
        assert await read_only.mark("task", "e", 60)
        assert await ledger.mark("task", "another event", 60)
        await read_only.close()

    asyncio.run(ask())
