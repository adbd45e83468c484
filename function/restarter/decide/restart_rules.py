"""What forbids a restart of a failed task or group alike. No I/O and no clock here."""

from restarter.decide.case import AnyCase, deferred, in_progress, refused
from restarter.decide.failure_reasons import FailureClass, classify_failure
from restarter.model.outcome import Kind, Outcome, Reason

MAX_BACKOFF_S = 3600.0


def archive_restore(case: AnyCase) -> Outcome | None:
    """`enable_restore`, and not `RESTART_ARCHIVED`.

    Each restart pays for the retrieval of archived objects again.
    """
    return refused(Reason.ARCHIVE_RESTORE) if case.target.enable_restore and not case.policy.archived else None


def permanent_failure(case: AnyCase) -> Outcome | None:
    """Only a person can fix the failure."""
    permanent = classify_failure(case.target.failure_reason) is FailureClass.PERMANENT
    return refused(Reason.PERMANENT_FAILURE) if permanent and case.by_event else None


def budget_under_way(case: AnyCase) -> Outcome | None:
    """`RESTART_BUDGET` is used up, and one of the restarts that count is still under way.

    It may yet be taken back. Once it is older than a claim, its instance is gone, and it counts.
    """
    rest_s = max([case.policy.claim_s - one.age_s for one in case.restarts if one.under_way], default=0.0)
    return in_progress(rest_s) if _is_used_up(case) and rest_s > 0 else None


def budget_exhausted(case: AnyCase) -> Outcome | None:
    """`RESTART_BUDGET` is used up."""
    if not _is_used_up(case):
        return None
    return Outcome(kind=Kind.REFUSED, reason=Reason.BUDGET_EXHAUSTED, restarts=len(case.restarts))


def backoff(case: AnyCase) -> Outcome | None:
    """The pause of `RESTART_BACKOFF` is not over.

    It doubles with each restart. Earlier attempts of the same event do not hold its redelivery back.
    """
    others = [one.age_s for one in case.restarts if not one.own]
    if not case.by_event or not others:
        return None
    wait = min(case.policy.backoff * 2 ** min(len(others) - 1, 12), MAX_BACKOFF_S) - others[-1]
    return deferred(Reason.BACKOFF, int(wait) + 1) if wait > 0 else None


def _is_used_up(case: AnyCase) -> bool:
    return case.by_event and len(case.restarts) >= case.policy.budget
