"""Names and keys that all tests share; none of them is real."""

import time
from datetime import UTC, datetime, timedelta

import example_settings
from restarter.settings.model import Settings

PROJECT = example_settings.PROJECT
TASK = example_settings.TASK
TASK_NAME = example_settings.TASK_NAME
BEARER = example_settings.BEARER
ENVIRONMENT = example_settings.EXAMPLE
ENDPOINT = "https://oms.cn-north-4.myhuaweicloud.com"


def settings(**changes: object) -> Settings:
    """Settings as the environment above makes them, with changes by field name."""
    values = {name.lower(): value for name, value in ENVIRONMENT.items()}
    keys = {
        "HUAWEICLOUD_SDK_AK": values.pop("huaweicloud_sdk_ak"),
        "HUAWEICLOUD_SDK_SK": values.pop("huaweicloud_sdk_sk"),
    }
    return Settings.model_validate({**values, **keys, **changes})


def hours_from(now: datetime, hours: int) -> tuple[str, str]:
    """RESTART_HOURS that open for an hour, so many hours after now each day; and when they open, as receipts say it."""
    begin = now.astimezone(UTC) + timedelta(hours=hours)
    return f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M} UTC", f"{begin:%Y-%m-%d %H:%M} UTC"


def shown(status: int = 4, **changes: object) -> dict[str, object]:
    """A task as ShowTask answers it."""
    task = {
        "id": TASK,
        "name": TASK_NAME,
        "status": status,
        "group_type": "NORMAL_TASK",
        "group_id": "",
        "task_type": "prefix",
        "error_reason": {"error_code": "TRF.0001", "error_msg": "Internal system error."} if status == 4 else None,
        "enable_restore": False,
        "enable_failed_object_recording": True,
        "failed_object_record": {"result": None, "list_file_key": None, "error_code": None},
        "failed_num": 0,
    }
    return task | changes


def slowness() -> float:
    """How many times slower this machine is now than those for which limits in CPU seconds were chosen; at least 1."""
    begun = time.thread_time()
    total = 0
    for number in range(100_000):
        total += number
    return max(1.0, (time.thread_time() - begun) / 0.003)
