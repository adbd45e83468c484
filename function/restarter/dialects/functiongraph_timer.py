"""FunctionGraph's TIMER whose `user_event` is a RestartRequest; any other timer is none of ours. No I/O here.

https://support.huaweicloud.com/intl/en-us/devg-functiongraph/functiongraph_02_0102.html
"""

from typing import Any

from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, read_json, timestamp
from restarter.dialects.payload import TARGET_FIELDS, EventAttributes, read_request, to_event
from restarter.model.errors import Malformed
from restarter.model.request import Intent, RestartRequest

NAME = "functiongraph_timer"


def recognises(parsed: ParsedDelivery) -> bool:
    """A timer with the text of an object that names a task, a group or a sweep."""
    document = parsed.document
    if not isinstance(document, dict) or document.get("trigger_type") != "TIMER":
        return False
    return _user_event(document) is not None


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One failed event. The timer's name and time are the same when FunctionGraph calls the function again."""
    document = parsed.document
    event_id = None
    try:
        trigger = identifier(document.get("trigger_name"), "trigger_name")
        occurred_at = timestamp(document.get("time"), "time")
        event_id = identifier(f"{trigger}/{document['time']}", "trigger_name")
        request = read_request(_user_event(document), options)
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME, event_id=event_id) from None
    project_id = request.project_id or options.default_project
    attributes = EventAttributes(
        dialect=NAME,
        intent=Intent.FAILED,
        event_id=event_id,
        identity=(NAME, trigger, occurred_at.isoformat(), project_id, *_target(request)),
        occurred_at=occurred_at,
    )
    return [to_event(request, attributes, options)]


def _user_event(document: dict[str, Any]) -> dict[str, Any] | None:
    """The request that the operator wrote into the timer, if it is one."""
    text = document.get("user_event")
    try:
        found = read_json(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and any(name in found for name in TARGET_FIELDS) else None


def _target(request: RestartRequest) -> tuple[str, str]:
    """What is to be restarted: the name of the field and its value."""
    name = next(name for name in TARGET_FIELDS if getattr(request, name) is not None)
    return name, str(getattr(request, name))
