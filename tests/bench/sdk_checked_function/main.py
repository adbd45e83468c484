"""A function around the official SDK client that checks its caller and its input before it starts the task."""

import hmac
import os
import re

import flask
import functions_framework
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import SdkException, ServiceResponseException
from huaweicloudsdkoms.v2 import OmsClient, StartTaskReq, StartTaskRequest

TOKENS = [f"Bearer {token}".encode() for token in os.environ["CALLER_BEARER_TOKENS"].split(",")]

credentials = BasicCredentials(
    os.environ["HUAWEICLOUD_SDK_AK"], os.environ["HUAWEICLOUD_SDK_SK"], os.environ["OMS_PROJECT_ID"]
)
client = OmsClient.new_builder().with_credentials(credentials).with_endpoints([os.environ["OMS_ENDPOINT"]]).build()


@functions_framework.http
def restart(request: flask.Request) -> tuple[str, int]:
    """Start the task that the body of an authenticated call names, by one signed POST."""
    sent = request.headers.get("Authorization", "").encode()
    if not any(hmac.compare_digest(sent, token) for token in TOKENS):
        return "", 401
    document = request.get_json(silent=True)
    task_id = str(document.get("task_id", "")) if isinstance(document, dict) else ""
    if not re.fullmatch(r"[0-9]{1,15}", task_id):
        return "task_id", 400
    try:
        client.start_task(StartTaskRequest(task_id=task_id, body=_start_body()))
    except ServiceResponseException as error:
        return error.error_code, 422
    except SdkException:
        return "", 503
    return "", 204


def _start_body() -> StartTaskReq:
    return StartTaskReq(
        src_ak=os.environ["OMS_SRC_AK"],
        src_sk=os.environ["OMS_SRC_SK"],
        dst_ak=os.environ["OMS_DST_AK"],
        dst_sk=os.environ["OMS_DST_SK"],
        migrate_failed_object=False,
    )
