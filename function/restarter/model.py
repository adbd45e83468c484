"""The values that flow through the function. Imports nothing of ours; the only I/O here is reading a clock.

All are frozen. Those that each delivery makes anew are named tuples, where nothing in them has to stay out of `repr`:
they cost a fifth of a frozen dataclass to make. Those with many fields are made by keyword.
"""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request, read whole and not yet trusted: header names in lower case, repeated ones joined."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """The Content-Type in lower case and without parameters; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class AuthenticatedDelivery(NamedTuple):
    """A delivery whose caller was authenticated; only `callers.authenticate` makes one.

    `delivery` holds no more than what the authenticator vouches for: of a signed message, the signed fields.
    """

    delivery: Delivery
    authenticated_by: str
    """Name of the authenticator: `bearer`, `webhook`, `smn`, `oidc` or `platform`."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of Huawei Cloud; `security_token` belongs to a temporary one."""

    ak: SecretStr
    sk: SecretStr
    security_token: SecretStr | None = None

    @classmethod
    def lent(cls, *parts: str | None) -> Self | None:
        """The temporary key (access key, secret key, token) that FunctionGraph lends to a function with an agency.

        None where a part is missing, or is `null`, which is what an image gets that has no agency.
        """
        if not all(parts) or "null" in parts:
            return None
        return cls(*(SecretStr(part or "") for part in parts))


@dataclass(frozen=True, slots=True)
class AuthToken:
    """An IAM token of a project."""

    token: SecretStr


class DeliveryContext(NamedTuple):
    """When a delivery was received and by when it must be answered."""

    received_at: datetime
    """UTC."""
    started_at: float
    """Monotonic seconds."""
    deadline: float
    """Monotonic seconds."""
    platform_key: AccessKey | None = None
    """A temporary key that the platform handed over with this delivery."""
    ends_at: float = math.inf
    """The deadline by the wall clock, in seconds since 1970."""

    def remaining(self) -> float:
        """Seconds until the reply must be out: of two clocks, for the monotonic one may stand in a frozen instance."""
        return min(self.deadline - time.monotonic(), self.ends_at - time.time())

    def elapsed(self) -> float:
        """Seconds since the delivery was received."""
        return time.monotonic() - self.started_at


class Intent(StrEnum):
    """What a delivery says: a task failed (an event), or somebody requests a start."""

    FAILED = "failed"
    REQUESTED = "requested"


TASK_ID = re.compile(r"[0-9]{1,15}").fullmatch


def _digits(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("task_id_type", "must be an integer or a string of digits")
    text = value if isinstance(value, str) else str(value) if 0 <= value < 10**15 else ""
    if not TASK_ID(text):
        raise PydanticCustomError("task_id_digits", "must have 1 to 15 ASCII digits")
    return str(int(text))


TaskId = Annotated[
    str,
    BeforeValidator(_digits),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999},
                {"type": "string", "pattern": "^[0-9]{1,15}$"},
            ]
        }
    ),
]


def _true(value: Any) -> Any:
    if value is not True:  # to Python 1 is the same as True
        raise PydanticCustomError("sweep_true", "must be true")
    return value


# What may stand beside `sweep`.
SWEEP_FIELDS = frozenset({"sweep", "project_id", "credentials", "reason"})


