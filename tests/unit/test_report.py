"""`report` tells what happened to each task from receipts, however they were exported, in bounded memory."""

import json
import re
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
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
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
        "2: 1 receipt, 0 starts; last: refused, permanent_failure, TRF.0055. To do: Free the bucket.",
        "1: 3 receipts, 2 starts; last: started, TRF.0004",
        "group 8a1f: 1 receipt, 0 starts; last: refused, paused",
    ]


def test_json_has_the_same_facts_one_object_a_line() -> None:
    _, output = run(lines(NIGHT), "--json")
    totals, *tasks = map(json.loads, output.splitlines())
    assert (totals["kind"], totals["receipts"], totals["outcomes"]["started"]) == ("totals", 6, 2)
    names = [(task.get("task_id"), task.get("group_id"), task["starts"]) for task in tasks]
    assert names == [("1", None, 2), ("2", None, 0), (None, "8a1f", 0)]
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
    assert run(text, "--since", "12h")[1].startswith("2 receipts, 1 other line, 1 older ones left out\n")
    assert run(lines([{"jsonPayload": receipt(), "timestamp": "2126-11-25T03:00:00"}]), "--since", "1s")[0] == 0
    assert run("", "--since", "yesterday")[0] == 2


BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)


def at(minutes: float, *args: Any, **changes: Any) -> dict[str, Any]:
    """A receipt so many minutes after the beginning of the night."""
    return receipt(*args, time=(BEGAN + timedelta(minutes=minutes)).isoformat(timespec="milliseconds"), **changes)


def test_a_task_has_the_times_of_its_night() -> None:
    """When it failed first, when it was started last, and how long it stood failed in all."""
    night = [
        at(10, outcome="deferred", reason="backoff", intent="failed", event_age_s=60),
        at(11, intent="failed", event_age_s=120),
        at(60, outcome="already_running", intent="failed"),
        at(90, intent="failed"),
        at(95, outcome="duplicate", intent="failed", event_age_s=300),
    ]
    _, task = map(json.loads, run(lines(night), "--json")[1].splitlines())
    assert task["failed_at"] == (BEGAN + timedelta(minutes=9)).isoformat()
    assert task["started_at"] == (BEGAN + timedelta(minutes=90)).isoformat()
    assert (task["stood_s"], task["starts"], task["deliveries"], task["outcome"]) == (120, 2, 5, "duplicate")
    failed, started = (f"{BEGAN + timedelta(minutes=minutes):%m-%d %H:%M}Z" for minutes in (9, 90))
    assert f"last: duplicate; failed {failed}, started {started}, stood 120 s\n" in run(lines(night))[1]


def test_a_task_that_was_never_started_has_no_end() -> None:
    _, task = map(json.loads, run(lines([at(10, outcome="refused", intent="failed")]), "--json")[1].splitlines())
    assert ("failed_at" in task, "started_at" in task, "stood_s" in task) == (True, False, False)


def test_a_task_that_is_known_by_name_and_by_id_is_one() -> None:
    """A notice names it by its name, and only the receipt of a start has both."""
    night = [
        at(10, "", "deferred", reason="in_progress", task_name="photos", intent="failed"),
        at(11, "7", intent="failed", task_name="photos", failure_reason="TRF.0001"),
        at(12, "", "duplicate", task_name="photos", intent="failed"),
        at(13, "8", task_name="twice"),
        at(13, "9", task_name="twice"),
        at(14, "", "duplicate", task_name="twice"),
    ]
    _, *tasks = map(json.loads, run(lines(night), "--json")[1].splitlines())
    told = [(task.get("task_id"), task["task_name"], task["deliveries"], task["outcome"]) for task in tasks]
    assert told == [
        ("7", "photos", 3, "duplicate"),
        ("8", "twice", 1, "started"),
        ("9", "twice", 1, "started"),
        (None, "twice", 1, "duplicate"),
    ]
    assert (tasks[0]["starts"], tasks[0]["failed_at"]) == (1, (BEGAN + timedelta(minutes=10)).isoformat())
    assert "7 photos: 3 receipts, 1 start; last: duplicate, TRF.0001" in run(lines(night))[1]


def test_what_a_name_was_told_before_its_id_does_not_hide_what_came_last() -> None:
    night = [
        at(10, "", outcome="unconfirmed", task_name="a", intent="failed"),
        at(11, "7", task_name="a", advice="Do."),
    ]
    _, task = map(json.loads, run(lines(night), "--json")[1].splitlines())
    assert (task["outcome"], task["advice"], task["starts"], task["stood_s"]) == ("started", "Do.", 2, 0)


def test_a_file_without_a_receipt_is_named(tmp_path: Path) -> None:
    """It is 1 where none has one; a file of receipts that are too old has some."""
    (tmp_path / "a").write_text("hello\n")
    (tmp_path / "b").write_text(lines([at(1)]))
    result = CliRunner().invoke(cli, ["report", str(tmp_path / "a"), str(tmp_path / "b"), "--since", "1s"])
    said = 'no line is a receipt; expected is one JSON object a line, with "outcome" and "severity"\n'
    assert (result.exit_code, result.stderr) == (0, f"{tmp_path / 'a'}: {said}")
    alone = CliRunner().invoke(cli, ["report"], input="{}\n")
    assert (alone.exit_code, alone.stderr) == (1, f"standard input: {said}")


