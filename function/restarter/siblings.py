"""Parts of one delivery that name the same event or target: the first acts, the others follow it. No I/O here."""

import asyncio
from types import TracebackType
from typing import Self

from restarter.model.outcome import Kind, Outcome
from restarter.model.request import TARGET_FIELDS, Event

Key = tuple[str, ...]


class Siblings:
    """What the parts of one delivery are about, for as long as they are handled.

    A part asks `earlier` with all keys that it knows, and, where that gives nothing, acts and says so with `tell`. It
    asks for what it names before it asks for what OMS says that this is, so none waits in a circle.

    Args:
        count: How many parts there are. A part without siblings leaves no record.
    """

    def __init__(self, count: int = 1) -> None:
        self._is_alone = count == 1
        self._firsts: dict[Key, asyncio.Future[Outcome]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nobody waits any more, not even for a part that failed."""
        for first in self._firsts.values():
            first.cancel()

    async def earlier(self, *keys: Key) -> Outcome | None:
        """What follows from an earlier part that has one of the keys; None for the first, which is to act."""
        first = next((self._firsts[key] for key in keys if key in self._firsts), None)
        if first is not None:
            return following(await first)
        if not self._is_alone:
            self._firsts |= dict.fromkeys(keys, asyncio.get_running_loop().create_future())
        return None

    def tell(self, outcome: Outcome, *keys: Key) -> None:
        """Tell the later parts the outcome of the one that acted; `keys` as it gave them to `earlier`."""
        for first in {self._firsts[key] for key in keys if key in self._firsts}:
            first.set_result(outcome)


NO_SIBLINGS = Siblings()


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
