"""StartTask, ShowTask and ListTasks: a route and a request in, an answer out. No I/O here."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from oms_simulator.messages import Answer, Request, found, refused
from oms_simulator.storage_keys import read_body, refuse_body, refuse_source
from oms_simulator.world import REFUSALS, Task, World, has_failed_list

ID = re.compile(r"[0-9]{1,15}")
PAGE_DEFAULT, PAGE_MAX, NAME_MAX = 10, 100, 255
LIST_FIELDS = {"group_id", "limit", "offset", "status", "task_name"}
# 6 is missing in the reference as well.
LIST_STATUS = {"1", "2", "3", "4", "5", "7"}
NAME_FORBIDDEN = set("<>()\"'&")


@dataclass(frozen=True, slots=True)
class Route:
    """What a call asks for. `text_id` is the id as it came, whatever it is."""

    operation: str
    project_id: str = ""
    text_id: str | None = None

    @property
    def task_id(self) -> int | None:
        """The id, if it can be one."""
        if self.text_id is None or not ID.fullmatch(self.text_id):
            return None
        return int(self.text_id)


def route(method: str, path: str) -> Route:
    """Splits before it unescapes, so an escaped slash stays inside its id."""
    match [unquote(part) for part in path.split("/")]:
        case ["", "v2", project, "tasks"] if method == "GET":
            return Route("list", project)
        case ["", "v2", project, "tasks", task_id] if method == "GET":
            return Route("show", project, task_id)
        case ["", "v2", project, "tasks", task_id, "start"] if method == "POST":
            return Route("start", project, task_id)
    return Route("unknown")


def show(world: World, where: Route, now: float) -> Answer:
    """ShowTask."""
    if where.task_id is None:
        return refused("OMS.0054")
    task = world.find(where.project_id, where.task_id, now)
    return refused("OMS.1009") if task is None else found(task.shown())


def start(world: World, where: Route, request: Request, now: float) -> Answer:
    """Starts the task, or says why not: first the request is read, then the task."""
    if where.task_id is None:
        return refused("OMS.0054")
    body = read_body(request.body)
    if body is None:
        return refused("OMS.0067")
    code = refuse_body(body)
    if code is not None:
        return refused(code)
    task = world.find(where.project_id, where.task_id, now)
    if task is None:
        return refused("OMS.1009")
    code = _refuse_task(task, body)
    if code is not None:
        return refused(code)
    world.start(task.id, now)
    return Answer(200)


def _refuse_task(task: Task, body: dict[str, Any]) -> str | None:
    code = refuse_source(body, str(task.facts["task_type"]))
    if code is not None:
        return code
    if task.status in REFUSALS:
        return REFUSALS[task.status]
    if body.get("migrate_failed_object") is True and not has_failed_list(task):
        return "OMS.0167"
    return None


def list_tasks(world: World, where: Route, request: Request, now: float) -> Answer:
    """ListTasks: one page of what matches, and the count of all of it."""
    asked = dict(parse_qsl(request.query, keep_blank_values=True))
    if not asked.keys() <= LIST_FIELDS:
        return refused("OMS.0074")
    if not _list_values_fit(asked):
        return refused("OMS.0064")
    matches = world.select(_wanted(where.project_id, asked), now)
    offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", PAGE_DEFAULT))
    page = [task.shown() for task in matches[offset : offset + limit]]
    return found({"tasks": page, "count": len(matches)})


def _list_values_fit(asked: dict[str, str]) -> bool:
    name = asked.get("task_name", "")
    numbers = (asked.get("limit", str(PAGE_DEFAULT)), asked.get("offset", "0"))
    return (
        all(ID.fullmatch(number) for number in numbers)
        and 1 <= int(numbers[0]) <= PAGE_MAX
        and asked.get("status", "1") in LIST_STATUS
        and len(name) <= NAME_MAX
        and not NAME_FORBIDDEN & set(name)
    )


def _wanted(project_id: str, asked: dict[str, str]) -> list[Callable[[Task], bool]]:
    """One test for each filter; a name matches where it occurs, which is what "fuzzy" costs the caller."""
    tests: list[Callable[[Task], bool]] = [lambda task: task.project_id == project_id]
    if name := asked.get("task_name"):
        tests.append(lambda task: name in task.facts["name"])
    if group := asked.get("group_id"):
        tests.append(lambda task: task.facts["group_id"] == group)
    if status := asked.get("status"):
        tests.append(lambda task: task.status == int(status))
    return tests
