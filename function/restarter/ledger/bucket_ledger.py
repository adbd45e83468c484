"""A ledger in a bucket: one of OBS, which has no conditional write, or of Cloud Storage, which has one.

It deletes, appends and lists nothing, and sends no write twice; objects expire by `x-obs-expires` or by the bucket's
lifecycle. In OBS a splitter (`x`, `y`) decides who is the first at a place; in Cloud Storage the first is whoever
creates its `y`. Under the prefix:

| object | what it holds |
|---|---|
| `e/<event>/<round>/x`, `y` | a round in which the event is claimed; `y` stands for the claim |
| `e/<event>/<round>/r` | the claim was released: round + 1 is open, as after a claim that has expired |
| `e/<event>/s` | the event is settled, and for which task |
| `t/<key>/<n>/x`, `y` | the place of restart n |
| `t/<key>/<n>/w` | the restart as its winner wrote it: in OBS when it had won, in both with its result |
| `t/<key>/h` | the number of a restart that was written, from which the others are found |
| `m/<name>/<round>/x`, `y`, `w` | a mark, and in OBS the owner who won it |

A restart that was begun and not finished counts: its winner may have died.
"""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from cachetools import LRUCache
from pydantic_core import from_json, to_json

from restarter.ledger import (
    MAX_WINDOW_S,
    SETTLED_TTL_S,
    Claim,
    Claimed,
    EventKey,
    History,
    Ledger,
    LedgerError,
    LedgerKeys,
    new_token,
)
from restarter.ledger.splitter import Read, Split, Store, split
from restarter.model.task import Restart

EVENT_DAYS = 8  # one more than SETTLED_TTL_S
# A restart outlives the longest window, and the number that leads to it outlives the restart, even if OBS deletes that
# two days late: without the number, the gap that the first restarts leave would hide the last.
MARK_DAYS = 32
RESTART_DAYS = 35
HINT_DAYS = 40
UNDER_WAY, MADE, TAKEN_BACK = "under way", "made", "taken back"
MAX_RESERVED = 1000  # in flight, so that their numbers need not be looked up
# The `n` marks the end, as JSON does in the other objects: a read during a write may return only a part.
NUMBER = re.compile(r"([0-9]{1,9})n").fullmatch


class _Record(NamedTuple):
    """A restart of a task. If its winner has not written it, only its beginning is known."""

    number: int
    at: float
    event: str = ""
    attempt: str = ""
    note: str = ""
    state: str = UNDER_WAY


class _Standing(NamedTuple):
    """The content of a round's object: for how long the place is claimed, and who marked it."""

    seconds: float
    owner: str = ""


Text = TypeVar("Text", _Record, _Standing)


class _Round(NamedTuple):
    """The last round of a place: won if there is a token, else held by another for `rest_s` seconds more."""

    number: int
    token: str = ""
    rest_s: float = 0.0


