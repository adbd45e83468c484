"""The rules about a task's own state. No I/O and no clock here.

https://support.huaweicloud.com/intl/en-us/api-oms/ShowTask.html, `status`: a start needs 3 or 4.
"""

import re

from restarter.decide.case import AskGroup, Case, deferred, refused
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.task import Task

GROUP_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


def running(case: Case[Task]) -> Outcome | None:
    """Status 1, 2 or 6: the task waits, runs or retries."""
    return Outcome(kind=Kind.ALREADY_RUNNING) if case.target.status in (1, 2, 6) else None


def succeeded(case: Case[Task]) -> Outcome | None:
    """Status 5: the task has succeeded."""
    return Outcome(kind=Kind.NOTHING_TO_DO) if case.target.status == 5 else None


def pausing(case: Case[Task]) -> Outcome | None:
    """Status 7: the task is being paused."""
    return deferred(Reason.PAUSING) if case.target.status == 7 else None


def unknown_status(case: Case[Task]) -> Outcome | None:
    """A status that OMS does not document.

    Such a task is not started on a guess, and the sender redelivers the event.
    """
    return deferred(Reason.UNKNOWN_STATUS) if case.target.status not in (1, 2, 3, 4, 5, 6, 7) else None


def paused(case: Case[Task]) -> Outcome | None:
    """Status 3: somebody paused the task.

    A late event must not undo that.
    """
    return refused(Reason.PAUSED) if case.target.status == 3 and case.by_event else None


def sync_task(case: Case[Task]) -> Outcome | None:
    """A synchronization task."""
    return refused(Reason.SYNC_TASK) if case.target.group_type == "SYNC_TASK" else None


def group_decides(case: Case[Task]) -> AskGroup | None:
    """A member of a group with a usable group id."""
    group_id = usable_group_id(case.target)
    return AskGroup(group_id, case.target) if group_id is not None else None


def group_unknown(case: Case[Task]) -> Outcome | None:
    """A member of a group without one.

    A member is restarted with its group, whose id must be known for that.
    """
    return refused(Reason.GROUP_UNKNOWN) if is_member(case.target) else None


def started_since(case: Case[Task]) -> Outcome | None:
    """Status 4, the event's time is SMN's own, and the task was started in a later second.

    The reported failure is over, whoever has started the task. OMS's time has milliseconds, SMN's only seconds.
    """
    event, started_at_ms = case.event, case.target.started_at_ms
    if not (case.by_event and event.vendor_time and event.occurred_at and started_at_ms and case.target.status == 4):
        return None
    is_later = started_at_ms // 1000 > int(event.occurred_at.timestamp())
    return Outcome(kind=Kind.DUPLICATE, reason=Reason.STARTED_SINCE) if is_later else None


def is_member(task: Task) -> bool:
    """Whether the task belongs to a group, which is retried in its place."""
    return task.group_type == "GROUP_TASK" or bool(task.group_id) or task.group_id_unreadable


def usable_group_id(task: Task) -> str | None:
    """The id of the task's group, if it is safe in a path."""
    return task.group_id if task.group_id and GROUP_ID.fullmatch(task.group_id) else None
