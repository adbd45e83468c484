"""ShowTask and ListTasks: what OMS says about a task, and which id a name has. No I/O here.

https://support.huaweicloud.com/intl/en-us/api-oms/ShowTask.html, ListTasks.html
"""

import re
from typing import Any, NamedTuple

from restarter.http.call import Answer, Call
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.task import Counters, Task
from restarter.oms.error_codes import read_error, unreadable
from restarter.oms.fields import count, failure_of, integer, member, text
from restarter.oms.project_call import project_call

# A page of 50 tasks stays well under the bound on responses (`transport.MAX_ANSWER_BYTES`); OMS allows 100.
PAGE_SIZE = 50
MAX_ID_DIGITS = 19  # of a 64-bit integer; today's ids have 15
WAITING, RUNNING, FAILED = 1, 2, 4
ACTIVE = (WAITING, RUNNING, 6)  # 6: retrying
MAX_PAGE_SIZE = 100  # the most that OMS allows
MAX_NAME_LENGTH = 255  # of the parameter; matching is fuzzy, so the beginning of a longer name finds it, too


class Page(NamedTuple):
    """A page of ListTasks."""

    tasks: list[Task]
    rows: int
    """The number of rows on the page, including those that are not tasks."""
    total: int | None
    """Tasks on all pages, if OMS says so."""


def show(origin: str, project_id: str, task_id: str) -> Call:
    """GET /v2/{project_id}/tasks/{task_id}."""
    return project_call("GET", origin, project_id, f"tasks/{task_id}", "ShowTask")


def interpret_show(answer: Answer, task_id: str) -> Task | Outcome:
    """The requested task. A 2xx without it is unavailable: it does not mean that there is no such task."""
    if not 200 <= answer.status < 300:
        return read_error(answer)
    task = _task(answer.document)
    if task is None:
        return unreadable(answer)
    return task if task.id == task_id else unreadable(answer, reason=Reason.WRONG_TASK)


def list_named(origin: str, project_id: str, name: str, offset: int) -> Call:
    """GET /v2/{project_id}/tasks?limit&offset&task_name: a page of the tasks whose names are like `name`."""
    query = (("limit", str(PAGE_SIZE)), ("offset", str(offset)), ("task_name", name[:MAX_NAME_LENGTH]))
    return project_call("GET", origin, project_id, "tasks", "ListTasks", query=query)


def list_status(origin: str, project_id: str, status: int, offset: int) -> Call:
    """GET /v2/{project_id}/tasks?limit&offset&status: a page of the tasks of a status."""
    query = (("limit", str(MAX_PAGE_SIZE)), ("offset", str(offset)), ("status", str(status)))
    return project_call("GET", origin, project_id, "tasks", "ListTasks", query=query)


def interpret_list(answer: Answer) -> Page | Outcome:
    """The page; unavailable if the response has no list of tasks."""
    if not 200 <= answer.status < 300:
        return read_error(answer)
    document = answer.document
    rows = document.get("tasks") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        return unreadable(answer)
    return Page([task for task in map(_task, rows) if task], len(rows), count(document.get("count")))


def only_match(tasks: list[Task], name: str) -> Task | Outcome:
    """The only task with exactly this name: matching is fuzzy, and a guess could start somebody else's migration."""
    matches = {task.id: task for task in tasks if task.name == name}
    if len(matches) == 1:
        return matches.popitem()[1]
    if matches:
        return Outcome(kind=Kind.REJECTED, reason=Reason.AMBIGUOUS_TASK_NAME)
    return Outcome(kind=Kind.NOT_FOUND, reason=Reason.NO_SUCH_TASK)


def _task(document: Any) -> Task | None:
    """A task as OMS shows it; None without a usable id. Any other member may be null, empty or missing."""
    if not isinstance(document, dict):
        return None
    task_id, group_id = _id(document.get("id")), document.get("group_id")
    if task_id is None:
        return None
    return Task(
        id=task_id,
        name=text(document.get("name")),
        status=integer(document.get("status")),
        group_type=text(document.get("group_type")),
        group_id=text(group_id),
        group_id_unreadable=bool(group_id) and not isinstance(group_id, str),
        task_type=text(document.get("task_type")),
        enable_restore=document.get("enable_restore") is True,
        started_at_ms=count(document.get("start_time")),
        ended_at_ms=_ended_at(document),
        notice_sent=member(document.get("smn_info"), "notify_result"),
        notice_error=_notice_error(member(document.get("smn_info"), "notify_error_message")),
        without_topic=document.get("smn_info", ()) is None,
        total_bytes=count(document.get("total_size")),
        counters=Counters(objects=count(document.get("successful_num")), bytes=count(document.get("complete_size"))),
        **failure_of(document, "failed_num"),
    )


def _notice_error(value: Any) -> str | None:
    """OMS's code for a missing notice; older codes begin with S3M. None for any other text, which is never used."""
    found = re.fullmatch(r"(?:OMS|S3M)\.([0-9]{4})", value) if isinstance(value, str) else None
    return f"OMS.{found[1]}" if found else None


def _id(value: Any) -> str | None:
    """A task id that is safe in a path, from an integer or ASCII digits, without leading zeros; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 <= value < 10**MAX_ID_DIGITS else None
    if isinstance(value, str) and len(value) <= MAX_ID_DIGITS and value.isascii() and value.isdecimal():
        return str(int(value))
    return None


def _ended_at(document: dict[str, Any]) -> int | None:
    started_at, total_time = count(document.get("start_time")), count(document.get("total_time"))
    return None if started_at is None else started_at + (total_time or 0)
