"""The rules about a task group's own state. No I/O and no clock here.

https://support.huaweicloud.com/intl/en-us/api-oms/ShowTaskGroup.html, `status`: a retry needs 4 or 5.
"""

from restarter.decide.case import Case, deferred, refused
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.task import Task, TaskGroup

RUNNING_FOR_S = 60  # until it is worthwhile to read a running group again; groups run for hours


def running(case: Case[TaskGroup]) -> Outcome | None:
    """0, 1, 2: it waits, is being created, or runs.

    A member that failed early is restarted with its group, once the group has failed.
    """
    return deferred(Reason.GROUP_RUNNING, RUNNING_FOR_S) if case.target.status in (0, 1, 2) else None


def paused(case: Case[TaskGroup]) -> Outcome | None:
    """3: somebody paused it.

    A late event must not undo that, and OMS has another request to resume a group.
    """
    if case.target.status != 3:
        return None
    return refused(Reason.PAUSED if case.by_event else Reason.PAUSED_GROUP)


def complete(case: Case[TaskGroup]) -> Outcome | None:
    """6: it is complete."""
    return Outcome(kind=Kind.NOTHING_TO_DO) if case.target.status == 6 else None


def pausing(case: Case[TaskGroup]) -> Outcome | None:
    """7: it is being paused."""
    return deferred(Reason.PAUSING) if case.target.status == 7 else None


def deleted(case: Case[TaskGroup]) -> Outcome | None:
    """8, 9, or OMS responds 404."""
    return Outcome(kind=Kind.NOT_FOUND, reason=Reason.NO_SUCH_GROUP) if case.target.status in (8, 9) else None


def unknown_status(case: Case[TaskGroup]) -> Outcome | None:
    """A status that OMS does not document.

    Such a group is not retried on a guess, and the sender redelivers the event.
    """
    return deferred(Reason.UNKNOWN_STATUS) if case.target.status not in range(10) else None


def temporary_keys(case: Case[TaskGroup]) -> Outcome | None:
    """4, 5, and the profile has security tokens.

    RetryTaskGroup takes no security token, and a temporary key is useless without one.
    """
    profile, policy = case.event.request.credentials, case.policy
    needs_token = profile in policy.temporary_destination_keys or (
        takes_source_keys(case.target) and profile in policy.temporary_source_keys
    )
    return refused(Reason.TEMPORARY_KEYS) if needs_token else None


def takes_source_keys(target: Task | TaskGroup) -> bool:
    """Whether source keys are sent: OMS needs none to read a list of URLs."""
    return (target.task_type or "").lower() != "url_list"
