"""ShowTaskGroup and RetryTaskGroup: what OMS says about a group, and the one request that retries it. No I/O here.

https://support.huaweicloud.com/intl/en-us/api-oms/ShowTaskGroup.html, RetryTaskGroup.html
A retry is only for a failed group, and restarts its failed tasks.
"""

from restarter.http.call import Answer, Call
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.task import Counters, Start, TaskGroup
from restarter.oms.error_codes import read_error, refuses_key, unreadable
from restarter.oms.fields import count, failure_of, integer, text
from restarter.oms.project_call import project_call
from restarter.oms.start_task import called, start_body, started
from restarter.settings.model import StorageCredentials

ACTIVE = (0, 1, 2)  # waiting, creating tasks, watching them
# «Operations cannot be performed in current state», «only failed ones can be restarted»: the group has changed since.
WRONG_STATE = ("OMS.1036", "OMS.1040")
# RetryTaskGroupReq of the SDK, in its order: StartTaskReq without the two security tokens.
FIELDS = (
    *("src_ak", "src_sk", "src_crypto_type", "src_kms_key_id", "connection_string", "json_auth_file"),
    *("dst_ak", "dst_sk", "dst_crypto_type", "dst_kms_key_id"),
    *("source_cdn_authentication_key", "source_cdn_crypto_type", "source_cdn_kms_key_id"),
)


def show(origin: str, project_id: str, group_id: str) -> Call:
    """GET /v2/{project_id}/taskgroups/{group_id}."""
    return project_call("GET", origin, project_id, f"taskgroups/{group_id}", "ShowTaskGroup")


def interpret_show(answer: Answer, group_id: str) -> TaskGroup | Outcome:
    """The requested group; unavailable if the response lacks its status."""
    if not 200 <= answer.status < 300:
        return read_group_error(answer)
    document = answer.document
    if not isinstance(document, dict) or "status" not in document:
        return unreadable(answer)
    return TaskGroup(
        id=group_id,
        status=integer(document["status"]),
        task_type=text(document.get("task_type")),
        enable_restore=document.get("enable_restore") is True,
        counters=Counters(tasks=count(document.get("complete_task_num"))),
        **failure_of(document, "fail_num"),
    )


def retry_body(start: Start, credentials: StorageCredentials) -> bytes:
    """The body of a retry."""
    return start_body(start, credentials, FIELDS)


def build_retry(origin: str, project_id: str, start: Start, content: bytes) -> Call:
    """PUT /v2/{project_id}/taskgroups/{group_id}/retry; `content` is a `retry_body`."""
    path = f"taskgroups/{start.target_id}/retry"
    return project_call("PUT", origin, project_id, path, "RetryTaskGroup", content=content)


def interpret_retry(answer: Answer, start: Start) -> Outcome:
    """The outcome of a response to a retry: any 2xx is a success, whatever its body, and nothing else is."""
    return started(answer, start) if 200 <= answer.status < 300 else called(read_group_error(answer), start)


def read_group_error(answer: Answer) -> Outcome:
    """Like `read_error`, with reasons about groups. A 403 may mean that the key lacks only the right to groups."""
    outcome = read_error(answer)
    if outcome.kind is Kind.NOT_FOUND:
        return outcome._replace(reason=Reason.NO_SUCH_GROUP)
    if answer.status == 403 and outcome.reason is Reason.OMS_KEY and not refuses_key(answer):
        return outcome._replace(reason=Reason.GROUP_PERMISSION)
    return outcome
