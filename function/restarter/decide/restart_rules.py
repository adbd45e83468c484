"""The rules for a restart that tasks and groups share. No I/O and no clock here."""

from restarter.decide.case import AnyCase, deferred, in_progress, refused
from restarter.decide.failure_reasons import FailureClass, classify_failure
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.task import Restart

MAX_BACKOFF_S = 3600.0
RUNNING_FOR_S = 60  # until it is worthwhile to check whether the first task that runs with a key has moved
CEILING = 4  # times the budget: the most restarts in a window, even if the task always moves a little


def archive_restore(case: AnyCase) -> Outcome | None:
    """`enable_restore`, and not `RESTART_ARCHIVED`.

    Each restart pays for the retrieval of archived objects again.
    """
    return refused(Reason.ARCHIVE_RESTORE) if case.target.enable_restore and not case.policy.archived else None


def full_overwrite(case: AnyCase) -> Outcome | None:
    """FULL_OVERWRITE, all objects would be copied, and not `RESTART_FULL_OVERWRITE`.

    Each object would be copied and paid for again. A start of only the failed objects is allowed.
    """
    copies_all = case.target.overwrites_all and not case.failed_objects_only
    return refused(Reason.FULL_OVERWRITE) if case.by_event and copies_all and not case.policy.full_overwrite else None


def permanent_failure(case: AnyCase) -> Outcome | None:
    """Only a person can fix the failure."""
    permanent = classify_failure(case.target.failure_reason) is FailureClass.PERMANENT
    return refused(Reason.PERMANENT_FAILURE) if permanent and case.by_event else None


def budget_under_way(case: AnyCase) -> Outcome | None:
    """`RESTART_BUDGET` is used up, and one of the restarts that count is still under way.

    That restart may still be taken back. Once it is older than a claim, its instance is gone, and it counts.
    """
    return _under_way(case, case.restarts) if _is_used_up(case) else None


def budget_exhausted(case: AnyCase) -> Outcome | None:
    """`RESTART_BUDGET` is used up.

    Restarts count after the last one that moved something. The ceiling is four times the budget of any restarts.
    """
    if not _is_used_up(case):
        return None
    restarts = len(case.restarts) if _is_at_ceiling(case) else len(case.counted)
    return Outcome(kind=Kind.REFUSED, reason=Reason.BUDGET_EXHAUSTED, restarts=restarts)


def storage_key_under_way(case: AnyCase) -> Outcome | None:
    """The failure is about the storage key, its budget is used up, and one of its restarts is still under way."""
    return _under_way(case, case.of_key) if _is_key_used_up(case) else None


def storage_key(case: AnyCase) -> Outcome | None:
    """The failure is about the storage key, and its budget is used up.

    A key is identified by project, profile and fingerprint, so a new key starts from zero. While the first task that
    was restarted with it waits or runs, nobody knows whether the key works, and the others wait.
    """
    if not _is_key_used_up(case):
        return None
    if case.canary_runs:
        return deferred(Reason.BACKOFF, RUNNING_FOR_S)
    return Outcome(kind=Kind.REFUSED, reason=Reason.STORAGE_KEY, restarts=len(case.of_key))


def backoff(case: AnyCase) -> Outcome | None:
    """The pause of `RESTART_BACKOFF` is not over.

    It doubles with each restart that counts, of the task or of the storage key. Earlier attempts of the same event do
    not delay its redelivery.
    """
    if not case.by_event or not (case.restarts or case.of_key):
        return None
    of_task = _pause_left(case, case.relevant, case.counted)
    wait = max(of_task, _pause_left(case, case.of_key, case.of_key))
    return deferred(Reason.BACKOFF, int(wait) + 1) if wait > 0 else None


def _is_used_up(case: AnyCase) -> bool:
    budget = case.policy.budget
    if not case.by_event or len(case.restarts) < budget:  # nearly always, and then there is nothing more to count
        return False
    return len(case.counted) >= budget or _is_at_ceiling(case)


def _is_at_ceiling(case: AnyCase) -> bool:
    return len(case.restarts) >= CEILING * case.policy.budget


def _is_key_used_up(case: AnyCase) -> bool:
    return case.by_event and len(case.of_key) >= case.policy.budget


def _under_way(case: AnyCase, restarts: tuple[Restart, ...]) -> Outcome | None:
    rest_s = max([case.policy.claim_s - one.age_s for one in restarts if one.under_way], default=0.0)
    return in_progress(rest_s) if rest_s > 0 else None


def _pause_left(case: AnyCase, restarts: tuple[Restart, ...], counted: tuple[Restart, ...]) -> float:
    """Seconds until the pause after the newest restart is over. If no restart counts, the pause is its first step."""
    others = [one.age_s for one in restarts if not one.own]
    if not others:
        return 0.0
    doublings = max(len([one for one in counted if not one.own]) - 1, 0)
    wait: float = min(case.policy.backoff * 2 ** min(doublings, 12), MAX_BACKOFF_S)
    return wait - others[-1]
