"""A direct call: the JSON of a RestartRequest itself, from a script, a webhook or another function. No I/O here."""

from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, is_json
from restarter.dialects.payload import read_direct_request, unless_succeeded
from restarter.model.errors import Malformed, UnsupportedMediaType
from restarter.model.request import DirectRequest, Event, Intent

NAME = "direct"
ID_HEADERS = ("idempotency-key", "webhook-id")


def recognises(parsed: ParsedDelivery) -> bool:
    """Any delivery that no other dialect recognises."""
    return True


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One event, with the intent that the call states. By default it requests a start."""
    if not is_json(parsed.media_type):
        raise UnsupportedMediaType("content-type: a direct call is application/json")
    request = read_direct_request(parsed.document, options)
    event_id = _event_id(parsed, request)
    intent = Intent(request.intent or Intent.REQUESTED)
    if intent is Intent.FAILED and event_id is None:
        raise Malformed("intent: failed needs an id, by the header Idempotency-Key or the field id")
    identity = (NAME, event_id) if event_id else None
    return [unless_succeeded(Event(request, NAME, intent, options.project_of(request), event_id, identity))]


def _event_id(parsed: ParsedDelivery, request: DirectRequest) -> str | None:
    """The id in Idempotency-Key or webhook-id (in a signed webhook only the latter counts), else in the field `id`."""
    names = ("webhook-id",) if parsed.by_webhook else ID_HEADERS
    name = next((name for name in names if name in parsed.headers), None)
    if name is None:
        return request.id
    event_id = identifier(parsed.headers[name], name)
    if request.id not in (None, event_id):
        raise Malformed(f"id: differs from the header {name}")
    return event_id
