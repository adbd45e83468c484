"""What senders say: one sender's format is one file and one row in the table below. No I/O here."""

from typing import Protocol

from restarter.dialects import (
    cloudevent,
    cloudevents_batch,
    direct,
    functiongraph_other,
    functiongraph_smn,
    pubsub,
    smn,
)
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, Subscription, parse

__all__ = ["DIALECTS", "DecodeOptions", "Decoded", "Subscription", "decode", "is_direct", "parse"]


class Dialect(Protocol):
    """A sender's format: `recognises` looks at the shape alone, `decode` gives a part for each event in it."""

    NAME: str

    def recognises(self, parsed: ParsedDelivery) -> bool: ...

    def decode(self, parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]: ...


# The first that recognises a delivery decodes it; the direct call is any other JSON object.
DIALECTS: tuple[Dialect, ...] = (
    cloudevents_batch,
    cloudevent,
    smn,
    pubsub,
    functiongraph_smn,
    functiongraph_other,
    direct,
)


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One part for each event of a delivery.

    Raises:
        Malformed: The delivery as a whole breaks a rule of its dialect.
        UnsupportedMediaType: Its content type is none that the dialect reads.
    """
    dialect = next(dialect for dialect in DIALECTS if dialect.recognises(parsed))
    return dialect.decode(parsed, options)


def is_direct(dialect: str | None) -> bool:
    """Whether the caller waits for the receipt itself."""
    return dialect == direct.NAME
