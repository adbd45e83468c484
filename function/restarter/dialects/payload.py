"""The RestartRequest inside a delivery: bounds, refusals and defaults are the same in every dialect. No I/O here."""

import re
from typing import Any

from pydantic import ValidationError

from restarter.dialects.envelope import Configured
from restarter.errors import Malformed
from restarter.model import RestartRequest

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


def read_request(document: Any, configured: Configured, *, direct: bool = False) -> RestartRequest:
    """The request in an object; unknown fields are refused in a direct call and passed over in an event."""
    if not isinstance(document, dict):
        raise Malformed("request: must be a JSON object")
    refuse_secrets(document)
    unset = {name for name in FIELDS if document.get(name) is None}
    try:
        request = RestartRequest.model_validate(
            {name: value for name, value in document.items() if name not in unset and (direct or name in FIELDS)}
        )
    except ValidationError as error:
        raise Malformed("; ".join(_faults(error))) from None
    if request.project_id is not None and request.project_id not in configured.projects:
        raise Malformed("project_id: not a configured project")
    if request.credentials not in configured.profiles:
        raise Malformed(f"credentials: no such profile; there are {', '.join(sorted(configured.profiles))}")
    return request


def refuse_secrets(document: Any) -> None:
    """Credentials never travel in an event, at whatever depth somebody put them."""
    if isinstance(document, list):
        for item in document:
            refuse_secrets(item)
    elif isinstance(document, dict):
        for name, value in document.items():
            if re.sub(r"[^a-z]", "", name.lower()) in SECRET_FIELDS:
                raise Malformed(f"{_shown(name)}: credentials never travel in a delivery")
            refuse_secrets(value)


def says_success(request: RestartRequest) -> bool:
    """The sender's own word for the status is one of success."""
    return (request.task_status or "").strip().lower() in SUCCESS_WORDS


def _faults(error: ValidationError) -> list[str]:
    """Place and kind of each fault, never what was there."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"{_shown(str(fault['loc'][0])) if fault['loc'] else 'request'}: {fault['type']}" for fault in faults]


def _shown(name: str) -> str:
    """A field's name, if it can be one: somebody may have put a key where the name belongs."""
    return name if re.fullmatch(r"[A-Za-z]+([_-]?[A-Za-z]+){0,5}", name) and len(name) <= 40 else "a field"
