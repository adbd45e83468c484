"""CloudEvents 1.0 over HTTP, binary and structured (cloudevents/spec, http-protocol-binding.md). No I/O here.

The SDK that comes with the framework is not used for reading: it makes up a missing time, leaves binary headers
percent-encoded and parses the body a second time. Where it differs from the specification, the specification wins.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from restarter.dialects.envelope import Configured, Envelope, Part, identifier, is_json, read_json, timestamp
from restarter.dialects.payload import read_request, says_success
from restarter.dialects.pubsub import EVENTARC_TYPE, read_push
from restarter.errors import Malformed, NotUnderstood
from restarter.model import Event, Ignored, Intent

NAME = "cloudevent"
STRUCTURED = "application/cloudevents+json"
REQUESTED_TYPE = "oms.task.start"


def recognises(envelope: Envelope) -> bool:
    """By media type, by ce- headers, or bare as EventGrid hands it to FunctionGraph, whose type is not documented."""
    document = envelope.document
    return (
        envelope.delivery.media_type == STRUCTURED
        or any(name.startswith("ce-") for name in envelope.delivery.headers)
        or (isinstance(document, dict) and {"specversion", "type", "source"} <= document.keys())
    )


def decode(envelope: Envelope, configured: Configured) -> list[Part]:
    """One event, or nothing for us."""
    headers = envelope.delivery.headers
    binary = envelope.delivery.media_type != STRUCTURED and any(name.startswith("ce-") for name in headers)
    return [read_event(_binary(envelope) if binary else envelope.document, configured)]


def read_event(event: Any, configured: Configured, dialect: str = NAME) -> Part:
    """An event in the JSON format: an object with the attributes, and with `data` or `data_base64`."""
    if not isinstance(event, dict) or event.get("specversion") != "1.0":
        raise Malformed("specversion: must be 1.0", dialect=dialect)
    try:
        event_id = identifier(event.get("id"), "id")
    except Malformed as error:
        raise Malformed(error.reason, dialect=dialect) from None
    try:
        return _read_identified(event, event_id, configured, dialect)
    except Malformed as error:
        raise Malformed(error.reason, dialect=error.dialect or dialect, event_id=error.event_id or event_id) from None


def _read_identified(event: Mapping[str, Any], event_id: str, configured: Configured, dialect: str) -> Part:
    source, kind = identifier(event.get("source"), "source"), identifier(event.get("type"), "type")
    if "knativeerrordest" in event or "knativeerrorcode" in event:  # handed over by a dead-letter sink: no new failure
        return Ignored(reason="dead_letter", dialect=dialect, event_id=event_id)
    if kind == EVENTARC_TYPE:
        return read_push(_data(event), configured, otherwise=event_id)
    if kind != REQUESTED_TYPE and kind not in configured.failed_types:
        return Ignored(reason="event_type", dialect=dialect, event_id=event_id)
    occurred_at = timestamp(event["time"], "time") if event.get("time") is not None else None
    request = read_request(_data(event), configured)
    if says_success(request):
        return Ignored(reason="task_succeeded", dialect=dialect, event_id=event_id)
    return Event(
        request=request,
        dialect=dialect,
        intent=Intent.REQUESTED if kind == REQUESTED_TYPE else Intent.FAILED,
        project_id=request.project_id or configured.default_project,
        event_id=event_id,
        identity=(NAME, source, event_id),
        occurred_at=occurred_at,
    )


def _binary(envelope: Envelope) -> Mapping[str, Any]:
    """The event of a binary-mode message: attributes from its headers, data from its body."""
    if not is_json(envelope.delivery.media_type):
        raise NotUnderstood("content-type: the data of an event must be JSON", dialect=NAME)
    attributes: dict[str, Any] = {
        name.removeprefix("ce-"): _header_value(value, name)
        for name, value in envelope.delivery.headers.items()
        if name.startswith("ce-")
    }
    return attributes | {"data": envelope.document}


def _header_value(value: str, name: str) -> str:
    """«Remove double quotes, then one round of percent-decoding» (http-protocol-binding.md, 3.1.3.2)."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except ValueError:
        raise Malformed(f"{name}: not percent-encoded UTF-8", dialect=NAME) from None


def _data(event: Mapping[str, Any]) -> Any:
    """The event's data as JSON: `data` as it is, or what `data_base64` holds."""
    if "data_base64" not in event:
        return event.get("data")
    try:
        return read_json(b64decode(event["data_base64"], validate=True))
    except (ValueError, TypeError):
        raise Malformed("data_base64: not JSON in base64") from None
