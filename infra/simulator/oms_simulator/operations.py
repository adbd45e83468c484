"""One table: which function answers which call of OMS. No I/O here."""

from collections.abc import Callable

from oms_simulator.bucket_calls import check_prefix, show_bucket_region
from oms_simulator.group_calls import (
    create_group,
    delete_group,
    list_groups,
    retry_group,
    show_group,
    start_group,
    stop_group,
)
from oms_simulator.messages import Answer, Request
from oms_simulator.routes import Route
from oms_simulator.task_calls import create, delete, list_tasks, show, start, stop
from oms_simulator.world import World

OPERATIONS: dict[str, Callable[[World, Route, Request, float], Answer]] = {
    "list": list_tasks,
    "show": show,
    "create": create,
    "start": start,
    "stop": stop,
    "delete": delete,
    "list_groups": list_groups,
    "show_group": show_group,
    "create_group": create_group,
    "start_group": start_group,
    "retry_group": retry_group,
    "stop_group": stop_group,
    "delete_group": delete_group,
    "show_bucket_region": show_bucket_region,
    "check_prefix": check_prefix,
}
