"""The rules in the order of the tables in function/README.md; the first that applies decides. No I/O, no clock here."""

from restarter.decide.case import AnyCase, AskGroup, Case, GroupRule, TargetRule, TaskRule
from restarter.decide.group_rules import (
    group_complete,
    group_deleted,
    group_paused,
    group_pausing,
    group_running,
    group_unknown_status,
    takes_source_keys,
    temporary_keys,
)
from restarter.decide.restart_rules import (
    archive_restore,
    backoff,
    budget_exhausted,
    budget_under_way,
    permanent_failure,
)
from restarter.decide.task_rules import (
    group_decides,
    group_unknown,
    paused,
    pausing,
    running,
    started_since,
    succeeded,
    sync_task,
    unknown_status,
)
from restarter.model.outcome import Outcome
from restarter.model.task import Start, Task, TaskGroup

BUDGET_RULES: tuple[TargetRule, ...] = (budget_under_way, budget_exhausted, backoff)
TASK_RULES: tuple[TaskRule, ...] = (
    running,
    succeeded,
    pausing,
    unknown_status,
    paused,
    sync_task,
    group_decides,
    group_unknown,
    started_since,
    archive_restore,
    permanent_failure,
    *BUDGET_RULES,
)
GROUP_STATUS_RULES: tuple[GroupRule, ...] = (
    group_running,
    group_paused,
    group_complete,
    group_pausing,
    group_deleted,
    group_unknown_status,
)
GROUP_RULES: tuple[GroupRule, ...] = (
    *GROUP_STATUS_RULES,
    temporary_keys,
    archive_restore,
    permanent_failure,
    *BUDGET_RULES,
)


def decide_task(case: Case[Task]) -> Start | Outcome | AskGroup:
    """Start the task, ask its group, or the outcome of the first rule that forbids a start."""
    found = next((found for rule in TASK_RULES if (found := rule(case)) is not None), None)
    return _start(case) if found is None else found


def decide_group(case: Case[TaskGroup]) -> Start | Outcome:
    """Retry the group, or the outcome of the first rule that forbids it."""
    found = next((found for rule in GROUP_RULES if (found := rule(case)) is not None), None)
    return _start(case) if found is None else found


def group_status(case: Case[TaskGroup]) -> Outcome | None:
    """What the group's status alone says."""
    return next((found for rule in GROUP_STATUS_RULES if (found := rule(case)) is not None), None)


def limit(case: AnyCase) -> Outcome | None:
    """What the restarts within the window say of one more."""
    return next((found for rule in BUDGET_RULES if (found := rule(case)) is not None), None)


def _start(case: AnyCase) -> Start:
    """How to start: failed objects only as the request says, else the policy, else the target's own list of them."""
    asked, target = case.event.request.migrate_failed_object, case.target
    if asked is None:
        configured = case.policy.migrate_failed_object
        asked = target.failed_objects_listed if configured == "auto" else configured == "true"
    of_group = isinstance(target, TaskGroup)
    return Start(target.id, migrate_failed_object=asked, source_keys=takes_source_keys(target), of_group=of_group)
