"""May this task be started, and how: the rules in their order, the first that applies decides. Pure, no I/O here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from restarter.model import Event, Intent, Kind, Outcome, Start, Task
from restarter.oms.failures import Cure, cure_of

EARLY = 300.0  # seconds that a sender's clock may be ahead
LONGEST_BACKOFF = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided beforehand; times in seconds."""

    enabled: bool = True
    max_event_age: float = 86400.0
    archived: bool = False
    budget: int = 5
    window: float = 86400.0
    backoff: float = 60.0
    migrate_failed_object: Literal["auto", "true", "false"] = "auto"


def admit(event: Event, policy: Policy, now: datetime) -> Outcome | None:
    """What stands in the way of an event before anybody is asked about it."""
    if not policy.enabled:
        return Outcome(kind=Kind.REFUSED, reason="disabled")
    if event.occurred_at is not None:
        age = (now - event.occurred_at).total_seconds()
        if not -EARLY <= age <= policy.max_event_age:
            return Outcome(kind=Kind.REFUSED, reason="stale_event")
    return None


def decide(event: Event, task: Task, history: tuple[float, ...], policy: Policy, now: datetime) -> Start | Outcome:
    """Start the task, or the first rule that stands in the way.

    `history` has the times (seconds since 1970) of the task's restarts within the window, before this one.
    """
    for rule in (_status, _kind, _archive, _failure):
        outcome = rule(event, task, policy)
        if outcome is not None:
            return outcome
    return start_of(event, task, history, policy, now)


def start_of(event: Event, task: Task, history: tuple[float, ...], policy: Policy, now: datetime) -> Start | Outcome:
    """How to start the task, by what is known without a look at it: within the budget, and after the backoff.

    On failed objects the request's word counts, else the operator's, else what the task has.
    """
    spent = _spent(event, history, policy, now)
    if spent is not None:
        return spent
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
    """Synchronisations and members of groups have start calls of their own."""
    if task.group_type == "SYNC_TASK":
        return Outcome(kind=Kind.REFUSED, reason="sync_task")
    if task.group_type == "GROUP_TASK" or task.group_id:
        return Outcome(kind=Kind.REFUSED, reason="group_member")
    return None


def _archive(event: Event, task: Task, policy: Policy) -> Outcome | None:
    """Each restart pays for the retrieval of archived objects again."""
    if task.enable_restore and not policy.archived:
        return Outcome(kind=Kind.REFUSED, reason="archive_restore")
    return None


def _failure(event: Event, task: Task, policy: Policy) -> Outcome | None:
    """What only a person can cure is not tried again by an event; a person may ask for it."""
    if event.intent is Intent.FAILED and cure_of(task.failure_reason) is Cure.PERSON:
        return Outcome(kind=Kind.REFUSED, reason="permanent_failure")
    return None


def _spent(event: Event, history: tuple[float, ...], policy: Policy, now: datetime) -> Outcome | None:
    """So many restarts in a window, each after twice the pause of the one before; for events alone."""
    if event.intent is not Intent.FAILED or not history:
        return None
    if len(history) >= policy.budget:
        return Outcome(kind=Kind.REFUSED, reason="budget_exhausted")
    pause = min(policy.backoff * 2 ** min(len(history) - 1, 12), LONGEST_BACKOFF)
    wait = history[-1] + pause - now.timestamp()
    if wait > 0:
        return Outcome(kind=Kind.DEFERRED, reason="backoff", retry_after=int(wait) + 1)
    return None
