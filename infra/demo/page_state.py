"""What the playground's page shows: tasks, stories of notices, receipts. No I/O here.

A story is one notice, or one delivery that came from elsewhere, with all that followed. Browsers get what has changed
a few times a second, and all of it when they connect.
"""

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from restarter.cli.night import night_of
from restarter.cli.night_picture import draw

KEPT_STORIES, KEPT_DELIVERIES, KEPT_RECEIPTS, KEPT_TASKS = 100, 12, 3000, 1000
Document = dict[str, Any]


@dataclass(slots=True)
class Delivery:
    """One call of the function: `status` is None as long as there is no response, 0 where there will be none."""

    how: str
    trace: str
    at: str
    status: int | None = None
    steps: list[tuple[str, str]] = field(default_factory=list)
    receipts: list[Document] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """A notice, how it is delivered, and its deliveries."""

    n: int
    title: str
    notice: Document | None = None
    signed: bool = False
    trouble: str = "none"
    notes: list[str] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)


class State:
    """All that is shown, and what of it has changed since it was last taken."""

    def __init__(self, begins: datetime) -> None:
        self._begins = begins
        self._made = 0
        self._stories: deque[Story] = deque(maxlen=KEPT_STORIES)
        self._by_trace: dict[str, Story] = {}
        self._receipts: deque[Document] = deque(maxlen=KEPT_RECEIPTS)
        self._tasks: dict[str, Document] = {}
        self._changed_tasks: dict[str, Document | None] = {}
        self._changed_stories: dict[int, Story] = {}
        self.told = 0
        """How many receipts there were."""

    def story(self, title: str, **fields: Any) -> Story:
        """A new story."""
        self._made += 1
        if len(self._stories) == KEPT_STORIES:
            for delivery in self._stories[0].deliveries:
                self._by_trace.pop(delivery.trace, None)
        story = Story(self._made, title, **fields)
        self._stories.append(story)
        self.change(story)
        return story

    def find(self, n: int) -> Story | None:
        """The story of that number, if it is still known."""
        return next((story for story in self._stories if story.n == n), None)

    def of_message(self, message_id: str) -> Story | None:
        """The story of the notice with that id."""
        return next((one for one in self._stories if one.notice and message_id_of(one.notice) == message_id), None)

    def deliver(self, story: Story, how: str) -> Delivery:
        """A new delivery of the story's notice; its trace id leads what the function tells back to it."""
        delivery = Delivery(how, secrets.token_hex(16), _now())
        story.deliveries = [*story.deliveries[1 - KEPT_DELIVERIES :], delivery]
        self._by_trace[delivery.trace] = story
        self.change(story)
        return delivery

    def tell(self, steps: list[tuple[str, str]], receipts: list[Document]) -> None:
        """What the function told of one delivery, whoever sent it."""
        self.told += len(receipts)
        self._receipts.extend(receipts)
        trace = next((one["trace_id"] for one in receipts if "trace_id" in one), "")
        story = self._by_trace.get(trace)
        if story is None:
            story = self.story(_title(receipts))
            story.deliveries = [Delivery("from elsewhere", trace, _now(), -1)]
        for delivery in story.deliveries:
            if delivery.trace == trace:
                delivery.steps, delivery.receipts = steps, receipts
        self.change(story)

    def change(self, story: Story) -> None:
        """The story has to be shown anew."""
        self._changed_stories[story.n] = story

    def set_tasks(self, tasks: list[Document]) -> None:
        """The tasks of OMS as they are now."""
        now = {str(task["id"]): _shown(task) for task in tasks[-KEPT_TASKS:]}
        self._changed_tasks |= {name: task for name, task in now.items() if self._tasks.get(name) != task}
        self._changed_tasks |= {name: None for name in self._tasks if name not in now}
        self._tasks = now

    def task(self, task_id: int) -> Document | None:
        """A task as it was when OMS was last asked."""
        return self._tasks.get(str(task_id))

    def all(self) -> Document:
        """Everything, for a browser that connects."""
        return {"all": True, "tasks": self._tasks, "stories": [asdict(one) for one in self._stories], "told": self.told}

    def take_changes(self) -> Document | None:
        """What has changed since the last call."""
        tasks, stories = self._changed_tasks, self._changed_stories
        self._changed_tasks, self._changed_stories = {}, {}
        if not tasks and not stories:
            return None
        return {"all": False, "tasks": tasks, "stories": [asdict(one) for one in stories.values()], "told": self.told}

    def drawing(self) -> Callable[[], str]:
        """What draws all receipts until now; it may run in another thread, for it shares nothing."""
        receipts, begins = [*self._receipts], self._begins
        return lambda: draw([("The night so far", night_of(receipts, begins, datetime.now(UTC)))])


def message_id_of(notice: Mapping[str, Any]) -> str:
    """The id of an SMN message, as FunctionGraph's trigger hands it over."""
    return str(notice["record"][0]["smn"]["message_id"])


def _title(receipts: list[Document]) -> str:
    about = receipts[0] if receipts else {}
    named = about.get("task_name") or about.get("task_id") or about.get("group_id") or "a delivery"
    return f"{named}: {about.get('dialect', 'a request')}"


def _shown(task: Document) -> Document:
    shown = {name: task[name] for name in ("name", "status", "starts")}
    return shown | {"cause": (task["error_reason"] or {}).get("error_code"), "noticed": task["smn_config"] is not None}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
