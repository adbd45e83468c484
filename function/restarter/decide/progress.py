"""Whether a restart helped: compares OMS's counters now with those at the time of the restart. No I/O here.

The ledger keeps a note with each restart: the counters at its time, and a fingerprint of the storage keys it sent. A
restart that counts against a storage key has another kind of note there: what was started, and its counters.
"""

import re
from typing import NamedTuple

from restarter.model.task import Counters, Restart, Task, TaskGroup

NOTE = re.compile(r"([0-9]{0,15}),([0-9]{0,15}),([0-9]{0,15}),([0-9a-f]{0,64})").fullmatch
MOVED = "moved"
"""Begins the note of a restart before which a task had moved with the storage key: older ones do not count."""
KEY_NOTE = re.compile(r"(?:moved)?\+([tg])([A-Za-z0-9_-]{1,64});(.{3,64})").fullmatch
MAX_ID_LENGTH = 64  # of a canary's target; notes are short
TASK_SUCCEEDED, GROUP_COMPLETE = 5, 6


class Noted(NamedTuple):
    """The content of a note; empty for a restart that release 0.2.0 recorded."""

    counters: Counters = Counters()
    fingerprint: str = ""
    """Fingerprint of the storage keys that the restart sent."""


def write_note(counters: Counters, fingerprint: str) -> str:
    """The note of a restart that was made at these counters."""
    return ",".join(["" if number is None else str(number) for number in counters] + [fingerprint])


def read_note(note: str) -> Noted:
    """The content of a note; empty if it has another form."""
    found = NOTE(note)
    if found is None:
        return Noted()
    return Noted(Counters(*(int(digits) if digits else None for digits in found.groups()[:3])), found[4])


def has_moved(then: Counters, now: Counters) -> bool:
    """Whether a counter has grown, or is smaller but not zero: OMS may count anew. Missing counters are ignored."""
    known = [(old, new) for old, new in zip(then, now, strict=True) if old is not None and new is not None]
    return any(new > old or 0 < new < old for old, new in known)


def since_last_moved(restarts: tuple[Restart, ...], now: Counters) -> tuple[Restart, ...]:
    """The restarts that count in the budget: those after the newest one that moved the task."""
    for index in reversed(range(len(restarts))):
        if has_moved(read_note(restarts[index].note).counters, now):
            return restarts[index + 1 :]
    return restarts


def progress_since(restarts: tuple[Restart, ...], now: Counters) -> Counters | None:
    """What moved since the newest restart; None if unknown. Of a counter that began anew, its whole value moved."""
    then = read_note(restarts[-1].note).counters if restarts else Counters()
    pairs = zip(then, now, strict=True)
    moved = Counters(*(None if a is None or b is None else b - a if b >= a else b for a, b in pairs))
    return None if moved == Counters() else moved


def sent_key(restarts: tuple[Restart, ...], fingerprint: str) -> tuple[Restart, ...]:
    """The restarts that sent these storage keys, or whose keys are not known."""
    return tuple(one for one in restarts if read_note(one.note).fingerprint in ("", fingerprint))


def has_moved_with(fingerprint: str, restarts: tuple[Restart, ...], now: Counters) -> bool:
    """Whether the newest restart sent these storage keys, and the task has moved since."""
    newest = read_note(restarts[-1].note) if restarts else Noted()
    return newest.fingerprint == fingerprint and has_moved(newest.counters, now)


class Canary(NamedTuple):
    """A target that was started with a storage key, and OMS's counters of it at that time.

    Whether it moves shows whether the key works, so that other targets need not fail to find out.
    """

    target_id: str
    of_group: bool
    counters: Counters

    def has_moved(self, found: Task | TaskGroup) -> bool:
        """Whether the target has moved or finished since that start, so the key works. `found`: the target now."""
        is_done = found.status == (GROUP_COMPLETE if self.of_group else TASK_SUCCEEDED)
        return is_done or has_moved(self.counters, found.counters)


def write_key_note(target: Task | TaskGroup, *, key_works: bool, counts: bool) -> str:
    """The note of a restart under its storage key: whether a task has moved with it, and a canary if it counts."""
    kind = "g" if isinstance(target, TaskGroup) else "t"
    canary = f"{kind}{target.id};{write_note(target.counters, '')}" if len(target.id) <= MAX_ID_LENGTH else ""
    return (MOVED if key_works else "") + (f"+{canary}" if counts else "")


def read_canaries(restarts: tuple[Restart, ...]) -> list[Canary]:
    """The targets of the first and the newest restart with a key, as far as they are known."""
    notes = dict.fromkeys(one.note for one in (*restarts[:1], *restarts[-1:]))
    found = filter(None, map(KEY_NOTE, notes))
    return [Canary(one[2], one[1] == "g", read_note(one[3]).counters) for one in found]


def since_key_moved(restarts: tuple[Restart, ...]) -> tuple[Restart, ...]:
    """The restarts that count against a storage key: from the newest one on that noted that a task moved with it."""
    newest = _newest_that_moved(restarts)
    return tuple(one for one in restarts[newest or 0 :] if one.note != MOVED)


def key_worked_within(seconds: float, restarts: tuple[Restart, ...]) -> bool:
    """Whether a restart of the last `seconds` noted that a task had moved with the storage key."""
    newest = _newest_that_moved(restarts)
    return newest is not None and restarts[newest].age_s < seconds


def _newest_that_moved(restarts: tuple[Restart, ...]) -> int | None:
    return max((index for index, one in enumerate(restarts) if one.note.startswith(MOVED)), default=None)
