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
from restarter.dialects.envelope import Configured, Envelope, Part, Subscription, open_envelope

__all__ = ["DIALECTS", "Configured", "Part", "Subscription", "decode", "is_direct", "open_envelope"]


class Dialect(Protocol):
    """A sender's format: `recognises` looks at the shape alone, `decode` gives a part for each event in it."""

    NAME: str

    def recognises(self, envelope: Envelope) -> bool: ...

    def decode(self, envelope: Envelope, configured: Configured) -> list[Part]: ...


# The first that recognises an envelope decodes it; the direct call is any other JSON object.
DIALECTS: tuple[Dialect, ...] = (
    cloudevents_batch,
    cloudevent,
    smn,
    pubsub,
    functiongraph_smn,
    functiongraph_other,
    direct,
)


def decode(envelope: Envelope, configured: Configured) -> list[Part]:
    """One part for each event of a proved delivery; raises a Rejected when there is no sense in the whole of it."""
    dialect = next(dialect for dialect in DIALECTS if dialect.recognises(envelope))
    return dialect.decode(envelope, configured)


def is_direct(dialect: str | None) -> bool:
    """Whether the caller waits for the receipt itself."""
    return dialect == direct.NAME
