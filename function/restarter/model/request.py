"""What a caller asks for: the request as its schema, and the event around it. No I/O here."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from restarter.model.outcome import Reason
from restarter.model.text import Text


class Intent(StrEnum):
    """What a delivery says: a task failed (an event), or somebody requests a start."""

    FAILED = "failed"
    REQUESTED = "requested"


TARGET_FIELDS = ("task_id", "task_name", "group_id", "sweep")
# Fields that may accompany `sweep`.
SWEEP_FIELDS = ("project_id", "credentials", "reason")
# What a caller is told about a field that breaks its rule. The field's name comes before it; its value is not quoted.
FIELD_RULES = {
    "task_id": "must be 1 to 15 digits",
    "task_name": "must be a string of 1 to 1024 characters",
    "group_id": "must be a string of 1 to 255 letters, digits, - and _",
    "sweep": "must be true",
    "project_id": "must be a string of 1 to 1024 characters",
    "task_status": "must be a string of at most 256 characters",
    "migrate_failed_object": "must be true or false",
    "credentials": "must be the name of a profile: 1 to 63 of a-z, 0-9, - and _, the first a letter or a digit",
    "reason": "must be a string of at most 256 characters",
    "intent": "must be failed or requested",
    "id": "must be a string of 1 to 1024 characters, none of them a control character",
}
TASK_ID = re.compile(r"[0-9]{1,15}").fullmatch


def _digits(value: Any) -> Any:
    text = value if isinstance(value, str) else ""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15:
        text = str(value)
    if not TASK_ID(text):
        raise PydanticCustomError("task_id", FIELD_RULES["task_id"])
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
    if value is not True:  # in Python 1 == True
        raise PydanticCustomError("sweep", FIELD_RULES["sweep"])
    return value


class RestartRequest(BaseModel):
    """What a caller asks for: exactly one of `task_id`, `task_name`, `group_id`, `sweep`. It holds no credentials."""

    # Built when the first request is read, so that start-up need not wait for it.
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
        if len([name for name in TARGET_FIELDS if getattr(self, name) is not None]) != 1:
            raise PydanticCustomError("targets", f"give exactly one of {', '.join(TARGET_FIELDS)}")
        if not self.sweep:
            return self
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        if given - {"sweep", *SWEEP_FIELDS}:
            raise PydanticCustomError("sweep", f"sweep: only {', '.join(SWEEP_FIELDS)} may stand beside it")
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
    """What makes the event unique among all senders; None if the sender gave no id. Ids are never invented."""
    occurred_at: datetime | None = None
    vendor_time: bool = False
    """`occurred_at` is SMN's own time, so it can be compared with the times of OMS."""
    from_sweep: bool = False
    """A sweep found the task; nobody sent an event about it."""
    notice: Text | None = None
    """Why OMS sent no notice; only for what a sweep found."""


class Ignored(NamedTuple):
    """A delivery, or a part of one, that does not ask for a restart, and why."""

    reason: Reason
    dialect: str
    event_id: str | None = None


def target_of(facts: Mapping[str, Any]) -> tuple[str, str] | None:
    """The target in the facts of a receipt, as field and value: a group, else a task by id, else a task by name."""
    for name in ("group_id", "task_id", "task_name"):
        if facts.get(name):
            return name, str(facts[name])
    return None
