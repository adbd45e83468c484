"""The rules in the order of the tables in function/README.md; the first that applies decides. No I/O, no clock here."""

from restarter.decide import group_rules as group
from restarter.decide import restart_rules as shared
from restarter.decide import task_rules as task
from restarter.decide.case import AnyCase, AskGroup, Case, GroupRule, TargetRule, TaskRule, first
from restarter.model.outcome import Outcome
from restarter.model.task import Start, Task, TaskGroup

BUDGET_RULES: tuple[TargetRule, ...] = (
    shared.budget_under_way,
    shared.budget_exhausted,
    shared.storage_key_under_way,
    shared.storage_key,
    shared.backoff,
)
TASK_RULES: tuple[TaskRule, ...] = (
    task.running,
    task.succeeded,
    task.pausing,
    task.unknown_status,
    task.paused,
    task.sync_task,
    task.group_decides,
    task.group_unknown,
    task.started_since,
    shared.archive_restore,
    shared.full_overwrite,
    shared.permanent_failure,
    *BUDGET_RULES,
)
GROUP_STATUS_RULES: tuple[GroupRule, ...] = (
    group.running,
    group.paused,
    group.complete,
    group.pausing,
    group.deleted,
    group.unknown_status,
)
GROUP_RULES: tuple[GroupRule, ...] = (
    *GROUP_STATUS_RULES,
    group.temporary_keys,
    shared.archive_restore,
    shared.full_overwrite,
    shared.permanent_failure,
    *BUDGET_RULES,
)


def decide_task(case: Case[Task]) -> Start | Outcome | AskGroup:
    """The decision to start the task or to ask its group, or the outcome of the first rule that forbids a start."""
    for rule in TASK_RULES:  # not by `first`: mypy makes a plain tuple of two named ones
        if (said := rule(case)) is not None:
            return said
    return _start(case)


def decide_group(case: Case[TaskGroup]) -> Start | Outcome:
    """The decision to retry the group, or the outcome of the first rule that forbids it."""
    found = first(GROUP_RULES, case)
    return _start(case) if found is None else found


def group_status(case: Case[TaskGroup]) -> Outcome | None:
    """The outcome by the group's status alone; None if that allows a retry."""
    return first(GROUP_STATUS_RULES, case)


def limit(case: AnyCase) -> Outcome | None:
    """The outcome if the restarts within the window forbid another one; None if they allow it."""
    return first(BUDGET_RULES, case)


def _start(case: AnyCase) -> Start:
    target = case.target
    return Start(
        target.id,
        migrate_failed_object=case.failed_objects_only,
        source_keys=group.takes_source_keys(target),
        of_group=isinstance(target, TaskGroup),
    )
