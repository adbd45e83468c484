"""The rule behind each word of an outcome, in one sentence; function/README.md, «Deciding», has the table."""

RULES = {
    "disabled": "RESTART_ENABLED is false",
    "stale_event": "the event is older than RESTART_MAX_EVENT_AGE, or over 5 minutes in the future",
    "already_running": "status 1, 2 or 6: the task is waiting, running or retrying",
    "nothing_to_do": "status 5: the task has succeeded",
    "not_found": "OMS has no such task or group, or it was deleted",
    "pausing": "status 7: the task is being paused",
    "unknown_status": "OMS documents no such status",
    "paused": "status 3: somebody paused the task, and an event does not undo that",
    "sync_task": "a synchronisation task has a start call of its own",
    "group_unknown": "a member of a group is retried with its group, and OMS gives no usable id of it",
    "group_running": "group status 0, 1 or 2: it has not failed, and what failed in it is retried once it has",
    "paused_group": "group status 3: resume it in OMS's console; a retry is for a group that failed",
    "temporary_keys": "RetryTaskGroup takes no security tokens, and this profile has one",
    "group_permission": "the key may not read or retry task groups",
    "started_since": "the task was started after SMN sent the notice, so the failure that it tells is over",
    "in_progress": "another delivery has the event, or the last restart of the budget is not concluded yet",
    "archive_restore": "each restart pays for retrieval again, and RESTART_ARCHIVED is false",
    "permanent_failure": "only a person can cure what made the task fail",
    "budget_exhausted": "it was restarted as often as RESTART_BUDGET allows",
    "backoff": "it was restarted less than RESTART_BACKOFF ago, which doubles with each restart",
    "credentials": "OMS refused the key",
    "no_key_for_oms": "no key for OMS is configured, and no platform lends one",
    "ledger": "the ledger does not answer, and nothing is started without it",
    "offline": "OMS is not asked; give the task with --task FILE, and its group with --group FILE",
    "start": "no rule forbids it",
}


def rule_behind(outcome: str, reason: str | None) -> str | None:
    """The sentence of an outcome's reason, or of the outcome where it has none."""
    return RULES.get(reason or outcome)
