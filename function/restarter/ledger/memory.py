"""A ledger in the memory of one instance. It ends with the instance, is not shared, and is bounded. No I/O here."""

from collections.abc import Callable
from typing import NamedTuple

from cachetools import TLRUCache, TTLCache

from restarter.ledger import MAX_WINDOW_S, SETTLED_TTL_S, Claim, Claimed, EventKey, History, LedgerKeys, new_token
from restarter.model.task import Restart

# Some 10 MB when full; the oldest entries are dropped beyond that.
EVENT_CACHE_SIZE = 20_000
TASK_CACHE_SIZE = 10_000


class _Event(NamedTuple):
    """A claimed event, or with `settled_for` a settled one."""

    expires_at: float
    token: str
    settled_for: str = ""


class _Entry(NamedTuple):
    attempt: str
    event: str
    at: float
    under_way: bool
    note: str


class MemoryLedger:
    """No method awaits anything, so each is atomic for the deliveries of one event loop."""

    waits = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: TLRUCache[str, _Event] = TLRUCache(
            EVENT_CACHE_SIZE, lambda _key, value, _now: value.expires_at, clock
        )
        self._restarts: TTLCache[str, tuple[_Entry, ...]] = TTLCache(TASK_CACHE_SIZE, MAX_WINDOW_S, clock)
        self._marks: TLRUCache[str, tuple[float, str]] = TLRUCache(
            TASK_CACHE_SIZE, lambda _key, value, _now: value[0], clock
        )

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        found = self._events.get(event.id)
        if found is None:
            token = new_token()
            self._events[event.id] = _Event(self._clock() + seconds, token)
            return Claimed(Claim.OURS, token)
        if not found.settled_for:  # a clock that was set back must not make a sender wait
            return Claimed(Claim.HELD, rest_s=min(max(found.expires_at - self._clock(), 0.0), seconds))
        return Claimed(Claim.SETTLED if found.settled_for == event.target else Claim.SETTLED_ELSEWHERE)

    async def settle(self, event: EventKey, token: str) -> None:
        self._events[event.id] = _Event(self._clock() + SETTLED_TTL_S, token, event.target)

    async def release(self, event: EventKey, token: str) -> None:
        found = self._events.get(event.id)
        if found is not None and found.token == token and not found.settled_for:
            del self._events[event.id]

    async def history(self, keys: LedgerKeys, window_s: float) -> History:
        now, kept = self._clock(), self._within(keys, window_s)
        restarts = [
            Restart(max(now - entry.at, 0.0), entry.event == keys.event, entry.under_way, entry.note)
            for entry in sorted(kept, key=lambda entry: entry.at)
        ]
        return History(tuple(restarts), _version(kept))

    async def reserve(self, keys: LedgerKeys, expected: History, window_s: float, attempt: str, note: str = "") -> bool:
        kept = self._within(keys, window_s)
        if _version(kept) != expected.version:
            return any(entry.attempt == attempt for entry in kept)
        entry = _Entry(attempt, keys.event, self._clock(), under_way=True, note=note)
        self._restarts[keys.task] = (*kept, entry)
        return True

    async def confirm(self, keys: LedgerKeys, attempt: str) -> None:
        self._replace(keys, lambda entry: (entry._replace(under_way=entry.under_way and entry.attempt != attempt),))

    async def unreserve(self, keys: LedgerKeys, attempt: str) -> None:
        self._replace(keys, lambda entry: (entry,) if entry.attempt != attempt else ())

    async def mark(self, name: str, owner: str, window_s: float) -> bool:
        if name not in self._marks:
            self._marks[name] = (self._clock() + window_s, owner)
        return self._marks[name][1] == owner

    async def purge(self) -> None:
        """The caches drop by themselves what has expired."""

    async def close(self) -> None:
        """There is nothing to close."""

    def _within(self, keys: LedgerKeys, window_s: float) -> tuple[_Entry, ...]:
        since = self._clock() - window_s
        return tuple(entry for entry in self._restarts.get(keys.task, ()) if entry.at > since)

    def _replace(self, keys: LedgerKeys, change: Callable[[_Entry], tuple[_Entry, ...]]) -> None:
        """Replace each restart of a task with what `change` returns for it."""
        if (kept := self._restarts.get(keys.task)) is not None:
            self._restarts[keys.task] = tuple(new for entry in kept for new in change(entry))


def _version(kept: tuple[_Entry, ...]) -> str:
    return ",".join(sorted(entry.attempt for entry in kept))
