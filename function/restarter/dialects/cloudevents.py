"""CloudEvents 1.0 over HTTP, binary and structured (cloudevents/spec, http-protocol-binding.md). No I/O here.

The SDK that comes with the framework is not used for reading: it makes up a missing time, leaves binary headers
percent-encoded and parses the body a second time. Where it differs from the specification, the specification wins.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, is_json, read_json, timestamp
from restarter.dialects.payload import EventAttributes, read_request, to_event
from restarter.dialects.pubsub import EVENTARC_TYPE, read_push
from restarter.model.errors import Malformed, UnsupportedMediaType
from restarter.model.outcome import Reason
from restarter.model.request import Ignored, Intent

NAME = "cloudevent"
STRUCTURED = "application/cloudevents+json"
REQUESTED_TYPE = "oms.task.start"
# The attributes that decide something; what is wrong with any other refuses no event.
READ_ATTRIBUTES = ("specversion", "id", "source", "type", "time")
# A dead-letter sink adds these (knative.dev, eventing/delivery): what it hands over is no new failure.
DEAD_LETTER_ATTRIBUTES = ("knativeerrordest", "knativeerrorcode")
ESCAPED = re.compile(r"\\(.)")


def recognises(parsed: ParsedDelivery) -> bool:
    """By media type, by ce- headers, or bare: so EventGrid hands it to FunctionGraph, and so a webhook is signed."""
    document = parsed.document
    return (
        parsed.media_type == STRUCTURED
        or any(name.startswith("ce-") for name in parsed.delivery.headers)
        or (isinstance(document, dict) and {"specversion", "type", "source"} <= document.keys())
        or (isinstance(document, dict) and "specversion" in document and parsed.by_webhook)
    )


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One event, or nothing for us."""
    headers = parsed.delivery.headers
    binary = parsed.media_type != STRUCTURED and any(name.startswith("ce-") for name in headers)
    return [read_event(_binary(parsed) if binary else parsed.document, options)]


def read_event(event: Any, options: DecodeOptions, dialect: str = NAME) -> Decoded:
    """An event in the JSON format: an object with the attributes, and with `data` or `data_base64`."""
    if not isinstance(event, dict) or event.get("specversion") != "1.0":
        raise Malformed("specversion: must be 1.0", dialect=dialect)
    try:
        event_id = identifier(event.get("id"), "id")
    except Malformed as error:
        raise Malformed(error.reason, dialect=dialect) from None
    try:
        return _read_identified(event, event_id, options, dialect)
    except Malformed as error:
        raise Malformed(error.reason, dialect=error.dialect or dialect, event_id=error.event_id or event_id) from None


def _read_identified(event: Mapping[str, Any], event_id: str, options: DecodeOptions, dialect: str) -> Decoded:
    source, kind = identifier(event.get("source"), "source"), identifier(event.get("type"), "type")
    if any(name in event for name in DEAD_LETTER_ATTRIBUTES):
        return Ignored(reason=Reason.DEAD_LETTER, dialect=dialect, event_id=event_id)
    if kind == EVENTARC_TYPE:
        return read_push(_data(event), options, otherwise=event_id)
    if kind != REQUESTED_TYPE and kind not in options.failed_types:
        return Ignored(reason=Reason.EVENT_TYPE, dialect=dialect, event_id=event_id)
    occurred_at = timestamp(event["time"], "time") if event.get("time") is not None else None
    request = read_request(_data(event), options)
    attributes = EventAttributes(
        dialect=dialect,
        intent=Intent.REQUESTED if kind == REQUESTED_TYPE else Intent.FAILED,
        event_id=event_id,
        identity=(NAME, source, event_id),
        occurred_at=occurred_at,
    )
    return to_event(request, attributes, options)


def _binary(parsed: ParsedDelivery) -> Mapping[str, Any]:
    """The event of a binary-mode message: attributes from its headers, data from its body."""
    if not is_json(parsed.media_type):
        raise UnsupportedMediaType("content-type: the data of an event must be JSON", dialect=NAME)
    headers = parsed.delivery.headers
    read = {name: _header_value(headers[f"ce-{name}"], name) for name in READ_ATTRIBUTES if f"ce-{name}" in headers}
    present = {name: "" for name in DEAD_LETTER_ATTRIBUTES if f"ce-{name}" in headers}
    return {**read, **present, "data": parsed.document}


def _header_value(value: str, name: str) -> str:
    """«Remove double quotes, then one round of percent-decoding» (http-protocol-binding.md, 3.1.3.2).

    The SDKs of Node and of Python 1.x never encode, so plain UTF-8 is taken as it is.
    """
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = ESCAPED.sub(r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except ValueError:
        raise Malformed(f"ce-{name}: not percent-encoded UTF-8", dialect=NAME) from None


def _data(event: Mapping[str, Any]) -> Any:
    """The event's data as JSON: `data` or what `data_base64` holds.

    A string of JSON counts as that JSON: EventGrid's SDK has no other type for `data`.
    """
    data = event.get("data")
    if "data_base64" in event:
        try:
            data = read_json(b64decode(event["data_base64"], validate=True))
        except (ValueError, TypeError):
            raise Malformed("data_base64: not JSON in base64") from None
    if isinstance(data, str):
        with suppress(ValueError):  # what is no JSON stays a string, which no request is
            return read_json(data)
    return data
