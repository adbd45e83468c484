"""The values that flow through the function. Imports nothing of ours; no I/O here but the reading of a clock."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

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


@dataclass(frozen=True, slots=True)
class Proved:
    """A delivery whose caller was proved, and the way in that proved it; made by `callers.prove` alone."""

    delivery: Delivery
    way: str


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of Huawei Cloud; `security_token` belongs to a temporary one."""

    ak: SecretStr
    sk: SecretStr
    security_token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class AuthToken:
    """An IAM token of a project."""

    token: SecretStr


@dataclass(frozen=True, slots=True)
class Visit:
    """One delivery in time: when it came, and by when it must be answered (monotonic seconds)."""

    came_at: datetime
    began: float
    ends: float
    agency: AccessKey | None = None
    """A temporary key that the platform handed over with this delivery."""

    def left_now(self) -> float:
        """Seconds until the answer must be out."""
        return self.ends - time.monotonic()


class Intent(StrEnum):
    """What a delivery says: the task failed (an event), or somebody wants it started (a request)."""

    FAILED = "failed"
    REQUESTED = "requested"


def _digits(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("task_id_type", "must be an integer or a string of digits")
    text = value if isinstance(value, str) else str(value) if 0 <= value < 10**15 else ""
    if not re.fullmatch(r"[0-9]{1,15}", text):
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


class RestartRequest(BaseModel):
    """What a caller asks for. Exactly one of `task_id` and `task_name`; credentials never travel in here."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    task_id: TaskId | None = Field(None, description="OMS task id: an integer or digits, 1 to 15 of them.")
    task_name: str | None = Field(None, min_length=1, max_length=1024, description="Exact OMS task name.")
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
    def _one_task(self) -> Self:
        if (self.task_id is None) == (self.task_name is None):
            raise PydanticCustomError("exactly_one_of_task_id_and_task_name", "exactly one must be given")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One request for one task, with what its envelope says about it."""

    request: RestartRequest
    dialect: str
    intent: Intent
    project_id: str
    event_id: str | None = None
    """The id as the sender writes it, for the receipt."""
    identity: tuple[str, ...] | None = None
    """What makes the event unique among all senders; None when the sender gave no id: ids are never made up."""
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Something that is no request for a restart, and why."""

    reason: str
    dialect: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What OMS says about a task (ShowTask, ListTasks), as far as it matters for a restart."""

    id: str
    name: str | None
    status: int | None
    group_type: str | None = None
    group_id: str | None = None
    task_type: str | None = None
    failure_reason: str | None = None
    enable_restore: bool = False
    failed_objects_listed: bool = False
    """OMS has a list of the failed objects from which they can be sent again."""


@dataclass(frozen=True, slots=True)
class Start:
    """The decision to start a task, and how."""

    task_id: str
    migrate_failed_object: bool
    source_keys: bool = True
    """False for tasks from a URL list: these take no keys of a source."""


class Kind(StrEnum):
    """How a request ended: a closed list; `reply` and `receipt` match all of it."""

    STARTED = "started"
    WOULD_START = "would_start"
    ALREADY_RUNNING = "already_running"
    NOTHING_TO_DO = "nothing_to_do"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    REFUSED = "refused"
    MALFORMED = "malformed"
    CALLER_NOT_PROVED = "caller_not_proved"
    TOO_LARGE = "too_large"
    NOT_UNDERSTOOD = "not_understood"
    WRONG_METHOD = "wrong_method"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    UNAVAILABLE = "unavailable"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended and what it took; `reason` is text of ours that names a rule or a field."""

    kind: Kind
    reason: str | None = None
    retry_after: int | None = None
    """Seconds after which a redelivery makes sense."""
    task_id: str | None = None
    task_name: str | None = None
    migrate_failed_object: bool | None = None
    start_called: bool = False
    oms_status: int | None = None
    """HTTP status of the OMS answer that decided."""
    oms_error_code: str | None = None
    oms_request_id: str | None = None
    attempt: int | None = None
    """Which restart of the task within the window this is."""
    repeated: bool = False
    """The same was said before, to whom it concerns: no need to say it as loudly again."""
