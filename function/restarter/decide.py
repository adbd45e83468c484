"""May this task be started, and how: the rules in their order, the first that applies decides. Pure, no I/O here."""

from dataclasses import dataclass
from typing import Literal

from restarter.model import Event, Intent, Kind, Outcome, Start, Task


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided beforehand."""

    migrate_failed_object: Literal["auto", "true", "false"] = "auto"


def decide(event: Event, task: Task, policy: Policy) -> Start | Outcome:
    """Start the task, or the outcome that stands in the way."""
    return _by_status(event.intent, task.status) or _by_kind(task) or start_of(event, task, policy)


def start_of(event: Event, task: Task, policy: Policy) -> Start:
    """How to start the task: the request's word on failed objects, else the operator's, else what the task has."""
    asked = event.request.migrate_failed_object
    if asked is None:
        auto = policy.migrate_failed_object == "auto"
        asked = task.failed_objects_listed if auto else policy.migrate_failed_object == "true"
    return Start(task.id, migrate_failed_object=asked, source_keys=task.task_type != "url_list")


def _by_status(intent: Intent, status: int | None) -> Outcome | None:
    """https://support.huaweicloud.com/intl/en-us/api-oms/ShowTask.html, `status`; a start needs 3 or 4."""
    match status:
        case 1 | 2 | 6:
            return Outcome(kind=Kind.ALREADY_RUNNING)
        case 5:
            return Outcome(kind=Kind.NOTHING_TO_DO)
        case 7:
            return Outcome(kind=Kind.DEFERRED, reason="pausing", retry_after=30)
        case 3 if intent is Intent.FAILED:  # a person paused it; a late event must not undo that
            return Outcome(kind=Kind.REFUSED, reason="paused")
        case 3 | 4:
            return None
        case _:  # not documented: neither started on a guess nor lost
            return Outcome(kind=Kind.DEFERRED, reason="unknown_status", retry_after=30)


def _by_kind(task: Task) -> Outcome | None:
    """Synchronisations and members of groups have start calls of their own."""
    if task.group_type == "SYNC_TASK":
        return Outcome(kind=Kind.REFUSED, reason="sync_task")
    if task.group_type == "GROUP_TASK" or task.group_id:
        return Outcome(kind=Kind.REFUSED, reason="group_member")
    return None
