"""What all dialects share: the delivery with its JSON parsed once, and the names that an event may use."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from pydantic_core import from_json

from restarter.model.delivery import AuthenticatedDelivery, Delivery
from restarter.model.errors import ContentTooLarge, Malformed, UnsupportedMediaType
from restarter.model.request import Event, Ignored
from restarter.settings.model import Settings

CLOUDEVENTS = ("application/cloudevents+json", "application/cloudevents-batch+json")
MAX_EVENTS = 100
MAX_TIMESTAMP = 64
MAX_ID = 1024
RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """An SMN topic asks for confirmation: a GET of `url` confirms. Made for signed messages alone."""

    url: str = field(repr=False)
    dialect: str
    event_id: str


Decoded = Event | Ignored | Malformed | Subscription


@dataclass(frozen=True, slots=True)
class ParsedDelivery:
    """An authenticated delivery whose body is JSON."""

    authenticated: AuthenticatedDelivery
    media_type: str
    document: Any = field(repr=False)

    @property
    def delivery(self) -> Delivery:
        """The delivery, without who authenticated it."""
        return self.authenticated.delivery

    @property
    def by_webhook(self) -> bool:
        """Whether a Standard Webhooks signature authenticated it, which covers the body and `webhook-id` alone."""
        return self.authenticated.authenticated_by == "webhook"


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What the settings allow an event to name."""

    default_project: str
    projects: AbstractSet[str]
    profiles: AbstractSet[str]
    failed_types: AbstractSet[str]
    smn_domains: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The options in the settings."""
        return cls(
            default_project=settings.oms_project_id,
            projects=frozenset({settings.oms_project_id, *settings.oms_projects}),
            profiles=frozenset(settings.profiles()),
            failed_types=frozenset({"oms.task.failed", *settings.event_types_failed}),
            smn_domains=settings.caller_smn_domains,
        )


def parse(authenticated: AuthenticatedDelivery) -> ParsedDelivery:
    """Parse the body as JSON whatever its Content-Type says: SMN and FunctionGraph document none.

    Raises:
        Malformed: The body is not JSON, although its type announces JSON.
        UnsupportedMediaType: The body is compressed, or is not JSON and was announced as something else.
    """
    authenticated = _covered(authenticated)
    delivery, media_type = authenticated.delivery, authenticated.delivery.media_type
    if delivery.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("content-encoding: only identity is read")
    if media_type.startswith("application/cloudevents") and media_type not in CLOUDEVENTS:
        raise UnsupportedMediaType("content-type: of the CloudEvents formats only JSON is read")
    try:
        return ParsedDelivery(authenticated, media_type, read_json(delivery.body))
    except ValueError:
        if is_json(media_type):
            raise Malformed("body: not JSON") from None
        raise UnsupportedMediaType("content-type: the body is not JSON") from None


def _covered(authenticated: AuthenticatedDelivery) -> AuthenticatedDelivery:
    """The delivery without the headers that a Standard Webhooks signature does not cover: anybody can change those."""
    delivery = authenticated.delivery
    if authenticated.authenticated_by != "webhook":
        return authenticated
    headers = {"content-type": "application/json", "webhook-id": delivery.headers.get("webhook-id", "")}
    return authenticated._replace(delivery=replace(delivery, headers=headers))


def check_event_count(events: Sequence[object], dialect: str) -> None:
    """Check how many events a delivery carries, before any of them is read.

    Raises:
        ContentTooLarge: There are more than MAX_EVENTS.
    """
    if len(events) > MAX_EVENTS:
        raise ContentTooLarge(f"events: over {MAX_EVENTS} in one delivery", dialect=dialect)


def read_json(text: bytes | str) -> Any:
    """Parse JSON with bounded nesting (200 levels), without NaN and lone surrogates.

    Raises:
        ValueError: It is anything else.
    """
    return from_json(text, allow_inf_nan=False)


def is_json(media_type: str) -> bool:
    """Whether the type is JSON, or is missing."""
    return media_type in ("", "application/json") or media_type.endswith("+json")


def timestamp(value: Any, name: str) -> datetime:
    """The UTC time in an RFC 3339 text (CloudEvents `time`, SMN `timestamp`); digits after microseconds are dropped.

    Raises:
        Malformed: It is no such time; the error names the field `name`.
    """
    if isinstance(value, str) and len(value) <= MAX_TIMESTAMP and RFC_3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Malformed(f"{name}: not an RFC 3339 time")


def identifier(value: Any, name: str) -> str:
    """An id as the sender wrote it: 1 to 1024 characters, none of them a control character.

    Raises:
        Malformed: It is no such text; the error names the field `name`.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or CONTROL_CHARACTER.search(value):
        raise Malformed(f"{name}: must be a string of 1 to 1024 characters")
    return value
