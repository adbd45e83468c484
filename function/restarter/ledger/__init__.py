"""What has to be remembered between deliveries: events that were settled, and the restarts of each task.

A ledger is opened by its address: `memory://` remembers within one instance, `redis://` and `rediss://` for all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Protocol

from restarter.model import Event

SETTLED_TTL_S = 7 * 24 * 3600
"""As long as any sender may redeliver (Pub/Sub keeps a message for seven days)."""


class Claim(Enum):
    """The result of claiming an event."""

    OURS = "ours"
    HELD = "held"
    """Another delivery of it is being handled, or was when its instance crashed."""
    SETTLED = "settled"


class LedgerError(Exception):
    """The ledger did not answer; nothing may be started without it."""


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """The keys of an event and of its task's restarts; both are hashes, because ids may be long."""

    event: str
    task: str


def ledger_keys(event: Event, target_id: str, *, of_group: bool = False) -> LedgerKeys:
    """The keys of an event that has an identity, and of the task or task group whose restarts are counted."""
    kind = "group" if of_group else "task"
    return LedgerKeys(event_key(event) or "", _digest(kind, event.project_id, target_id))


def event_key(event: Event) -> str | None:
    """The key of an event; None where the sender gave no id."""
    return _digest("event", *event.identity) if event.identity else None


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:40]


class Ledger(Protocol):
    """Raises LedgerError, whatever is asked, when it cannot answer. Times are seconds since 1970."""

    async def claim(self, event: str, seconds: float) -> Claim:
        """Claim the event for so many seconds, unless it is claimed or settled."""
        ...

    async def settle(self, event: str) -> None:
        """Settle the event: for seven days a redelivery of it is a duplicate."""
        ...

    async def release(self, event: str) -> None:
        """Give the claim up, so that a redelivery can be handled."""
        ...

    async def history(self, keys: LedgerKeys, window: float) -> tuple[float, ...]:
        """Times of the task's restarts within the window (seconds), oldest first, without those of this very event."""
        ...

    async def reserve(self, keys: LedgerKeys, expected: tuple[float, ...], window: float) -> bool:
        """Record a restart for the event, if the history is still the `expected` one; False if another was recorded."""
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
    """The ledger at an address that the settings have checked; it connects later. `clock`: seconds since 1970."""
    if address == "memory://":
        from restarter.ledger.memory import MemoryLedger  # noqa: PLC0415  # one of the two is enough

        return MemoryLedger(clock)
    from restarter.ledger.redis import RedisLedger  # noqa: PLC0415  # an extra: only where it is configured

    return RedisLedger(address, clock)
