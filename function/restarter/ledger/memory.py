"""A ledger in the memory of one instance. It ends with the instance, is not shared, and is bounded. No I/O here."""

from collections.abc import Callable

from cachetools import TLRUCache, TTLCache

from restarter.ledger import SETTLED_TTL_S, Claim, EventKey, History, LedgerKeys

# Some 10 MB when full; the oldest entries are dropped beyond that.
EVENT_CACHE_SIZE = 20_000
TASK_CACHE_SIZE = 10_000
MAX_WINDOW_S = 31 * 24 * 3600.0


class MemoryLedger:
    """No method awaits anything, so each is atomic for the deliveries of one event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: TLRUCache[str, tuple[str, float]] = TLRUCache(
            EVENT_CACHE_SIZE, lambda _key, value, _now: value[1], clock
        )
        self._restarts: TTLCache[str, dict[str, float]] = TTLCache(TASK_CACHE_SIZE, MAX_WINDOW_S, clock)
        self._exhausted: TLRUCache[str, float] = TLRUCache(TASK_CACHE_SIZE, lambda _key, value, _now: value, clock)

    async def claim(self, event: EventKey, seconds: float) -> Claim:
        """Claim the event for so many seconds, unless it is claimed or settled."""
        if event.id in self._events:
            settled_for = self._events[event.id][0]
            if not settled_for:
                return Claim.HELD
            return Claim.SETTLED if settled_for == event.target else Claim.SETTLED_ELSEWHERE
        self._events[event.id] = ("", self._clock() + seconds)
        return Claim.OURS

    async def settle(self, event: EventKey) -> None:
        """Settle the event."""
        self._events[event.id] = (event.target, self._clock() + SETTLED_TTL_S)

    async def release(self, event: EventKey) -> None:
        """Give the claim up."""
        self._events.pop(event.id, None)

    async def history(self, keys: LedgerKeys, window: float) -> History:
        """The task's restarts within the window, without those of this event."""
        now, others = self._clock(), self._others(keys, window)
        return History(tuple(now - at for at in sorted(others.values())), _version(others))

    async def reserve(self, keys: LedgerKeys, expected: History, window: float) -> bool:
        """Record a restart, if the history is still the expected one."""
        others = self._others(keys, window)
        if _version(others) != expected.version:
            return False
        self._restarts[keys.task] = others | {keys.event: self._clock()}
        return True

    async def close(self) -> None:
        """There is nothing to close."""

    def _others(self, keys: LedgerKeys, window: float) -> dict[str, float]:
        since = self._clock() - window
        kept = self._restarts.get(keys.task, {})
        return {event: at for event, at in kept.items() if at > since and event != keys.event}

    async def unreserve(self, keys: LedgerKeys) -> None:
        """Remove the restart recorded for the event."""
        self._restarts.get(keys.task, {}).pop(keys.event, None)

    async def mark_exhausted(self, task: str, window: float) -> bool:
        """Mark the budget as exhausted; True the first time within the window."""
        if task in self._exhausted:
            return False
        self._exhausted[task] = self._clock() + window
        return True


def _version(restarts: dict[str, float]) -> str:
    return repr(sorted(restarts.items()))
