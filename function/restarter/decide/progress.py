"""Whether a restart helped: what OMS counts of the task now, beside what it counted then. No I/O here.

The ledger keeps a note with each restart: the counters at its time, and a fingerprint of the storage keys it sent. The
restarts that are counted against a storage key have a note of their own kind: what was started, and its counters.
"""

import re
from typing import NamedTuple

from restarter.model.task import Counters, Restart, Task, TaskGroup

NOTE = re.compile(r"([0-9]{0,15}),([0-9]{0,15}),([0-9]{0,15}),([0-9a-f]{0,64})").fullmatch
MOVED = "moved"
"""Begins the note of a restart before which a task had moved with the storage key: what is older does not count."""
KEY_NOTE = re.compile(r"(?:moved)?\+([tg])([A-Za-z0-9_-]{1,64});(.{3,64})").fullmatch
MAX_ID_LENGTH = 64  # of a target that is looked at; a note is short
TASK_SUCCEEDED, GROUP_COMPLETE = 5, 6


class Noted(NamedTuple):
    """What a note says; nothing for a restart that release 0.2.0 recorded."""

    counters: Counters = Counters()
    fingerprint: str = ""
    """Of the storage keys that it sent."""


def write_note(counters: Counters, fingerprint: str) -> str:
    """The note of a restart that begins with these counters."""
    return ",".join(["" if number is None else str(number) for number in counters] + [fingerprint])


def read_note(note: str) -> Noted:
    """What a note says."""
    found = NOTE(note)
    if found is None:
        return Noted()
    return Noted(Counters(*(int(digits) if digits else None for digits in found.groups()[:3])), found[4])


def has_moved(then: Counters, now: Counters) -> bool:
    """Whether a counter is greater, or is smaller and not zero: OMS may count anew. A missing one is neither."""
    known = [(old, new) for old, new in zip(then, now, strict=True) if old is not None and new is not None]
    return any(new > old or 0 < new < old for old, new in known)


def since_last_moved(restarts: tuple[Restart, ...], now: Counters) -> tuple[Restart, ...]:
    """The restarts that count in the budget: those after the newest one since which the task has moved."""
    for index in reversed(range(len(restarts))):
        if has_moved(read_note(restarts[index].note).counters, now):
            return restarts[index + 1 :]
    return restarts


def progress_since(restarts: tuple[Restart, ...], now: Counters) -> Counters | None:
    """What moved since the newest restart; None where that is not known. A count that began anew moved what it has."""
    then = read_note(restarts[-1].note).counters if restarts else Counters()
    pairs = zip(then, now, strict=True)
    moved = Counters(*(None if a is None or b is None else b - a if b >= a else b for a, b in pairs))
    return None if moved == Counters() else moved


def sent_key(restarts: tuple[Restart, ...], fingerprint: str) -> tuple[Restart, ...]:
    """The restarts that sent these storage keys, or of which that is not known."""
    return tuple(one for one in restarts if read_note(one.note).fingerprint in ("", fingerprint))


def has_moved_with(fingerprint: str, restarts: tuple[Restart, ...], now: Counters) -> bool:
    """Whether the newest restart sent these storage keys, and the task has moved since."""
    newest = read_note(restarts[-1].note) if restarts else Noted()
    return newest.fingerprint == fingerprint and has_moved(newest.counters, now)


class Canary(NamedTuple):
    """A target that was started with a storage key, and what OMS counted of it then.

    Whether it moves shows whether the key works, so others need not fail to learn that.
    """

    target_id: str
    of_group: bool
    counters: Counters

    def has_moved(self, found: Task | TaskGroup) -> bool:
        """Whether the start helped, by what OMS says of the target now: then the key works."""
        is_done = found.status == (GROUP_COMPLETE if self.of_group else TASK_SUCCEEDED)
        return is_done or has_moved(self.counters, found.counters)


def write_key_note(target: Task | TaskGroup, *, key_works: bool, counts: bool) -> str:
    """The note of a restart under its storage key: that a task has moved with it; a canary, if it counts against it."""
    kind = "g" if isinstance(target, TaskGroup) else "t"
    canary = f"{kind}{target.id};{write_note(target.counters, '')}" if len(target.id) <= MAX_ID_LENGTH else ""
    return (MOVED if key_works else "") + (f"+{canary}" if counts else "")


def read_canaries(restarts: tuple[Restart, ...]) -> list[Canary]:
    """What the first and the newest of a key's restarts started, as far as that is known."""
    notes = dict.fromkeys(one.note for one in (*restarts[:1], *restarts[-1:]))
    found = filter(None, map(KEY_NOTE, notes))
    return [Canary(one[2], one[1] == "g", read_note(one[3]).counters) for one in found]


def since_key_moved(restarts: tuple[Restart, ...]) -> tuple[Restart, ...]:
    """The restarts that count against a storage key: those since the newest that knows of a task that moved with it."""
    newest = _newest_that_moved(restarts)
    return tuple(one for one in restarts[newest or 0 :] if one.note != MOVED)


def key_worked_within(seconds: float, restarts: tuple[Restart, ...]) -> bool:
    """Whether it became known within so many seconds that a task moved with a storage key."""
    newest = _newest_that_moved(restarts)
    return newest is not None and restarts[newest].age_s < seconds


def _newest_that_moved(restarts: tuple[Restart, ...]) -> int | None:
    return max((index for index, one in enumerate(restarts) if one.note.startswith(MOVED)), default=None)
