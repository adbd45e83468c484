"""One task group and the ways in which its status changes. Every call is told the time, in seconds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from oms_simulator.documents import ProjectId, Seconds, Times
from oms_simulator.group_fields import (
    COMPLETE,
    COUNTS,
    CREATING,
    CREATION_FAILED,
    DELETED,
    GROUP_FAILED,
    GROUP_FIELDS,
    GROUP_PAUSED,
    GROUP_PAUSING,
    GROUP_WAITING,
    MONITORING,
    TO_BE_DELETED,
    GroupFields,
    GroupStatus,
    count_members,
)
from oms_simulator.task_fields import FAILED, PAUSED
from oms_simulator.tasks import ACTIVE, DEFAULT_PROJECT, Task, is_list_usable

# A status under way to another one refuses every operation; the others say what would be needed instead.
ON_THE_WAY = dict.fromkeys((GROUP_WAITING, CREATING, GROUP_PAUSING, TO_BE_DELETED), "OMS.1036")
START_REFUSALS = ON_THE_WAY | dict.fromkeys((MONITORING, CREATION_FAILED, GROUP_FAILED, COMPLETE), "OMS.1039")
RETRY_REFUSALS = ON_THE_WAY | dict.fromkeys((MONITORING, GROUP_PAUSED, COMPLETE), "OMS.1040")
STOP_REFUSALS = ON_THE_WAY | dict.fromkeys((GROUP_PAUSED, CREATION_FAILED, GROUP_FAILED, COMPLETE), "OMS.1038")
DELETE_REFUSALS = dict.fromkeys((GROUP_WAITING, CREATING, MONITORING, GROUP_PAUSING), "OMS.0063")


def _know_field(name: str) -> str:
    if name not in GROUP_FIELDS:
        message = "is no field of a task group"
        raise ValueError(message)
    return name


class GroupDocument(GroupFields):
    """A group of a control document. Its members are the tasks of its project whose `group_id` is its own.

    After a start or a retry it ends as its members do; `after_start` and `after_seconds` decide instead where they
    are given. A retry of a group whose creation failed takes `create_seconds` first.
    """

    project_id: ProjectId = DEFAULT_PROJECT
    after_start: GroupStatus | None = None
    after_seconds: Seconds = 0.0
    create_seconds: Seconds = 0.0
    pause_seconds: Seconds = 1.0
    started_ago: Seconds | None = None
    omit: list[Annotated[str, AfterValidator(_know_field)]] = Field(default_factory=list)
    starts: Times = 0
    retries: Times = 0

    def group(self, now: float) -> "Group":
        """The group that this document describes. `now`: seconds since 1970."""
        facts = self.model_dump(include=set(GROUP_FIELDS), warnings=False)
        facts["start_time"] = self.start_ms(self.started_ago, now)
        return Group(
            project_id=self.project_id,
            facts=facts,
            given=frozenset(COUNTS & self.model_fields_set),
            omit=tuple(self.omit),
            after_start=self.after_start,
            after_seconds=self.after_seconds,
            create_seconds=self.create_seconds,
            pause_seconds=self.pause_seconds,
            starts=self.starts,
            retries=self.retries,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """What OMS shows of a group, and what the simulator knows besides.

    `given` names the counts that do not come from the members. At `due` the group gets `next_status`; while it
    `follows`, it ends when all members have ended. `starts` and `retries` count what was accepted.
    """

    project_id: str
    facts: Mapping[str, Any]
    given: frozenset[str] = frozenset()
    omit: tuple[str, ...] = ()
    after_start: int | None = None
    after_seconds: float = 0.0
    create_seconds: float = 0.0
    pause_seconds: float = 1.0
    starts: int = 0
    retries: int = 0
    due: float | None = None
    next_status: int | None = None
    follows: bool = False
    last_error: object = None

    @property
    def id(self) -> str:
        """Its UUID."""
        return str(self.facts["group_id"])

    @property
    def status(self) -> int:
        """0 to 9."""
        return int(self.facts["status"])

    def counted(self, members: Collection[Task]) -> "Group":
        """The group with the counts of its members."""
        if not members:
            return self
        counts = count_members(members)
        return replace(self, facts={**self.facts, **{name: counts[name] for name in counts.keys() - self.given}})

    def shown(self) -> dict[str, Any]:
        """What ShowTaskGroup answers."""
        return {name: value for name, value in self.facts.items() if name not in self.omit}

    def described(self) -> dict[str, Any]:
        """What the controls show; it can be put back as it is, and keeps its counts until it is started."""
        extras = {
            "project_id": self.project_id,
            "after_start": self.after_start,
            "after_seconds": self.after_seconds,
            "create_seconds": self.create_seconds,
            "pause_seconds": self.pause_seconds,
            "omit": list(self.omit),
            "starts": self.starts,
            "retries": self.retries,
        }
        return {**self.facts, **extras}

    @property
    def has_failed_list(self) -> bool:
        """Whether its failed objects alone can be sent again."""
        return is_list_usable(self.facts, int(self.facts["fail_num"] or 0))


def _with_status(group: Group, status: int) -> Group:
    facts = {**group.facts, "status": status}
    return replace(group, facts=facts, due=None, next_status=None, follows=False)


def _monitoring(group: Group, at: float) -> Group:
    due = None if group.after_start is None else at + group.after_seconds
    group = _with_status(group, MONITORING)
    return replace(group, due=due, next_status=group.after_start, follows=group.after_start is None)


def _forgotten(group: Group) -> Group:
    """Without its error, and with no count that is not its members'."""
    error = group.facts["error_reason"] or group.last_error
    return replace(group, facts={**group.facts, "error_reason": None}, given=frozenset(), last_error=error)


def retried(group: Group, now: float) -> Group:
    """The group works again: after a failed creation it is created first."""
    group = replace(group, retries=group.retries + 1)
    if group.status == CREATION_FAILED and group.create_seconds:
        group = _with_status(_forgotten(group), CREATING)
        return replace(group, due=now + group.create_seconds, next_status=MONITORING)
    return _monitoring(_forgotten(group), now)


def started(group: Group, now: float) -> Group:
    """The paused group works again."""
    return _monitoring(_forgotten(replace(group, starts=group.starts + 1)), now)


def created(group: Group, now: float) -> Group:
    """A new group, which is monitored as soon as it was created."""
    return replace(_with_status(group, CREATING), due=now + group.create_seconds, next_status=MONITORING)


def stopped(group: Group, now: float) -> Group:
    """The group is pausing, and paused after `pause_seconds`."""
    return replace(_with_status(group, GROUP_PAUSING), due=now + group.pause_seconds, next_status=GROUP_PAUSED)


def settled(group: Group, members: Collection[Task], now: float) -> Group:
    """The group as it is by now: changes that were due have come, and it has ended where its members have."""
    while group.due is not None and group.next_status is not None and now >= group.due:
        creating = group.next_status == MONITORING
        group = _monitoring(group, group.due) if creating else _ended(group, group.next_status)
    if not group.follows or not members or any(task.status in ACTIVE for task in members):
        return group
    statuses = {task.status for task in members}
    return _ended(group, GROUP_FAILED if FAILED in statuses else GROUP_PAUSED if PAUSED in statuses else COMPLETE)


def _ended(group: Group, status: int) -> Group:
    group = _with_status(group, status)
    if status in {CREATION_FAILED, GROUP_FAILED}:
        return replace(group, facts={**group.facts, "error_reason": group.last_error})
    return group


def is_gone(group: Group) -> bool:
    """Whether OMS answers as if there were no such group."""
    return group.status == DELETED
