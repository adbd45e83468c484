"""The formats of the senders: each is one file and one row in the table below. No I/O here."""

from collections.abc import Callable
from typing import NamedTuple

from restarter.dialects import alertmanager, cloudevents, direct, functiongraph, pubsub, smn, webhook
from restarter.dialects.faults import faults_of
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, Subscription, parse
from restarter.model.delivery import AuthenticatedDelivery
from restarter.model.request import Event

__all__ = ["DIALECTS", "DecodeOptions", "Decoded", "Subscription", "decode", "is_direct", "parse"]


class Dialect(NamedTuple):
    """A sender's format."""

    name: str
    recognises: Callable[[ParsedDelivery], bool]
    """Decides by the shape alone."""
    decode: Callable[[ParsedDelivery, DecodeOptions], list[Decoded]]
    """Returns one part for each event."""


# The first that recognises a delivery decodes it; the direct call is any other JSON object.
DIALECTS = (
    Dialect(cloudevents.BATCH_NAME, cloudevents.is_batch, cloudevents.decode_batch),
    Dialect(cloudevents.NAME, cloudevents.recognises, cloudevents.decode),
    Dialect(webhook.NAME, webhook.recognises, webhook.decode),
    Dialect(smn.NAME, smn.recognises, smn.decode),
    Dialect(pubsub.NAME, pubsub.recognises, pubsub.decode),
    Dialect(alertmanager.NAME, alertmanager.recognises, alertmanager.decode),
    Dialect(functiongraph.SMN, functiongraph.is_smn, functiongraph.decode_smn),
    Dialect(functiongraph.TIMER, functiongraph.is_timer, functiongraph.decode_timer),
    Dialect(functiongraph.OTHER, functiongraph.is_other, functiongraph.decode_other),
    Dialect(direct.NAME, direct.recognises, direct.decode),
)


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One part for each event of a delivery.

    Raises:
        ContentTooLarge: It carries too many events.
        Malformed: The delivery as a whole breaks a rule of its dialect.
        UnsupportedMediaType: The dialect does not read its content type.
    """
    dialect = next(dialect for dialect in DIALECTS if dialect.recognises(parsed))
    with faults_of(dialect.name):
        return [_of_sender(part, parsed.authenticated) for part in dialect.decode(parsed, options)]


def _of_sender(part: Decoded, authenticated: AuthenticatedDelivery) -> Decoded:
    """The part, with the sender added to its identity: equal ids of different senders do not collide.

    If the sender is not known, the identity is that of release 0.2.0, so that both releases can share a ledger.
    """
    if not isinstance(part, Event) or part.identity is None:
        return part
    sender = (authenticated.sender,) if authenticated.sender else ()
    return part._replace(identity=(authenticated.authenticated_by, *sender, *part.identity))


def is_direct(dialect: str | None) -> bool:
    """Whether it is a direct call, whose caller expects the receipt in the response."""
    return dialect == direct.NAME
