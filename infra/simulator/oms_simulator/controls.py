"""The simulator's own controls: the same calls from Python and, under /_sim, over HTTP."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from oms_simulator.calls import Calls
from oms_simulator.documents import Document, InvalidDocument, parse
from oms_simulator.faults import Rule, Rules
from oms_simulator.gateway import Auth, Gateway
from oms_simulator.messages import JSON, Answer, Request, decode, encode, found
from oms_simulator.throttle import Bucket, Limit
from oms_simulator.world import TaskDocument, World

PREFIX = "/_sim/"
Clock = Callable[[], float]

# The example key of the reference, so that its printed signatures can be tried out.
EXAMPLE_AUTH = Auth(
    tokens=["example-token"],
    expired=["expired-token"],
    keys={"AKEXAMPLE0000000001": "SKEXAMPLE00000000000000000000000000000001"},
)


class WorldDocument(Document):
    """What the simulator begins with, and what a reset brings back."""

    tasks: list[TaskDocument] = Field(default_factory=list)
    rules: list[Rule] = Field(default_factory=list)
    throttle: Limit = Limit()
    auth: Auth = Auth()


class Controls:
    """Everything the simulator knows, and the ways to set and read it."""

    def __init__(self, world: Mapping[str, Any], clock: Clock = time.time) -> None:
        self._initial = parse(WorldDocument, world, "world")
        self._clock = clock
        self._world = World()
        self._log = Calls()
        self.reset()

    def reset(self) -> None:
        """Back to the start: the world it was made with, no calls, no failures, no locks."""
        initial = self._initial
        self._gateway = Gateway(EXAMPLE_AUTH.changed(initial.auth))
        self._log.clear()
        self._world.put(initial.tasks)
        self._rules = Rules(initial.rules)
        self._bucket = Bucket(initial.throttle)

    def set_tasks(self, tasks: object) -> None:
        self._world.put(parse(list[TaskDocument], tasks, "tasks"))

    def add_tasks(self, tasks: object) -> None:
        self._world.add(parse(list[TaskDocument], tasks, "tasks"))

    def tasks(self) -> list[dict[str, Any]]:
        return [task.described() for task in self._world.all(self._clock())]

    def task(self, task_id: int) -> dict[str, Any]:
        task = self._world.get(task_id, self._clock())
        if task is None:
            raise KeyError(task_id)
        return task.described()

    def starts(self, task_id: int) -> int:
        """How many starts of the task were accepted."""
        return int(self.task(task_id)["starts"])

    def calls(self) -> list[dict[str, Any]]:
        return self._log.all()

    def clear_calls(self) -> None:
        self._log.clear()

    def set_rules(self, rules: object) -> None:
        self._rules = Rules(parse(list[Rule], rules, "rules"))

    def set_throttle(self, throttle: object) -> None:
        self._bucket = Bucket(parse(Limit, throttle, "throttle"))

    def set_auth(self, auth: object) -> None:
        """Changes what is given, keeps the rest, and forgets failures and locks."""
        self._gateway = Gateway(self._gateway.auth.changed(parse(Auth, auth, "auth")))


SETTERS: dict[tuple[str, str], Callable[[Controls, object], None]] = {
    ("PUT", "tasks"): Controls.set_tasks,
    ("POST", "tasks"): Controls.add_tasks,
    ("PUT", "rules"): Controls.set_rules,
    ("PUT", "throttle"): Controls.set_throttle,
    ("PUT", "auth"): Controls.set_auth,
}
READERS: dict[tuple[str, str], Callable[[Controls], object]] = {
    ("GET", "tasks"): Controls.tasks,
    ("GET", "calls"): Controls.calls,
}
RESETTERS: dict[tuple[str, str], Callable[[Controls], None]] = {
    ("DELETE", "calls"): Controls.clear_calls,
    ("POST", "reset"): Controls.reset,
}


def control(controls: Controls, request: Request) -> Answer:
    """Answers a call under /_sim."""
    key = (request.method, request.path.removeprefix(PREFIX))
    if key in READERS:
        return found(READERS[key](controls))
    if key in RESETTERS:
        RESETTERS[key](controls)
        return Answer(204)
    if key in SETTERS:
        return _set(controls, SETTERS[key], request.body)
    return _wrong(404, "path", "is not a control")


def _set(controls: Controls, setter: Callable[[Controls, object], None], body: bytes) -> Answer:
    try:
        setter(controls, decode(body))
    except InvalidDocument as error:
        return _wrong(400, error.field, error.problem)
    except ValueError:
        return _wrong(400, "body", "is not JSON")
    return Answer(204)


def _wrong(status: int, field: str, problem: str) -> Answer:
    return Answer(status, encode({"field": field, "error": f"{field}: {problem}"}), (JSON,))
