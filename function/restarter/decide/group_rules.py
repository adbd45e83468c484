"""What a task group's own state says about a retry. Pure: no I/O and no clock here."""

import re

from restarter.decide.policy import Policy
from restarter.model.outcome import Kind, Outcome
from restarter.model.request import Event, Intent
from restarter.model.task import Task, TaskGroup

GROUP_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
RUNNING_FOR_S = 60  # after which a look at a running group is worth while; groups run for hours


def is_member(task: Task) -> bool:
    """Whether the task belongs to a group, which is retried in its place."""
    return task.group_type == "GROUP_TASK" or bool(task.group_id)


def usable_group_id(task: Task) -> str | None:
    """The id of the task's group, if it is safe in a path."""
    return task.group_id if task.group_id and GROUP_ID.fullmatch(task.group_id) else None


def takes_source_keys(target: Task | TaskGroup) -> bool:
    """Whether keys of the source are sent: OMS reads a list of URLs without any."""
    return (target.task_type or "").lower() != "url_list"


def group_status(event: Event, group: TaskGroup) -> Outcome | None:
    """https://support.huaweicloud.com/intl/en-us/api-oms/ShowTaskGroup.html, `status`; a retry needs 4 or 5."""
    match group.status:
        case 0 | 1 | 2:  # a member that failed early is retried with its group, once the group has failed
            return Outcome(kind=Kind.DEFERRED, reason="group_running", retry_after=RUNNING_FOR_S)
        case 3 if event.intent is Intent.FAILED:  # a person paused it; a late event must not undo that
            return Outcome(kind=Kind.REFUSED, reason="paused")
        case 3:  # to resume is another call than to retry
            return Outcome(kind=Kind.REFUSED, reason="paused_group")
        case 4 | 5:
            return None
        case 6:
            return Outcome(kind=Kind.NOTHING_TO_DO)
        case 7:
            return Outcome(kind=Kind.DEFERRED, reason="pausing", retry_after=30)
        case 8 | 9:  # deleted, or about to be
            return Outcome(kind=Kind.NOT_FOUND)
        case _:  # not documented: neither retried on a guess nor lost
            return Outcome(kind=Kind.DEFERRED, reason="unknown_status", retry_after=30)


def temporary_keys(event: Event, group: TaskGroup, policy: Policy) -> Outcome | None:
    """RetryTaskGroup takes no security tokens, and a temporary key is worth nothing without its own."""
    profile, sends_source_keys = event.request.credentials, takes_source_keys(group)
    if profile in policy.temporary_destination_keys or (sends_source_keys and profile in policy.temporary_source_keys):
        return Outcome(kind=Kind.REFUSED, reason="temporary_keys")
    return None
