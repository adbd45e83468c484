"""What has to be remembered between deliveries: events that were settled, and the restarts of each task.

A ledger is opened by its address: `memory://` remembers within one instance, `redis://` and its kin for all. Each has
one clock, and tells how long ago a restart was, never when: instances whose clocks differ agree about it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Protocol

from restarter.model.request import Event

SETTLED_TTL_S = 7 * 24 * 3600
"""As long as any sender may redeliver (Pub/Sub keeps a message for seven days)."""


class Claim(Enum):
    """The result of claiming an event."""

    OURS = "ours"
    HELD = "held"
    """Another delivery of it is being handled, or was when its instance crashed."""
    SETTLED = "settled"
    SETTLED_ELSEWHERE = "settled for another task"
    """Settled, but the event named another task then: its sender uses one id twice."""


class LedgerError(Exception):
    """The ledger did not answer; nothing may be started without it."""


@dataclass(frozen=True, slots=True)
class EventKey:
    """The hash of what identifies an event, and a short one of the task or group that it names."""

    id: str
    target: str


@dataclass(frozen=True, slots=True)
class History:
    """The restarts of a task within a window, without those of the event that asks."""

    ages: tuple[float, ...]
    """Seconds since each, the longest first."""
    version: str
    """Changes with any restart of the task that is recorded, removed or runs out."""


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """The keys of an event and of its task's restarts; both are hashes, because ids may be long."""

    event: str
    task: str


def ledger_keys(event: Event, target_id: str, *, of_group: bool = False) -> LedgerKeys:
    """The keys of an event that has an identity, and of the task or task group whose restarts are counted."""
    kind = "group" if of_group else "task"
    return LedgerKeys(_event_id(event.identity or ()), _digest(kind, event.project_id, target_id))


def event_key(event: Event) -> EventKey | None:
    """The key of an event; None where the sender gave no id."""
    if not event.identity:
        return None
    request = event.request
    named = (request.task_id or "", request.task_name or "", request.group_id or "")
    return EventKey(_event_id(event.identity), _digest("target", event.project_id, *named)[:16])


def _event_id(identity: tuple[str, ...]) -> str:
    return _digest("event", *identity)


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:40]


class Ledger(Protocol):
    """Raises LedgerError, whatever is asked, when it cannot answer."""

    async def claim(self, event: EventKey, seconds: float) -> Claim:
        """Claim the event for so many seconds, unless it is claimed or settled."""
        ...

    async def settle(self, event: EventKey) -> None:
        """Settle the event: for seven days a redelivery of it is a duplicate."""
        ...

    async def release(self, event: EventKey) -> None:
        """Give the claim up, so that a redelivery can be handled."""
        ...

    async def history(self, keys: LedgerKeys, window: float) -> History:
        """The task's restarts within the window (seconds), without those of this very event."""
        ...

    async def reserve(self, keys: LedgerKeys, expected: History, window: float) -> bool:
        """Record a restart for the event, if the history is still the `expected` one; False if it changed."""
        ...

    async def unreserve(self, keys: LedgerKeys) -> None:
        """Remove the restart recorded for the event: it was not made."""
        ...

    async def mark_exhausted(self, task: str, window: float) -> bool:
        """Mark the task's budget as exhausted; True if that was not marked yet within the window (seconds)."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


def open_ledger(address: str, clock: Callable[[], float]) -> Ledger:
    """The ledger at an address that the settings have checked; it connects later.

    `clock`: seconds since 1970, for the memory; Redis has its own.
    """
    if address == "memory://":
        from restarter.ledger.memory import MemoryLedger  # noqa: PLC0415  # one of the two is enough

        return MemoryLedger(clock)
    from restarter.ledger.redis import RedisLedger  # noqa: PLC0415  # an extra: only where it is configured
    from restarter.settings.redis_address import parse_redis_address  # noqa: PLC0415  # the same

    return RedisLedger(parse_redis_address(address))
