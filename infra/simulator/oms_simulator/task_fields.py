"""The 39 fields of a task as ShowTask answers them, with a plausible value for each. No I/O here.

https://support.huaweicloud.com/api-oms/ShowTask.html
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from oms_simulator.documents import Blank, Count, Document, Times

WAITING, RUNNING, PAUSED, FAILED, SUCCEEDED, RETRYING, PAUSING = range(1, 8)

TaskId = Annotated[int, Field(ge=0, le=999_999_999_999_999)]
Status = Annotated[int, Field(ge=WAITING, le=PAUSING)]
Text = Annotated[str, Blank]
Flag = Annotated[bool, Blank]
Number = Annotated[Count, Blank]
Share = Annotated[float, Field(ge=0, le=1), Blank]
Items = Annotated[list[Any], Blank]
TopicUrn = Annotated[str, Field(pattern=r"^urn:smn:[a-z0-9-]+:[A-Za-z0-9]+:[A-Za-z0-9_-]{1,255}$")]


class ErrorReason(Document):
    """Why a task or a group failed."""

    error_code: str | None = None
    error_msg: str | None = None


class FailedObjectRecord(Document):
    """Where the list of failed objects lies; `result` says whether they can be sent again."""

    result: bool | None = None
    list_file_key: str | None = None
    error_code: str | None = None


class Cause(Document):
    """Why a task fails. With failed objects there is a list of them, so that they alone can be sent again."""

    error_code: Annotated[str, Field(pattern=r"^(TRF|S3M)\.[0-9]{4}$")] = "TRF.0001"
    error_msg: str = "System error."
    failed_num: Times = 0

    def change(self, name: str) -> dict[str, Any]:
        """The fields of the task that change. `name`: the task's name."""
        changed: dict[str, Any] = {"error_reason": {"error_code": self.error_code, "error_msg": self.error_msg}}
        if self.failed_num:
            key = f"oms/task/{name}/failed_object_lists/1.failed_list.txt"
            record = {"result": True, "list_file_key": key, "error_code": None}
            changed |= {"failed_num": self.failed_num, "failed_object_record": record}
        return changed


class SourceNode(Document):
    """Where objects come from."""

    bucket: str | None = "photos"
    cloud_type: str | None = "AWS"
    region: str | None = "eu-central-1"
    app_id: str | None = None
    object_key: list[str] | None = Field(default_factory=lambda: [""])
    list_file: dict[str, Any] | None = None


class DestinationNode(Document):
    """Where objects go."""

    bucket: str | None = "photos"
    region: str | None = "cn-north-4"
    save_prefix: str | None = None


class SourceCdn(Document):
    """The content delivery network in front of the source."""

    domain: str | None = None
    protocol: str | None = None
    authentication_type: str | None = None


class SmnInfo(Document):
    """Whether the notice of OMS went out, and to which topic."""

    notify_result: bool | None = None
    notify_error_message: str | None = None
    topic_name: str | None = None


DAYS_AGO_S = 20 * 86_400.0


class SmnConfig(Document):
    """Where a task's notice goes, and of what. It is given when a task is made, and OMS never shows it again."""

    topic_urn: TopicUrn
    trigger_conditions: Annotated[list[Literal["FAILURE", "SUCCESS"]], Field(min_length=1)]
    language: Literal["zh-cn", "en-us"] = "en-us"
    message_template_name: str | None = None


class SharedFields(Document):
    """Fields that a task and a task group have in common."""

    description: Text = ""
    obs_system: Text = "BUCKET"
    error_reason: Annotated[ErrorReason | None, Blank] = None
    start_time: Number = 0
    total_time: Number = 0
    migrate_speed: Number = 0
    total_size: Number = 0
    complete_size: Number = 0
    enable_failed_object_recording: Flag = True
    failed_object_record: Annotated[FailedObjectRecord, Blank] = FailedObjectRecord()
    src_node: Annotated[SourceNode, Blank] = SourceNode()
    dst_node: Annotated[DestinationNode, Blank] = DestinationNode()
    source_cdn: Annotated[SourceCdn | None, Blank] = None
    bandwidth_policy: Items = Field(default_factory=list)
    migrate_since: Number = 0
    enable_metadata_migration: Flag = False
    enable_restore: Flag = False
    object_overwrite_mode: Text = "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE"
    dst_storage_policy: Text = "STANDARD"
    consistency_check: Text = "size_last_modified"
    enable_requester_pays: Flag = False

    def start_ms(self, started_ago: float | None, now: float) -> int | None:
        """When it started, in milliseconds since 1970: as given, `started_ago` or else 20 days before `now`."""
        if started_ago is None and "start_time" in self.model_fields_set:
            return self.start_time
        return int((now - (DAYS_AGO_S if started_ago is None else started_ago)) * 1000)


class TaskFields(SharedFields):
    """What ShowTask and ListTasks tell of a task. An empty task_type means "object"."""

    id: TaskId
    name: str = ""
    group_id: Text = ""
    group_type: Literal["NORMAL_TASK", "SYNC_TASK", "GROUP_TASK"] = "NORMAL_TASK"
    task_type: Literal["list", "url_list", "object", "prefix", ""] = "object"
    task_priority: Text = "MEDIUM"
    status: Status = WAITING
    progress: Share = 0.0
    is_query_over: Flag = True
    left_time: Number = 0
    total_num: Number = 0
    successful_num: Number = 0
    failed_num: Number = 0
    skipped_num: Number = 0
    real_size: Number = 0
    success_record_error_reason: Text | None = None
    skip_record_error_reason: Text | None = None
    smn_info: Annotated[SmnInfo, Blank] = SmnInfo()


TASK_FIELDS = tuple(TaskFields.model_fields)
