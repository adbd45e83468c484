"""A batch of CloudEvents: a JSON array of them (http-protocol-binding.md, 3.3). No I/O here."""

from restarter.dialects.cloudevent import read_event
from restarter.dialects.envelope import Configured, Envelope, Part
from restarter.errors import Malformed
from restarter.model import Ignored

NAME = "cloudevents_batch"
BATCH = "application/cloudevents-batch+json"


def recognises(envelope: Envelope) -> bool:
    """By media type alone."""
    return envelope.delivery.media_type == BATCH


def decode(envelope: Envelope, configured: Configured) -> list[Part]:
    """One part for each event; a bad one does not spoil the good ones beside it, and none at all is allowed."""
    if not isinstance(envelope.document, list):
        raise Malformed("batch: must be a JSON array", dialect=NAME)
    return [_read(event, configured) for event in envelope.document] or [Ignored(reason="empty_batch", dialect=NAME)]


def _read(event: object, configured: Configured) -> Part:
    try:
        return read_event(event, configured, NAME)
    except Malformed as error:
        return error
