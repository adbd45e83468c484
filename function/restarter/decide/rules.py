"""The rules in their order; the first that applies decides. Pure: no I/O and no clock here."""

from datetime import datetime

from restarter.decide.failure_reasons import FailureClass, classify_failure
from restarter.decide.group_rules import group_status, is_member, takes_source_keys, temporary_keys, usable_group_id
from restarter.decide.limits import backoff, budget
from restarter.decide.policy import Policy
from restarter.model import Event, Intent, Kind, Outcome, Restart, Start, Task, TaskGroup

MAX_CLOCK_SKEW_S = 300.0  # that a sender's clock may be ahead


def admit(event: Event, policy: Policy, now: datetime) -> Outcome | None:
    """The outcome that ends a request before OMS or the ledger is asked; None when there is none. `now`: UTC."""
    if not policy.enabled:
        return Outcome(kind=Kind.REFUSED, reason="disabled")
    if event.occurred_at is not None:
        age = (now - event.occurred_at).total_seconds()
        if not -MAX_CLOCK_SKEW_S <= age <= policy.max_event_age:
            return Outcome(kind=Kind.REFUSED, reason="stale_event")
    return None


def group_to_ask(event: Event, task: Task) -> str | None:
    """The id of the group that decides in place of a failed member; None where the task's own rows decide."""
    if not is_member(task) or _status(event, task) or _sync_task(task):
        return None
    return usable_group_id(task)


def decide(event: Event, target: Task | TaskGroup, restarts: tuple[Restart, ...], policy: Policy) -> Start | Outcome:
    """Start the task or retry the group, or the outcome of the first rule that forbids it.

    `restarts`: those of the target within the window, the longest ago first. A member of a group is never started by
    itself.
    """
    outcome = (
        group_status(event, target) or temporary_keys(event, target, policy)
        if isinstance(target, TaskGroup)
        else _status(event, target) or _sync_task(target) or _group_unknown(target)
    )
    outcome = (
        outcome
        or _started_since(event, target)
        or _archive(target, policy)
        or _failure(event, target)
        or _limited(event, restarts, policy)
    )
    return outcome or _start(event, target, policy)


def decide_unseen(
    event: Event, target: Task | TaskGroup, restarts: tuple[Restart, ...], policy: Policy
) -> Start | Outcome:
    """How to start what was not looked at: only budget and backoff apply, and the keys that no group takes."""
    outcome = temporary_keys(event, target, policy) if isinstance(target, TaskGroup) else None
    return outcome or _limited(event, restarts, policy) or _start(event, target, policy)


def _start(event: Event, target: Task | TaskGroup, policy: Policy) -> Start:
    """How to start: failed objects only as the request says, else the policy, else the target's own list of them."""
    asked = event.request.migrate_failed_object
    if asked is None:
        auto = policy.migrate_failed_object == "auto"
        asked = target.failed_objects_listed if auto else policy.migrate_failed_object == "true"
    source_keys = takes_source_keys(target)
    of_group = isinstance(target, TaskGroup)
    return Start(target.id, migrate_failed_object=asked, source_keys=source_keys, of_group=of_group)


def _status(event: Event, task: Task) -> Outcome | None:
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


def _sync_task(task: Task) -> Outcome | None:
    """A synchronisation task has a start call of its own."""
    return Outcome(kind=Kind.REFUSED, reason="sync_task") if task.group_type == "SYNC_TASK" else None


def _group_unknown(task: Task) -> Outcome | None:
    """A member is retried with its group, which has to be known for that."""
    return Outcome(kind=Kind.REFUSED, reason="group_unknown") if is_member(task) else None


def _started_since(event: Event, target: Task | TaskGroup) -> Outcome | None:
    """A task that was started after SMN sent the notice of a failure: that failure is over, whoever started it.

    OMS's time has milliseconds and SMN's has seconds, so only a later second says so.
    """
    if not event.vendor_time or event.occurred_at is None or isinstance(target, TaskGroup) or target.status != 4:
        return None
    if event.intent is not Intent.FAILED or (target.started_at_ms or 0) // 1000 <= int(event.occurred_at.timestamp()):
        return None
    return Outcome(kind=Kind.DUPLICATE, reason="started_since")


def _archive(target: Task | TaskGroup, policy: Policy) -> Outcome | None:
    """Each restart pays again for the retrieval of archived objects."""
    if target.enable_restore and not policy.archived:
        return Outcome(kind=Kind.REFUSED, reason="archive_restore")
    return None


def _failure(event: Event, target: Task | TaskGroup) -> Outcome | None:
    """An event does not restart what only a person can cure; a request does."""
    if event.intent is Intent.FAILED and classify_failure(target.failure_reason) is FailureClass.PERMANENT:
        return Outcome(kind=Kind.REFUSED, reason="permanent_failure")
    return None


def _limited(event: Event, restarts: tuple[Restart, ...], policy: Policy) -> Outcome | None:
    return budget(event, restarts, policy) or backoff(event, restarts, policy)
