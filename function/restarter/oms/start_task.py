"""StartTask: the request that starts a task. No I/O here.

https://support.huaweicloud.com/intl/en-us/api-oms/StartTask.html
«starts a migration task that is paused or failed»; keys go with every start, because OMS does not keep them.
"""

import json
from collections.abc import Iterable

from pydantic import SecretStr

from restarter.http.call import Answer, Call
from restarter.model.outcome import Kind, Outcome
from restarter.model.task import Start
from restarter.oms.error_codes import read_error
from restarter.oms.project_call import project_call
from restarter.settings.model import StorageCredentials

FIELDS = tuple(StorageCredentials.model_fields)
SOURCE_KEYS = frozenset(name for name in FIELDS if name.startswith("src_")) | {"connection_string", "json_auth_file"}


def build(origin: str, project_id: str, start: Start, content: bytes) -> Call:
    """POST /v2/{project_id}/tasks/{task_id}/start; `content` is a `start_body`."""
    return project_call("POST", origin, project_id, f"tasks/{start.target_id}/start", "StartTask", content=content)


def start_body(start: Start, credentials: StorageCredentials, fields: Iterable[str] = FIELDS) -> bytes:
    """The body of a start or a retry: the fields that are set, in the order of `fields`, with secrets in plain text.

    It does not depend on the task: the keys are those of a profile.
    """
    body: dict[str, str | bool] = {}
    for name in fields:
        value = getattr(credentials, name)
        if value is not None and (start.source_keys or name not in SOURCE_KEYS):
            body[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
    body["migrate_failed_object"] = start.migrate_failed_object
    return json.dumps(body).encode()


def interpret(answer: Answer, start: Start) -> Outcome:
    """The outcome of a response to a start: any 2xx is a success, whatever its body, and nothing else is."""
    return started(answer, start) if 200 <= answer.status < 300 else called(read_error(answer), start)


def started(answer: Answer, start: Start) -> Outcome:
    """The outcome of a start, or of a retry of a group, that OMS accepted."""
    return Outcome(
        kind=Kind.STARTED,
        migrate_failed_object=start.migrate_failed_object,
        start_called=True,
        oms_status=answer.status,
        oms_request_id=answer.request_id,
    )


def called(outcome: Outcome, start: Start) -> Outcome:
    """The outcome of a start or retry that was sent, with what its receipt says about that."""
    return outcome._replace(start_called=True, migrate_failed_object=start.migrate_failed_object)
