"""What all dialects share: the delivery with its JSON, parsed once, and the names an event may use. No I/O here."""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from restarter.dialects.faults import faults_of
from restarter.model.delivery import AuthenticatedDelivery, Delivery
from restarter.model.errors import ContentTooLarge, Malformed, UnsupportedMediaType
from restarter.model.json_text import MAX_CONTAINERS, TooManyContainers, read_json
from restarter.model.outcome import Reason
from restarter.model.request import Event, Ignored, RestartRequest
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
    """The request of an SMN topic for a confirmation, which a GET of `url` gives. Only signed messages lead to one."""

    url: str = field(repr=False)
    occurred_at: datetime
    dialect: str
    event_id: str


Decoded = Event | Ignored | Malformed | Subscription


class ParsedDelivery(NamedTuple):
    """An authenticated delivery, and the JSON in its body, which stays out of `repr`."""

    authenticated: AuthenticatedDelivery
    media_type: str
    """The Content-Type in lower case and without parameters; empty when there is none."""
    is_binary_event: bool
    """It is a CloudEvent in binary mode: it has attributes in headers, and a body of any type but CloudEvents' own."""
    document: Any
    """None for a CloudEvent in binary mode: its data is parsed once its type is known to be one of ours."""

    def __repr__(self) -> str:
        return f"ParsedDelivery({self.authenticated}, {self.media_type})"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the caller vouches for, by lower-case name."""
        return self.authenticated.delivery.headers

    @property
    def by_webhook(self) -> bool:
        """Whether a Standard Webhooks signature authenticated it, which covers the body and `webhook-id` alone."""
        return self.authenticated.authenticated_by == "webhook"


class DecodeOptions(NamedTuple):
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

    def project_of(self, request: RestartRequest) -> str:
        """The project that a request names, or the default one."""
        return request.project_id or self.default_project


def parse(authenticated: AuthenticatedDelivery) -> ParsedDelivery:
    """Parse the body as JSON whatever its Content-Type says: SMN and FunctionGraph document none.

    Raises:
        Malformed: The body is not JSON, although its type announces JSON, or has too many objects and arrays.
        UnsupportedMediaType: The body is compressed, or is not JSON and its type does not announce JSON.
    """
    delivery, media_type = authenticated.delivery, authenticated.delivery.media_type
    has_attributes = any(name.startswith("ce-") for name in delivery.headers)
    is_binary_event = has_attributes and not media_type.startswith("application/cloudevents")
    document = None if is_binary_event else read_body(delivery, media_type)
    return ParsedDelivery(authenticated, media_type, is_binary_event, document)


def read_body(delivery: Delivery, media_type: str) -> Any:
    """The JSON in the body of a delivery; raises as `parse` does."""
    if delivery.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("content-encoding: only identity is read")
    if media_type.startswith("application/cloudevents") and media_type not in CLOUDEVENTS:
        raise UnsupportedMediaType("content-type: of the CloudEvents formats only JSON is read")
    try:
        return read_json(delivery.body)
    except TooManyContainers:
        raise Malformed(f"body: over {MAX_CONTAINERS} objects and arrays") from None
    except ValueError:
        if is_json(media_type):
            raise Malformed("body: not JSON") from None
        raise UnsupportedMediaType("content-type: the body is not JSON") from None


def read_batch(entries: Any, read: Callable[[Any], Decoded], dialect: str) -> list[Decoded]:
    """One part for each entry of a batch; one malformed entry does not fail the rest. An empty batch is ignored.

    Raises:
        ContentTooLarge: There are more than MAX_EVENTS, none of which is read.
        Malformed: It is not a JSON array.
    """
    if not isinstance(entries, list):
        raise Malformed("batch: must be a JSON array")
    if len(entries) > MAX_EVENTS:
        raise ContentTooLarge(f"events: over {MAX_EVENTS} in one delivery")
    return [_read_entry(one, read, dialect) for one in entries] or [Ignored(reason=Reason.EMPTY_BATCH, dialect=dialect)]


def _read_entry(entry: Any, read: Callable[[Any], Decoded], dialect: str) -> Decoded:
    try:
        with faults_of(dialect):
            return read(entry)
    except Malformed as error:
        return error


def is_json(media_type: str) -> bool:
    """Whether the type is JSON or missing."""
    return media_type in ("", "application/json") or media_type.endswith("+json")


def timestamp(value: Any, name: str) -> datetime:
    """The UTC time in an RFC 3339 text (CloudEvents `time`, SMN `timestamp`); digits after microseconds are dropped.

    Raises:
        Malformed: It is not such a time; the error names the field `name`.
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
        Malformed: It is not such a string; the error names the field `name`.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID:
        raise Malformed(f"{name}: must be a string of 1 to {MAX_ID} characters")
    if CONTROL_CHARACTER.search(value):
        raise Malformed(f"{name}: must be a string of 1 to {MAX_ID} characters, none of them a control character")
    return value