class BucketLedger(Ledger):
    """Times are those of the store's clock, in whole seconds, so a claim may last a second longer than requested.

    `create`: writes an object unless it exists, and returns the store's time, or None if it exists. It is None for a
    store that cannot do that: then a splitter decides.
    """

    def __init__(self, store: Store, create: Callable[[str, str], Awaitable[float | None]] | None = None) -> None:
        self._store = store
        self._create = create
        self._reserved: LRUCache[tuple[str, str], _Record] = LRUCache(MAX_RESERVED)

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        settled = await self._settled(event)
        if settled is not None:
            return settled
        claimed = await self._contend(f"e/{event.id}", _Standing(seconds), EVENT_DAYS)
        if not claimed.token:
            return Claimed(Claim.HELD, rest_s=min(claimed.rest_s, seconds))
        # The holder of an earlier round may have settled the event since the first check.
        settled = await self._settled(event) if claimed.number > 1 else None
        return settled or Claimed(Claim.OURS, f"{claimed.number}-{claimed.token}")

    async def settle(self, event: EventKey, token: str) -> None:
        await self._store.put(f"e/{event.id}/s", event.target, EVENT_DAYS)

    async def release(self, event: EventKey, token: str) -> None:
        """Release the claim. It belongs to one round, so this does not affect later ones."""
        number, _, secret = token.partition("-")
        if number.isdigit() and secret:
            await self._store.put(f"e/{event.id}/{number}/r", secret, EVENT_DAYS)

    async def history(self, keys: LedgerKeys, window_s: float) -> History:
        _, now, records = await self._records(keys.task, window_s)
        restarts = [
            Restart(max(now - at, 0.0), event == keys.event, state == UNDER_WAY, note)
            for _, at, event, _, note, state in sorted(records, key=lambda record: record.at)
        ]
        return History(tuple(restarts), _version(records))

    async def reserve(self, keys: LedgerKeys, expected: History, window_s: float, attempt: str, note: str = "") -> bool:
        """Record a restart by winning the next number: all that saw the same history contend for the same number."""
        last, _, records = await self._records(keys.task, window_s)
        if _version(records) != expected.version:
            return attempt in [record.attempt for record in records]
        place = f"t/{keys.task}/{last + 1}"
        record = _Record(last + 1, 0.0, keys.event, attempt, note)
        outcome = await self._contend_once(place, new_token(), record, RESTART_DAYS)
        if not outcome.won:
            return False
        record = record._replace(at=outcome.written_at)
        self._reserved[keys.task, attempt] = record
        await self._keep(place, record, RESTART_DAYS)
        await self._store.put(f"t/{keys.task}/h", f"{record.number}n", HINT_DAYS)
        return True

    async def confirm(self, keys: LedgerKeys, attempt: str) -> None:
        await self._conclude(keys.task, attempt, MADE)

    async def unreserve(self, keys: LedgerKeys, attempt: str) -> None:
        """The attempt's restart does not count; its number stays taken."""
        await self._conclude(keys.task, attempt, TAKEN_BACK)

    async def mark(self, name: str, owner: str, window_s: float) -> bool:
        """Mark a name. In OBS, if several owners mark it at the same moment, none may be the first."""
        standing = _Standing(window_s, owner)
        marked = await self._contend(f"m/{name}", standing, MARK_DAYS, releasable=False)
        place = f"m/{name}/{marked.number}"
        if marked.token:
            await self._keep(place, standing, MARK_DAYS)
            return True
        found = _parsed(_Standing, (await self._store.get(f"{place}/{'y' if self._create else 'w'}")).value)
        return found is not None and found.owner == owner

    async def purge(self) -> None:
        """The store deletes what has expired."""

    async def close(self) -> None:
        await self._store.close()

    async def _settled(self, event: EventKey) -> Claimed | None:
        found = await self._store.get(f"e/{event.id}/s")
        if found.value is None or found.now - found.modified >= SETTLED_TTL_S:
            return None
        return Claimed(Claim.SETTLED if found.value == event.target else Claim.SETTLED_ELSEWHERE)

    async def _contend(self, place: str, wanted: _Standing, days: int, *, releasable: bool = True) -> _Round:
        """Contend for the first round, or for the one after the last, if that has expired or was released."""
        number, token = 1, new_token()
        outcome = await self._contend_once(f"{place}/1", token, wanted, days)
        if outcome.standing is not None:
            number, rest = await self._last_round(place, outcome.standing, wanted.seconds)
            if rest > 0 and not (releasable and await self._exists(f"{place}/{number}/r")):
                return _Round(number, rest_s=rest)
            number, token = number + 1, new_token()
            outcome = await self._contend_once(f"{place}/{number}", token, wanted, days)
        # A contender that was frozen for as long as its claim would last has not won: others may have gone on.
        won = outcome.won and outcome.took_s < wanted.seconds
        return _Round(number, token) if won else _Round(number, rest_s=wanted.seconds)

    async def _contend_once(self, place: str, token: str, content: NamedTuple, days: int) -> Split:
        if self._create is None:
            return await split(self._store, place, token, _text(content), days)
        written_at = await self._create(f"{place}/y", _text(content))
        if written_at is None:
            return Split(won=False, standing=await self._store.get(f"{place}/y"))
        return Split(won=True, written_at=written_at)

    async def _keep(self, place: str, content: NamedTuple, days: int) -> None:
        """Write the content of the winner of a place to `w` in OBS, where `y` may be a loser's."""
        if self._create is None:
            await self._store.put(f"{place}/w", _text(content), days)

    async def _last_round(self, place: str, first: Read, seconds: float) -> tuple[int, float]:
        """The number of the last opened round, found by doubling and halving, and the seconds until it expires.

        Every round before an opened one was opened, too, and none is deleted before its event is.
        """
        opened, missing, standing = 1, 0, first
        while missing == 0 or missing - opened > 1:
            probe = opened * 2 if missing == 0 else (opened + missing) // 2
            found = await self._store.get(f"{place}/{probe}/y")
            if found.value is None:
                missing = probe
            else:
                opened, standing = probe, found
        claimed = _parsed(_Standing, standing.value)
        # Both times are truncated to whole seconds: the round may be one second younger than their difference.
        return opened, (claimed.seconds if claimed else seconds) + 1 - (standing.now - standing.modified)

    async def _exists(self, name: str) -> bool:
        return (await self._store.get(name)).value is not None

    async def _records(self, task: str, window_s: float) -> tuple[int, float, list[_Record]]:
        """The last number that is taken, the store's time, and the restarts that count within the window."""
        hint = await self._store.get(f"t/{task}/h")
        known = NUMBER(hint.value) if hint.value is not None else None
        if hint.value is not None and known is None:
            raise LedgerError("a part of an object")
        last = int(known[1]) if known else 0
        while await self._exists(f"t/{task}/{last + 1}/y"):
            last += 1
        records: list[_Record] = []
        number = last
        while (record := await self._record(task, number) if number else None) and hint.now - record.at < window_s:
            records.insert(0, record)
            number -= 1
        return last, hint.now, [each for each in records if each.state != TAKEN_BACK]

    async def _record(self, task: str, number: int) -> _Record | None:
        record = _parsed(_Record, (await self._store.get(f"t/{task}/{number}/w")).value)
        if record is not None:
            return record
        begun = await self._store.get(f"t/{task}/{number}/y")
        if begun.value is None:
            return None
        record = _parsed(_Record, begun.value) if self._create else None  # in OBS it may be a loser's
        return (record or _Record(number, 0.0))._replace(at=begun.modified)

    async def _conclude(self, task: str, attempt: str, state: str) -> None:
        """Write the attempt's restart again, with its result. A restart that was taken back stays so.

        Only the attempt itself writes it. If its first write was lost, this one may be the only one.
        """
        record = self._reserved.pop((task, attempt), None)
        if record is None:
            _, _, records = await self._records(task, MAX_WINDOW_S)
            record = next((each for each in records if each.attempt == attempt), None)
        if record is not None:
            await self._store.put(f"t/{task}/{record.number}/w", _text(record._replace(state=state)), RESTART_DAYS)


def _version(records: list[_Record]) -> str:
    return " ".join(str(record.number) for record in records)


def _text(content: NamedTuple) -> str:
    return to_json(content).decode()


def _parsed(kind: type[Text], text: str | None) -> Text | None:
    """What was written; None if there is nothing, or the read returned only a part of it."""
    try:
        fields = from_json(text or "")
    except ValueError:
        return None
    return kind(*fields) if isinstance(fields, list) and len(fields) == len(kind._fields) else None
