"""Parts of one delivery that name the same event or target: the first acts, the others follow it. No I/O here."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from restarter.model.outcome import Kind, Outcome
from restarter.model.request import TARGET_FIELDS, Event

T = TypeVar("T")
Key = tuple[str, ...]


class Siblings:
    """What the parts of a delivery of several do. Only its first part about an event or a target acts on it."""

    def __init__(self) -> None:
        self._firsts: dict[Key, asyncio.Future[Any]] = {}

    async def once(self, keys: Iterable[Key], act: Callable[[], Awaitable[T]], follow: Callable[[T], T]) -> T:
        """The result of `act` for the first part that has one of the keys; `follow` of that result for later ones.

        A part must ask for all its keys of one kind at once, and for an event before a target: none waits in a circle.
        """
        keys = list(keys)
        first = next((self._firsts[key] for key in keys if key in self._firsts), None)
        if first is not None:
            return follow(await asyncio.shield(first))
        acting = asyncio.ensure_future(act())
        self._firsts |= dict.fromkeys(keys, acting)
        return await acting


def named_by(event: Event) -> list[Key]:
    """The keys of what an event names before OMS is asked: itself, if it has an id, and its target."""
    field = next(name for name in TARGET_FIELDS if getattr(event.request, name) is not None)
    target = ("named", event.project_id, field, str(getattr(event.request, field)))
    return [target] if event.identity is None else [target, ("event", *event.identity)]


def following(first: Outcome) -> Outcome:
    """The outcome of a later part: a duplicate of a start that was made, else the outcome of the first.

    Only the first says that a start was called, and a refusal of it is told to people once.
    """
    if first.kind is Kind.STARTED:
        return Outcome(Kind.DUPLICATE, task_id=first.task_id, task_name=first.task_name, group_id=first.group_id)
    is_repeated = first.repeated or first.kind is Kind.REFUSED
    return first._replace(start_called=False, repeated=is_repeated)
