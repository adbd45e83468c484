"""Budget and backoff: what the restarts of a target within the window say about one more. Pure: no I/O and no clock."""

import math

from restarter.decide.policy import Policy
from restarter.model.outcome import Kind, Outcome
from restarter.model.request import Event, Intent
from restarter.model.task import Restart

MAX_BACKOFF_S = 3600.0


def budget(event: Event, restarts: tuple[Restart, ...], policy: Policy) -> Outcome | None:
    """So many restarts in a window, those of earlier attempts of the same event as well; for intent failed.

    A restart that is under way may still be taken back, and an event that was refused never comes again: it has to wait
    until the outcome is known, at the longest until the claim of that delivery has expired.
    """
    if event.intent is not Intent.FAILED or len(restarts) < policy.budget:
        return None
    rests = [policy.claim_s - restart.age_s for restart in restarts if restart.under_way]
    if rests and max(rests) > 0:
        return in_progress(max(rests))
    return Outcome(kind=Kind.REFUSED, reason="budget_exhausted", restarts=len(restarts))


def backoff(event: Event, restarts: tuple[Restart, ...], policy: Policy) -> Outcome | None:
    """A pause after each restart, twice as long as the one before it; for intent failed.

    A redelivery is not held back by what its own event may have started: it makes up for an attempt that failed.
    """
    ages = [restart.age_s for restart in restarts if not restart.own]
    if event.intent is not Intent.FAILED or not ages:
        return None
    pause = min(policy.backoff * 2 ** min(len(ages) - 1, 12), MAX_BACKOFF_S)
    wait = pause - ages[-1]
    if wait > 0:
        return Outcome(kind=Kind.DEFERRED, reason="backoff", retry_after=int(wait) + 1)
    return None


def in_progress(rest_s: float) -> Outcome:
    """The outcome while another delivery has the event or the last of the budget, for so many seconds at the most."""
    return Outcome(kind=Kind.DEFERRED, reason="in_progress", retry_after=max(math.ceil(rest_s), 1))
