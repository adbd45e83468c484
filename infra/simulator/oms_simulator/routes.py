"""Which call of OMS a request makes: its operation, project, task or group, and page. No I/O here."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote

Operation = Literal[
    "list",
    "show",
    "create",
    "start",
    "stop",
    "delete",
    "list_groups",
    "show_group",
    "create_group",
    "start_group",
    "retry_group",
    "stop_group",
    "delete_group",
    "put_object",
    "get_object",
    "append_object",
    "show_bucket_region",
    "check_prefix",
    "unknown",
]

DIGITS = re.compile(r"[0-9]{1,15}")
GROUP_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
PAGE_DEFAULT = 10

# Method and last part of the path, by what stands before it.
COLLECTION: dict[tuple[str, str], Operation] = {
    ("GET", "tasks"): "list",
    ("POST", "tasks"): "create",
    ("GET", "taskgroups"): "list_groups",
    ("POST", "taskgroups"): "create_group",
}
MEMBER: dict[tuple[str, str], Operation] = {
    ("GET", "tasks"): "show",
    ("DELETE", "tasks"): "delete",
    ("GET", "taskgroups"): "show_group",
    ("DELETE", "taskgroups"): "delete_group",
}
ACTION: dict[tuple[str, str, str], Operation] = {
    ("POST", "tasks", "start"): "start",
    ("POST", "tasks", "stop"): "stop",
    ("PUT", "taskgroups", "start"): "start_group",
    ("PUT", "taskgroups", "retry"): "retry_group",
    ("PUT", "taskgroups", "stop"): "stop_group",
}
BUCKETS: dict[tuple[str, str], Operation] = {
    ("POST", "regions"): "show_bucket_region",
    ("POST", "prefix"): "check_prefix",
}
LISTS = ("list", "list_groups")
# What changes a task or a group when it is accepted.
CHANGES = {"create", "start", "stop", "delete"} | {
    f"{verb}_group" for verb in ("create", "start", "retry", "stop", "delete")
}
# What counts against the rate of starts.
STARTS = {"start", "start_group", "retry_group"}


@dataclass(frozen=True, slots=True)
class Route:
    """What a call asks for. `text_id` and `group_id` are the id as it came, whatever it is; pages count from 1."""

    operation: Operation
    project_id: str = ""
    text_id: str | None = None
    group_id: str | None = None
    page: int | None = None
    object_name: str = ""
    """Bucket and name of an object."""

    @property
    def task_id(self) -> int | None:
        """The id of the task, if it can be one."""
        if self.text_id is None or not DIGITS.fullmatch(self.text_id):
            return None
        return int(self.text_id)


def route(method: str, path: str, query: str) -> Route:
    """Split before it unescapes, so an escaped slash stays inside its id."""
    operation: Operation = "unknown"
    project = kind = ""
    thing: str | None = None
    match [unquote(part) for part in path.split("/")]:
        case ["", "v2", project, kind]:
            operation = COLLECTION.get((method, kind), "unknown")
        case ["", "v2", project, kind, thing]:
            operation = MEMBER.get((method, kind), "unknown")
        case ["", "v2", project, "objectstorage", "buckets", what]:
            return Route(BUCKETS.get((method, what), "unknown"), project)
        case ["", "v2", project, kind, thing, action]:
            operation = ACTION.get((method, kind, action), "unknown")
    if operation == "unknown":
        return Route("unknown")
    if operation in LISTS:
        return Route(operation, project, page=_page(query))
    return Route(operation, project, *((thing, None) if kind == "tasks" else (None, thing)))


def _page(query: str) -> int | None:
    """Which page a list asks for, or None where its offset or limit is no number."""
    asked = dict(parse_qsl(query, keep_blank_values=True))
    offset, limit = asked.get("offset", "0"), asked.get("limit", str(PAGE_DEFAULT))
    if not DIGITS.fullmatch(offset) or not DIGITS.fullmatch(limit) or not int(limit):
        return None
    return int(offset) // int(limit) + 1
