"""All tasks and task groups, and the only ways they change. Every call is told the time, in seconds since 1970."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

from oms_simulator import groups, tasks
from oms_simulator.documents import InvalidDocument
from oms_simulator.groups import Group, GroupDocument
from oms_simulator.listing import Listing, ListingDocument
from oms_simulator.notices import WORDS, Failure, Smn, SmnDocument
from oms_simulator.task_fields import FAILED, PAUSED
from oms_simulator.tasks import Task, TaskDocument

Members = dict[tuple[str, str], list[Task]]


class World:
    """An id belongs to one task, or one group, of one project."""

    def __init__(self) -> None:
        self._tasks: dict[int, Task] = {}
        self._groups: dict[str, Group] = {}
        # When a task's status changes by itself, soonest first; an entry may be out of date.
        self._due: list[tuple[float, int]] = []
        self.listing = Listing(ListingDocument())
        self.smn = Smn(SmnDocument())
        self.storage_keys: dict[str, str] = {}
        """Secret keys by access key that open buckets; none: all do."""

    # ---- tasks

    def put_tasks(self, documents: Iterable[TaskDocument], now: float) -> None:
        """Replace all tasks. Raises InvalidDocument where two have one id."""
        self._tasks = self._with_tasks({}, documents, now)
        self._due = []

    def add_tasks(self, documents: Iterable[TaskDocument], now: float) -> None:
        """Add tasks. Raises InvalidDocument where an id is taken."""
        self._tasks = self._with_tasks(self._tasks, documents, now)

    def tasks(self, now: float) -> list[Task]:
        """All tasks of all projects, in the order in which they were made."""
        self.advance(now)
        return list(self._tasks.values())

    def advance(self, now: float) -> None:
        """Make the changes that are due, and publish what they lead to."""
        while self._due and self._due[0][0] <= now:
            due, task_id = heapq.heappop(self._due)
            task = self._tasks.get(task_id)
            if task is not None and (after := tasks.settled(task, now)) is not task:
                self._tasks[task_id] = self._told(after, due)

    def task(self, task_id: int, now: float) -> Task | None:
        """The task, whatever its project."""
        self.advance(now)
        return self._tasks.get(task_id)

    def find_task(self, project_id: str, task_id: int, now: float) -> Task | None:
        """The task, if it is the project's."""
        task = self.task(task_id, now)
        return task if task is not None and task.project_id == project_id else None

    def select_tasks(self, wanted: Callable[[Task], bool], now: float) -> list[Task]:
        """The tasks that are wanted, in the order of a list."""
        return self.listing.arrange([task for task in self.tasks(now) if wanted(task)])

    def save_task(self, task: Task) -> None:
        """Keep a task as it has become, or a new one."""
        self._tasks[task.id] = task
        if task.due is not None:
            heapq.heappush(self._due, (task.due, task.id))

    def fail_task(self, failure: Failure, now: float) -> None:
        """Let a task fail. Raises InvalidDocument where there is none, or where it is not in progress."""
        task = self.task(failure.task_id, now)
        if task is None:
            raise InvalidDocument("fail.task_id", "is no task")
        if task.status not in tasks.ACTIVE:
            raise InvalidDocument("fail.task_id", "is not in progress")
        self._tasks[task.id] = self._told(tasks.failed(task, failure.change(str(task.facts["name"]))), now)

    def delete_task(self, task_id: int) -> None:
        """Forget a task."""
        self._tasks.pop(task_id, None)

    def next_task_id(self) -> int:
        """An id that no task has."""
        return max(self._tasks, default=191297407830871) + 1

    def finish_list(self) -> None:
        """A list was answered: make the changes that were to come after it."""
        for change in self.listing.count():
            task = self._tasks.get(change.task_id)
            if task is None:
                continue
            if change.delete:
                self.delete_task(task.id)
            elif change.status is not None:
                self._tasks[task.id] = task.with_status(change.status)

    # ---- groups

    def put_groups(self, documents: Iterable[GroupDocument], now: float) -> None:
        """Replace all groups. Raises InvalidDocument where two have one id."""
        self._groups = self._with_groups({}, documents, now)

    def add_groups(self, documents: Iterable[GroupDocument], now: float) -> None:
        """Add groups. Raises InvalidDocument where an id is taken."""
        self._groups = self._with_groups(self._groups, documents, now)

    def groups(self, now: float) -> list[Group]:
        """All groups of all projects with the counts of their members."""
        members = self._members(now)
        for group_id, group in self._groups.items():
            self._groups[group_id] = groups.settled(group, members[group.project_id, group_id], now)
        return [group.counted(members[group.project_id, group.id]) for group in self._groups.values()]

    def find_group(self, project_id: str, group_id: str, now: float) -> Group | None:
        """The group with the counts of its members, if it is the project's and not deleted."""
        group = self._groups.get(group_id)
        if group is None or group.project_id != project_id:
            return None
        members = self.members(group, now)
        group = self._groups[group_id] = groups.settled(group, members, now)
        return None if groups.is_gone(group) else group.counted(members)

    def members(self, group: Group, now: float) -> list[Task]:
        """The tasks that belong to the group."""
        return [
            task
            for task in self.tasks(now)
            if task.facts["group_id"] == group.id and task.project_id == group.project_id
        ]

    def save_group(self, group: Group) -> None:
        """Keep a group as it has become, or a new one."""
        self._groups[group.id] = group

    def retry_group(self, group: Group, now: float) -> None:
        """RetryTaskGroup: restart the failed members, and no other."""
        self._start_members(group, FAILED, now)
        self.save_group(groups.retried(group, now))

    def start_group(self, group: Group, now: float) -> None:
        """StartTaskGroup: resume the paused members."""
        self._start_members(group, PAUSED, now)
        self.save_group(groups.started(group, now))

    def stop_group(self, group: Group, now: float) -> None:
        """StopTaskGroup: pause the members that are in progress, for as long as the group takes."""
        for task in self.members(group, now):
            if task.status not in tasks.STOP_REFUSALS:
                self.save_task(tasks.stopped(replace(task, pause_seconds=group.pause_seconds), now))
        self.save_group(groups.stopped(group, now))

    def delete_group(self, group: Group, now: float) -> None:
        """DeleteTaskGroup: forget the group and its members."""
        for task in self.members(group, now):
            self.delete_task(task.id)
        del self._groups[group.id]

    # ---- inside

    def _start_members(self, group: Group, status: int, now: float) -> None:
        for task in self.members(group, now):
            if task.status == status:
                self.save_task(tasks.started(task, now))

    def _members(self, now: float) -> Members:
        members: Members = defaultdict(list)
        for task in self.tasks(now):
            if group_id := task.facts["group_id"]:
                members[task.project_id, group_id].append(task)
        return members

    def _told(self, task: Task, now: float) -> Task:
        """The task with the result of its notice, if it has ended and asked for one."""
        if task.smn_config is None or task.status not in WORDS:
            return task
        return replace(task, facts={**task.facts, "smn_info": self.smn.announce(task.facts, task.smn_config, now)})

    @staticmethod
    def _with_tasks(known: dict[int, Task], documents: Iterable[TaskDocument], now: float) -> dict[int, Task]:
        extended = dict(known)
        for n, document in enumerate(documents):
            if document.id in extended:
                raise InvalidDocument(f"tasks[{n}].id", "is taken by another task")
            extended[document.id] = document.task(now)
        return extended

    @staticmethod
    def _with_groups(known: dict[str, Group], documents: Iterable[GroupDocument], now: float) -> dict[str, Group]:
        extended = dict(known)
        for n, document in enumerate(documents):
            if document.group_id in extended:
                raise InvalidDocument(f"groups[{n}].group_id", "is taken by another group")
            extended[document.group_id] = document.group(now)
        return extended
