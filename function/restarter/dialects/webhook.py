"""The envelope that Standard Webhooks recommends, `{"type", "timestamp", "data"}`. No I/O here.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure
A signed webhook may also contain a bare request or a structured CloudEvent, which their own dialects read.
"""

from restarter.dialects.cloudevents import REQUESTED_TYPE
from restarter.dialects.faults import faults_of
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, timestamp
from restarter.dialects.payload import read_request, unless_succeeded
from restarter.model.outcome import Reason
from restarter.model.request import Event, Ignored, Intent

NAME = "webhook"


def recognises(parsed: ParsedDelivery) -> bool:
    """Whether it has the header webhook-id, and `type` and `data`, which no request has."""
    document = parsed.document
    return "webhook-id" in parsed.headers and isinstance(document, dict) and {"type", "data"} <= document.keys()


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One event, or Ignored. Its id is the header webhook-id."""
    event_id = identifier(parsed.headers["webhook-id"], "webhook-id")
    with faults_of(NAME, event_id):
        return [_read(parsed.document, event_id, options)]


def _read(document: dict[str, object], event_id: str, options: DecodeOptions) -> Decoded:
    kind = identifier(document["type"], "type")
    if kind != REQUESTED_TYPE and kind not in options.failed_types:
        return Ignored(reason=Reason.EVENT_TYPE, dialect=NAME, event_id=event_id)
    stated = document.get("timestamp")
    occurred_at = timestamp(stated, "timestamp") if stated is not None else None
    request = read_request(document["data"], options)
    intent = Intent.REQUESTED if kind == REQUESTED_TYPE else Intent.FAILED
    project_id, identity = options.project_of(request), (NAME, event_id)
    return unless_succeeded(Event(request, NAME, intent, project_id, event_id, identity, occurred_at))
