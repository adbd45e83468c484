"""The calls about tasks: a route and a request in, an answer out. No I/O here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from oms_simulator.messages import Answer, Request, found, refused
from oms_simulator.new_tasks import read_new_task
from oms_simulator.routes import DIGITS, PAGE_DEFAULT, Route
from oms_simulator.storage_keys import START_TASK, read_body, refuse_body, refuse_source
from oms_simulator.tasks import (
    DELETE_REFUSALS,
    START_REFUSALS,
    STOP_REFUSALS,
    Task,
    has_failed_list,
)
from oms_simulator.world import World

PAGE_MAX, NAME_MAX = 100, 255
LIST_FIELDS = {"group_id", "limit", "offset", "status", "task_name"}
# 6 is missing in the reference as well.
LIST_STATUS = {"1", "2", "3", "4", "5", "7"}
NAME_FORBIDDEN = set("<>()\"'&")
# Nothing documents what StartTask answers for a member of a group; this is the code that means "not in this state".
MEMBER_REFUSAL = "OMS.1036"


def show(world: World, where: Route, request: Request, now: float) -> Answer:
    """ShowTask."""
    if where.task_id is None:
        return refused("OMS.0054")
    task = world.find_task(where.project_id, where.task_id, now)
    return refused("OMS.1009") if task is None else found(task.shown())


def start(world: World, where: Route, request: Request, now: float) -> Answer:
    """StartTask: first the request is read, then the task. A member of a group is counted and refused."""
    if where.task_id is None:
        return refused("OMS.0054")
    body = read_body(request.body)
    if body is None:
        return refused("OMS.0067")
    code = refuse_body(body, START_TASK)
    if code is not None:
        return refused(code)
    task = world.find_task(where.project_id, where.task_id, now)
    if task is None:
        return refused("OMS.1009")
    if task.is_member:
        world.save_task(replace(task, starts_as_member=task.starts_as_member + 1))
        return refused(MEMBER_REFUSAL)
    code = _refuse_start(task, body)
    if code is not None:
        return refused(code)
    world.start_task(task, body, now)
    return Answer(200)


def _refuse_start(task: Task, body: dict[str, Any]) -> str | None:
    code = refuse_source(body, str(task.facts["task_type"]))
    if code is not None:
        return code
    if task.status in START_REFUSALS:
        return START_REFUSALS[task.status]
    if body.get("migrate_failed_object") is True and not has_failed_list(task):
        return "OMS.0167"
    return None


def stop(world: World, where: Route, request: Request, now: float) -> Answer:
    """StopTask: a task in progress is pausing, and then paused."""
    task, answer = _find(world, where, STOP_REFUSALS, now)
    if task is not None:
        world.stop_task(task, now)
    return answer


def delete(world: World, where: Route, request: Request, now: float) -> Answer:
    """DeleteTask: a task that is not in progress is gone."""
    task, answer = _find(world, where, DELETE_REFUSALS, now)
    if task is not None:
        world.delete_task(task.id)
    return answer


def _find(world: World, where: Route, refusals: dict[int, str], now: float) -> tuple[Task | None, Answer]:
    """The task that may be changed, or None, and the answer."""
    if where.task_id is None:
        return None, refused("OMS.0054")
    task = world.find_task(where.project_id, where.task_id, now)
    if task is None:
        return None, refused("OMS.1009")
    code = MEMBER_REFUSAL if task.is_member else refusals.get(task.status)
    return (task, Answer(200)) if code is None else (None, refused(code))


def create(world: World, where: Route, request: Request, now: float) -> Answer:
    """CreateTask: the task waits, and runs at the next look."""
    new = read_new_task(request.body)
    if isinstance(new, str):
        return refused(new)
    task = new.task(world.next_task_id(), where.project_id, now)
    world.save_task(task)
    return found({"id": task.id, "task_name": task.facts["name"]})


def list_tasks(world: World, where: Route, request: Request, now: float) -> Answer:
    """ListTasks: one page of what matches, and the count of all of it."""
    asked = dict(parse_qsl(request.query, keep_blank_values=True))
    if not asked.keys() <= LIST_FIELDS:
        return refused("OMS.0074")
    if not _list_values_fit(asked):
        return refused("OMS.0064")
    matches = world.select_tasks(_wanted(where.project_id, asked), now)
    offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", PAGE_DEFAULT))
    page = world.listing.fill(where.page, [task.shown() for task in matches[offset : offset + limit]])
    world.finish_list()
    return found({"tasks": page, "count": len(matches)})


def are_page_values(asked: dict[str, str]) -> bool:
    """Whether limit and offset of a list are within bounds."""
    limit, offset = asked.get("limit", str(PAGE_DEFAULT)), asked.get("offset", "0")
    return all(DIGITS.fullmatch(number) for number in (limit, offset)) and 1 <= int(limit) <= PAGE_MAX


def _list_values_fit(asked: dict[str, str]) -> bool:
    name = asked.get("task_name", "")
    return (
        are_page_values(asked)
        and asked.get("status", "1") in LIST_STATUS
        and len(name) <= NAME_MAX
        and not NAME_FORBIDDEN & set(name)
    )


def _wanted(project_id: str, asked: dict[str, str]) -> Callable[[Task], bool]:
    """Whether a task matches all filters; a name matches where it occurs, which is what "fuzzy" costs the caller."""
    name, group = asked.get("task_name", ""), asked.get("group_id", "")
    status = int(asked["status"]) if "status" in asked else None

    def matches(task: Task) -> bool:
        facts = task.facts
        return (
            task.project_id == project_id
            and status in (None, facts["status"])
            and group in ("", facts["group_id"])
            and name in facts["name"]
        )

    return matches
