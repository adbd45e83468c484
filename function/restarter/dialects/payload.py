"""The RestartRequest inside a delivery: bounds, refusals and defaults are the same in every dialect. No I/O here."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from restarter.dialects.parsing import DecodeOptions
from restarter.errors import Malformed
from restarter.model import Event, Ignored, Intent, RestartRequest

# Secrets of the start-task body (StartTaskReq), without underscores and in lower case, so that srcAk is one too.
SECRET_FIELDS = frozenset(
    {
        "srcak",
        "srcsk",
        "srcsecuritytoken",
        "connectionstring",
        "jsonauthfile",
        "dstak",
        "dstsk",
        "dstsecuritytoken",
        "sourcecdnauthenticationkey",
    }
)

FIELDS = frozenset(RestartRequest.model_fields)

# How senders word success; OMS's own number for it is 5 (ShowTask, status).
SUCCESS_WORDS = frozenset({"success", "succeeded", "successful", "complete", "completed", "5", "成功", "迁移成功"})


def read_request(document: Any, options: DecodeOptions, *, direct: bool = False) -> RestartRequest:
    """The request in an object. Unknown fields are malformed in a direct call and passed over in an event.

    Raises:
        Malformed: A field breaks its rule; the error names fields and kinds, never values.
    """
    if not isinstance(document, dict):
        raise Malformed("request: must be a JSON object")
    refuse_secrets(document)
    unset = {name for name in FIELDS if document.get(name) is None}
    try:
        request = RestartRequest.model_validate(
            {name: value for name, value in document.items() if name not in unset and (direct or name in FIELDS)}
        )
    except ValidationError as error:
        raise Malformed("; ".join(_messages(error))) from None
    if request.project_id is not None and request.project_id not in options.projects:
        raise Malformed("project_id: not a configured project")
    if request.credentials not in options.profiles:
        raise Malformed(f"credentials: no such profile; there are {', '.join(sorted(options.profiles))}")
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAttributes:
    """What the envelope of a request says about it; `project_id` is set where the envelope decides the project."""

    dialect: str
    intent: Intent
    event_id: str | None
    identity: tuple[str, ...] | None
    occurred_at: datetime | None = None
    project_id: str | None = None


def to_event(request: RestartRequest, attributes: EventAttributes, options: DecodeOptions) -> Event | Ignored:
    """The event around a request; ignored where the sender says that the task succeeded."""
    if says_success(request):
        return Ignored(reason="task_succeeded", dialect=attributes.dialect, event_id=attributes.event_id)
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
    if isinstance(document, list):
        for item in document:
            refuse_secrets(item)
    elif isinstance(document, dict):
        for name, value in document.items():
            if re.sub(r"[^a-z]", "", name.lower()) in SECRET_FIELDS:
                raise Malformed(f"{_shown(name)}: credentials never travel in a delivery")
            refuse_secrets(value)


def says_success(request: RestartRequest) -> bool:
    """Whether `task_status` is a word for success."""
    return (request.task_status or "").strip().lower() in SUCCESS_WORDS


def _messages(error: ValidationError) -> list[str]:
    """Place and kind of each error, never the value."""
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"{_shown(str(one['loc'][0])) if one['loc'] else 'request'}: {one['type']}" for one in errors]


def _shown(name: str) -> str:
    """A field's name, if it looks like one: a sender may have put a key in its place."""
    return name if re.fullmatch(r"[A-Za-z]+([_-]?[A-Za-z]+){0,5}", name) and len(name) <= 40 else "a field"
