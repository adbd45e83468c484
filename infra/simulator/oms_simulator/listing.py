"""How a list of tasks comes out: in which order, what changes between its pages, and rows that are no tasks.

Nothing documents the order of ListTasks, and rows of the real one move while a caller reads page after page.
"""

import hashlib
from typing import Annotated, Any, Literal

from pydantic import Field

from oms_simulator.documents import Document, Times
from oms_simulator.task_fields import Status, TaskId
from oms_simulator.tasks import Task


class Change(Document):
    """What happens to a task once so many lists were answered."""

    after_lists: Annotated[int, Field(ge=1, le=2**31)]
    task_id: TaskId
    status: Status | None = None
    front: bool = False
    delete: bool = False


class RawRows(Document):
    """Rows of any JSON that stand in a page, beside its tasks. Pages count from 1."""

    page: Annotated[int, Field(ge=1, le=2**31)]
    rows: list[Any]
    at: Times = 0


class ListingDocument(Document):
    """The order: as created, the newest first, by start_time, or shuffled by `seed`; and what else is to happen."""

    order: Literal["created", "newest", "start_time", "shuffled"] = "created"
    seed: Times = 0
    changes: list[Change] = Field(default_factory=list)
    raw_rows: list[RawRows] = Field(default_factory=list)


class Listing:
    """A document and how far it has come: lists that were answered and tasks that moved to the front."""

    def __init__(self, document: ListingDocument) -> None:
        self._document = document
        self._lists = 0
        self._front: list[int] = []

    def arrange(self, tasks: list[Task]) -> list[Task]:
        """The tasks in the order of a list. `tasks` come as they were created."""
        ordered = self._order(tasks)
        if not self._front:
            return ordered
        places = {task_id: place for place, task_id in enumerate(reversed(self._front))}
        return sorted(ordered, key=lambda task: places.get(task.id, len(places)))

    def _order(self, tasks: list[Task]) -> list[Task]:
        match self._document.order:
            case "created":
                return tasks
            case "newest":
                return tasks[::-1]
            case "start_time":
                return sorted(tasks, key=lambda task: task.facts["start_time"] or 0)
            case "shuffled":
                return sorted(tasks, key=self._chance)

    def _chance(self, task: Task) -> bytes:
        """Where the task stands when shuffled: the same for the same seed, whichever others there are."""
        return hashlib.blake2b(f"{self._document.seed}:{task.id}".encode(), digest_size=8).digest()

    def fill(self, page: int | None, rows: list[Any]) -> list[Any]:
        """The page's rows with the raw ones among them."""
        for raw in self._document.raw_rows:
            if raw.page == page:
                rows = rows[: raw.at] + raw.rows + rows[raw.at :]
        return rows

    def count(self) -> list[Change]:
        """Count one answered list. Returns the changes that come now; moves to the front are made here."""
        self._lists += 1
        due = [change for change in self._document.changes if change.after_lists == self._lists]
        for change in due:
            if change.front:
                self._front = [task_id for task_id in self._front if task_id != change.task_id] + [change.task_id]
        return due
