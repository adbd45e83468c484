"""The RestartRequest inside a delivery: bounds, refusals and defaults are the same in every dialect. No I/O here."""

from typing import Any, TypeVar

from pydantic import ValidationError

from restarter.dialects.faults import faults, shown
from restarter.dialects.parsing import DecodeOptions
from restarter.model.errors import Malformed
from restarter.model.outcome import Reason
from restarter.model.request import FIELD_RULES, DirectRequest, Event, Ignored, RestartRequest

Request = TypeVar("Request", bound=RestartRequest)

# Secrets of the start-task body (StartTaskReq), without underscores and in lower case, so that srcAk matches, too.
SECRET_FIELDS = frozenset(
    b"srcak srcsk srcsecuritytoken connectionstring jsonauthfile dstak dstsk dstsecuritytoken "
    b"sourcecdnauthenticationkey".split()
)
NOT_LETTERS = bytes(byte for byte in range(256) if not ord("a") <= byte <= ord("z"))

# How senders word success; OMS's own number for it is 5 (ShowTask, status).
SUCCESS_WORDS = frozenset({"success", "succeeded", "successful", "complete", "completed", "5", "成功", "迁移成功"})


def read_request(document: Any, options: DecodeOptions) -> RestartRequest:
    """The request in an event's data. Unknown fields are ignored.

    Raises:
        Malformed: A field breaks its rule; the error names fields, never values.
    """
    return _read(RestartRequest, document, options)


def read_direct_request(document: Any, options: DecodeOptions) -> DirectRequest:
    """The request of a direct call. An unknown field is a fault.

    Raises:
        Malformed: A field breaks its rule or is unknown; the error names fields, never values.
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
        raise Malformed(faults(error, unknown, FIELD_RULES)) from None
    if unknown:
        raise Malformed(faults(None, unknown, FIELD_RULES))
    if request.project_id is not None and request.project_id not in options.projects:
        raise Malformed("project_id: not a configured project")
    if request.credentials not in options.profiles:
        raise Malformed("credentials: not a configured profile")
    return request


def unless_succeeded(event: Event) -> Event | Ignored:
    """The event, or Ignored if its sender says that the task succeeded."""
    if (event.request.task_status or "").strip().lower() in SUCCESS_WORDS:
        return Ignored(reason=Reason.TASK_SUCCEEDED, dialect=event.dialect, event_id=event.event_id)
    return event


def refuse_secrets(document: Any) -> None:
    """Check that no member at any depth is named like a secret of the start-task body.

    Raises:
        Malformed: A member has such a name.
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
