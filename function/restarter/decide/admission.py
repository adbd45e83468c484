"""The rules that need neither OMS nor the ledger. No I/O and no clock here."""

from collections.abc import Callable
from datetime import datetime

from restarter.decide.case import first, refused
from restarter.decide.policy import Policy
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event, Intent

MAX_CLOCK_SKEW_S = 300.0  # a sender's clock may be this far ahead
AdmissionRule = Callable[[Event, Policy, datetime], Outcome | None]


def disabled(event: Event, policy: Policy, now: datetime) -> Outcome | None:
    """`RESTART_ENABLED=false`."""
    return None if policy.enabled else refused(Reason.DISABLED)


def stale_event(event: Event, policy: Policy, now: datetime) -> Outcome | None:
    """The event is older than `RESTART_MAX_EVENT_AGE`, or over 5 minutes in the future."""
    if event.occurred_at is None:
        return None
    age = (now - event.occurred_at).total_seconds()
    return None if -MAX_CLOCK_SKEW_S <= age <= policy.max_event_age else refused(Reason.STALE_EVENT)


def outside_hours(event: Event, policy: Policy, now: datetime) -> Outcome | None:
    """Outside `RESTART_HOURS`.

    Checked after the event is claimed, so that a settled event is a duplicate at any hour.
    """
    if policy.hours is None or event.intent is not Intent.FAILED or policy.hours.is_open(now):
        return None
    return Outcome(kind=Kind.REFUSED, reason=Reason.OUTSIDE_HOURS, opens_at=policy.hours.next_opening(now))


ADMISSION_RULES: tuple[AdmissionRule, ...] = (disabled, stale_event)


def admit(event: Event, policy: Policy, now: datetime) -> Outcome | None:
    """The outcome of a request that needs neither OMS nor the ledger; None if it must go on. `now`: UTC."""
    return first(ADMISSION_RULES, event, policy, now)
