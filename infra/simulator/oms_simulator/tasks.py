"""One task and the ways in which its status changes. No clock of its own: every call is told the time, in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from oms_simulator.documents import ProjectId, Seconds, Times
from oms_simulator.storage_keys import FLAG, carried_keys
from oms_simulator.task_fields import (
    FAILED,
    PAUSED,
    PAUSING,
    RETRYING,
    RUNNING,
    SUCCEEDED,
    TASK_FIELDS,
    WAITING,
    Cause,
    Share,
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


class Run(Cause):
    """One run of a task: it moves a share of the task in `seconds`, and fails then unless all is moved.

    With `anew` the counters begin at zero again.
    """

    seconds: Annotated[float, Field(gt=0, le=1e9)]
    moves: Share = 0.0
    anew: bool = False


class TaskDocument(TaskFields):
    """A task of a control document: what OMS shows of it, and how the simulator treats it.

    `after_start` is the status that it has `after_seconds` after a start; without it the task runs on.
    `runs` say more, in place of both: what each run moves and why it fails, one after the other, the last again and
    again; `ran` are over. The first is under way where the task is running. `keys` are those that its last start had.
    `started_ago` takes the place of `start_time`: seconds before now. Without both it is 20 days.
    """

    project_id: ProjectId = DEFAULT_PROJECT
    after_start: Status | None = None
    after_seconds: Seconds = 0.0
    runs: list[Run] = Field(default_factory=list)
    ran: Times = 0
    keys: dict[str, str] = Field(default_factory=dict)
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
        task = Task(
            project_id=self.project_id,
            facts=facts,
            omit=tuple(self.omit),
            after_start=self.after_start,
            after_seconds=self.after_seconds,
            runs=tuple(self.runs),
            ran=self.ran,
            keys=self.keys,
            pause_seconds=self.pause_seconds,
            smn_config=self.smn_config,
            starts=self.starts,
            starts_as_member=self.starts_as_member,
            began=now,
        )
        return begun(task, now) if self.runs and self.status == RUNNING else task


@dataclass(frozen=True, slots=True)
class Task:
    """What OMS shows of a task, and what the simulator knows besides.

    At `due` the task gets `next_status`; until then `run` moves it on from the `share` that it had when it `began`.
    `again` is the share that a start threw away. `starts` counts accepted starts, `starts_as_member` those that were
    refused because its group is what has to be retried.
    """

    project_id: str
    facts: Mapping[str, Any]
    omit: tuple[str, ...] = ()
    after_start: int | None = None
    after_seconds: float = 0.0
    runs: tuple[Run, ...] = ()
    ran: int = 0
    keys: Mapping[str, str] = field(default_factory=dict)
    pause_seconds: float = 1.0
    smn_config: SmnConfig | None = None
    starts: int = 0
    starts_as_member: int = 0
    due: float | None = None
    next_status: int | None = None
    last_error: object = None
    run: Run | None = None
    began: float = 0.0
    share: float = 0.0
    again: float = 0.0

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
            "runs": [run.model_dump() for run in self.runs],
            "ran": self.ran,
            "keys": dict(self.keys),
            "pause_seconds": self.pause_seconds,
            "omit": list(self.omit),
            "smn_config": None if self.smn_config is None else self.smn_config.model_dump(),
            "starts": self.starts,
            "starts_as_member": self.starts_as_member,
        }
        return {**self.facts, **extras}

    def with_status(self, status: int) -> "Task":
        """The same task in another status, with nothing to come."""
        return replace(self, facts={**self.facts, "status": status}, due=None, next_status=None, run=None)

    def at_share(self, share: float) -> "Task":
        """The same task with the counters of a share that was moved."""
        moved = {
            "progress": share,
            "successful_num": int((self.facts["total_num"] or 0) * share),
            "complete_size": int((self.facts["total_size"] or 0) * share),
        }
        return replace(self, facts={**self.facts, **moved})


def failed(task: Task, change: Mapping[str, Any]) -> Task:
    """The task has failed. `change`: the fields that say why."""
    after = task.with_status(FAILED)
    return replace(after, facts={**after.facts, **change})


def started(task: Task, body: Mapping[str, Any]) -> Task:
    """The task waits for its turn. start_time stays: nothing says a restart moves it, so no client may rely on that.

    FULL_OVERWRITE with all objects copies each of them again, so it counts from zero.
    """
    error = task.facts["error_reason"] or task.last_error
    facts = {**task.facts, "status": WAITING, "error_reason": None}
    after = replace(task, facts=facts, starts=task.starts + 1, last_error=error, keys=carried_keys(body))
    return replace(after.at_share(0.0), again=task.facts["progress"] or 0.0) if copies_all(facts, body) else after


def copies_all(facts: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether a start copies again what is at the destination already."""
    return facts["object_overwrite_mode"] == "FULL_OVERWRITE" and body.get(FLAG) is not True


