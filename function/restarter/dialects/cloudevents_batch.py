"""A batch of CloudEvents: a JSON array of them (http-protocol-binding.md, 3.3). No I/O here."""

from restarter.dialects.cloudevents import read_event
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, check_event_count
from restarter.model.errors import Malformed
from restarter.model.outcome import Reason
from restarter.model.request import Ignored

NAME = "cloudevents_batch"
BATCH = "application/cloudevents-batch+json"


def recognises(parsed: ParsedDelivery) -> bool:
    """By media type alone."""
    return parsed.media_type == BATCH


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One part for each event; a bad one does not spoil the good ones beside it, and none at all is allowed."""
    if not isinstance(parsed.document, list):
        raise Malformed("batch: must be a JSON array", dialect=NAME)
    check_event_count(parsed.document, NAME)
    return [_read(event, options) for event in parsed.document] or [Ignored(reason=Reason.EMPTY_BATCH, dialect=NAME)]


def _read(event: object, options: DecodeOptions) -> Decoded:
    try:
        return read_event(event, options, NAME)
    except Malformed as error:
        return error
