"""`report` tells what happened to each task from receipts, however they were exported, in bounded memory."""

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restarter.cli import report
from restarter.cli.command import cli


def receipt(task_id: str = "1", outcome: str = "started", **changes: Any) -> dict[str, Any]:
    """A receipt as the function writes it."""
    return {"severity": "INFO", "message": "m", "outcome": outcome, "dialect": "smn", "task_id": task_id} | changes


NIGHT = [
    receipt(failure_reason="TRF.0001"),
    receipt(outcome="deferred", reason="backoff"),
    receipt(failure_reason="TRF.0004"),
    receipt("2", "refused", reason="permanent_failure", failure_reason="TRF.0055", advice="Free the bucket."),
    {"severity": "WARNING", "message": "m", "outcome": "unauthenticated"},
    receipt("", "refused", reason="paused", group_id="8a1f", dialect="direct"),
]


def run(text: str, *arguments: str) -> tuple[int, str]:
    """Exit status and output of `report` with the text on standard input."""
    result = CliRunner().invoke(cli, ["report", *arguments], input=text)
    assert result.exception is None or result.exit_code == 2, repr(result.exception)
    return result.exit_code, result.output


def lines(receipts: list[dict[str, Any]]) -> str:
    """Receipts as the function writes them."""
    return "".join(json.dumps(one) + "\n" for one in receipts)


def test_each_task_is_told_with_what_a_person_has_to_do_first() -> None:
    status, output = run("hello\n" + lines(NIGHT) + "{broken\n")
    assert status == 0
    assert output.splitlines() == [
        "6 receipts, 2 other lines",
        "outcomes: 2 started, 2 refused, 1 deferred, 1 unauthenticated",
        "senders:  4 smn, 1 unknown, 1 direct",
        "2: started 0 of 1 times, then refused, permanent_failure, failed with TRF.0055. To do: Free the bucket.",
        "1: started 2 of 3 times, then started, failed with TRF.0004",
        "group 8a1f: started 0 of 1 times, then refused, paused",
    ]


def test_json_has_the_same_facts_one_object_a_line() -> None:
    _, output = run(lines(NIGHT), "--json")
    totals, *tasks = map(json.loads, output.splitlines())
    assert (totals["kind"], totals["receipts"], totals["outcomes"]["started"]) == ("totals", 6, 2)
    assert [(task["task"], task["starts"]) for task in tasks] == [("1", 2), ("2", 0), ("group 8a1f", 0)]
    assert tasks[1]["advice"] == "Free the bucket."


@pytest.mark.parametrize(
    "wrapped",
    [
        {"jsonPayload": receipt(), "timestamp": "2126-11-25T03:00:00Z"},
        {"content": json.dumps(receipt()), "time": "2126-11-25T03:00:00+00:00"},
        {"log": json.dumps({"message": json.dumps(receipt())}), "collectTime": "2126-11-25T03:00:00Z"},
    ],
)
def test_exports_are_read_with_their_times(wrapped: dict[str, Any]) -> None:
    found = report.read_line(json.dumps(wrapped))
    assert found == (receipt(), datetime(2126, 11, 25, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", "7", '{"outcome": 7, "severity": "INFO"}', '{"jsonPayload": "x"}', "{" * 100_000, '{"log": "{"}'],
)
def test_whatever_is_no_receipt_is_passed_over(line: str) -> None:
    assert report.read_line(line) is None


def test_a_receipt_that_is_wrapped_too_often_is_passed_over() -> None:
    line: dict[str, Any] = receipt()
    for depth in range(4):
        assert (report.read_line(json.dumps(line)) is None) == (depth == 3)
        line = {"message": json.dumps(line)}


def test_since_leaves_out_older_lines() -> None:
    """Those without a time stay."""
    now = datetime.now(UTC)
    at = [(now - timedelta(hours=hours)).isoformat() for hours in (1, 13)]
    text = lines([{"jsonPayload": receipt(), "timestamp": one} for one in at] + [receipt(), {"time": "noon"}])
    assert run(text, "--since", "12h")[1].startswith("2 receipts, 1 other lines, 1 older ones left out\n")
    assert run(lines([{"jsonPayload": receipt(), "timestamp": "2126-11-25T03:00:00"}]), "--since", "1s")[0] == 0
    assert run("", "--since", "yesterday")[0] == 2


def test_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(lines([receipt(name)]))
    result = CliRunner().invoke(cli, ["report", str(tmp_path / "a"), str(tmp_path / "b")])
    assert "2 receipts" in result.output
    assert CliRunner().invoke(cli, ["report", str(tmp_path / "c")]).exit_code == 2


def test_control_characters_do_not_reach_the_terminal() -> None:
    hostile = receipt(
        "1\x1b[2J\u202e",
        "refused\x1b]0;title\x07\nall is well\ud800",
        reason="\x07x",
        failure_reason="\x9b1",
        advice="\ny",
        dialect="\x1b",
    )
    _, output = run(lines([hostile]))
    assert not [character for character in output if ord(character) < 32 and character != "\n"]
    assert not {"\x9b", "\u202e"} & set(output)


def test_memory_does_not_grow_with_lines() -> None:
    """Many lines about a few tasks take no more than a few lines."""
    line = json.dumps(receipt())
    tracemalloc.start()
    found = report.read(line for _ in range(20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.receipts, found.tasks["1"].starts) == (20_000, 20_000)
    assert peak < 200_000


def test_more_tasks_than_are_kept_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_TASKS", 2)
    _, output = run(lines([receipt(str(n)) for n in range(4)]))
    assert output.endswith("2 receipts are about further tasks; read fewer files at once to see them\n")
