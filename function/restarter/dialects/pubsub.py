"""Pub/Sub push: `{"message": {"data": base64, "messageId"}, "subscription"}`, bare or in an Eventarc CloudEvent.

https://cloud.google.com/pubsub/docs/push. No I/O here.
"""

from base64 import b64decode
from typing import Any

from restarter.dialects.faults import faults_of
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, timestamp
from restarter.dialects.payload import read_request, unless_succeeded
from restarter.model.errors import Malformed
from restarter.model.json_text import read_json
from restarter.model.request import Event, Intent

NAME = "pubsub"
EVENTARC_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"


def recognises(parsed: ParsedDelivery) -> bool:
    """Whether it has a message and the subscription that pushes it, which other senders' messages do not have."""
    document = parsed.document
    return isinstance(document, dict) and isinstance(document.get("message"), dict) and "subscription" in document


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One event."""
    return [read_push(parsed.document, options)]


def read_push(document: Any, options: DecodeOptions, outer_id: str | None = None, outer_time: Any = None) -> Decoded:
    """The event in a push. `outer_…`: of the CloudEvent that contains it, used if the message has no id or time."""
    with faults_of(NAME):
        message = document.get("message") if isinstance(document, dict) else None
        if not isinstance(message, dict):
            raise Malformed("message: must be an object")
        message_id = identifier(message.get("messageId") or message.get("message_id") or outer_id, "messageId")
    with faults_of(NAME, message_id):
        request = read_request(_data(message), options)
        published = message.get("publishTime") or message.get("publish_time") or outer_time
        occurred_at = timestamp(published, "publishTime") if published is not None else None
    project_id, identity = options.project_of(request), (NAME, message_id)
    return unless_succeeded(Event(request, NAME, Intent.FAILED, project_id, message_id, identity, occurred_at))


def _data(message: dict[str, Any]) -> Any:
    try:
        return read_json(b64decode(message["data"], validate=True))
    except (KeyError, ValueError, TypeError):
        raise Malformed("data: not JSON in base64") from None
