"""What senders say: one sender's format is one file and one row in the table below. No I/O here."""

from typing import Protocol

from restarter.dialects import (
    alertmanager,
    cloudevents,
    cloudevents_batch,
    direct,
    functiongraph_other,
    functiongraph_smn,
    functiongraph_timer,
    pubsub,
    smn,
    webhook,
)
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, Subscription, parse
from restarter.model.request import Event

__all__ = ["DIALECTS", "DecodeOptions", "Decoded", "Subscription", "decode", "is_direct", "parse"]


class Dialect(Protocol):
    """A sender's format: `recognises` looks at the shape alone, `decode` gives a part for each event in it."""

    NAME: str

    def recognises(self, parsed: ParsedDelivery) -> bool: ...

    def decode(self, parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]: ...


# The first that recognises a delivery decodes it; the direct call is any other JSON object.
DIALECTS: tuple[Dialect, ...] = (
    cloudevents_batch,
    cloudevents,
    webhook,
    smn,
    pubsub,
    alertmanager,
    functiongraph_smn,
    functiongraph_timer,
    functiongraph_other,
    direct,
)


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One part for each event of a delivery.

    Raises:
        ContentTooLarge: It carries too many events.
        Malformed: The delivery as a whole breaks a rule of its dialect.
        UnsupportedMediaType: Its content type is none that the dialect reads.
    """
    dialect = next(dialect for dialect in DIALECTS if dialect.recognises(parsed))
    return [_with_authenticator(part, parsed) for part in dialect.decode(parsed, options)]


def _with_authenticator(part: Decoded, parsed: ParsedDelivery) -> Decoded:
    """The part, its identity made one of its way in: an id is its sender's own, and says nothing about another's."""
    if not isinstance(part, Event) or part.identity is None:
        return part
    return part._replace(identity=(parsed.authenticated.authenticated_by, *part.identity))


def is_direct(dialect: str | None) -> bool:
    """Whether the caller waits for the receipt itself."""
    return dialect == direct.NAME
