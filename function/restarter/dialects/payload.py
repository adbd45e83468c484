"""The RestartRequest inside a delivery: bounds, refusals and defaults are the same in every dialect. No I/O here."""

import re
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from restarter.dialects.parsing import DecodeOptions
from restarter.model.errors import Malformed
from restarter.model.outcome import Reason
from restarter.model.request import DirectRequest, Event, Ignored, Intent, RestartRequest

Request = TypeVar("Request", bound=RestartRequest)

# Secrets of the start-task body (StartTaskReq), without underscores and in lower case, so that srcAk is one too.
SECRET_FIELDS = frozenset(
    {
        b"srcak",
        b"srcsk",
        b"srcsecuritytoken",
        b"connectionstring",
        b"jsonauthfile",
        b"dstak",
        b"dstsk",
        b"dstsecuritytoken",
        b"sourcecdnauthenticationkey",
    }
)
NOT_LETTERS = bytes(byte for byte in range(256) if not ord("a") <= byte <= ord("z"))
TARGET_FIELDS = ("task_id", "task_name", "group_id", "sweep")
MAX_FAULTS = 10
MAX_SHOWN_NAME = 40
FIELD_NAME = re.compile(r"[A-Za-z]+([_-][A-Za-z]+){0,5}")

# How senders word success; OMS's own number for it is 5 (ShowTask, status).
SUCCESS_WORDS = frozenset({"success", "succeeded", "successful", "complete", "completed", "5", "成功", "迁移成功"})


def read_request(document: Any, options: DecodeOptions) -> RestartRequest:
    """The request in an event's data, where unknown fields are passed over.

    Raises:
        Malformed: A field breaks its rule; the error names fields and kinds, never values.
    """
    return _read(RestartRequest, document, options)


def read_direct_request(document: Any, options: DecodeOptions) -> DirectRequest:
    """The request of a direct call, where unknown fields are malformed.

    Raises:
        Malformed: A field breaks its rule or is unknown; the error names fields and kinds, never values.
    """
    return _read(DirectRequest, document, options, only_known=True)


def _read(model: type[Request], document: Any, options: DecodeOptions, *, only_known: bool = False) -> Request:
    if not isinstance(document, dict):
        raise Malformed("request: must be a JSON object")
    refuse_secrets(document)
    fields = model.model_fields
    known = {name: document[name] for name in fields if document.get(name) is not None}
    unknown = [name for name in document if name not in fields] if only_known else []
    try:
        request = model.model_validate(known)
    except ValidationError as error:
        raise Malformed(_faults(error, unknown)) from None
    if unknown:
        raise Malformed(_faults(None, unknown))
    if request.project_id is not None and request.project_id not in options.projects:
        raise Malformed("project_id: not a configured project")
    if request.credentials not in options.profiles:
        raise Malformed("credentials: not a configured profile")
    return request


class EventAttributes(NamedTuple):
    """What the envelope of a request says about it; `project_id` is set where the envelope decides the project."""

    dialect: str
    intent: Intent
    event_id: str | None
    identity: tuple[str, ...] | None
    """What makes the event unique within its dialect; `decode` adds who authenticated the delivery."""
    occurred_at: datetime | None = None
    project_id: str | None = None


def to_event(request: RestartRequest, attributes: EventAttributes, options: DecodeOptions) -> Event | Ignored:
    """The event around a request; ignored where the sender says that the task succeeded."""
    if says_success(request):
        return Ignored(reason=Reason.TASK_SUCCEEDED, dialect=attributes.dialect, event_id=attributes.event_id)
    return Event(
        request=request,
        dialect=attributes.dialect,
        intent=attributes.intent,
        project_id=attributes.project_id or request.project_id or options.default_project,
        event_id=attributes.event_id,
        identity=attributes.identity,
        occurred_at=attributes.occurred_at,
    )


def refuse_secrets(document: Any) -> None:
    """Check that no member at any depth is named like a secret of the start-task body.

    Raises:
        Malformed: One is.
    """
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            for name in value:
                if name.lower().encode("ascii", "ignore").translate(None, NOT_LETTERS) in SECRET_FIELDS:
                    raise Malformed(f"{shown(name)}: credentials never travel in a delivery")
            pending += value.values()


def says_success(request: RestartRequest) -> bool:
    """Whether `task_status` is a word for success."""
    return (request.task_status or "").strip().lower() in SUCCESS_WORDS


def shown(name: str) -> str:
    """A field's name, if it looks like one: a sender may have put a key in its place."""
    return name if len(name) <= MAX_SHOWN_NAME and FIELD_NAME.fullmatch(name) else "a field"


def _faults(error: ValidationError | None, unknown: list[str]) -> str:
    """Place and kind of each fault, never the value; of more than MAX_FAULTS the others are counted."""
    errors = error.errors(include_url=False, include_input=False, include_context=False) if error else []
    places = [(str(one["loc"][0]) if one["loc"] else "request", one["type"]) for one in errors]
    named = [*places, *((name, "extra_forbidden") for name in unknown[:MAX_FAULTS])][:MAX_FAULTS]
    rest = len(errors) + len(unknown) - len(named)
    return "; ".join(f"{shown(name)}: {kind}" for name, kind in named) + (f"; and {rest} more" if rest else "")
