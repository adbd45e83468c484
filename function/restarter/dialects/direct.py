"""A direct call: the JSON of a RestartRequest itself, from a script, a webhook or another function. No I/O here."""

from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, is_json
from restarter.dialects.payload import EventAttributes, read_request, to_event
from restarter.errors import Malformed, UnsupportedMediaType
from restarter.model import Intent

NAME = "direct"
ID_HEADERS = ("idempotency-key", "webhook-id")


def recognises(parsed: ParsedDelivery) -> bool:
    """Whatever no other dialect knows."""
    return True


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One event; its id is the first of the headers Idempotency-Key and webhook-id, or the signed one of the two."""
    headers = parsed.delivery.headers
    if not is_json(parsed.delivery.media_type):
        raise UnsupportedMediaType("content-type: a direct call is application/json")
    try:
        request = read_request(parsed.document, options, direct=True)
        names = ("webhook-id",) if parsed.authenticated.authenticated_by == "webhook" else ID_HEADERS
        name = next((name for name in names if name in headers), None)
        event_id = identifier(headers[name], name) if name else None
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME) from None
    identity = (NAME, event_id) if event_id else None
    attributes = EventAttributes(dialect=NAME, intent=Intent.REQUESTED, event_id=event_id, identity=identity)
    return [to_event(request, attributes, options)]
