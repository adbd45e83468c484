"""The tasks with a status: all pages of ListTasks, several at a time. The caller sends the requests: no I/O here."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from restarter.model.outcome import Outcome
from restarter.model.task import Task
from restarter.oms.tasks import MAX_PAGE_SIZE, Page

MAX_TASKS = 10_000  # OMS takes no larger offset
PAGES_AT_ONCE = 5


class TaskList(NamedTuple):
    """The tasks with a status, each once, in OMS's order, which is not documented."""

    tasks: list[Task]
    more_pages: bool = False
    """OMS lists more than MAX_TASKS."""
    error: Outcome | None = None
    """Why the rest could not be read."""
    missing: int = 0
    """Tasks that OMS counts and no page had: the list has changed, rows have no usable id, or enough was read."""


async def read_all(read: Callable[[int], Awaitable[Page | Outcome]], enough: float = math.inf) -> TaskList:
    """Read all pages, or as many as show that there are `enough` tasks: a single one, if OMS gives the total.

    `read`: requests the page at an offset, and interprets the response.
    """
    found: dict[str, Task] = {}
    offset, size, total = 0, MAX_PAGE_SIZE, 1
    while offset < min(total, MAX_TASKS):
        offsets = range(offset, min(total, MAX_TASKS, offset + PAGES_AT_ONCE * size), size)
        pages = await asyncio.gather(*map(read, offsets))
        found |= {task.id: task for page in pages if not isinstance(page, Outcome) for task in page.tasks}
        error = next((page for page in pages if isinstance(page, Outcome)), None)
        last = pages[-1]
        if error is not None or isinstance(last, Outcome):
            return TaskList([*found.values()], error=error)
        total = _total(last, offsets[-1])
        if not last.rows or max(len(found), last.total or 0) >= enough:
            break
        if offset == 0:
            size = min(size, last.rows)  # OMS may return shorter pages than requested
        offset = offsets[-1] + size
    missing = max(0, min(total, MAX_TASKS) - len(found))
    return TaskList([*found.values()], more_pages=total > MAX_TASKS, missing=missing)


def _total(page: Page, offset: int) -> int:
    """The number of tasks: OMS's own total, else those up to this page, plus one if the page is full."""
    read = offset + page.rows
    if page.total is not None and page.total >= read:
        return page.total
    return read + (page.rows >= MAX_PAGE_SIZE)
