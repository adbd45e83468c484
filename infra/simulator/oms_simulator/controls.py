"""What can be set and read of the simulator, from Python and, by control_calls.py, over HTTP."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from oms_simulator.calls import Calls
from oms_simulator.documents import Count, Document, Seconds, parse
from oms_simulator.faults import Rule, Rules
from oms_simulator.gateway import Auth, Gateway
from oms_simulator.groups import GroupDocument
from oms_simulator.listing import Listing, ListingDocument
from oms_simulator.notices import Failure, Smn, SmnDocument
from oms_simulator.objects import Objects, StoreDocument
from oms_simulator.task_fields import DAYS_AGO_S
from oms_simulator.tasks import TaskDocument
from oms_simulator.throttle import Bucket, Limit
from oms_simulator.world import World

Clock = Callable[[], float]

# The example key of the reference, so that its printed signatures can be tried out.
EXAMPLE_AUTH = Auth(
    tokens=["example-token"],
    expired=["expired-token"],
    keys={"AKEXAMPLE0000000001": "SKEXAMPLE00000000000000000000000000000001"},
)


class Generated(Document):
    """Many tasks from one template. `{n}` in its name is their number from 1; ids count up from its id.

    Each was started `step_ms` milliseconds after the one before.
    """

    count: Annotated[int, Field(ge=0, le=1_000_000)]
    template: TaskDocument
    step_ms: Count = 0

    def documents(self) -> Iterator[TaskDocument]:
        """The tasks."""
        for n in range(self.count):
            update: dict[str, Any] = {"id": self.template.id + n, "name": self.template.name.replace("{n}", str(n + 1))}
            if self.template.started_ago is None and self.template.start_time:
                update["start_time"] = self.template.start_time + n * self.step_ms
            else:
                ago = DAYS_AGO_S if self.template.started_ago is None else self.template.started_ago
                update["started_ago"] = max(0.0, ago - n * self.step_ms / 1000)
            yield self.template.model_copy(update=update)


class ClockChange(Document):
    """How far the world's time goes forward; signatures keep the real time."""

    forward: Seconds


class WorldDocument(Document):
    """What the simulator begins with, and what a reset brings back."""

    tasks: list[TaskDocument] = Field(default_factory=list)
    generate: list[Generated] = Field(default_factory=list)
    groups: list[GroupDocument] = Field(default_factory=list)
    listing: ListingDocument = ListingDocument()
    objects: StoreDocument = StoreDocument()
    smn: SmnDocument = SmnDocument()
    rules: list[Rule] = Field(default_factory=list)
    throttle: Limit = Limit()
    auth: Auth = Auth()


