"""What all dialects share: the delivery with its JSON read once, and the names that an event may choose from."""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from pydantic_core import from_json

from restarter.errors import Malformed, NotUnderstood
from restarter.model import Delivery, Event, Ignored, Proved
from restarter.settings import Settings

CLOUDEVENTS = ("application/cloudevents+json", "application/cloudevents-batch+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A topic asks whether it may send here; a GET of this URL says yes. Made for signed messages alone."""

    url: str = field(repr=False)
    dialect: str
    event_id: str


Part = Event | Ignored | Malformed | Subscription


@dataclass(frozen=True, slots=True)
class Envelope:
    """A proved delivery whose body is JSON."""

    proved: Proved
    document: Any = field(repr=False)

    @property
    def delivery(self) -> Delivery:
        """What was proved."""
        return self.proved.delivery


@dataclass(frozen=True, slots=True)
class Configured:
    """What the settings know, and so all that an event may name."""

    default_project: str
    projects: AbstractSet[str]
    profiles: AbstractSet[str]
    failed_types: AbstractSet[str]
    smn_domains: tuple[str, ...]

    @classmethod
    def by(cls, settings: Settings) -> Self:
        """The names in the settings."""
        return cls(
            default_project=settings.oms_project_id,
            projects=frozenset({settings.oms_project_id, *settings.oms_projects}),
            profiles=frozenset(settings.profiles()),
            failed_types=frozenset({"oms.task.failed", *settings.event_types_failed}),
            smn_domains=settings.caller_smn_domains,
        )


def open_envelope(proved: Proved) -> Envelope:
    """Read the body as JSON whatever its Content-Type says: SMN and FunctionGraph document none.

    Only a body that is not JSON makes the type count: then it was announced in a format not spoken here (415),
    or it is a broken one of ours (400).
    """
    delivery, media_type = proved.delivery, proved.delivery.media_type
    if delivery.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotUnderstood("content-encoding: only identity is read")
    if media_type.startswith("application/cloudevents") and media_type not in CLOUDEVENTS:
        raise NotUnderstood("content-type: of the CloudEvents formats only JSON is read")
    try:
        return Envelope(proved, read_json(delivery.body))
    except ValueError:
        if is_json(media_type):
            raise Malformed("body: not JSON") from None
        raise NotUnderstood("content-type: the body is not JSON") from None


def read_json(text: bytes | str) -> Any:
    """JSON with bounded nesting (200 levels), no NaN, no lone surrogates; ValueError for anything else."""
    return from_json(text, allow_inf_nan=False)


def is_json(media_type: str) -> bool:
    """JSON by name, or no name at all."""
    return media_type in ("", "application/json") or media_type.endswith("+json")


def timestamp(value: Any, name: str) -> datetime:
    """An RFC 3339 time (CloudEvents `time`, SMN `timestamp`); digits after the microseconds are dropped."""
    if isinstance(value, str) and re.fullmatch(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})", value
    ):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Malformed(f"{name}: not an RFC 3339 time")


def identifier(value: Any, name: str) -> str:
    """An id as the sender wrote it: 1 to 1024 characters, none of them a control character."""
    if not isinstance(value, str) or not re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]{1,1024}", value):
        raise Malformed(f"{name}: must be a string of 1 to 1024 characters")
    return value
