"""`failed` lists what failed and what an event would do now; it starts nothing unless a person says so."""

import asyncio
import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result
from pytest_httpx import HTTPXMock

from example import ENVIRONMENT, PROJECT, shown
from httpx_transport import HttpxTransport
from restarter.cli import table
from restarter.cli.command import cli
from restarter.ledger import Claim, EventKey, LedgerError, LedgerKeys
from restarter.ledger.memory import MemoryLedger
from restarter.ledger.read_only import ReadOnlyLedger
from restarter.model.task import Restart

NOW = datetime.now(UTC)
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
        self.groups: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.list_status = 200
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
            return httpx.Response(self.list_status, json={"tasks": self.tasks[offset : offset + limit]})
        return httpx.Response(200, json=next(one for one in self.tasks if str(one["id"]) == name))


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
    """The objects of `failed --json`."""
    return [json.loads(line) for line in run("--json", *arguments).stdout.splitlines()]


def test_without_failed_tasks_it_says_so_and_ends_with_0(oms: Oms) -> None:
    found, as_json = run(), run("--json")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "No failed tasks.\n", "")
    assert (as_json.exit_code, as_json.stdout) == (0, "")


def test_a_task_is_told_with_what_is_known_of_it_and_what_an_event_would_do(oms: Oms) -> None:
    oms.tasks = [row(7, smn_info={"notify_result": False})]
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
        "outcome": "would_start",
        "migrate_failed_object": False,
    }
    result = run()
    head, line = result.stdout.splitlines()
    assert result.exit_code == 1
    assert head.split("  ")[0] == "task or group"
    assert re.split(r" {2,}", line) == [
        "7",
        "photos-7",
        f"{failed_at:%Y-%m-%d %H:%M}Z",
        "TRF.0001 (transient): OMS had an internal error",
        "3",
        "not sent",
        "starts it, all objects",
    ]
    assert result.stderr == ("The restarts of a running function are not known here: RESTART_LEDGER is memory://.\n")
    assert oms.starts == []


def test_the_members_of_a_group_are_one_row_and_the_group_decides(oms: Oms) -> None:
    oms.tasks = [row(1, group_id="g-1"), row(2, group_id="g-1", smn_info={"notify_result": True}), row(3, hours=9)]
    oms.groups = {"g-1": GROUP}
    first, group = listed()
    assert (first["task_id"], group["group_id"], group["failed_tasks"]) == ("3", "g-1", ["1", "2"])
    assert "task_id" not in group
    assert (group["failure_reason"], group["failed_objects"], group["notice_sent"]) == ("TRF.0061", 9, True)
    assert "group g-1      photos-1 and 1 more" in run().stdout
    oms.groups = {}
    assert "not_found: OMS has no such task or group" in run().stdout


@pytest.mark.parametrize(
    ("changes", "settings", "said"),
    [
        ({"error_reason": {"error_code": "TRF.0055"}}, {}, "refused permanent_failure: only a person can cure"),
        ({"group_type": "SYNC_TASK"}, {}, "refused sync_task: a synchronisation task has a start call of its own"),
        ({}, {"RESTART_ENABLED": "false"}, "refused disabled: RESTART_ENABLED is false"),
        ({}, {"OMS_MIGRATE_FAILED_OBJECT": "true"}, "starts it, failed objects only"),
        ({"status": 2}, {}, "already_running: status 1, 2 or 6"),
        ({"status": 7}, {}, "deferred pausing, again in 30 s: status 7"),
        ({}, {"RESTART_LEDGER": "redis://127.0.0.1:9/0"}, "unavailable ledger: the ledger does not answer"),
        ({"start_time": None, "error_reason": None, "failed_num": None, "name": None}, {}, "?       starts it"),
        ({"start_time": 10**15 - 1, "total_time": 10**15 - 1}, {}, "photos-7  ?             TRF.0001"),
        ({"smn_info": {"notify_result": "\x1b[2J"}, "name": "\x1b[2J\u202e[red]x"}, {}, "[2J\ufffd[red]x"),
    ],
)
def test_what_an_event_would_do_is_what_the_rules_say(
    changes: dict[str, Any], settings: dict[str, str], said: str, oms: Oms, environment: pytest.MonkeyPatch
) -> None:
    oms.tasks = [row(7, **changes)]
    for name, value in settings.items():
        environment.setenv(name, value)
    result = run()
    assert said in result.stdout
    assert result.exit_code == 1
    assert oms.starts == []
    assert "\x1b" not in result.output


def test_a_secret_that_oms_echoes_is_masked(oms: Oms) -> None:
    oms.tasks = [row(7, name=f"photos-{ENVIRONMENT['HUAWEICLOUD_SDK_SK']}")]
    for result in (run(), run("--json"), run("--start", "--yes", "--json")):
        assert "photos-***" in result.stdout
        assert ENVIRONMENT["HUAWEICLOUD_SDK_SK"] not in result.output


