"""`report`: what happened to each task, by its receipts. It reads line by line, and keeps one entry for each task."""

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from restarter.cli.output import number, plain, with_to_do
from restarter.model.request import target_of
from restarter.model.text import known

MAX_TASKS = 20_000  # OMS lists 10,000
# Members in which exports keep the line that the function wrote: Cloud Logging, LTS, container logs.
WRAPPERS = ("jsonPayload", "content", "message", "log", "textPayload")
TIMES = ("timestamp", "time", "collectTime")
STARTS = ("started", "unconfirmed")
STANDS = ("refused", "deferred", "rejected", "unavailable", "would_start")
"""Outcomes after which a task is still failed."""


@dataclass(slots=True)
class TaskReport:
    """What receipts say about one task or group. Times are UTC."""

    task_id: str | None = None
    group_id: str | None = None
    task_name: str | None = None
    failed_at: datetime | None = None
    """When it failed first."""
    started_at: datetime | None = None
    """When it was started last."""
    stood_s: float | None = None
    """Total seconds between each failure and the next start."""
    starts: int = 0
    deliveries: int = 0
    outcome: str = ""
    reason: str | None = None
    failure_reason: str | None = None
    advice: str | None = None
    last: int = 0
    """The number of its last receipt."""
    stands_since: datetime | None = None

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"group {self.group_id}" if self.group_id else " ".join(filter(None, (self.task_id, self.task_name)))

    def add(self, receipt: Mapping[str, Any], at: datetime | None, order: int) -> None:
        """Take a later receipt into account. `at`: its time, if known; `order`: its number."""
        self.deliveries += 1
        self.starts += receipt["outcome"] in STARTS
        self.task_name = _text(receipt.get("task_name")) or self.task_name
        self.outcome, self.reason = str(receipt["outcome"]), _text(receipt.get("reason"))
        self.failure_reason = _text(receipt.get("failure_reason")) or self.failure_reason
        self.advice, self.last = _text(receipt.get("advice")), order
        if at is not None:
            self._add_time(receipt, at)

    def _add_time(self, receipt: Mapping[str, Any], at: datetime) -> None:
        """Note when the task failed and was started. It failed as long before the receipt as the event's age says."""
        has_started = receipt["outcome"] in STARTS
        if receipt.get("intent") == "failed" and (has_started or receipt["outcome"] in STANDS):
            failed_at = failed_before(at, receipt)
            self.stands_since = self.stands_since or failed_at
            self.failed_at = self.failed_at or failed_at
        if has_started:
            self.started_at = at
            if self.stands_since is not None:
                self.stood_s = (self.stood_s or 0) + (at - self.stands_since).total_seconds()
        if receipt["outcome"] not in STANDS:
            self.stands_since = None

    def take(self, other: "TaskReport") -> None:
        """Merge an entry that turned out to be about the same task."""
        self.starts, self.deliveries = self.starts + other.starts, self.deliveries + other.deliveries
        self.failed_at = min(filter(None, (self.failed_at, other.failed_at)), default=None)
        self.started_at = max(filter(None, (self.started_at, other.started_at)), default=None)
        if other.stood_s is not None:
            self.stood_s = (self.stood_s or 0) + other.stood_s
        self.failure_reason = self.failure_reason or other.failure_reason
        if other.last > self.last:
            self.outcome, self.reason, self.advice, self.last = other.outcome, other.reason, other.advice, other.last


Key = tuple[str, str]


@dataclass(slots=True)
class Report:
    """Totals, and an entry for each task in the order in which they first appear."""

    receipts: int = 0
    passed_over: int = 0
    """Lines that are not receipts."""
    too_old: int = 0
    timed: int = 0
    """Receipts with a time."""
    tasks_not_kept: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter)
    entries: dict[Key, TaskReport] = field(default_factory=dict)
    """By the target of the receipts: `group_id`, `task_id` or `task_name`, and its value."""
    ids: dict[str, str | None] = field(default_factory=dict)
    """The id of each name; None if several tasks have the name."""
    latest: deque[Mapping[str, Any]] = field(default_factory=deque)
    """The receipts for the picture of the night; none are kept by default."""

    @property
    def read(self) -> str:
        """How many lines of each kind there were."""
        left_out = f", {self.too_old} older ones left out" if self.too_old else ""
        return f"{number(self.receipts, 'receipt')}, {number(self.passed_over, 'other line')}{left_out}"

    @property
    def not_kept(self) -> str:
        """How much is missing in the list of tasks."""
        return f"{self.tasks_not_kept} receipts are about further tasks; read fewer files at once to see them"

    def add(self, line: str, since: datetime | None) -> None:
        """Take one line into account. `since`: lines with an earlier time are only counted."""
        found = read_line(line)
        if found is None:
            self.passed_over += 1
            return
        receipt, at = found
        self.timed += at is not None
        if since is not None and at is not None and at < since:
            self.too_old += 1
            return
        self.receipts += 1
        self.outcomes[str(receipt["outcome"])] += 1
        self.senders[_text(receipt.get("dialect")) or "unknown"] += 1
        key = target_of(receipt)
        if key is None:
            return
        if at is not None and self.latest.maxlen:
            self.latest.append({**receipt, "time": at.isoformat()})
        if key not in self.entries and len(self.entries) >= MAX_TASKS:
            self.tasks_not_kept += 1
            return
        _learn(self.ids, receipt)
        task_id, group_id = (key[1] if key[0] == kind else None for kind in ("task_id", "group_id"))
        self.entries.setdefault(key, TaskReport(task_id, group_id)).add(receipt, at, self.receipts)

    def tasks(self) -> list[TaskReport]:
        """One entry for each task. Entries for a name and for the id of that name are merged."""
        for (kind, value), entry in list(self.entries.items()):
            task_id = self.ids.get(value) if kind == "task_name" else None
            if task_id is not None:
                self.entries["task_id", task_id].take(entry)
                del self.entries[kind, value]
        return list(self.entries.values())


