"""The result of a request: a closed list of outcomes and of the reasons behind them. No I/O here."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from restarter.model.task import Counters


class SweepCounts(NamedTuple):
    """What a sweep found; the receipt uses the same names."""

    seen: int = 0
    """Failed tasks in the list, each counted once."""
    too_old: int = 0
    """Tasks that failed longer ago than RESTART_SWEEP_AGE."""
    not_ours: int = 0
    """Tasks whose names do not begin with RESTART_SWEEP_PREFIX."""
    started: int = 0
    held_back: int = 0
    """Candidates that were handled and not started, or whose start is not confirmed; all if outside RESTART_HOURS."""
    left: int = 0
    """Candidates that were not reached."""


class Kind(StrEnum):
    """The outcomes: a closed list. `reporting.outcomes` has a row for each."""

    STARTED = "started"
    WOULD_START = "would_start"
    ALREADY_RUNNING = "already_running"
    NOTHING_TO_DO = "nothing_to_do"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    SWEPT = "swept"
    REFUSED = "refused"
    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    CONTENT_TOO_LARGE = "content_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    UNAVAILABLE = "unavailable"
    UNCONFIRMED = "unconfirmed"


class Reason(StrEnum):
    """Why an outcome is what it is: a closed list of words. `reporting.reasons` has a row for each.

    Receipts and replies show the word as `reason`. A delivery that is wrong has a `fault` instead, which is a text.
    """

    # From the rules in `decide`.
    DISABLED = "disabled"
    STALE_EVENT = "stale_event"
    IN_PROGRESS = "in_progress"
    OUTSIDE_HOURS = "outside_hours"
    PAUSING = "pausing"
    UNKNOWN_STATUS = "unknown_status"
    PAUSED = "paused"
    SYNC_TASK = "sync_task"
    GROUP_UNKNOWN = "group_unknown"
    STARTED_SINCE = "started_since"
    ARCHIVE_RESTORE = "archive_restore"
    FULL_OVERWRITE = "full_overwrite"
    PERMANENT_FAILURE = "permanent_failure"
    BUDGET_EXHAUSTED = "budget_exhausted"
    STORAGE_KEY = "storage_key"
    BACKOFF = "backoff"
    GROUP_RUNNING = "group_running"
    PAUSED_GROUP = "paused_group"
    TEMPORARY_KEYS = "temporary_keys"

    # From OMS, IAM or the network.
    NO_SUCH_TASK = "no_such_task"
    NO_SUCH_GROUP = "no_such_group"
    AMBIGUOUS_TASK_NAME = "ambiguous_task_name"
    WRONG_TASK = "wrong_task"
    OMS_KEY = "credentials"
    GROUP_PERMISSION = "group_permission"
    REFUSED_BY_OMS = "refused_by_oms"
    REDIRECT = "redirect"
    THROTTLED = "throttled"
    OMS_ERROR = "oms_error"
    UNREADABLE = "unreadable_answer"
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # not a token
    NO_KEY_FOR_OMS = "no_key_for_oms"
    IAM = "iam"
    NO_CONNECTION = "no_connection"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    DEADLINE = "deadline"
    OFFLINE = "offline"

    # From the function itself.
    LEDGER = "ledger"
    BUSY = "busy"
    ANOTHER_TASK = "another_task"
    CREDENTIALS_CHANGED = "credentials_changed"
    SWEEP_OFF = "sweep_off"
    MORE_PAGES = "more_pages"
    LIST = "list"
    SUBSCRIPTION = "subscription"
    SUBSCRIPTION_CONFIRMED = "subscription_confirmed"

    # Why a delivery, or a part of it, is ignored.
    TASK_SUCCEEDED = "task_succeeded"
    EVENT_TYPE = "event_type"
    DEAD_LETTER = "dead_letter"
    EMPTY_BATCH = "empty_batch"
    ALERT_RESOLVED = "alert_resolved"
    ALERT_WITHOUT_TASK = "alert_without_task"
    SMN_TYPE = "smn_type"
    SUBSCRIPTION_NOT_SIGNED = "subscription_not_signed"
    TIMER = "timer"
    CTS_TRACE = "cts_trace"
    OBS_OBJECT = "obs_object"
    FUNCTION_RESULT = "function_result"


class Outcome(NamedTuple):
    """The result of a request: its kind, the reason, and what is known about the task."""

    kind: Kind
    reason: Reason | None = None
    fault: str | None = None
    """What is wrong with the delivery, instead of a reason: a text that names a field and never its value."""
    retry_after: int | None = None
    """Seconds after which a redelivery makes sense."""
    opens_at: datetime | None = None
    """Outside RESTART_HOURS: when they begin next, in their time zone."""
    task_id: str | None = None
    task_name: str | None = None
    group_id: str | None = None
    """The task group that decided in place of the task."""
    migrate_failed_object: bool | None = None
    failure_reason: str | None = None
    """A TRF code: why the task or its group failed."""
    failed_objects: int | None = None
    failed_objects_list: str | None = None
    start_called: bool = False
    oms_status: int | None = None
    """HTTP status of the OMS response that decided."""
    oms_error_code: str | None = None
    oms_request_id: str | None = None
    counts: SweepCounts | None = None
    """Only for a sweep."""
    attempt: int | None = None
    """The number of this restart among those that count in the task's budget."""
    progress: Counters | None = None
    """What the task has moved since its last restart."""
    restarts: int | None = None
    """How many restarts count, if the budget is used up."""
    repeated: bool = False
    """The same outcome was already reported within the budget's window; the receipt is INFO instead of ERROR."""
