"""Pub/Sub push: `{"message": {"data": base64, "messageId"}, "subscription"}`, bare or in an Eventarc CloudEvent.

https://cloud.google.com/pubsub/docs/push. No I/O here.
"""

from base64 import b64decode
from typing import Any

from restarter.dialects.envelope import Configured, Envelope, Part, identifier, read_json, timestamp
from restarter.dialects.payload import read_request, says_success
from restarter.errors import Malformed
from restarter.model import Event, Ignored, Intent

NAME = "pubsub"
EVENTARC_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"


def recognises(envelope: Envelope) -> bool:
    """A message and the subscription that pushes it; a message of other senders has none."""
    return is_push(envelope.document)


def is_push(document: Any) -> bool:
    """The shape of a wrapped push."""
    return isinstance(document, dict) and isinstance(document.get("message"), dict) and "subscription" in document


def decode(envelope: Envelope, configured: Configured) -> list[Part]:
    """One event."""
    return [read_push(envelope.document, configured)]


def read_push(document: Any, configured: Configured, otherwise: str | None = None) -> Part:
    """The event in a push; `otherwise` is the id of the CloudEvent around it, for messages that come without one."""
    message = document.get("message") if isinstance(document, dict) else None
    if not isinstance(message, dict):
        raise Malformed("message: must be an object", dialect=NAME)
    try:
        message_id = identifier(message.get("messageId") or message.get("message_id") or otherwise, "messageId")
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME) from None
    try:
        return _read_identified(message, message_id, configured)
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME, event_id=message_id) from None


def _read_identified(message: dict[str, Any], message_id: str, configured: Configured) -> Part:
    request = read_request(_data(message), configured)
    published = message.get("publishTime") or message.get("publish_time")
    occurred_at = timestamp(published, "publishTime") if published is not None else None
    if says_success(request):
        return Ignored(reason="task_succeeded", dialect=NAME, event_id=message_id)
    return Event(
        request=request,
        dialect=NAME,
        intent=Intent.FAILED,
        project_id=request.project_id or configured.default_project,
        event_id=message_id,
        identity=(NAME, message_id),
        occurred_at=occurred_at,
    )


def _data(message: dict[str, Any]) -> Any:
    try:
        return read_json(b64decode(message["data"], validate=True))
    except (KeyError, ValueError, TypeError):
        raise Malformed("data: not JSON in base64") from None
