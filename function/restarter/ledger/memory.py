"""A ledger in the memory of one instance: gone when it ends, unknown to its neighbours, bounded. No I/O here."""

from collections.abc import Callable

from cachetools import TLRUCache, TTLCache

from restarter.ledger import SETTLED_SECONDS, Claim, Entry

# Some 10 MB when full; what is over it forgets the oldest.
EVENTS = 20_000
TASKS = 10_000
LONGEST_WINDOW = 31 * 24 * 3600.0


class MemoryLedger:
    """Everything here happens between two awaits, so one delivery never sees another half-way."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: TLRUCache[str, tuple[Claim, float]] = TLRUCache(EVENTS, lambda _key, value, _now: value[1], clock)
        self._restarts: TTLCache[str, dict[str, float]] = TTLCache(TASKS, LONGEST_WINDOW, clock)
        self._refusals: TLRUCache[str, float] = TLRUCache(TASKS, lambda _key, value, _now: value, clock)

    async def claim(self, event: str, seconds: float) -> Claim:
        """Make the event ours for so long, if it is nobody's."""
        if event in self._events:
            return self._events[event][0]
        self._events[event] = (Claim.HELD, self._clock() + seconds)
        return Claim.OURS

    async def settle(self, event: str) -> None:
        """The event is dealt with."""
        self._events[event] = (Claim.SETTLED, self._clock() + SETTLED_SECONDS)

    async def release(self, event: str) -> None:
        """The event is nobody's again."""
        self._events.pop(event, None)

    async def history(self, entry: Entry, window: float) -> tuple[float, ...]:
        """The times of the task's restarts within the window, but for this event's own."""
        return tuple(sorted(self._others(entry, window).values()))

    async def spend(self, entry: Entry, seen: tuple[float, ...], window: float) -> bool:
        """Write down a restart, if nobody was faster."""
        others = self._others(entry, window)
        if tuple(sorted(others.values())) != seen:
            return False
        self._restarts[entry.task] = others | {entry.event: self._clock()}
        return True

    async def close(self) -> None:
        """There is nothing to let go."""

    def _others(self, entry: Entry, window: float) -> dict[str, float]:
        since = self._clock() - window
        kept = self._restarts.get(entry.task, {})
        return {event: at for event, at in kept.items() if at > since and event != entry.event}

    async def cancel(self, entry: Entry) -> None:
        """The restart was none."""
        self._restarts.get(entry.task, {}).pop(entry.event, None)

    async def first_refusal(self, task: str, window: float) -> bool:
        """Whether this is the first refusal within the window."""
        if task in self._refusals:
            return False
        self._refusals[task] = self._clock() + window
        return True
