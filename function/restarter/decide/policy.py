"""The operator's policy, taken from the settings."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from restarter.settings.hours import Hours
from restarter.settings.model import Settings

CLAIM_MARGIN_S = 5.0  # a claim lasts longer than any delivery, so it expires only when its instance is gone
NO_FINGERPRINTS: Mapping[str, str] = {}


class Policy(NamedTuple):
    """The settings that the rules depend on; times in seconds."""

    enabled: bool = True
    max_event_age: float = 86400.0
    hours: Hours | None = None
    """When failed events restart tasks; None if they always do."""
    archived: bool = False
    full_overwrite: bool = False
    budget: int = 5
    window: float = 86400.0
    backoff: float = 60.0
    claim_s: float = 9.5
    """How long a delivery's claim of an event lasts, and so how long a restart can be under way."""
    migrate_failed_object: Literal["auto", "true", "false"] = "auto"
    temporary_source_keys: frozenset[str] = frozenset()
    """Names of the profiles whose source keys need a security token."""
    temporary_destination_keys: frozenset[str] = frozenset()
    """Names of the profiles whose destination keys need one."""
    fingerprints: Mapping[str, str] = NO_FINGERPRINTS
    """Fingerprint of each profile's storage keys, by the profile's name."""


def policy_of(settings: Settings) -> Policy:
    """The policy in the settings."""
    profiles = settings.profiles()
    return Policy(
        enabled=settings.restart_enabled,
        max_event_age=settings.restart_max_event_age,
        hours=settings.restart_hours,
        archived=settings.restart_archived,
        full_overwrite=settings.restart_full_overwrite,
        budget=settings.restart_budget.count,
        window=settings.restart_budget.window_s,
        backoff=settings.restart_backoff,
        claim_s=settings.restart_deadline + CLAIM_MARGIN_S,
        migrate_failed_object=settings.oms_migrate_failed_object,
        temporary_source_keys=frozenset(name for name, keys in profiles.items() if keys.src_security_token),
        temporary_destination_keys=frozenset(name for name, keys in profiles.items() if keys.dst_security_token),
        fingerprints={name: keys.fingerprint() for name, keys in profiles.items()},
    )
