"""The tasks and the only ways they change. No clock of its own: every call is told the time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import oms_shapes as shapes
from oms_fields import DEFAULTS, FAILED, PAUSING, RETRYING, RUNNING, SUCCEEDED, WAITING, read_facts

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

EXTRAS = ("project_id", "after_start", "after_seconds", "omit", "starts")
DEFAULT_PROJECT = "2c0689c860ad4728a497ffffc0844383"


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


def read_task(value: object, where: str) -> Task:
    """A task of a control document, with defaults for what it leaves out."""
    given = shapes.members(value, where, (*DEFAULTS, *EXTRAS))
    after = given.get("after_start")
    omit = shapes.texts(given.get("omit", []), f"{where}.omit")
    for n, name in enumerate(omit):
        shapes.one_of(name, f"{where}.omit[{n}]", DEFAULTS)
    return Task(
        project_id=shapes.text(given.get("project_id", DEFAULT_PROJECT), f"{where}.project_id"),
        facts=read_facts(given, where),
        omit=omit,
        after_start=None if after is None else shapes.whole(after, f"{where}.after_start", WAITING, PAUSING),
        after_seconds=shapes.number(given.get("after_seconds", 0), f"{where}.after_seconds"),
        starts=shapes.whole(given.get("starts", 0), f"{where}.starts", 0, 2**31),
    )


class World:
    """All tasks by id. An id belongs to one task of one project."""

    def __init__(self) -> None:
        self._tasks: dict[int, Task] = {}

    def put(self, value: object) -> None:
        self._tasks = self._extended({}, value)

    def add(self, value: object) -> None:
        self._tasks = self._extended(self._tasks, value)

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
    def _extended(tasks: Mapping[int, Task], value: object) -> dict[int, Task]:
        extended = dict(tasks)
        for n, item in enumerate(shapes.items(value, "tasks")):
            task = read_task(item, f"tasks[{n}]")
            if task.id in extended:
                raise shapes.Unusable(f"tasks[{n}].id", "is taken by another task")
            extended[task.id] = task
        return extended