def test_since_says_where_no_receipt_has_a_time() -> None:
    result = CliRunner().invoke(cli, ["report", "--since", "1s"], input=lines([receipt()]))
    assert (result.exit_code, result.stderr) == (0, "No receipt has a time, so --since left nothing out.\n")


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:00", "0001-01-01T00:00:00Z", "noon", 7, None, "\ud800"])
@pytest.mark.parametrize("age", [-1, True, "x", 10**30, 10**9, None])
def test_no_value_of_a_receipt_ends_it(time: Any, age: Any) -> None:
    hostile = [receipt(intent="failed", time=time, event_age_s=age), at(1, "x", intent="failed", event_age_s=age)]
    assert run(lines(hostile))[0] == 0


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
    found = report.read(line for _ in range(2000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.receipts, found.tasks()[0].starts) == (2000, 2000)
    assert peak < 200_000


def test_more_tasks_than_are_kept_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_TASKS", 2)
    _, output = run(lines([receipt(str(n)) for n in range(4)]))
    assert output.endswith("2 receipts are about further tasks; read fewer files at once to see them\n")


def test_a_page_has_the_night_the_causes_and_who_has_to_do_what(tmp_path: Path) -> None:
    """All text is text, and nothing is loaded: no address of another place, no script."""
    at = datetime.now(UTC).replace(microsecond=0)
    failed: dict[str, Any] = {
        "intent": "failed",
        "event_age_s": 600,
        "failure_reason": "TRF.0055",
        "dialect": "<script>",
    }
    night = [
        receipt("2", "refused", reason="permanent_failure", advice="Free <b>the</b> bucket.", **failed),
        receipt("3", task_name='"><img src=x>', **failed),
        receipt("", "refused", reason="paused", group_id="8a1f"),
    ]
    told = [one | {"time": (at + timedelta(minutes=number)).isoformat()} for number, one in enumerate(night)]
    page = tmp_path / "night.html"
    status, output = run(lines([*told, receipt("4")]), "--html", str(page), "--since", "1d")
    text = page.read_text("utf-8")
    assert (status, output) == (0, f"Wrote {page}\n")
    assert "<p>4 receipts, 0 other lines</p>" in text
    assert "<tr><td>TRF.0055</td><td>2</td><td>1</td><td>600 s</td><td>1</td></tr>" in text
    assert "<tr><td>2</td><td>TRF.0055</td><td>Free &lt;b&gt;the&lt;/b&gt; bucket.</td></tr>" in text
    assert text.count("<svg ") == 1
    assert "&lt;img src=x&gt;" in text
    assert not re.search(r"<(script|img|link|iframe)|(src|href)=\"|url\((?!#)|@import|<b>", text)
    assert set(re.findall(r"https?://[^\"' <]+", text)) == {"http://www.w3.org/2000/svg"}


def test_a_page_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restarter.cli.command.MOST_OF_NIGHT", 2)
    monkeypatch.setattr("restarter.cli.report_page.MOST_ROWS", 1)
    monkeypatch.setattr(report, "MAX_TASKS", 2)
    at = datetime.now(UTC).isoformat()
    refused = [receipt(str(number), "refused", advice="Do it.", intent="failed", time=at) for number in range(3)]
    page = tmp_path / "night.html"
    old = receipt(time=(datetime.now(UTC) - timedelta(days=2)).isoformat())
    run(lines([*refused, old]), "--html", str(page), "--since", "1d")
    text = page.read_text("utf-8")
    assert "<p>3 receipts, 0 other lines, 1 older ones left out</p>" in text
    assert "<p>Not shown: 1 tasks more; without --html all are listed.</p>" in text
    assert "<p>1 receipts are about further tasks; read fewer files at once to see them.</p>" in text


def test_a_page_without_times_and_tasks_has_no_picture(tmp_path: Path) -> None:
    page = tmp_path / "night.html"
    run(lines([{"severity": "WARNING", "message": "m", "outcome": "unauthenticated"}]), "--html", str(page))
    text = page.read_text("utf-8")
    assert "<svg" not in text
    assert text.count("<p>none</p>") == 2


def test_without_a_receipt_there_is_no_page(tmp_path: Path) -> None:
    status, _ = run("hello\n", "--html", str(tmp_path / "night.html"))
    assert status == 1
    assert not (tmp_path / "night.html").exists()


@pytest.mark.parametrize("age", [-1, True, "x", 10**30, 10**9, None])
def test_no_age_of_an_event_keeps_the_page_from_being_written(age: Any, tmp_path: Path) -> None:
    page = tmp_path / "night.html"
    night = [at(minute, intent="failed", event_age_s=age) for minute in (1, 2)]
    assert run(lines(night), "--html", str(page))[0] == 0
    assert page.read_text("utf-8").count("<svg ") == 1
