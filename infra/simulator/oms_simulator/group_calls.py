"""The calls about task groups: a route and a request in, an answer out. No I/O here."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from oms_simulator.groups import DELETE_REFUSALS, RETRY_REFUSALS, START_REFUSALS, STOP_REFUSALS, Group
from oms_simulator.messages import Answer, Request, found, refused
from oms_simulator.new_tasks import read_new_group
from oms_simulator.routes import GROUP_ID, PAGE_DEFAULT, Route
from oms_simulator.storage_keys import (
    RETRY_GROUP,
    START_GROUP,
    BodyRules,
    read_body,
    refuse_body,
    refuse_source_keys,
)
from oms_simulator.task_calls import are_page_values
from oms_simulator.world import World

LIST_FIELDS = {"limit", "offset", "status"}
LIST_STATUS = {str(status) for status in range(10)}
# Terraform's provider takes a 404 on ShowTaskGroup for "deleted"; OMS.1009 is the documented code for "no such thing".
NOT_FOUND = 404


def _no_group() -> Answer:
    return refused("OMS.1009", NOT_FOUND)


def show_group(world: World, where: Route, request: Request, now: float) -> Answer:
    """ShowTaskGroup."""
    if not GROUP_ID.fullmatch(where.group_id or ""):
        return refused("OMS.0064")
    group = world.find_group(where.project_id, str(where.group_id), now)
    return _no_group() if group is None else found(group.shown())


def list_groups(world: World, where: Route, request: Request, now: float) -> Answer:
    """ListTaskGroup: one page of what matches, and the count of all of it."""
    asked = dict(parse_qsl(request.query, keep_blank_values=True))
    if not asked.keys() <= LIST_FIELDS:
        return refused("OMS.0074")
    if not are_page_values(asked) or asked.get("status", "0") not in LIST_STATUS:
        return refused("OMS.0064")
    status = int(asked["status"]) if "status" in asked else None
    groups = [group for group in world.groups(now) if group.project_id == where.project_id]
    matches = [group.shown() for group in groups if status in (None, group.status)]
    offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", PAGE_DEFAULT))
    return found({"taskgroups": matches[offset : offset + limit], "count": len(matches)})


def retry_group(world: World, where: Route, request: Request, now: float) -> Answer:
    """RetryTaskGroup: from failed or creation failed only; security tokens are unknown fields to it."""

    def refuse(group: Group, flag: object) -> str | None:
        return "OMS.0167" if flag is True and not group.has_failed_list else None

    return _begin(world, where, request, now, RETRY_GROUP, RETRY_REFUSALS, refuse, world.retry_group)


def start_group(world: World, where: Route, request: Request, now: float) -> Answer:
    """StartTaskGroup: from paused only; destination keys are required."""
    return _begin(world, where, request, now, START_GROUP, START_REFUSALS, lambda *_: None, world.start_group)


def _begin(  # noqa: PLR0913, PLR0917 - what differs between the two calls
    world: World,
    where: Route,
    request: Request,
    now: float,
    rules: BodyRules,
    refusals: dict[int, str],
    refuse: Callable[[Group, object], str | None],
    begin: Callable[[Group, Mapping[str, Any], float], None],
) -> Answer:
    body = read_body(request.body)
    if body is None:
        return refused("OMS.0067")
    code = refuse_body(body, rules)
    if code is not None:
        return refused(code)
    group, answer = _find(world, where, refusals, now)
    if group is None:
        return answer
    code = refuse_source_keys(body) if group.facts["task_type"] == "URL_LIST" else None
    code = code or refuse(group, body.get("migrate_failed_object"))
    if code is not None:
        return refused(code)
    begin(group, body, now)
    return answer


def stop_group(world: World, where: Route, request: Request, now: float) -> Answer:
    """StopTaskGroup: a group that is monitored is pausing, and then paused, its members with it."""
    group, answer = _find(world, where, STOP_REFUSALS, now)
    if group is not None:
        world.stop_group(group, now)
    return answer


def delete_group(world: World, where: Route, request: Request, now: float) -> Answer:
    """DeleteTaskGroup: a group that is not in progress is gone, its members with it."""
    group, answer = _find(world, where, DELETE_REFUSALS, now)
    if group is not None:
        world.delete_group(group, now)
    return answer


def create_group(world: World, where: Route, request: Request, now: float) -> Answer:
    """CreateTaskGroup: the group is being created with one member, and is monitored at the next look."""
    new = read_new_group(request.body)
    if isinstance(new, str):
        return refused(new)
    group, task = new.group(world.next_task_id(), where.project_id, now)
    world.save_group(group)
    world.save_task(task)
    return found({"group_id": group.id})


def _find(world: World, where: Route, refusals: dict[int, str], now: float) -> tuple[Group | None, Answer]:
    """The group that may be changed, or None, and the answer."""
    if not GROUP_ID.fullmatch(where.group_id or ""):
        return None, refused("OMS.0064")
    group = world.find_group(where.project_id, str(where.group_id), now)
    if group is None:
        return None, _no_group()
    code = refusals.get(group.status)
    return (group, Answer(200)) if code is None else (None, refused(code))
