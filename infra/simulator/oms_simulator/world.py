"""The tasks and the only ways they change. No clock of its own: every call is told the time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from oms_simulator.documents import InvalidDocument, ProjectId, Seconds
from oms_simulator.task_fields import (
    FAILED,
    PAUSING,
    RETRYING,
    RUNNING,
    SUCCEEDED,
    TASK_FIELDS,
    WAITING,
    Status,
    TaskFields,
)

# Which status StartTask refuses, and with which words; paused and failed start. Nothing documents 6 and 7: a
# retrying task has started, and a pausing one is still in progress, so of the two documented refusals only
# "already started" is no lie. A caller that takes it for "running" is to be found out here.
REFUSALS = {
    WAITING: "OMS.0065",
    RUNNING: "OMS.0065",
    RETRYING: "OMS.0065",
    PAUSING: "OMS.0065",
    SUCCEEDED: "OMS.0070",
}

DEFAULT_PROJECT = "2c0689c860ad4728a497ffffc0844383"


def _know_field(name: str) -> str:
    if name not in TASK_FIELDS:
        message = "is no field of a task"
        raise ValueError(message)
    return name


FieldName = Annotated[str, AfterValidator(_know_field)]


class TaskDocument(TaskFields):
    """A task of a control document: what OMS shows of it, and how the simulator treats it."""

    project_id: ProjectId = DEFAULT_PROJECT
    after_start: Status | None = None
    after_seconds: Seconds = 0.0
    omit: list[FieldName] = Field(default_factory=list)
    starts: Annotated[int, Field(ge=0, le=2**31)] = 0

    def task(self) -> "Task":
        """The task that this document describes."""
        facts = self.model_dump(include=set(TASK_FIELDS), warnings=False)
        return Task(self.project_id, facts, tuple(self.omit), self.after_start, self.after_seconds, self.starts)


@dataclass(frozen=True, slots=True)
class Task:
    """One task: what OMS shows of it, and what the simulator knows besides."""

    project_id: str
    facts: Mapping[str, Any]
    omit: tuple[str, ...] = ()
    after_start: int | None = None
    after_seconds: float = 0.0
    starts: int = 0
    due: float | None = None
    last_error: object = None

    @property
    def id(self) -> int:
        return int(self.facts["id"])

    @property
    def status(self) -> int:
        return int(self.facts["status"])

    def shown(self) -> dict[str, Any]:
        return {name: value for name, value in self.facts.items() if name not in self.omit}

    def described(self) -> dict[str, Any]:
        """What the control surface shows; it can be put back as it is."""
        extras = {
            "project_id": self.project_id,
            "after_start": self.after_start,
            "after_seconds": self.after_seconds,
            "omit": list(self.omit),
            "starts": self.starts,
        }
        return {**self.facts, **extras}


def started(task: Task, now: float) -> Task:
    """The task runs. start_time stays: nothing says a restart moves it, so no client may rely on that."""
    due = None if task.after_start is None else now + task.after_seconds
    facts = {**task.facts, "status": RUNNING, "error_reason": None}
    error = task.facts["error_reason"]
    return replace(task, facts=facts, starts=task.starts + 1, due=due, last_error=error)


def settled(task: Task, now: float) -> Task:
    """The task as it is by now: one that was to end after its start has ended when its time is over."""
    if task.due is None or now < task.due:
        return task
    facts = {**task.facts, "status": task.after_start}
    if task.after_start == FAILED:
        facts["error_reason"] = task.last_error
    if task.after_start == SUCCEEDED:
        facts |= {"progress": 1.0, "failed_num": 0, "successful_num": task.facts["total_num"]}
    return replace(task, facts=facts, due=None)


def has_failed_list(task: Task) -> bool:
    """With no failed object there is nothing to send again; OMS.0167 is the likely answer to that too."""
    record = task.facts["failed_object_record"] or {}
    recorded = bool(task.facts["enable_failed_object_recording"] and record.get("result") is True)
    return recorded and bool(task.facts["failed_num"])


class World:
    """All tasks by id. An id belongs to one task of one project."""

    def __init__(self) -> None:
        self._tasks: dict[int, Task] = {}

    def put(self, documents: Iterable[TaskDocument]) -> None:
        self._tasks = self._extended({}, documents)

    def add(self, documents: Iterable[TaskDocument]) -> None:
        self._tasks = self._extended(self._tasks, documents)

    def all(self, now: float) -> list[Task]:
        return [self._now(task_id, now) for task_id in self._tasks]

    def get(self, task_id: int, now: float) -> Task | None:
        return self._now(task_id, now) if task_id in self._tasks else None

    def find(self, project_id: str, task_id: int, now: float) -> Task | None:
        task = self.get(task_id, now)
        return task if task is not None and task.project_id == project_id else None

    def select(self, wanted: Iterable[Callable[[Task], bool]], now: float) -> list[Task]:
        tests = tuple(wanted)
        return [task for task in self.all(now) if all(test(task) for test in tests)]

    def start(self, task_id: int, now: float) -> None:
        self._tasks[task_id] = started(self._now(task_id, now), now)

    def _now(self, task_id: int, now: float) -> Task:
        task = self._tasks[task_id] = settled(self._tasks[task_id], now)
        return task

    @staticmethod
    def _extended(tasks: Mapping[int, Task], documents: Iterable[TaskDocument]) -> dict[int, Task]:
        extended = dict(tasks)
        for n, document in enumerate(documents):
            if document.id in extended:
                raise InvalidDocument(f"tasks[{n}].id", "is taken by another task")
            extended[document.id] = document.task()
        return extended
