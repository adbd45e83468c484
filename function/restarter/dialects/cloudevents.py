"""CloudEvents 1.0 over HTTP: binary, structured, and a batch (cloudevents/spec, http-protocol-binding.md). No I/O here.

The SDK that comes with the framework is not used for reading: it invents a missing time, leaves binary headers
percent-encoded and parses the body a second time. Where it differs from the specification, the specification wins.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from restarter.dialects.faults import faults_of
from restarter.dialects.parsing import (
    Decoded,
    DecodeOptions,
    ParsedDelivery,
    identifier,
    is_json,
    read_batch,
    read_body,
    timestamp,
)
from restarter.dialects.payload import read_request, unless_succeeded
from restarter.dialects.pubsub import EVENTARC_TYPE, read_push
from restarter.model.errors import Malformed, UnsupportedMediaType
from restarter.model.json_text import read_json
from restarter.model.outcome import Reason
from restarter.model.request import Event, Ignored, Intent

NAME = "cloudevent"
BATCH_NAME = "cloudevents_batch"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
REQUESTED_TYPE = "oms.task.start"
# The attributes that matter here; a fault in any other does not fail an event.
READ_ATTRIBUTES = ("specversion", "id", "source", "type", "time")
# A dead-letter sink adds these (knative.dev, eventing/delivery): such an event is not a new failure.
DEAD_LETTER_ATTRIBUTES = ("knativeerrordest", "knativeerrorcode")
ESCAPED = re.compile(r"\\(.)")


def is_batch(parsed: ParsedDelivery) -> bool:
    """Whether it has the media type of a batch."""
    return parsed.media_type == BATCH


def decode_batch(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One part for each event."""
    return read_batch(parsed.document, lambda event: _read_json(event, options, BATCH_NAME), BATCH_NAME)


def recognises(parsed: ParsedDelivery) -> bool:
    """By media type, by ce- headers, or by its members, as EventGrid (FunctionGraph) and signed webhooks send it."""
    document = parsed.document
    return (
        parsed.media_type == STRUCTURED
        or parsed.is_binary_event
        or (isinstance(document, dict) and {"specversion", "type", "source"} <= document.keys())
        or (isinstance(document, dict) and "specversion" in document and parsed.by_webhook)
    )


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One event, or Ignored. The data of an event of another type is not read, so a fault in it does not matter."""
    if parsed.is_binary_event:
        return [_read(_attributes(parsed.headers), lambda: _binary_data(parsed), options, NAME)]
    return [_read_json(parsed.document, options, NAME)]


def _read_json(event: Any, options: DecodeOptions, dialect: str) -> Decoded:
    """An event in the JSON format: an object with the attributes, and with `data` or `data_base64`."""
    if not isinstance(event, dict):
        raise Malformed("event: must be a JSON object")
    return _read(event, lambda: _data(event), options, dialect)


def _read(attributes: Mapping[str, Any], read_data: Callable[[], Any], options: DecodeOptions, dialect: str) -> Decoded:
    """The event with these attributes. Its data is read only if its type is one of ours."""
    if attributes.get("specversion") != "1.0":
        raise Malformed("specversion: must be 1.0")
    event_id = identifier(attributes.get("id"), "id")
    with faults_of(dialect, event_id):
        source, kind = identifier(attributes.get("source"), "source"), identifier(attributes.get("type"), "type")
        if any(name in attributes for name in DEAD_LETTER_ATTRIBUTES):
            return Ignored(reason=Reason.DEAD_LETTER, dialect=dialect, event_id=event_id)
        if kind == EVENTARC_TYPE:
            return read_push(read_data(), options, event_id, attributes.get("time"))
        if kind != REQUESTED_TYPE and kind not in options.failed_types:
            return Ignored(reason=Reason.EVENT_TYPE, dialect=dialect, event_id=event_id)
        occurred_at = timestamp(attributes["time"], "time") if attributes.get("time") is not None else None
        request = read_request(read_data(), options)
    intent = Intent.REQUESTED if kind == REQUESTED_TYPE else Intent.FAILED
    project_id, identity = options.project_of(request), (NAME, source, event_id)
    return unless_succeeded(Event(request, dialect, intent, project_id, event_id, identity, occurred_at))


def _attributes(headers: Mapping[str, str]) -> Mapping[str, Any]:
    """The attributes in the headers of a binary-mode message, limited to those that matter here."""
    read = {name: _header_value(headers[f"ce-{name}"], name) for name in READ_ATTRIBUTES if f"ce-{name}" in headers}
    return read | {name: "" for name in DEAD_LETTER_ATTRIBUTES if f"ce-{name}" in headers}


def _header_value(value: str, name: str) -> str:
    """«Remove double quotes, then one round of percent-decoding» (http-protocol-binding.md, 3.1.3.2).

    The SDKs of Node and of Python 1.x never encode, so plain UTF-8 is accepted, too.
    """
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = ESCAPED.sub(r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except ValueError:
        raise Malformed(f"ce-{name}: not percent-encoded UTF-8") from None


def _binary_data(parsed: ParsedDelivery) -> Any:
    """The data of a binary-mode message: its body."""
    if not is_json(parsed.media_type):
        raise UnsupportedMediaType("content-type: the data of an event must be JSON")
    return _data({"data": read_body(parsed.authenticated.delivery, parsed.media_type)})


def _data(event: Mapping[str, Any]) -> Any:
    """The event's data: `data`, or the JSON in `data_base64`.

    If it is a string that contains JSON, that JSON: EventGrid's SDK only allows a string as `data`.
    """
    data = event.get("data")
    if "data_base64" in event:
        try:
            data = read_json(b64decode(event["data_base64"], validate=True))
        except (ValueError, TypeError):
            raise Malformed("data_base64: not JSON in base64") from None
    if isinstance(data, str):
        with suppress(ValueError):  # any other string stays one, and is then no valid request
            return read_json(data)
    return data
