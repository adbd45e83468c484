"""The rules in their order; the first that applies decides. Pure: no I/O and no clock here."""

from datetime import datetime

from restarter.decide.failure_reasons import FailureClass, classify_failure
from restarter.decide.policy import Policy
from restarter.model import Event, Intent, Kind, Outcome, Start, Task

MAX_CLOCK_SKEW_S = 300.0  # that a sender's clock may be ahead
MAX_BACKOFF_S = 3600.0


def admit(event: Event, policy: Policy, now: datetime) -> Outcome | None:
    """The outcome that ends a request before OMS or the ledger is asked; None when there is none. `now`: UTC."""
    if not policy.enabled:
        return Outcome(kind=Kind.REFUSED, reason="disabled")
    if event.occurred_at is not None:
        age = (now - event.occurred_at).total_seconds()
        if not -MAX_CLOCK_SKEW_S <= age <= policy.max_event_age:
            return Outcome(kind=Kind.REFUSED, reason="stale_event")
    return None


def decide(event: Event, task: Task, ages: tuple[float, ...], policy: Policy) -> Start | Outcome:
    """Start the task, or the outcome of the first rule that forbids it.

    `ages`: seconds since each restart of the task within the window, the longest first.
    """
    for rule in (_status, _kind, _archive, _failure):
        outcome = rule(event, task, policy)
        if outcome is not None:
            return outcome
    return decide_unseen(event, task, ages, policy)


def decide_unseen(event: Event, task: Task, ages: tuple[float, ...], policy: Policy) -> Start | Outcome:
    """How to start a task that was not looked at: only budget and backoff apply.

    Whether only failed objects are migrated is decided by the request, else by the policy, else by the task's own list.
    """
    limited = _limited(event, ages, policy)
    if limited is not None:
        return limited
    asked = event.request.migrate_failed_object
    if asked is None:
        auto = policy.migrate_failed_object == "auto"
        asked = task.failed_objects_listed if auto else policy.migrate_failed_object == "true"
    return Start(task.id, migrate_failed_object=asked, source_keys=task.task_type != "url_list")


def _status(event: Event, task: Task, policy: Policy) -> Outcome | None:
    """https://support.huaweicloud.com/intl/en-us/api-oms/ShowTask.html, `status`; a start needs 3 or 4."""
    match task.status:
        case 1 | 2 | 6:
            return Outcome(kind=Kind.ALREADY_RUNNING)
        case 5:
            return Outcome(kind=Kind.NOTHING_TO_DO)
        case 7:
            return Outcome(kind=Kind.DEFERRED, reason="pausing", retry_after=30)
        case 3 if event.intent is Intent.FAILED:  # a person paused it; a late event must not undo that
            return Outcome(kind=Kind.REFUSED, reason="paused")
        case 3 | 4:
            return None
        case _:  # not documented: neither started on a guess nor lost
            return Outcome(kind=Kind.DEFERRED, reason="unknown_status", retry_after=30)


def _kind(event: Event, task: Task, policy: Policy) -> Outcome | None:
    """Synchronisation tasks and members of task groups have start calls of their own."""
    if task.group_type == "SYNC_TASK":
        return Outcome(kind=Kind.REFUSED, reason="sync_task")
    if task.group_type == "GROUP_TASK" or task.group_id:
        return Outcome(kind=Kind.REFUSED, reason="group_member")
    return None


def _archive(event: Event, task: Task, policy: Policy) -> Outcome | None:
    """Each restart pays again for the retrieval of archived objects."""
    if task.enable_restore and not policy.archived:
        return Outcome(kind=Kind.REFUSED, reason="archive_restore")
    return None


def _failure(event: Event, task: Task, policy: Policy) -> Outcome | None:
    """An event does not restart what only a person can cure; a request does."""
    if event.intent is Intent.FAILED and classify_failure(task.failure_reason) is FailureClass.PERMANENT:
        return Outcome(kind=Kind.REFUSED, reason="permanent_failure")
    return None


def _limited(event: Event, ages: tuple[float, ...], policy: Policy) -> Outcome | None:
    """Budget and backoff, for intent failed: so many restarts in a window, each after twice the pause before it."""
    if event.intent is not Intent.FAILED or not ages:
        return None
    if len(ages) >= policy.budget:
        return Outcome(kind=Kind.REFUSED, reason="budget_exhausted")
    pause = min(policy.backoff * 2 ** min(len(ages) - 1, 12), MAX_BACKOFF_S)
    wait = pause - ages[-1]
    if wait > 0:
        return Outcome(kind=Kind.DEFERRED, reason="backoff", retry_after=int(wait) + 1)
    return None
