"""A direct call: the JSON of a RestartRequest itself, from a script, a webhook or another function. No I/O here."""

from restarter.dialects.envelope import Configured, Envelope, Part, identifier, is_json
from restarter.dialects.payload import read_request, says_success
from restarter.errors import Malformed, NotUnderstood
from restarter.model import Event, Ignored, Intent

NAME = "direct"
ID_HEADERS = ("idempotency-key", "webhook-id")


def recognises(envelope: Envelope) -> bool:
    """Whatever no other dialect knows."""
    return True


def decode(envelope: Envelope, configured: Configured) -> list[Part]:
    """One event; its id is the first of the headers Idempotency-Key and webhook-id, or the signed one of the two."""
    headers = envelope.delivery.headers
    if not is_json(envelope.delivery.media_type):
        raise NotUnderstood("content-type: a direct call is application/json")
    try:
        request = read_request(envelope.document, configured, direct=True)
        names = ("webhook-id",) if envelope.proved.way == "webhook" else ID_HEADERS
        name = next((name for name in names if name in headers), None)
        event_id = identifier(headers[name], name) if name else None
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME) from None
    if says_success(request):
        return [Ignored(reason="task_succeeded", dialect=NAME, event_id=event_id)]
    return [
        Event(
            request=request,
            dialect=NAME,
            intent=Intent.REQUESTED,
            project_id=request.project_id or configured.default_project,
            event_id=event_id,
            identity=(NAME, event_id) if event_id else None,
        )
    ]
