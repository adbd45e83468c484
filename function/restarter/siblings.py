"""Parts of one delivery that name the same event or target: the first acts, the others follow it. No I/O here."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import TARGET_FIELDS, Event
from restarter.reporting.outcomes import OUTCOMES

LOG = logging.getLogger("restarter")
T = TypeVar("T")
Key = tuple[str, ...]
EVENT = "event"
"""Begins the key of an event; other keys are those of targets."""


class Siblings:
    """Coordinates the parts of one delivery: only the first part about an event or a target acts on it."""

    def __init__(self) -> None:
        self._firsts: dict[Key, asyncio.Future[Any]] = {}

    async def once(self, keys: Iterable[Key], act: Callable[[], Awaitable[T]], follow: Callable[[T, Key], T]) -> T:
        """The result of `act` for the first part with one of the keys; later parts get `follow` of it and of that key.

        To avoid a deadlock, a part passes all keys of one kind at once, and those of `named_by` before its target.
        """
        keys = list(keys)
        shared = next((key for key in keys if key in self._firsts), None)
        if shared is not None:
            return follow(await asyncio.shield(self._firsts[shared]), shared)
        acting = asyncio.ensure_future(act())
        self._firsts |= dict.fromkeys(keys, acting)
        return await acting


def named_by(event: Event) -> list[Key]:
    """The keys that are known before OMS is asked: the event's target and, if it has an id, the event itself."""
    field = next(name for name in TARGET_FIELDS if getattr(event.request, name) is not None)
    target = ("named", event.project_id, field, str(getattr(event.request, field)))
    return [target] if event.identity is None else [target, (EVENT, *event.identity)]


def another_task() -> Outcome:
    """The outcome of an event whose id is settled for another task."""
    LOG.warning("An event id came again with another task, which is not started")
    return Outcome(Kind.DUPLICATE, Reason.ANOTHER_TASK)


def following(first: Outcome, shared: Key) -> Outcome:
    """The outcome of a later part: duplicate if the first part was started, else the outcome of the first.

    Only the first part reports that it called a start, and only its refusal is reported to people. `shared`: the key
    that both parts have. If it is the key of an event, the parts name different targets.
    """
    if shared[0] == EVENT and OUTCOMES[first.kind].settles:
        return another_task()
    if first.kind is Kind.STARTED:
        return Outcome(Kind.DUPLICATE, task_id=first.task_id, task_name=first.task_name, group_id=first.group_id)
    is_repeated = first.repeated or first.kind is Kind.REFUSED
    if shared[0] == EVENT:  # without the facts about the other target
        return Outcome(
            first.kind, first.reason, retry_after=first.retry_after, opens_at=first.opens_at, repeated=is_repeated
        )
    return first._replace(start_called=False, repeated=is_repeated)