def read(lines: Iterable[str], since: datetime | None = None) -> Report:
    """The report of all lines."""
    report = Report()
    for line in lines:
        report.add(line, since)
    return report


def read_line(line: str) -> tuple[Mapping[str, Any], datetime | None] | None:
    """The receipt in a line, with its own time or that of the export; None for any other line."""
    document = _object(line)
    at = None
    for _ in range(3):  # an export may wrap another export
        if document is None:
            return None
        at = at or next((time for name in TIMES if (time := time_of(document.get(name)))), None)
        if isinstance(document.get("outcome"), str) and "severity" in document:
            return document, time_of(document.get("time")) or at
        document = next((inner for name in WRAPPERS if (inner := _object(document.get(name)))), None)
    return None


def as_lines(report: Report) -> Iterator[str]:
    """The report for people."""
    yield report.read
    yield "outcomes: " + _in_words(report.outcomes)
    yield "senders:  " + _in_words(report.senders)
    for task in sorted(report.tasks(), key=lambda one: (one.advice is None, -one.starts)):
        yield plain(_line(task))
    if report.tasks_not_kept:
        yield report.not_kept


def _line(task: TaskReport) -> str:
    """One task: its numbers, times, last outcome, and what to do."""
    last = ", ".join(filter(None, [task.outcome, task.reason, task.failure_reason]))
    times = [
        f"{word} {at:%m-%d %H:%M}Z" for word, at in (("failed", task.failed_at), ("started", task.started_at)) if at
    ]
    times += [f"stood {task.stood_s:.0f} s"] if task.stood_s is not None else []
    told = ", ".join(times)
    facts = f"{task.label}: {number(task.deliveries, 'receipt')}, {number(task.starts, 'start')}; last: {last}"
    return with_to_do(facts + (f"; {told}" if told else ""), task.advice)


def as_json(report: Report) -> Iterator[str]:
    """The same facts, one object a line: the totals, then each task."""
    totals = {"receipts": report.receipts, "passed_over": report.passed_over, "too_old": report.too_old}
    totals |= {"tasks_not_kept": report.tasks_not_kept}
    yield json.dumps({"kind": "totals"} | totals | {"outcomes": report.outcomes, "senders": report.senders})
    for task in report.tasks():
        facts = {name: getattr(task, name) for name in TaskReport.__slots__ if name not in ("last", "stands_since")}
        facts |= {name: at.isoformat() for name, at in facts.items() if isinstance(at, datetime)}
        yield json.dumps({"kind": "task"} | known(facts))


def failed_before(at: datetime, receipt: Mapping[str, Any]) -> datetime:
    """When the task of a receipt failed: the event's age, if it has one, before the receipt was written (`at`)."""
    seconds = receipt.get("event_age_s")
    try:
        return at - timedelta(seconds=seconds) if isinstance(seconds, int) and seconds > 0 else at
    except OverflowError:
        return at


def ids_of_names(receipts: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """The id of each name that receipts show together; None if several tasks have the name."""
    ids: dict[str, str | None] = {}
    for receipt in receipts:
        _learn(ids, receipt)
    return ids


def _learn(ids: dict[str, str | None], receipt: Mapping[str, Any]) -> None:
    kind, task_id = target_of(receipt) or ("", "")
    name = _text(receipt.get("task_name"))
    if name is not None and kind == "task_id":
        ids[name] = task_id if ids.get(name, task_id) == task_id else None


def _in_words(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {plain(name)}" for name, number in counter.most_common()) or "none"


def _object(value: Any) -> dict[str, Any] | None:
    """A JSON object, or the one in a string; None for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def time_of(value: Any) -> datetime | None:
    """The UTC time of a text in ISO 8601; None if it is not such a text, or has no time zone."""
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
