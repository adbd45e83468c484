"""A ledger in a bucket of Cloud Storage: a name is created, or replaced in the generation that was seen, by one alone.

Nothing is deleted: the bucket's lifecycle ends what is old. A name takes one write a second
(https://cloud.google.com/storage/quotas), so what follows a claim or a reservation has a name of its own:

| object | what it holds |
|---|---|
| `e/<event>` | who claims the event; its generation fences the claim |
| `r/<event>/<generation>` | that claim was released |
| `s/<event>` | the event is settled, and for which task |
| `t/<key>` | the restarts under a key, each with the attempt that made it |
| `c/<key>/<attempt>` | the result of an attempt's restart |
| `m/<name>` | the owner of a mark |
"""

import asyncio
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from restarter.ledger import (
    MAX_WINDOW_S,
    SETTLED_TTL_S,
    Claim,
    Claimed,
    EventKey,
    History,
    LedgerError,
    LedgerKeys,
    new_token,
)
from restarter.ledger.gcs_store import ABSENT, GcsStore, Stat
from restarter.model.task import Restart

MADE, TAKEN_BACK = {"state": "made"}, {"state": "taken back"}


class _Entry(NamedTuple):
    """A restart of a task; `at`: Google's time, in seconds since 1970."""

    attempt: str
    event: str
    at: float
    note: str


class _Restarts(NamedTuple):
    """All restarts under a key, those that are counted, and which of these are under way."""

    generation: str
    now: float
    entries: list[_Entry]
    counted: list[_Entry]
    under_way: set[str]

    @property
    def version(self) -> str:
        return " ".join(entry.attempt for entry in self.counted)


class GcsLedger:
    """Times are those of Google's clock."""

    def __init__(self, store: GcsStore) -> None:
        self._store = store

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        name, fields = f"e/{event.id}", {"seconds": str(seconds)}
        generation = await self._store.write(name, fields, ABSENT)
        if generation is None:
            held = await self._stat(name)
            settled = await self._store.stat(f"s/{event.id}")
            if settled is not None and settled.age_s < SETTLED_TTL_S:
                same = settled.fields.get("target") == event.target
                return Claimed(Claim.SETTLED if same else Claim.SETTLED_ELSEWHERE)
            rest = _rest(held)
            if rest > 0 and await self._store.stat(f"r/{event.id}/{held.generation}") is None:
                return Claimed(Claim.HELD, rest_s=min(rest, seconds))
            generation = await self._store.write(name, fields, held.generation)
        if generation is None:
            return Claimed(Claim.HELD, rest_s=seconds)
        return Claimed(Claim.OURS, f"{generation}-{new_token()}")

    async def settle(self, event: EventKey, token: str) -> None:
        await self._store.write(f"s/{event.id}", {"target": event.target})

    async def release(self, event: EventKey, token: str) -> None:
        """Give the claim up: it is that of one generation, and nobody looks there once there is another."""
        generation, _, secret = token.partition("-")
        if generation.isdigit() and secret:
            await self._store.write(f"r/{event.id}/{generation}", {}, ABSENT)

    async def history(self, keys: LedgerKeys, window_s: float) -> History:
        found = await self._restarts(keys.task, window_s)
        restarts = [
            Restart(
                max(found.now - entry.at, 0.0), entry.event == keys.event, entry.attempt in found.under_way, entry.note
            )
            for entry in sorted(found.counted, key=lambda entry: entry.at)
        ]
        return History(tuple(restarts), found.version)

    async def reserve(self, keys: LedgerKeys, expected: History, window_s: float, attempt: str, note: str = "") -> bool:
        """Record a restart, if the history is still the expected one when it is written."""
        found = await self._restarts(keys.task, window_s)
        if attempt in [entry.attempt for entry in found.entries]:
            return attempt in [entry.attempt for entry in found.counted]
        if found.version != expected.version:
            return False
        kept = [entry for entry in found.entries if found.now - entry.at < MAX_WINDOW_S]
        content = to_json([*kept, _Entry(attempt, keys.event, found.now, note)])
        return await self._store.write(f"t/{keys.task}", {}, found.generation, content) is not None

    async def confirm(self, keys: LedgerKeys, attempt: str) -> None:
        """The attempt's restart counts, unless it was taken back."""
        await self._store.write(f"c/{keys.task}/{attempt}", MADE, ABSENT)

    async def unreserve(self, keys: LedgerKeys, attempt: str) -> None:
        """The attempt's restart does not count, whether it is recorded or will be."""
        await self._store.write(f"c/{keys.task}/{attempt}", TAKEN_BACK)

    async def mark(self, name: str, owner: str, window_s: float) -> bool:
        name, fields = f"m/{name}", {"owner": owner, "seconds": str(window_s)}
        if await self._store.write(name, fields, ABSENT) is not None:
            return True
        held = await self._stat(name)
        if _rest(held) <= 0:
            if await self._store.write(name, fields, held.generation) is not None:
                return True
            held = await self._stat(name)
        return bool(held.fields.get("owner") == owner)

    async def purge(self) -> None:
        """The bucket's lifecycle deletes what has expired."""

    async def close(self) -> None:
        await self._store.close()

    async def _stat(self, name: str) -> Stat:
        """An object that was there a moment ago."""
        found = await self._store.stat(name)
        if found is None:
            raise LedgerError("an object was deleted")
        return found

    async def _restarts(self, task: str, window_s: float) -> _Restarts:
        """The restarts under a key, each with its result."""
        content = await self._store.read(f"t/{task}")
        entries = [_Entry(*fields) for fields in _list(content.body)]
        within = [entry for entry in entries if content.now - entry.at < window_s]
        ends = await asyncio.gather(*(self._store.stat(f"c/{task}/{entry.attempt}") for entry in within))
        states = [end.fields if end is not None else {} for end in ends]
        counted = [entry for entry, state in zip(within, states, strict=True) if state != TAKEN_BACK]
        under_way = {entry.attempt for entry, state in zip(within, states, strict=True) if not state}
        return _Restarts(content.generation, content.now, entries, counted, under_way)


def _rest(held: Stat) -> float:
    """Seconds for which a claim or a mark still stands."""
    try:
        return float(held.fields["seconds"]) - held.age_s
    except (KeyError, ValueError):
        raise LedgerError("an object of somebody else") from None


def _list(body: bytes) -> list[list[Any]]:
    """The restarts as they were written."""
    try:
        return list(from_json(body)) if body else []
    except ValueError:
        raise LedgerError("an object of somebody else") from None
