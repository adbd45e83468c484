"""What CreateTask and CreateTaskGroup accept, and the task or group they make of it. No I/O here.

https://support.huaweicloud.com/api-oms/CreateTask.html
https://support.huaweicloud.com/api-oms/CreateTaskGroup.html
"""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from oms_simulator.documents import Document, InvalidDocument, parse
from oms_simulator.group_fields import GroupFields
from oms_simulator.groups import Group, GroupDocument, created
from oms_simulator.storage_keys import read_body
from oms_simulator.task_fields import RUNNING, DestinationNode, SmnConfig, SourceNode
from oms_simulator.tasks import Task, TaskDocument

Key = Annotated[str, Field(min_length=1, max_length=100)]
Bucket = Annotated[str, Field(min_length=1, max_length=1024)]


class NewSource(Document):
    """Where a new task or group takes objects from, with its keys."""

    bucket: str | None = None
    cloud_type: str | None = None
    region: str | None = None
    app_id: str | None = None
    object_key: list[str] | None = None
    list_file: dict[str, Any] | None = None
    ak: str | None = None
    sk: str | None = None
    security_token: str | None = None
    connection_string: str | None = None
    json_auth_file: str | None = None
    crypto_type: str | None = None
    kms_key_id: str | None = None


class NewDestination(Document):
    """Where a new task or group puts objects, with its keys."""

    ak: Key
    sk: Key
    bucket: Bucket
    region: str | None = None
    save_prefix: str | None = None
    security_token: str | None = None
    cloud_type: str | None = None
    crypto_type: str | None = None
    kms_key_id: str | None = None


class Options(Document):
    """What a task and a group are created with. Keys are read and forgotten."""

    src_node: NewSource
    dst_node: NewDestination
    description: str | None = None
    migrate_since: int | None = None
    bandwidth_policy: list[Any] | None = None
    source_cdn: dict[str, Any] | None = None
    smn_config: SmnConfig | None = None
    enable_metadata_migration: bool | None = None
    enable_restore: bool | None = None
    enable_failed_object_recording: bool | None = None
    object_overwrite_mode: str | None = None
    dst_storage_policy: str | None = None
    consistency_check: str | None = None
    enable_requester_pays: bool | None = None

    def fields(self) -> dict[str, Any]:
        """The fields of the task or group that were given, but for those that OMS makes up or changes."""
        skipped = {"src_node", "dst_node", "source_cdn", "smn_config", "task_type"}
        facts = self.model_dump(exclude=skipped, exclude_none=True)
        source = self.src_node.model_dump(include=set(SourceNode.model_fields))
        facts["src_node"] = SourceNode(**source)
        facts["dst_node"] = DestinationNode(**self.dst_node.model_dump(include=set(DestinationNode.model_fields)))
        return facts

    def name(self, now: float, number: int) -> str:
        """A name as OMS makes them: both buckets, the time in milliseconds, a number."""
        time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d%H%M%S%f")[:17]
        return f"{self.src_node.bucket or 'list'}-{self.dst_node.bucket}-{time}_{number % 1000}"


class NewTask(Options):
    """The body of CreateTask."""

    task_type: Literal["list", "url_list", "object", "prefix"] = "object"
    task_priority: Literal["HIGH", "MEDIUM", "LOW"] | None = None

    def task(self, task_id: int, project_id: str, now: float) -> Task:
        """The task, which waits and then runs."""
        name = self.name(now, task_id)
        document = TaskDocument(
            id=task_id,
            name=name,
            project_id=project_id,
            task_type=self.task_type,
            started_ago=0.0,
            smn_config=self.smn_config,
            **self.fields(),
        )
        return replace(document.task(now), due=now, next_status=RUNNING)


class NewGroup(Options):
    """The body of CreateTaskGroup."""

    task_type: Literal["LIST", "URL_LIST", "PREFIX"] = "PREFIX"

    def group(self, task_id: int, project_id: str, now: float) -> tuple[Group, Task]:
        """The group, which is being created, and its one member."""
        group_id = str(uuid.uuid4())
        fields = {name: value for name, value in self.fields().items() if name in GroupFields.model_fields}
        group = GroupDocument(
            group_id=group_id, project_id=project_id, task_type=self.task_type, started_ago=0.0, **fields
        )
        member = TaskDocument(
            id=task_id,
            name=self.name(now, task_id),
            project_id=project_id,
            group_id=group_id,
            group_type="GROUP_TASK",
            started_ago=0.0,
        )
        return created(group.group(now), now), replace(member.task(now), due=now, next_status=RUNNING)


New = TypeVar("New", NewTask, NewGroup)


def read_new_task(raw: bytes) -> NewTask | str:
    """The body of CreateTask, or the code that refuses it."""
    return _read(raw, NewTask)


def read_new_group(raw: bytes) -> NewGroup | str:
    """The body of CreateTaskGroup, or the code that refuses it."""
    return _read(raw, NewGroup)


def _read(raw: bytes, kind: type[New]) -> New | str:
    body = read_body(raw)
    if body is None:
        return "OMS.0067"
    try:
        return parse(kind, body, "body")
    except InvalidDocument as invalid:
        return {"extra_forbidden": "OMS.0074", "missing": "OMS.1004"}.get(invalid.kind, "OMS.0064")
