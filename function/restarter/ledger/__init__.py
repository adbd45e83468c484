"""Once per event, so many restarts per task: what has to be remembered between deliveries.

A ledger is opened by its address: `memory://` remembers within one instance, `redis://` and `rediss://` for all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Protocol

from restarter.model import Event

SETTLED_SECONDS = 7 * 24 * 3600
"""As long as any sender may redeliver (Pub/Sub keeps a message for seven days)."""


class Claim(Enum):
    """What became of a claim to an event."""

    OURS = "ours"
    HELD = "held"
    """Another delivery of it is being dealt with, or was when its instance crashed."""
    SETTLED = "settled"


class LedgerError(Exception):
    """The ledger cannot be asked; nothing may be started on a guess."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The keys under which an event and the restarts of its task are remembered; hashes, for names may be long."""

    event: str
    task: str


def entry_of(event: Event, task_id: str) -> Entry:
    """The keys of an event that has an identity."""
    return Entry(event_key(event), _digest("task", event.project_id, task_id))


def event_key(event: Event) -> str:
    """The key of an event that has an identity."""
    return _digest("event", *(event.identity or ()))


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:40]


class Ledger(Protocol):
    """Raises LedgerError, whatever is asked, when it cannot answer. Times are seconds since 1970."""

    async def claim(self, event: str, seconds: float) -> Claim:
        """Make the event ours for so long, if it is nobody's."""
        ...

    async def settle(self, event: str) -> None:
        """The event is dealt with: for seven days a redelivery of it is a duplicate."""
        ...

    async def release(self, event: str) -> None:
        """The event is nobody's again, so that a redelivery can finish the job."""
        ...

    async def history(self, entry: Entry, window: float) -> tuple[float, ...]:
        """The times of the task's restarts within the window, the oldest first, but for this very event's own."""
        ...

    async def spend(self, entry: Entry, seen: tuple[float, ...], window: float) -> bool:
        """Write down a restart for the event, if the others are those that were seen; else somebody was faster."""
        ...

    async def cancel(self, entry: Entry) -> None:
        """The restart written down for the event was none."""
        ...

    async def first_refusal(self, task: str, window: float) -> bool:
        """Whether this is the first time within the window that the budget of the task stood in the way."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...


def open_ledger(address: str, clock: Callable[[], float]) -> Ledger:
    """The ledger at an address that the settings have checked; nothing is connected yet."""
    if address == "memory://":
        from restarter.ledger.memory import MemoryLedger  # noqa: PLC0415  # one of the two is enough

        return MemoryLedger(clock)
    from restarter.ledger.redis import RedisLedger  # noqa: PLC0415  # an extra: only where it is configured

    return RedisLedger(address, clock)
