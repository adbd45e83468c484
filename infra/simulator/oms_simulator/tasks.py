"""One task and the ways in which its status changes. No clock of its own: every call is told the time, in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from oms_simulator.documents import ProjectId, Seconds, Times
from oms_simulator.task_fields import (
    FAILED,
    PAUSED,
    PAUSING,
    RETRYING,
    RUNNING,
    SUCCEEDED,
    TASK_FIELDS,
    WAITING,
    SmnConfig,
    Status,
    TaskFields,
)

DEFAULT_PROJECT = "2c0689c860ad4728a497ffffc0844383"

# Which status StartTask refuses, and with which code; paused and failed start. Nothing documents 6 and 7: a
# retrying task has started, and a pausing one is still in progress, so of the two documented refusals only
# "already started" is no lie. A caller that takes it for "running" is to be found out here.
START_REFUSALS = {
    WAITING: "OMS.0065",
    RUNNING: "OMS.0065",
    RETRYING: "OMS.0065",
    PAUSING: "OMS.0065",
    SUCCEEDED: "OMS.0070",
}
STOP_REFUSALS = {PAUSED: "OMS.0066", FAILED: "OMS.0066", PAUSING: "OMS.0066", SUCCEEDED: "OMS.0070"}
DELETE_REFUSALS = dict.fromkeys((WAITING, RUNNING, RETRYING, PAUSING), "OMS.0063")
ACTIVE = {WAITING, RUNNING, RETRYING, PAUSING}


def _know_field(name: str) -> str:
    if name not in TASK_FIELDS:
        message = "is no field of a task"
        raise ValueError(message)
    return name


class TaskDocument(TaskFields):
    """A task of a control document: what OMS shows of it, and how the simulator treats it.

    `after_start` is the status that it has `after_seconds` after a start; without it the task runs on.
    `started_ago` takes the place of `start_time`: seconds before now. Without both it is 20 days.
    """

    project_id: ProjectId = DEFAULT_PROJECT
    after_start: Status | None = None
    after_seconds: Seconds = 0.0
    pause_seconds: Seconds = 1.0
    started_ago: Seconds | None = None
    omit: list[Annotated[str, AfterValidator(_know_field)]] = Field(default_factory=list)
    smn_config: SmnConfig | None = None
    starts: Times = 0
    starts_as_member: Times = 0

    def task(self, now: float) -> "Task":
        """The task that this document describes. `now`: seconds since 1970."""
        facts = self.model_dump(include=set(TASK_FIELDS), warnings=False)
        facts["start_time"] = self.start_ms(self.started_ago, now)
        return Task(
            project_id=self.project_id,
            facts=facts,
            omit=tuple(self.omit),
            after_start=self.after_start,
            after_seconds=self.after_seconds,
            pause_seconds=self.pause_seconds,
            smn_config=self.smn_config,
            starts=self.starts,
            starts_as_member=self.starts_as_member,
        )


@dataclass(frozen=True, slots=True)
class Task:
    """What OMS shows of a task, and what the simulator knows besides.

    At `due` the task gets `next_status`. `starts` counts accepted starts, `starts_as_member` those that were
    refused because its group is what has to be retried.
    """

    project_id: str
    facts: Mapping[str, Any]
    omit: tuple[str, ...] = ()
    after_start: int | None = None
    after_seconds: float = 0.0
    pause_seconds: float = 1.0
    smn_config: SmnConfig | None = None
    starts: int = 0
    starts_as_member: int = 0
    due: float | None = None
    next_status: int | None = None
    last_error: object = None

    @property
    def id(self) -> int:
        """Its number, which is unique among all projects."""
        return int(self.facts["id"])

    @property
    def status(self) -> int:
        """1 to 7."""
        return int(self.facts["status"])

    @property
    def is_member(self) -> bool:
        """Whether it belongs to a task group."""
        return bool(self.facts["group_id"]) or self.facts["group_type"] == "GROUP_TASK"

    def shown(self) -> dict[str, Any]:
        """What ShowTask answers."""
        return {name: value for name, value in self.facts.items() if name not in self.omit}

    def described(self) -> dict[str, Any]:
        """What the controls show; it can be put back as it is."""
        extras = {
            "project_id": self.project_id,
            "after_start": self.after_start,
            "after_seconds": self.after_seconds,
            "pause_seconds": self.pause_seconds,
            "omit": list(self.omit),
            "smn_config": None if self.smn_config is None else self.smn_config.model_dump(),
            "starts": self.starts,
            "starts_as_member": self.starts_as_member,
        }
        return {**self.facts, **extras}

    def with_status(self, status: int) -> "Task":
        """The same task in another status, with nothing to come."""
        return replace(self, facts={**self.facts, "status": status}, due=None, next_status=None)


def failed(task: Task, change: Mapping[str, Any]) -> Task:
    """The task has failed. `change`: the fields that say why."""
    after = task.with_status(FAILED)
    return replace(after, facts={**after.facts, **change})


def started(task: Task, now: float) -> Task:
    """The task runs. start_time stays: nothing says a restart moves it, so no client may rely on that."""
    due = None if task.after_start is None else now + task.after_seconds
    facts = {**task.facts, "status": RUNNING, "error_reason": None}
    error = task.facts["error_reason"] or task.last_error
    return replace(task, facts=facts, starts=task.starts + 1, due=due, next_status=task.after_start, last_error=error)


def stopped(task: Task, now: float) -> Task:
    """The task is pausing, and paused after `pause_seconds`."""
    return replace(task.with_status(PAUSING), due=now + task.pause_seconds, next_status=PAUSED)


def settled(task: Task, now: float) -> Task:
    """The task as it is by now: a change that was due has come."""
    if task.due is None or task.next_status is None or now < task.due:
        return task
    after = task.with_status(task.next_status)
    facts = dict(after.facts)
    if after.status == FAILED:
        facts["error_reason"] = task.last_error
    if after.status == SUCCEEDED:
        facts |= {"progress": 1.0, "failed_num": 0, "successful_num": task.facts["total_num"]}
    return replace(after, facts=facts)


def has_failed_list(task: Task) -> bool:
    """With no failed object there is nothing to send again; OMS.0167 is the likely answer to that too."""
    return is_list_usable(task.facts, int(task.facts["failed_num"] or 0))


def is_list_usable(facts: Mapping[str, Any], failed: int) -> bool:
    """Whether `failed` objects of a task or a group can be sent again by its list."""
    record = facts["failed_object_record"] or {}
    return bool(facts["enable_failed_object_recording"] and record.get("result") is True and failed)
