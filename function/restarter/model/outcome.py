"""The result of a request: a closed list of outcomes and of the reasons behind them. No I/O here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepCounts:
    """What a sweep found; the names are those of its receipt."""

    seen: int = 0
    """Failed tasks in the list, each counted once."""
    too_old: int = 0
    """Tasks that were started before RESTART_SWEEP_AGE."""
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


class Outcome(NamedTuple):
    """What became of a request; `reason` is text of ours that names a rule or a field."""

    kind: Kind
    reason: str | None = None
    retry_after: int | None = None
    """Seconds after which a redelivery makes sense."""
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
    """Which restart of the task within the window this is."""
    restarts: int | None = None
    """How many restarts were made within the window, where they are as many as the budget allows."""
    repeated: bool = False
    """The same was already reported within the budget's window; the receipt is INFO instead of ERROR."""
