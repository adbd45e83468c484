"""The 38 fields of a task group as ShowTaskGroup answers them, and how members make up its counts. No I/O here.

https://support.huaweicloud.com/api-oms/ShowTaskGroup.html
"""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field

from oms_simulator.documents import Blank
from oms_simulator.task_fields import (
    FAILED,
    PAUSED,
    PAUSING,
    RETRYING,
    RUNNING,
    SUCCEEDED,
    WAITING,
    Number,
    SharedFields,
    SmnInfo,
)
from oms_simulator.tasks import Task

GROUP_WAITING, CREATING, MONITORING, GROUP_PAUSED, CREATION_FAILED, GROUP_FAILED = range(6)
COMPLETE, GROUP_PAUSING, TO_BE_DELETED, DELETED = range(6, 10)

GroupId = Annotated[str, Field(pattern=r"\A[A-Za-z0-9_-]{1,255}\z")]
GroupStatus = Annotated[int, Field(ge=GROUP_WAITING, le=DELETED)]


class GroupFields(SharedFields):
    """What ShowTaskGroup and ListTaskGroup tell of a group. Counts that are not given come from its members."""

    group_id: GroupId
    status: GroupStatus = MONITORING
    task_type: Literal["LIST", "URL_LIST", "PREFIX"] = "PREFIX"
    smn_config: Annotated[SmnInfo, Blank] = SmnInfo()
    total_task_num: Number = 0
    create_task_num: Number = 0
    failed_task_num: Number = 0
    complete_task_num: Number = 0
    paused_task_num: Number = 0
    executing_task_num: Number = 0
    waiting_task_num: Number = 0
    total_num: Number = 0
    create_complete_num: Number = 0
    success_num: Number = 0
    fail_num: Number = 0
    skip_num: Number = 0
    create_complete_size: Number = 0


GROUP_FIELDS = tuple(GroupFields.model_fields)

# Which status of a member is counted where.
STATUS_COUNTS = {
    "failed_task_num": (FAILED,),
    "complete_task_num": (SUCCEEDED,),
    "paused_task_num": (PAUSED,),
    "executing_task_num": (RUNNING, RETRYING, PAUSING),
    "waiting_task_num": (WAITING,),
}
# Which number of the members is added up where.
SUMS = {
    "total_num": "total_num",
    "create_complete_num": "total_num",
    "success_num": "successful_num",
    "fail_num": "failed_num",
    "skip_num": "skipped_num",
    "total_size": "total_size",
    "create_complete_size": "total_size",
    "complete_size": "complete_size",
}
COUNTS = {"total_task_num", "create_task_num", *STATUS_COUNTS, *SUMS}


def count_members(members: Collection[Task]) -> dict[str, int]:
    """All counts of a group, from the tasks that belong to it."""
    counts = {"total_task_num": len(members), "create_task_num": len(members)}
    for name, statuses in STATUS_COUNTS.items():
        counts[name] = sum(task.status in statuses for task in members)
    for name, field in SUMS.items():
        counts[name] = sum(task.facts[field] or 0 for task in members)
    return counts
