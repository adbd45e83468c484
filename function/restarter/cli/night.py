"""A night as receipts show it: when each task ran or was failed, and what the function did. No I/O here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from restarter.cli.report import STARTS, failed_before, ids_of_names, time_of
from restarter.model.request import target_of

Receipt = Mapping[str, Any]


class State(StrEnum):
    """The state of a task for a period of time."""

    RAN = "ran"
    FAILED = "failed"


class What(StrEnum):
    """What happened at a moment."""

    NOTICE = "notice"
    START = "start"
    REFUSAL = "refusal"
    PERSON = "person"
    DONE = "done"


class Span(NamedTuple):
    """A period in one state."""

    begins: datetime
    ends: datetime
    state: State


class Mark(NamedTuple):
    """An event at one moment, and its text."""

    at: datetime
    what: What
    text: str


@dataclass(slots=True)
class TaskNight:
    """One task or group. `state`: its state after the last span; None if it is done or not known."""

    name: str
    cause: str = "no reason given"
    """The TRF code of its last failure."""
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    failed_at: datetime | None = None
    """When it failed first."""
    state: State | None = None
    since: datetime | None = None

    def change(self, state: State | None, at: datetime) -> None:
        """Change the state from that moment on. None: the task is done."""
        if state is self.state:
            return
        if self.state and self.since:
            self.spans.append(Span(self.since, at, self.state))
        self.state, self.since = state, at

    @property
    def stood(self) -> timedelta:
        """How long the task was failed."""
        return sum((span.ends - span.begins for span in self.spans if span.state is State.FAILED), timedelta())

    @property
    def advice(self) -> str | None:
        """What a person has to do, if the task stays failed until then."""
        last = next((mark for mark in reversed(self.marks) if mark.what is not What.NOTICE), None)
        return last.text if last and last.what is What.PERSON else None


class Night(NamedTuple):
    """The tasks of a night in the order of their first failure."""

    begins: datetime
    ends: datetime
    tasks: list[TaskNight]

    @property
    def stood(self) -> timedelta:
        """How long all tasks together were failed."""
        return sum((task.stood for task in self.tasks), timedelta())

    def share(self, at: datetime) -> float:
        """The position of a moment in the night: 0 at the beginning, 1 at the end."""
        return (at - self.begins) / max(self.ends - self.begins, timedelta(seconds=1))

    @property
    def standing(self) -> list[TaskNight]:
        """The tasks that are failed at the end."""
        return [task for task in self.tasks if task.state is State.FAILED]


def night_of(
    receipts: Iterable[Receipt],
    begins: datetime | None = None,
    ends: datetime | None = None,
    done: Mapping[str, datetime] | None = None,
) -> Night:
    """The night between two moments, by default from the first receipt's failure to the last receipt.

    Args:
        receipts: Those without `time`, and those that name no task, are ignored.
        begins: When the picture begins.
        ends: When it ends. Later receipts are ignored.
        done: When tasks succeeded, by id or name: receipts do not show this.
    """
    timed = [(at, one) for one in receipts if (at := time_of(one.get("time"))) and (not ends or at <= ends)]
    told = sorted(timed, key=lambda pair: pair[0])
    ids = ids_of_names(receipt for _, receipt in told)
    tasks = _tasks(told, ids)
    firsts = [task.marks[0].at for task in tasks.values() if task.marks]
    ends = ends or max((at for at, _ in told), default=begins or datetime.min.replace(tzinfo=UTC))
    begins = begins or min(firsts, default=ends)
    finished = {ids.get(name) or name: at for name, at in (done or {}).items()}
    for key, task in tasks.items():
        _close(task, begins, ends, finished.get(key))
    shown = [task for task in tasks.values() if task.spans]
    return Night(begins, ends, sorted(shown, key=lambda task: task.failed_at or ends))


def by_hand(night: Night) -> Night:
    """The same night without the function and without a person: each task stays failed after its first failure."""
    tasks = []
    for task in night.tasks:
        failed_at = max(task.failed_at or night.ends, night.begins)
        spans = [Span(night.begins, failed_at, State.RAN), Span(failed_at, night.ends, State.FAILED)]
        spans = [span for span in spans if span.ends > span.begins]
        tasks.append(replace(task, spans=spans, marks=[], state=spans[-1].state))
    return night._replace(tasks=tasks)


def _tasks(told: Iterable[tuple[datetime, Receipt]], ids: Mapping[str, str | None]) -> dict[str, TaskNight]:
    """Each task with what its receipts show, in their order."""
    tasks: dict[str, TaskNight] = {}
    for at, receipt in told:
        kind, value = target_of(receipt) or ("", "")
        if not kind:
            continue
        key = ids.get(value) or value if kind == "task_name" else value
        task = tasks.setdefault(key, TaskNight(key))
        task.name = f"group {value}" if kind == "group_id" else receipt.get("task_name") or task.name
        _add(task, receipt, at)
    return tasks


def _add(task: TaskNight, receipt: Receipt, at: datetime) -> None:
    """Take a later receipt of the task into account."""
    outcome, reason = str(receipt.get("outcome")), receipt.get("reason")
    words = " ".join(str(word) for word in (outcome, reason) if word)
    if receipt.get("failure_reason"):
        task.cause = str(receipt["failure_reason"])
    if receipt.get("intent") == "failed":
        failed_at = failed_before(at, receipt)
        task.marks.append(Mark(failed_at, What.NOTICE, f"notice: {words}"))
        task.failed_at = task.failed_at or failed_at
        if outcome not in ("duplicate", "already_running", "nothing_to_do"):
            task.change(State.FAILED, max(failed_at, task.since or failed_at))
    if outcome in STARTS:
        task.marks.append(Mark(at, What.START, words))
        task.change(State.RAN, at)
    elif outcome == "already_running":
        task.change(State.RAN, at)
    elif outcome == "nothing_to_do":
        task.change(None, at)
    elif receipt.get("advice"):
        task.marks.append(Mark(at, What.PERSON, f"{reason or outcome}: {receipt['advice']}"))
    elif outcome in ("refused", "rejected"):
        task.marks.append(Mark(at, What.REFUSAL, words))


def _close(task: TaskNight, begins: datetime, ends: datetime, done: datetime | None) -> None:
    """Limit the spans to the night: a task ran before its first failure, and keeps its last state until the end."""
    if done and task.state is State.RAN and task.since and task.since <= done <= ends:
        task.change(None, done)
        task.marks.append(Mark(done, What.DONE, "succeeded"))
    state = task.state
    task.change(None, ends)
    task.state = state
    if task.spans and task.spans[0].state is State.FAILED:
        task.spans.insert(0, Span(begins, task.spans[0].begins, State.RAN))
    cut = [span._replace(begins=max(span.begins, begins), ends=min(span.ends, ends)) for span in task.spans]
    task.spans = [span for span in cut if span.ends > span.begins]
    task.marks = [mark for mark in task.marks if begins <= mark.at <= ends]
