"""Pub/Sub push: `{"message": {"data": base64, "messageId"}, "subscription"}`, bare or in an Eventarc CloudEvent.

https://cloud.google.com/pubsub/docs/push. No I/O here.
"""

from base64 import b64decode
from typing import Any

from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, read_json, timestamp
from restarter.dialects.payload import EventAttributes, read_request, to_event
from restarter.model.errors import Malformed
from restarter.model.request import Intent

NAME = "pubsub"
EVENTARC_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"


def recognises(parsed: ParsedDelivery) -> bool:
    """A message and the subscription that pushes it; a message of other senders has none."""
    return is_push(parsed.document)


def is_push(document: Any) -> bool:
    """The shape of a wrapped push."""
    return isinstance(document, dict) and isinstance(document.get("message"), dict) and "subscription" in document


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One event."""
    return [read_push(parsed.document, options)]


def read_push(document: Any, options: DecodeOptions, otherwise: str | None = None) -> Decoded:
    """The event in a push; `otherwise` is the id of the CloudEvent around it, for messages that come without one."""
    message = document.get("message") if isinstance(document, dict) else None
    if not isinstance(message, dict):
        raise Malformed("message: must be an object", dialect=NAME)
    try:
        message_id = identifier(message.get("messageId") or message.get("message_id") or otherwise, "messageId")
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME) from None
    try:
        return _read_identified(message, message_id, options)
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME, event_id=message_id) from None


def _read_identified(message: dict[str, Any], message_id: str, options: DecodeOptions) -> Decoded:
    request = read_request(_data(message), options)
    published = message.get("publishTime") or message.get("publish_time")
    occurred_at = timestamp(published, "publishTime") if published is not None else None
    attributes = EventAttributes(
        dialect=NAME, intent=Intent.FAILED, event_id=message_id, identity=(NAME, message_id), occurred_at=occurred_at
    )
    return to_event(request, attributes, options)


def _data(message: dict[str, Any]) -> Any:
    try:
        return read_json(b64decode(message["data"], validate=True))
    except (KeyError, ValueError, TypeError):
        raise Malformed("data: not JSON in base64") from None
