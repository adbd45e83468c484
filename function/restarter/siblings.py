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
    """What the parts of a delivery of several do. Only its first part about an event or a target acts on it."""

    def __init__(self) -> None:
        self._firsts: dict[Key, asyncio.Future[Any]] = {}

    async def once(self, keys: Iterable[Key], act: Callable[[], Awaitable[T]], follow: Callable[[T, Key], T]) -> T:
        """The result of `act` for the first part that has one of the keys; `follow` of it and the key for later ones.

        A part must ask for all its keys of one kind at once, and for an event before a target: none waits in a circle.
        """
        keys = list(keys)
        shared = next((key for key in keys if key in self._firsts), None)
        if shared is not None:
            return follow(await asyncio.shield(self._firsts[shared]), shared)
        acting = asyncio.ensure_future(act())
        self._firsts |= dict.fromkeys(keys, acting)
        return await acting


def named_by(event: Event) -> list[Key]:
    """The keys of what an event names before OMS is asked: itself, if it has an id, and its target."""
    field = next(name for name in TARGET_FIELDS if getattr(event.request, name) is not None)
    target = ("named", event.project_id, field, str(getattr(event.request, field)))
    return [target] if event.identity is None else [target, (EVENT, *event.identity)]


def another_task() -> Outcome:
    """The outcome of an event whose id is settled for another task."""
    LOG.warning("An event id came again with another task, which is not started")
    return Outcome(Kind.DUPLICATE, Reason.ANOTHER_TASK)


def following(first: Outcome, shared: Key) -> Outcome:
    """The outcome of a later part: a duplicate of a start that was made, else the outcome of the first.

    Only the first says that a start was called, and a refusal of it is told to people once. `shared`: the key that both
    parts have; if it is that of an event, they name different targets.
    """
    if shared[0] == EVENT:
        is_settled = OUTCOMES[first.kind].settles
        return another_task() if is_settled else Outcome(first.kind, first.reason, retry_after=first.retry_after)
    if first.kind is Kind.STARTED:
        return Outcome(Kind.DUPLICATE, task_id=first.task_id, task_name=first.task_name, group_id=first.group_id)
    is_repeated = first.repeated or first.kind is Kind.REFUSED
    return first._replace(start_called=False, repeated=is_repeated)
