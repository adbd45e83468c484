"""The result of a request: a closed list of outcomes and of the reasons behind them. No I/O here."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from restarter.model.task import Counters


class SweepCounts(NamedTuple):
    """What a sweep found; the names are those of its receipt."""

    seen: int = 0
    """Failed tasks in the list, each counted once."""
    too_old: int = 0
    """Tasks that failed before RESTART_SWEEP_AGE."""
    not_ours: int = 0
    """Tasks whose names do not begin with RESTART_SWEEP_PREFIX."""
    started: int = 0
    held_back: int = 0
    """Candidates that were looked at and not started."""
    left: int = 0
    """Candidates that were not reached."""


class Kind(StrEnum):
    """The outcomes: a closed list, matched completely by `reply` and `receipt`."""

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

    Receipts and replies show the word as `reason`. What is wrong with a delivery is no reason but a fault: a text.
    """

    # What the rules of `decide` say.
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

    # What OMS, IAM or the network answers.
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
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # a word, no token
    NO_KEY_FOR_OMS = "no_key_for_oms"
    IAM = "iam"
    NO_CONNECTION = "no_connection"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    DEADLINE = "deadline"
    OFFLINE = "offline"

    # What the function itself finds.
    LEDGER = "ledger"
    BUSY = "busy"
    ANOTHER_TASK = "another_task"
    CREDENTIALS_CHANGED = "credentials_changed"
    SWEEP_OFF = "sweep_off"
    MORE_PAGES = "more_pages"
    LIST = "list"
    SUBSCRIPTION = "subscription"
    SUBSCRIPTION_CONFIRMED = "subscription_confirmed"

    # Why a delivery, or a part of it, asks for nothing.
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
    """The result of a request: its kind, why, and what is known of the task."""

    kind: Kind
    reason: Reason | None = None
    fault: str | None = None
    """What is wrong with the delivery, in place of a reason: text that names a field and never its value."""
    retry_after: int | None = None
    """Seconds after which a redelivery makes sense."""
    opens_at: datetime | None = None
    """Outside RESTART_HOURS: when the next of them begins, in their time zone."""
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
    """HTTP status of the OMS answer that decided."""
    oms_error_code: str | None = None
    oms_request_id: str | None = None
    counts: SweepCounts | None = None
    """Of a sweep alone."""
    attempt: int | None = None
    """Which restart of the task this is, of those that count in its budget."""
    progress: Counters | None = None
    """What the task has moved since its last restart."""
    restarts: int | None = None
    """How many restarts count, where they are as many as the budget allows."""
    repeated: bool = False
    """The same was already reported within the budget's window; the receipt is INFO instead of ERROR."""