class Controls:
    """Everything the simulator knows, and the ways to set and read it.

    What sets something raises InvalidDocument where it cannot be used, and changes nothing then.
    """

    def __init__(self, world: Mapping[str, Any], clock: Clock = time.time) -> None:
        self._initial = parse(WorldDocument, world, "world")
        self._clock = clock
        self._world = World()
        self._log = Calls()
        self.reset()

    def reset(self) -> None:
        """Back to the start: the world it was made with, no calls, no failures, no locks."""
        initial, self._forward = self._initial, 0.0
        self._gateway = Gateway(EXAMPLE_AUTH.changed(initial.auth))
        self._log.clear()
        self._world.smn = Smn(initial.smn)
        self._world.put_tasks([], self._now())
        self._world.set_keys(self._gateway.auth, self._now())
        self._world.add_tasks(initial.tasks, self._now())
        for generated in initial.generate:
            self._world.add_tasks(generated.documents(), self._now())
        self._world.put_groups(initial.groups, self._now())
        self._world.listing = Listing(initial.listing)
        self._objects = Objects(initial.objects)
        self._rules = Rules(initial.rules)
        self._set_limit(initial.throttle)

    def _now(self) -> float:
        """The world's time."""
        return self._clock() + self._forward

    def set_clock(self, change: object) -> None:
        """Move the world's time forward by so many seconds, from where it is."""
        self._forward += parse(ClockChange, change, "clock").forward

    def set_tasks(self, tasks: object) -> None:
        """Replace all tasks."""
        self._world.put_tasks(parse(list[TaskDocument], tasks, "tasks"), self._now())

    def add_tasks(self, tasks: object) -> None:
        """Add tasks."""
        self._world.add_tasks(parse(list[TaskDocument], tasks, "tasks"), self._now())

    def generate(self, generated: object) -> None:
        """Add many tasks from one template."""
        self._world.add_tasks(parse(Generated, generated, "generate").documents(), self._now())

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks as they are by now."""
        return [task.described() for task in self._world.tasks(self._now())]

    def task(self, task_id: int) -> dict[str, Any]:
        """One task as it is by now. Raises KeyError where there is none."""
        task = self._world.task(task_id, self._now())
        if task is None:
            raise KeyError(task_id)
        return task.described()

    def starts(self, task_id: int) -> int:
        """How many starts of the task were accepted."""
        return int(self.task(task_id)["starts"])

    def all_starts(self) -> dict[str, int]:
        """How many starts were accepted, by id, of tasks that were started at all."""
        return {str(task.id): task.starts for task in self._world.tasks(self._now()) if task.starts}

    def runs(self) -> list[dict[str, Any]]:
        """What each run moved, and how it ended; those under way are the last."""
        return self._world.runs(self._now())

    def fail(self, failure: object) -> None:
        """Let a task in progress fail, with its notice if it was made with one."""
        self._world.fail_task(parse(Failure, failure, "fail"), self._now())

    def smn(self) -> dict[str, Any]:
        """The topics and templates of SMN; what is shown can be put back."""
        return self._world.smn.document.model_dump()

    def set_smn(self, smn: object) -> None:
        """Replace the topics and templates. A notice that has left is still delivered."""
        self._world.smn.document = parse(SmnDocument, smn, "smn")

    def notices(self) -> list[dict[str, Any]]:
        """What OMS published or could not publish, and the calls that followed, oldest first."""
        self._world.advance(self._now())
        return self._world.smn.notices()

    def set_groups(self, groups: object) -> None:
        """Replace all task groups."""
        self._world.put_groups(parse(list[GroupDocument], groups, "groups"), self._now())

    def add_groups(self, groups: object) -> None:
        """Add task groups."""
        self._world.add_groups(parse(list[GroupDocument], groups, "groups"), self._now())

    def groups(self) -> list[dict[str, Any]]:
        """All task groups as they are by now."""
        return [group.described() for group in self._world.groups(self._now())]

    def group(self, group_id: str) -> dict[str, Any]:
        """One task group as it is by now. Raises KeyError where there is none."""
        for group in self.groups():
            if group["group_id"] == group_id:
                return group
        raise KeyError(group_id)

    def set_listing(self, listing: object) -> None:
        """Change how ListTasks comes out, and count its calls from 0."""
        self._world.listing = Listing(parse(ListingDocument, listing, "listing"))

    def set_objects(self, document: object) -> None:
        """Change the object store; it is empty then."""
        self._objects = Objects(parse(StoreDocument, document, "objects"))

    def objects(self) -> dict[str, str]:
        """What each object holds, by bucket and name."""
        return self._objects.described()

    def calls(self) -> list[dict[str, Any]]:
        """What was asked and answered, oldest first."""
        return self._log.all()

    def clear_calls(self) -> None:
        """Forget what was asked."""
        self._log.clear()

    def set_rules(self, rules: object) -> None:
        """Replace the rules that make the simulator misbehave."""
        self._rules = Rules(parse(list[Rule], rules, "rules"))

    def set_throttle(self, throttle: object) -> None:
        """Change how many starts pass in a second, and how many tasks run at a time."""
        self._set_limit(parse(Limit, throttle, "throttle"))

    def _set_limit(self, limit: Limit) -> None:
        self._bucket, self._world.running = Bucket(limit), limit.running

    def set_auth(self, auth: object) -> None:
        """Change what is given, keep the rest, and forget failures and locks."""
        self._gateway = Gateway(self._gateway.auth.changed(parse(Auth, auth, "auth")))
        self._world.set_keys(self._gateway.auth, self._now())
