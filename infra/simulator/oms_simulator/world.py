"""All tasks and task groups, and the only ways they change. Every call is told the time, in seconds since 1970."""

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from oms_simulator import groups, tasks
from oms_simulator.documents import InvalidDocument
from oms_simulator.gateway import Auth
from oms_simulator.groups import Group, GroupDocument
from oms_simulator.listing import Listing, ListingDocument
from oms_simulator.notices import WORDS, Failure, Smn, SmnDocument
from oms_simulator.storage_keys import refuse_keys
from oms_simulator.task_fields import FAILED, PAUSED, RUNNING, WAITING
from oms_simulator.tasks import Task, TaskDocument

Members = dict[tuple[str, str], list[Task]]
RUNS_KEPT = 100_000


class World:
    """An id belongs to one task, or one group, of one project."""

    def __init__(self) -> None:
        self._tasks: dict[int, Task] = {}
        self._groups: dict[str, Group] = {}
        # When a task's status changes by itself, soonest first; an entry may be out of date.
        self._due: list[tuple[float, int]] = []
        # Started tasks that wait for their turn, the first one first.
        self._waiting: deque[int] = deque()
        self._runs: deque[dict[str, Any]] = deque(maxlen=RUNS_KEPT)
        self._key_seconds = Auth().storage_key_seconds
        self.running: int | None = None
        """How many tasks run at a time; None: all."""
        self.listing = Listing(ListingDocument())
        self.smn = Smn(SmnDocument())
        self.storage_keys: dict[str, str] = {}
        """Secret keys by access key that open buckets; none: all do."""

    # ---- tasks

    def put_tasks(self, documents: Iterable[TaskDocument], now: float) -> None:
        """Replace all tasks, and forget what ran. Raises InvalidDocument where two have one id."""
        self._tasks = self._with_tasks({}, documents, now)
        self._due = []
        self._waiting.clear()
        self._runs.clear()
        self._admit([*self._tasks.values()], now)

    def add_tasks(self, documents: Iterable[TaskDocument], now: float) -> None:
        """Add tasks. Raises InvalidDocument where an id is taken."""
        known = len(self._tasks)
        self._tasks = self._with_tasks(self._tasks, documents, now)
        self._admit([*self._tasks.values()][known:], now)

    def tasks(self, now: float) -> list[Task]:
        """All tasks of all projects, in the order in which they were made."""
        self.advance(now)
        return [tasks.moved(task, now) for task in self._tasks.values()]

    def advance(self, now: float) -> None:
        """Make the changes that are due, and publish what they lead to."""
        self._begin_waiting(now)
        while self._due and self._due[0][0] <= now:
            due, task_id = heapq.heappop(self._due)
            task = self._tasks.get(task_id)
            if task is not None and (after := tasks.settled(task, now)) is not task:
                if after.status == RUNNING:
                    self._wait(after.with_status(WAITING))
                else:
                    self._end(task, after, due)
                self._begin_waiting(due)

    def task(self, task_id: int, now: float) -> Task | None:
        """The task, whatever its project."""
        self.advance(now)
        task = self._tasks.get(task_id)
        return None if task is None else tasks.moved(task, now)

    def runs(self, now: float) -> list[dict[str, Any]]:
        """What ran, in the order in which it ended, and last what runs."""
        under_way = [tasks.run_of(task, None) for task in self.tasks(now) if task.status == RUNNING]
        return [*self._runs, *under_way]

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
        self._end(task, tasks.failed(task, failure.change(str(task.facts["name"]))), now)

    def start_task(self, task: Task, body: Mapping[str, Any], now: float) -> None:
        """Start a task: it runs, or waits where so many run already. `body`: of the start."""
        self._wait(tasks.started(task, body))
        self._begin_waiting(now)

    def stop_task(self, task: Task, now: float) -> None:
        """Let a task in progress pause."""
        self._end(task, tasks.stopped(task, now), now)

    def delete_task(self, task_id: int) -> None:
        """Forget a task."""
        self._tasks.pop(task_id, None)

    def set_keys(self, auth: Auth, now: float) -> None:
        """Change the keys that open buckets. A run whose keys do so no longer fails."""
        self.storage_keys, self._key_seconds = auth.storage_keys, auth.storage_key_seconds
        self._admit(self.tasks(now), now)

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

    def retry_group(self, group: Group, body: Mapping[str, Any], now: float) -> None:
        """RetryTaskGroup: restart the failed members, and no other."""
        self._start_members(group, FAILED, body, now)
        self.save_group(groups.retried(group, now))

    def start_group(self, group: Group, body: Mapping[str, Any], now: float) -> None:
        """StartTaskGroup: resume the paused members."""
        self._start_members(group, PAUSED, body, now)
        self.save_group(groups.started(group, now))

    def stop_group(self, group: Group, now: float) -> None:
        """StopTaskGroup: pause the members that are in progress, for as long as the group takes."""
        for task in self.members(group, now):
            if task.status not in tasks.STOP_REFUSALS:
                self.stop_task(replace(task, pause_seconds=group.pause_seconds), now)
        self.save_group(groups.stopped(group, now))

    def delete_group(self, group: Group, now: float) -> None:
        """DeleteTaskGroup: forget the group and its members."""
        for task in self.members(group, now):
            self.delete_task(task.id)
        del self._groups[group.id]

    # ---- inside

    def _start_members(self, group: Group, status: int, body: Mapping[str, Any], now: float) -> None:
        for task in self.members(group, now):
            if task.status == status:
                self.start_task(task, body, now)

    def _admit(self, admitted: Iterable[Task], now: float) -> None:
        """Let tasks that run end as they are to end, or before long if their keys open nothing."""
        for task in admitted:
            if task.status == RUNNING:
                self.save_task(self._closed(task, now))

    def _wait(self, task: Task) -> None:
        self.save_task(task)
        self._waiting.append(task.id)

    def _begin_waiting(self, at: float) -> None:
        """Let those that wait run, as far as there is room."""
        while self._waiting and self._has_room():
            task = self._tasks.get(self._waiting.popleft())
            if task is not None and task.status == WAITING:
                self.save_task(self._closed(tasks.begun(task, at), at))

    def _has_room(self) -> bool:
        return self.running is None or self.running > sum(task.status == RUNNING for task in self._tasks.values())

    def _closed(self, task: Task, now: float) -> Task:
        cause, due = refuse_keys(task.keys, self.storage_keys), now + self._key_seconds
        if cause is None or (task.due is not None and task.due <= due):
            return task
        return tasks.closed(task, cause, due)

    def _end(self, task: Task, after: Task, now: float) -> None:
        """Keep a task that runs no longer, tell of it, and remember the run."""
        if task.status == RUNNING:
            self._runs.append(tasks.run_of(after, now))
        self.save_task(self._told(after, now))

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
