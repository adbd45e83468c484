"""The 39 fields of a task as ShowTask answers them, with a plausible value for each. No I/O here."""

from collections.abc import Callable
from types import NoneType
from typing import Any

import oms_shapes as shapes

MAX_ID = 999_999_999_999_999
WAITING, RUNNING, PAUSED, FAILED, SUCCEEDED, RETRYING, PAUSING = range(1, 8)

# An empty task_type means "object".
CHOICES = {
    "group_type": ("NORMAL_TASK", "SYNC_TASK", "GROUP_TASK"),
    "task_type": ("list", "url_list", "object", "prefix", ""),
}

# https://support.huaweicloud.com/api-oms/ShowTask.html
DEFAULTS: dict[str, Any] = {
    "id": 0,
    "name": "",
    "description": "",
    "group_id": "",
    "group_type": "NORMAL_TASK",
    "task_type": "object",
    "task_priority": "MEDIUM",
    "obs_system": "BUCKET",
    "status": WAITING,
    "error_reason": None,
    "progress": 0.0,
    "is_query_over": True,
    "start_time": 1793136997786,
    "total_time": 0,
    "left_time": 0,
    "migrate_speed": 0,
    "total_num": 0,
    "successful_num": 0,
    "failed_num": 0,
    "skipped_num": 0,
    "total_size": 0,
    "real_size": 0,
    "complete_size": 0,
    "enable_failed_object_recording": True,
    "failed_object_record": {"result": None, "list_file_key": None, "error_code": None},
    "success_record_error_reason": None,
    "skip_record_error_reason": None,
    "src_node": {
        "bucket": "photos",
        "cloud_type": "AWS",
        "region": "eu-central-1",
        "app_id": None,
        "object_key": [""],
        "list_file": None,
    },
    "dst_node": {"bucket": "photos", "region": "cn-north-4", "save_prefix": None},
    "source_cdn": None,
    "bandwidth_policy": [],
    "migrate_since": 0,
    "enable_metadata_migration": False,
    "enable_restore": False,
    "object_overwrite_mode": "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE",
    "dst_storage_policy": "STANDARD",
    "consistency_check": "size_last_modified",
    "enable_requester_pays": False,
    "smn_info": {"notify_result": None, "notify_error_message": None, "topic_name": None},
}

# Members of the fields whose default is null.
MEMBERS = {
    "error_reason": ("error_code", "error_msg"),
    "source_cdn": ("domain", "protocol", "authentication_type"),
}

KINDS: dict[type, Callable[[object, str], object]] = {
    bool: shapes.flag,
    int: lambda value, where: shapes.whole(value, where, 0, 2**63 - 1),
    float: lambda value, where: shapes.number(value, where, 1),
    list: shapes.items,
    str: shapes.text,
    NoneType: shapes.text,
}


def read_facts(given: dict[str, Any], where: str) -> dict[str, Any]:
    """All 39 fields: those given, checked, and the defaults for the rest."""
    if "id" not in given:
        raise shapes.Unusable(f"{where}.id", "is missing")
    facts = dict(DEFAULTS)
    for name in DEFAULTS.keys() & given.keys():
        facts[name] = _read(name, given[name], f"{where}.{name}")
    return facts


def _read(name: str, value: object, where: str) -> object:
    if name == "id":
        return shapes.whole(value, where, 0, MAX_ID)
    if name == "status":
        return shapes.whole(value, where, WAITING, PAUSING)
    if name == "name":
        return shapes.text(value, where)
    if name in CHOICES:
        return shapes.one_of(value, where, CHOICES[name])
    # OMS shows null, and by its own text an empty string, where there is nothing to say.
    return value if value in (None, "") else _read_kind(name, value, where)


def _read_kind(name: str, value: object, where: str) -> object:
    default = DEFAULTS[name]
    if name in MEMBERS:
        return shapes.members(value, where, MEMBERS[name])
    if isinstance(default, dict):
        return default | shapes.members(value, where, default)
    return KINDS[type(default)](value, where)