def begun(task: Task, now: float) -> Task:
    """The task runs from `now` on, and its end is known where its document says it."""
    after = replace(task.with_status(RUNNING), began=now, share=task.facts["progress"] or 0.0)
    if not task.runs:
        due = None if task.after_start is None else now + task.after_seconds
        return replace(after, due=due, next_status=task.after_start)
    run = task.runs[min(task.ran, len(task.runs) - 1)]
    if run.anew:
        after = replace(after.at_share(0.0), again=after.share, share=0.0)
    part = min(1.0, (1.0 - after.share) / run.moves) if run.moves else 1.0
    status = SUCCEEDED if after.share + run.moves >= 1.0 else FAILED
    return replace(after, ran=task.ran + 1, run=run, due=now + run.seconds * part, next_status=status)


def closed(task: Task, cause: Cause, due: float) -> Task:
    """The running task moves nothing more, and fails at `due`."""
    after = replace(task, due=due, next_status=FAILED, run=None)
    return replace(after, last_error=cause.change("")["error_reason"])


def run_of(task: Task, ended: float | None) -> dict[str, Any]:
    """What the last run of a task did; sizes in bytes. `again_size` of `moved_size` had been moved before."""
    progress = float(task.facts["progress"] or 0.0)
    size = task.facts["total_size"] or 0
    return {
        "task_id": task.id,
        "start": task.starts,
        "began": task.began,
        "ended": ended,
        "status": task.status,
        "moved": progress - task.share,
        "moved_size": int(size * (progress - task.share)),
        "again_size": int(size * min(task.again, progress)),
    }


def stopped(task: Task, now: float) -> Task:
    """The task is pausing, and paused after `pause_seconds`."""
    return replace(task.with_status(PAUSING), due=now + task.pause_seconds, next_status=PAUSED)


def moved(task: Task, now: float) -> Task:
    """The task with its counters as they are by now."""
    if task.run is None or not task.run.moves:
        return task
    return task.at_share(min(1.0, task.share + task.run.moves * (now - task.began) / task.run.seconds))


def settled(task: Task, now: float) -> Task:
    """The task as it is by now: a change that was due has come."""
    if task.due is None or task.next_status is None or now < task.due:
        return task
    after = moved(task, task.due).with_status(task.next_status)
    facts = dict(after.facts)
    if task.runs:
        facts["total_time"] = int(task.due * 1000) - int(facts["start_time"] or 0)
    if after.status == FAILED:
        name = str(facts["name"])
        facts |= {"error_reason": task.last_error} if task.run is None else task.run.change(name)
    if after.status == SUCCEEDED:
        facts |= {"progress": 1.0, "failed_num": 0, "successful_num": task.facts["total_num"]}
        facts["complete_size"] = task.facts["total_size"]
    return replace(after, facts=facts)


def has_failed_list(task: Task) -> bool:
    """With no failed object there is nothing to send again; OMS.0167 is the likely answer to that too."""
    return is_list_usable(task.facts, int(task.facts["failed_num"] or 0))


def is_list_usable(facts: Mapping[str, Any], failed: int) -> bool:
    """Whether `failed` objects of a task or a group can be sent again by its list."""
    record = facts["failed_object_record"] or {}
    return bool(facts["enable_failed_object_recording"] and record.get("result") is True and failed)
