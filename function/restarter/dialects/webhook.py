"""The envelope that Standard Webhooks recommends, `{"type", "timestamp", "data"}`. No I/O here.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure
Such a delivery may as well hold a bare request or a structured CloudEvent, which their own dialects read.
"""

from restarter.dialects.cloudevents import REQUESTED_TYPE
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, timestamp
from restarter.dialects.payload import EventAttributes, read_request, to_event
from restarter.model.errors import Malformed
from restarter.model.outcome import Reason
from restarter.model.request import Ignored, Intent

NAME = "webhook"


def recognises(parsed: ParsedDelivery) -> bool:
    """Type and data, which no request has, in a delivery with the id of a webhook."""
    document = parsed.document
    return (
        "webhook-id" in parsed.delivery.headers and isinstance(document, dict) and {"type", "data"} <= document.keys()
    )


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One event, or nothing for us; its id is the header webhook-id."""
    event_id = None
    try:
        event_id = identifier(parsed.delivery.headers["webhook-id"], "webhook-id")
        return [_read(parsed, event_id, options)]
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME, event_id=event_id) from None


def _read(parsed: ParsedDelivery, event_id: str, options: DecodeOptions) -> Decoded:
    document = parsed.document
    kind = identifier(document["type"], "type")
    if kind != REQUESTED_TYPE and kind not in options.failed_types:
        return Ignored(reason=Reason.EVENT_TYPE, dialect=NAME, event_id=event_id)
    stated = document.get("timestamp")
    attributes = EventAttributes(
        dialect=NAME,
        intent=Intent.REQUESTED if kind == REQUESTED_TYPE else Intent.FAILED,
        event_id=event_id,
        identity=(NAME, event_id),
        occurred_at=timestamp(stated, "timestamp") if stated is not None else None,
    )
    return to_event(read_request(document["data"], options), attributes, options)