class RestartRequest(BaseModel):
    """What a caller asks for: exactly one of `task_id`, `task_name`, `group_id`, `sweep`. It holds no credentials."""

    # Built when the first request is read: start-up need not wait for it.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    task_id: TaskId | None = Field(None, description="OMS task id: an integer or digits, 1 to 15 of them.")
    task_name: str | None = Field(None, min_length=1, max_length=1024, description="Exact OMS task name.")
    group_id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,255}$", description="Id of a task group.")
    sweep: Annotated[Literal[True], BeforeValidator(_true)] | None = Field(
        None, description="true: look for failed tasks and restart them."
    )
    project_id: str | None = Field(
        None, min_length=1, max_length=1024, description="One of the configured projects; the default one if left out."
    )
    task_status: str | None = Field(
        None, max_length=256, description="Status as the sender words it; a word of success makes the event ignored."
    )
    migrate_failed_object: bool | None = Field(
        None, description="true: only the failed objects; false: the whole task; left out: as the settings say."
    )
    credentials: str = Field(
        "default", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Name of a set of storage credentials."
    )
    reason: str | None = Field(None, max_length=256, description="Free text for the receipt.")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        targets = (self.task_id, self.task_name, self.group_id, self.sweep)
        if len([target for target in targets if target is not None]) != 1:
            raise PydanticCustomError("exactly_one_target", "exactly one must be given")
        if self.sweep and {name for name in self.model_fields_set if getattr(self, name) is not None} - SWEEP_FIELDS:
            raise PydanticCustomError("sweep_with_other_fields", "sweep stands alone")
        return self


class DirectRequest(RestartRequest):
    """What a direct call may say besides: no envelope says it for such a call."""

    intent: Literal["failed", "requested"] | None = Field(
        None,
        description="Direct calls only. failed: the task failed, so budget and backoff hold; it needs an id, by the "
        "header Idempotency-Key, by a signed webhook-id or by id. requested, the default: start it.",
    )
    id: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
        description="Direct calls only. Id of the event, where no header gives one; a header must not differ.",
    )


class Event(NamedTuple):
    """One request for one task, with what its envelope says about it."""

    request: RestartRequest
    dialect: str
    intent: Intent
    project_id: str
    event_id: str | None = None
    """The id as the sender writes it, for the receipt."""
    identity: tuple[str, ...] | None = None
    """What makes the event unique among all senders; None when the sender gave no id. Ids are never made up."""
    occurred_at: datetime | None = None
    vendor_time: bool = False
    """`occurred_at` is SMN's own time, so it can be compared with the times of OMS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A delivery, or a part of one, that does not ask for a restart, and why."""

    reason: str
    dialect: str
    event_id: str | None = None


class Task(NamedTuple):
    """What OMS says about a task (ShowTask, ListTasks), as far as it matters for a restart."""

    id: str
    name: str | None
    status: int | None
    group_type: str | None = None
    group_id: str | None = None
    task_type: str | None = None
    failure_reason: str | None = None
    """A TRF code; None where OMS gives none, or something else in its place."""
    enable_restore: bool = False
    failed_objects_listed: bool = False
    """OMS has a list of the failed objects from which they can be sent again."""
    failed_objects: int | None = None
    """How many objects failed."""
    failed_objects_list: str | None = None
    """The key of OMS's list of them in the destination bucket: printable, at most 1024 characters."""
    started_at_ms: int | None = None
    """When OMS started it last, in milliseconds since 1970."""
    ended_at_ms: int | None = None
    """When it ended, as far as OMS tells how long it ran; else as `started_at_ms`."""
    notice_sent: bool | None = None
    """Whether OMS's own SMN notice went out; None where OMS does not say."""


class TaskGroup(NamedTuple):
    """What OMS says about a task group (ShowTaskGroup); the fields it shares with a Task mean the same."""

    id: str
    status: int | None
    task_type: str | None = None
    failure_reason: str | None = None
    enable_restore: bool = False
    failed_objects_listed: bool = False
    failed_objects: int | None = None
    failed_objects_list: str | None = None
    member: Task | None = None
    """The failed task that led to the group; None where the request named the group itself."""


class Start(NamedTuple):
    """The decision to start a task or to retry a task group, and how."""

    target_id: str
    migrate_failed_object: bool
    source_keys: bool = True
    """False for a URL list: its tasks and groups take no keys of a source."""
    of_group: bool = False
    """The target is a task group."""


class Restart(NamedTuple):
    """A restart of a task that the ledger has recorded."""

    age_s: float
    """Seconds since it was reserved; at least 0."""
    own: bool = False
    """An earlier attempt of the asking event made it."""
    under_way: bool = False
    """Reserved, and neither confirmed nor taken back: its delivery is in progress, or its instance died."""
    note: str = ""
    """Text that was kept with it."""


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