def test_options_narrow_the_list_and_what_is_left_out_is_said(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    oms.tasks = [row(1), row(2, name="other-2"), row(3, hours=30), row(4, hours=80)]
    assert [one["task_id"] for one in listed()] == ["3", "1", "2"]
    assert run().stderr.startswith("Left out: 1 started before the last 3d; --since 31d lists more.\n")
    assert [one["task_id"] for one in listed("--since", "1d", "--prefix", "photos-")] == ["1"]
    environment.setenv("RESTART_SWEEP_PREFIX", "other-")
    environment.setenv("RESTART_SWEEP_AGE", "2d")
    assert [one["task_id"] for one in listed()] == ["2"]
    assert "Left out: 2 whose names do not begin with other-.\n" in run().stderr
    assert [one["task_id"] for one in listed("--prefix", "", "--since", "31d")] == ["4", "3", "1", "2"]


def test_another_project_is_asked_where_it_is_configured(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMS_PROJECTS", '{"other": "la-south-2"}')
    oms.tasks = [row(1)]
    assert listed("--project", "other")[0]["project_id"] == "other"
    assert run("--project", "third").exit_code == 2


@pytest.mark.parametrize("arguments", [("--since", "3"), ("--credentials", "none"), ("--what",), ("x",)])
def test_wrong_usage_ends_with_2_and_asks_nobody(arguments: tuple[str, ...], oms: Oms) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout, oms.calls) == (2, "", [])


def test_settings_that_do_not_load_are_told_on_stderr_all_at_once(oms: Oms, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("OMS_DST_AK")
    environment.delenv("OMS_SRC_SK")
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "OMS_DST_AK: Field required\nOMS_SRC_SK: required with OMS_SRC_AK\n"


def test_a_list_that_cannot_be_read_is_an_error_and_is_not_taken_for_an_empty_one(oms: Oms) -> None:
    oms.list_status = 503
    result = run()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "The list of failed tasks could not be read to its end: unavailable, oms_error\n"


def test_a_list_with_more_pages_than_are_read_is_told(oms: Oms) -> None:
    oms.tasks = [row(number, hours=80) for number in range(2000)]
    result = run()
    assert "Left out: what OMS lists after the first 2000 failed tasks.\n" in result.stderr
    assert result.stdout == "No failed tasks.\n"


def test_a_start_is_asked_for_once_and_each_goes_as_a_requested_one(oms: Oms) -> None:
    oms.tasks = [row(1, error_reason={"error_code": "TRF.0055"}), row(2, group_id="g-1"), row(3, enable_restore=True)]
    oms.groups = {"g-1": GROUP}
    result = run("--start", answer="y\n")
    assert "\nStart 3 tasks? [y/N]: " in result.stderr
    assert result.stdout.splitlines()[4:] == [
        "Started task 1 (all objects)",
        "Started task group g-1 (all objects)",
        "Did not start task 3: archive_restore (each restart pays for retrieval again, and RESTART_ARCHIVED is false)",
    ]
    assert oms.starts == ["POST tasks/1/start", "PUT taskgroups/g-1/retry"]
    assert result.exit_code == 1


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_started(answer: str, oms: Oms) -> None:
    oms.tasks = [row(1)]
    result = run("--start", answer=answer)
    assert (result.exit_code, oms.starts) == (1, [])
    assert "Start 1 task? [y/N]: " in result.stderr


def test_a_script_is_not_asked_and_reads_the_receipts(oms: Oms) -> None:
    oms.tasks = [row(1)]
    result = run("--start", "--yes", "--json")
    failed, started = map(json.loads, result.stdout.splitlines())
    assert (failed["kind"], failed["outcome"]) == ("failed", "would_start")
    assert (started["kind"], started["outcome"], started["intent"]) == ("start", "started", "requested")
    assert (result.exit_code, oms.starts) == (0, ["POST tasks/1/start"])


def test_what_a_person_has_to_do_after_a_start_is_told(oms: Oms) -> None:
    oms.tasks = [row(1, group_id="gone")]
    assert ". To do: Check group_id and project_id at the sender" in run("--start", "--yes").stdout


class Terminal(io.TextIOWrapper):
    """What a terminal is written."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8")

    def isatty(self) -> bool:
        """It is one."""
        return True

    def lines(self) -> list[str]:
        """What was written."""
        self.seek(0)
        return click.unstyle(self.read()).splitlines()


CELLS = table.cells({"task_id": "7", "task_name": "[bold]x", "outcome": "refused", "reason": "paused"})


def test_on_a_terminal_rich_makes_a_table_and_a_name_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    written = Terminal()
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stdout", written)
    table.show([CELLS])
    lines = written.lines()
    assert "─" * 20 in lines[2]
    assert any("[bold]x" in line for line in lines)
    assert max(map(len, lines)) == 100


def test_without_rich_a_terminal_gets_plain_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    written = Terminal()
    monkeypatch.setattr(sys, "stdout", written)
    for name in ("rich.box", "rich.console", "rich.table", "rich.text"):
        monkeypatch.setitem(sys.modules, name, None)
    table.show([CELLS])
    assert written.lines()[1].startswith("7              [bold]x  ?")


def test_a_ledger_that_is_only_read_tells_the_restarts_and_records_nothing() -> None:
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
