"""`report`: what happened to each task, told from receipts. It reads line by line and keeps one entry for each task."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from restarter.cli.output import plain

MAX_TASKS = 100_000
# Where exports keep the line that the function wrote: Cloud Logging, LTS, container logs.
WRAPPERS = ("jsonPayload", "content", "message", "log", "textPayload")
TIMES = ("timestamp", "time", "collectTime")
STARTS = ("started", "unconfirmed")


@dataclass(slots=True)
class TaskReport:
    """What receipts say of one task or group."""

    task: str
    starts: int = 0
    deliveries: int = 0
    outcome: str = ""
    reason: str | None = None
    failure_reason: str | None = None
    advice: str | None = None

    def add(self, receipt: Mapping[str, Any]) -> None:
        """Take a later receipt of the task into account."""
        self.deliveries += 1
        self.starts += receipt["outcome"] in STARTS
        self.outcome, self.reason = str(receipt["outcome"]), _text(receipt.get("reason"))
        self.failure_reason = _text(receipt.get("failure_reason")) or self.failure_reason
        self.advice = _text(receipt.get("advice"))


@dataclass(slots=True)
class Report:
    """Totals, and an entry for each task in the order in which they first appear."""

    receipts: int = 0
    passed_over: int = 0
    """Lines that are no receipts."""
    too_old: int = 0
    tasks_not_kept: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter)
    tasks: dict[str, TaskReport] = field(default_factory=dict)

    def add(self, line: str, since: datetime | None) -> None:
        """Take one line into account. `since`: lines with an earlier time are only counted."""
        found = read_line(line)
        if found is None:
            self.passed_over += 1
            return
        receipt, at = found
        if since is not None and at is not None and at < since:
            self.too_old += 1
            return
        self.receipts += 1
        self.outcomes[str(receipt["outcome"])] += 1
        self.senders[_text(receipt.get("dialect")) or "unknown"] += 1
        name = task_name(receipt)
        if name is None:
            return
        if name not in self.tasks and len(self.tasks) >= MAX_TASKS:
            self.tasks_not_kept += 1
            return
        self.tasks.setdefault(name, TaskReport(name)).add(receipt)


def read(lines: Iterable[str], since: datetime | None = None) -> Report:
    """The report of all lines."""
    report = Report()
    for line in lines:
        report.add(line, since)
    return report


def read_line(line: str) -> tuple[Mapping[str, Any], datetime | None] | None:
    """The receipt in a line and the line's time, where an export adds one; None for any other line."""
    document = _object(line)
    at = None
    for _ in range(3):  # an export may wrap what another one wrapped
        if document is None:
            return None
        at = at or next((time for name in TIMES if (time := _time(document.get(name)))), None)
        if isinstance(document.get("outcome"), str) and "severity" in document:
            return document, at
        document = next((inner for name in WRAPPERS if (inner := _object(document.get(name)))), None)
    return None


def task_name(receipt: Mapping[str, Any]) -> str | None:
    """What the receipt is about: a group, a task by id, or a task by name; None where it names none."""
    if receipt.get("group_id"):
        return f"group {plain(str(receipt['group_id']))}"
    name = receipt.get("task_id") or receipt.get("task_name")
    return plain(str(name)) if name else None


def as_lines(report: Report) -> Iterator[str]:
    """The report for people."""
    yield f"{report.receipts} receipts, {report.passed_over} other lines" + (
        f", {report.too_old} older ones left out" if report.too_old else ""
    )
    yield "outcomes: " + _in_words(report.outcomes)
    yield "senders:  " + _in_words(report.senders)
    for task in sorted(report.tasks.values(), key=lambda one: (one.advice is None, -one.starts)):
        words = [f"{task.task}: started {task.starts} of {task.deliveries} times", f"then {plain(task.outcome)}"]
        words += [plain(task.reason)] if task.reason else []
        words += [f"failed with {plain(task.failure_reason)}"] if task.failure_reason else []
        yield ", ".join(words) + (f". To do: {plain(task.advice)}" if task.advice else "")
    if report.tasks_not_kept:
        yield f"{report.tasks_not_kept} receipts are about further tasks; read fewer files at once to see them"


def as_json(report: Report) -> Iterator[str]:
    """The same facts, one object a line: the totals, then each task."""
    totals = {"receipts": report.receipts, "passed_over": report.passed_over, "too_old": report.too_old}
    totals |= {"tasks_not_kept": report.tasks_not_kept}
    yield json.dumps({"kind": "totals"} | totals | {"outcomes": report.outcomes, "senders": report.senders})
    for task in report.tasks.values():
        facts = {name: getattr(task, name) for name in TaskReport.__slots__}
        yield json.dumps({"kind": "task"} | {name: value for name, value in facts.items() if value is not None})


def _in_words(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {plain(name)}" for name, number in counter.most_common()) or "none"


def _object(value: Any) -> dict[str, Any] | None:
    """A JSON object, or the one in a text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _time(value: Any) -> datetime | None:
    """A time with its zone in ISO 8601."""
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
