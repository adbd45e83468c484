"""StartTask: the one call that changes something. No I/O here.

https://support.huaweicloud.com/intl/en-us/api-oms/StartTask.html
«starts a migration task that is paused or failed»; keys go with every start, because OMS does not keep them.
"""

import json
from collections.abc import Iterable

from pydantic import SecretStr

from restarter.http.call import Answer, Call
from restarter.model import Kind, Outcome, Start
from restarter.oms.error_codes import read_error
from restarter.settings.model import StorageCredentials

SOURCE_KEYS = frozenset(
    {
        "src_ak",
        "src_sk",
        "src_security_token",
        "connection_string",
        "json_auth_file",
        "src_crypto_type",
        "src_kms_key_id",
    }
)


def build(origin: str, project_id: str, start: Start, credentials: StorageCredentials) -> Call:
    """POST /v2/{project_id}/tasks/{task_id}/start with every key that is set."""
    return Call(
        "POST",
        origin,
        f"/v2/{project_id}/tasks/{start.target_id}/start",
        headers={"Content-Type": "application/json;charset=utf-8", "X-Project-Id": project_id},
        content=start_body(tuple(StorageCredentials.model_fields), start, credentials),
        operation="StartTask",
    )


def start_body(fields: Iterable[str], start: Start, credentials: StorageCredentials) -> bytes:
    """The body of a start or a retry: the fields that are set, in this order. Secrets are opened here alone."""
    body: dict[str, str | bool] = {}
    for name in fields:
        value = getattr(credentials, name)
        if value is not None and (start.source_keys or name not in SOURCE_KEYS):
            body[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
    body["migrate_failed_object"] = start.migrate_failed_object
    return json.dumps(body).encode()


def interpret(answer: Answer) -> Outcome:
    """The outcome of an answer to a start; 2xx is a success whatever its body, and nothing else is."""
    if not 200 <= answer.status < 300:
        return read_error(answer)
    return Outcome(kind=Kind.STARTED, oms_status=answer.status, oms_request_id=answer.request_id)
