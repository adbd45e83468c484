"""A function around the official SDK client, as its documentation shows: it starts the task and checks nobody."""

import os

import flask
import functions_framework
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkoms.v2 import OmsClient, StartTaskReq, StartTaskRequest

credentials = BasicCredentials(
    os.environ["HUAWEICLOUD_SDK_AK"], os.environ["HUAWEICLOUD_SDK_SK"], os.environ["OMS_PROJECT_ID"]
)
client = OmsClient.new_builder().with_credentials(credentials).with_endpoints([os.environ["OMS_ENDPOINT"]]).build()


@functions_framework.http
def restart(request: flask.Request) -> tuple[str, int]:
    """Start the task that the body names."""
    body = StartTaskReq(
        src_ak=os.environ["OMS_SRC_AK"],
        src_sk=os.environ["OMS_SRC_SK"],
        dst_ak=os.environ["OMS_DST_AK"],
        dst_sk=os.environ["OMS_DST_SK"],
        migrate_failed_object=False,
    )
    try:
        client.start_task(StartTaskRequest(task_id=request.get_json()["task_id"], body=body))
    except ClientRequestException as error:
        return error.error_code, 422
    return "", 204
