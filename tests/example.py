"""Names and keys that all tests share; none of them is real."""

from restarter.settings.model import Settings

PROJECT = "2c0689c860ad4728a497ffffc0844383"
TASK = 191297407830872
TASK_NAME = "photos-photos-20261027211637786_544"
BEARER = "example-caller-token-0001"
ENDPOINT = "https://oms.cn-north-4.myhuaweicloud.com"

ENVIRONMENT = {
    "OMS_REGION": "cn-north-4",
    "OMS_PROJECT_ID": PROJECT,
    "HUAWEICLOUD_SDK_AK": "AKEXAMPLE0000000001",
    "HUAWEICLOUD_SDK_SK": "SKEXAMPLE00000000000000000000000000000001",
    "OMS_SRC_AK": "src_ak",
    "OMS_SRC_SK": "src_sk",
    "OMS_DST_AK": "dst_ak",
    "OMS_DST_SK": "dst_sk",
    "CALLER_BEARER_TOKENS": BEARER,
}


def settings(**changes: object) -> Settings:
    """Settings as the environment above makes them, with changes by field name."""
    values = {name.lower(): value for name, value in ENVIRONMENT.items()}
    keys = {
        "HUAWEICLOUD_SDK_AK": values.pop("huaweicloud_sdk_ak"),
        "HUAWEICLOUD_SDK_SK": values.pop("huaweicloud_sdk_sk"),
    }
    return Settings.model_validate({**values, **keys, **changes})


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
