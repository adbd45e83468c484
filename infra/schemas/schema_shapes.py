"""What goes into the function and what comes out, as JSON Schema. No I/O here."""

from collections.abc import Mapping
from typing import Any

from restarter.decide.failure_reasons import FailureClass
from restarter.dialects.parsing import MAX_EVENTS
from restarter.model.outcome import Kind, SweepCounts
from restarter.model.request import SWEEP_FIELDS, TARGET_FIELDS, DirectRequest, Intent
from restarter.model.task import Counters

Document = dict[str, Any]

TEXT: Document = {"type": "string"}
COUNT: Document = {"type": "integer", "minimum": 0}
FLAG: Document = {"type": "boolean"}
# What `identifier` takes: no control characters.
ID: Document = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"}

TYPE: Document = {
    "anyOf": [{"enum": ["oms.task.failed", "oms.task.start"]}, ID],
    "description": "oms.task.failed or oms.task.start; EVENT_TYPES_FAILED adds more, and any other is ignored.",
}
DATA: Document = {
    "anyOf": [{"$ref": "#/components/schemas/RestartRequest"}, {}],
    "description": "A RestartRequest, or that as a string of JSON, where the type is one of ours; fields that it does "
    "not know are passed over, intent and id among them.",
}
ATTRIBUTES: Mapping[str, Document] = {
    "specversion": {"const": "1.0"},
    "id": ID,
    "source": ID,
    "type": TYPE,
    "time": {"type": "string", "format": "date-time"},
}


# The facts of a receipt; what is not known is left out and never null.
FACTS: Mapping[str, Document] = {
    "time": {"type": "string", "format": "date-time", "pattern": r"^[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z$"},
    "severity": {"enum": ["INFO", "WARNING", "ERROR"]},
    "message": TEXT,
    "outcome": {"enum": list(Kind)},
    "reason": TEXT,
    "dialect": TEXT,
    "intent": {"enum": list(Intent)},
    "event_id": ID,
    "event_age_s": {"type": "integer"},
    "task_id": {"type": "string", "pattern": "^[0-9]{1,15}$"},
    "task_name": TEXT,
    "group_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,255}$"},
    "project_id": TEXT,
    "region": TEXT,
    "credentials": TEXT,
    "migrate_failed_object": FLAG,
    "failure_reason": {"type": "string", "pattern": r"^TRF\.[0-9]{4}$"},
    "failure_class": {"enum": list(FailureClass)},
    "failed_objects": COUNT,
    "failed_objects_list": {"type": "string", "minLength": 1, "maxLength": 1024},
    "advice": TEXT,
    "start_called": FLAG,
    "oms_status": {"type": "integer"},
    "oms_error_code": TEXT,
    "oms_request_id": TEXT,
    "attempt": COUNT,
    "progress": {
        "type": "object",
        "properties": dict.fromkeys(Counters._fields, COUNT),
        "additionalProperties": False,
        "minProperties": 1,
    },
    **dict.fromkeys(SweepCounts._fields, COUNT),
    "duration_ms": COUNT,
    "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
ALWAYS = ("time", "severity", "message", "outcome", "start_called", "duration_ms")


def restart_request() -> Document:
    """The schema of a direct call, and the rules between its fields, which pydantic keeps to itself."""
    given = {name: {"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in TARGET_FIELDS}
    beside = {name: {"type": "null"} for name in DirectRequest.model_fields if name not in ("sweep", *SWEEP_FIELDS)}
    return DirectRequest.model_json_schema() | {
        "title": "RestartRequest",
        "description": "What a caller asks for: exactly one of task_id, task_name, group_id and sweep. "
        "It holds no credentials. The members intent and id are read in a direct call alone.",
        "oneOf": list(given.values()),
        "if": given["sweep"],
        "then": {"properties": beside},
    }


def alert_group() -> Document:
    """What Alertmanager (version 4) and Grafana (version 1, with its orgId) post by default, as far as it is read."""
    properties = restart_request()["properties"]
    names = ("task_id", "task_name", "group_id", "project_id", "credentials")
    labels = {name: TEXT | {"description": properties[name]["description"]} for name in names}
    alert = an_object(
        {
            "status": {"enum": ["firing", "resolved"]},
            "labels": an_object(labels, additionalProperties=TEXT),
            "startsAt": ATTRIBUTES["time"],
            "fingerprint": ID,
        },
        *("status", "labels", "startsAt", "fingerprint"),
        description="A failed event, where it fires and has a label task_id, task_name or group_id; else ignored.",
    )
    alerts = {"type": "array", "items": alert, "maxItems": MAX_EVENTS}
    group = {"version": {"enum": ["4", 4, "1", 1]}, "groupKey": TEXT, "orgId": COUNT, "alerts": alerts}
    return an_object(group, "version", "groupKey", "alerts")


def ref(name: str, part: str = "schemas") -> Document:
    """A place in the document."""
    return {"$ref": f"#/components/{part}/{name}"}


def an_object(properties: Mapping[str, Document], *required: str, **more: object) -> Document:
    """The schema of an object."""
    return {"type": "object", "properties": dict(properties), "required": list(required), **more}


def shapes() -> Document:
    """All of them by name."""
    notice = an_object(
        {"message_id": ID, "message": TEXT, "topic_urn": TEXT, "timestamp": ATTRIBUTES["time"]}, "message_id", "message"
    )
    record = an_object({"smn": notice}, "smn")
    request = {"httpMethod": TEXT, "requestContext": {"type": "object"}, "path": TEXT, "body": TEXT}
    apig = request | {"headers": {"type": "object", "additionalProperties": TEXT}, "isBase64Encoded": FLAG}
    timer = {
        "trigger_type": {"const": "TIMER"},
        "trigger_name": ID,
        "time": ATTRIBUTES["time"],
        "user_event": TEXT | {"description": "A failed event, where it is the JSON of a RestartRequest; else ignored."},
    }
    problem = {"type": {"const": "about:blank"}, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT}
    answer = {"isBase64Encoded": {"const": False}, "statusCode": COUNT, "headers": {"type": "object"}, "body": TEXT}
    return {
        "RestartRequest": restart_request(),
        "CloudEvent": an_object({**ATTRIBUTES, "data": DATA}, "specversion", "id", "source", "type"),
        "AlertGroup": alert_group(),
        "SmnEvent": an_object(
            {"record": {"type": "array", "items": record, "minItems": 1, "maxItems": MAX_EVENTS}}, "record"
        ),
        "TimerEvent": an_object(timer, *timer),
        "ApigEvent": an_object(apig, "httpMethod", "requestContext", "body"),
        "ApigResponse": an_object(answer, *answer, additionalProperties=False),
        "Receipt": an_object(FACTS, *ALWAYS, additionalProperties=False),
        "Problem": an_object(
            problem | {"outcome": FACTS["outcome"], "reason": TEXT, "advice": TEXT},
            *problem,
            "outcome",
            additionalProperties=False,
        ),
    }
