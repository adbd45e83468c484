"""The HTTP surface of the function in OpenAPI 3.1. No I/O here.

Statuses, headers and outcomes are those of replies that the function makes here, one for each way a request can end.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from restarter import __version__
from restarter.dialects.parsing import MAX_EVENTS
from restarter.model.errors import HEADERS_TOO_LARGE, MAX_BODY_BYTES
from restarter.model.outcome import Kind, Outcome
from restarter.reporting.reply import Entry, reply_to
from schema_shapes import ATTRIBUTES, ID, TEXT, Document, an_object, ref, shapes

JSON = "application/json"
DELIVERED = [kind for kind in Kind if kind is not Kind.METHOD_NOT_ALLOWED]

HEADERS: Mapping[str, Document] = {
    "Allow": {"const": "POST"},
    "Retry-After": {"type": "integer", "minimum": 1},
    "WWW-Authenticate": {"const": "Bearer"},
    "WebHook-Allowed-Origin": TEXT,
    "WebHook-Allowed-Rate": {"const": "*"},
}

TASK = {"task_id": 191297407830872, "reason": "nightly run"}
EVENT = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms/cn-north-4", "id": "1", "data": TASK}
NOTICE = {
    "topic_urn": "urn:smn:cn-north-4:2c0689c860ad4728a497ffffc0844383:oms-failed",
    "message_id": "1",
    "message": '{"task_name": "photos-photos-20261027211637786_544", "task_status": "FAILED"}',
}
ALERTS = {
    "version": "4",
    "groupKey": '{}:{alertname="MigrationTaskFailed"}',
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "MigrationTaskFailed", "task_id": "191297407830872"},
            "startsAt": "2099-11-24T00:00:00Z",
            "fingerprint": "c2c7f0e1e5b8d2a1",
        }
    ],
}
TIMER = {
    "version": "v1.0",
    "time": "2099-11-24T08:30:00+08:00",
    "trigger_type": "TIMER",
    "trigger_name": "Timer_001",
    "user_event": '{"task_id": 191297407830872}',
}
WRAPPED = {"httpMethod": "POST", "requestContext": {}, "path": "/", "headers": {}, "isBase64Encoded": False}

ABOUT = """Starts a failed or paused migration task of Huawei Cloud OMS again. A direct call gets its receipt; an event
gets an empty 204 or an error that tells its sender whether to repeat. SMN, Pub/Sub, Alertmanager and Grafana deliver
to POST / as well, and callers authenticate by a bearer token here, or else by their signature (Standard Webhooks,
SMN) or ID token."""


# Names of RFC 9110, 15.5, which Python knows from 3.13 on.
PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}
# What a status means beyond its outcomes.
MORE = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"; a body over {MAX_BODY_BYTES} bytes, or over {MAX_EVENTS} events in a batch"
}


@dataclass
class Said:
    """What replies of one status have in common."""

    media_type: str = ""
    headers: set[str] = field(default_factory=set)
    kinds: list[Kind] = field(default_factory=list)


def replies(kinds: Iterable[Kind]) -> dict[HTTPStatus, Said]:
    """The replies to requests that end so: to a direct call, to an event, and to a batch."""
    found: dict[HTTPStatus, Said] = {}
    outcomes = [Outcome(kind=kind) for kind in kinds]
    outcomes.append(Outcome(kind=Kind.CONTENT_TOO_LARGE, fault=HEADERS_TOO_LARGE))
    for outcome in outcomes:
        kind = outcome.kind
        for number, direct in ((1, True), (1, False), (2, False)):
            reply = reply_to([Entry(outcome, {"message": ""}, b"{}", is_direct=direct)] * number)
            said = found.setdefault(HTTPStatus(reply.status), Said())
            said.media_type = reply.headers.get("Content-Type", "")
            said.headers |= reply.headers.keys() - {"Content-Type"}
            said.kinds += [kind] if kind not in said.kinds else []
    return dict(sorted(found.items()))


def phrase_of(status: HTTPStatus) -> str:
    """The phrase of RFC 9110, whatever Python makes the document."""
    return PHRASES.get(status, status.phrase)


def name_of(status: HTTPStatus) -> str:
    """The phrase as a component's name."""
    return phrase_of(status).upper().replace(" ", "_")


def response(status: HTTPStatus, said: Said) -> Document:
    """A status with its headers, and its body with the outcomes that may stand in it."""
    document: Document = {"description": f"{phrase_of(status)}: {', '.join(said.kinds)}{MORE.get(status, '')}"}
    if said.headers:
        document["headers"] = {name: {"required": True, "schema": HEADERS[name]} for name in sorted(said.headers)}
    if said.media_type:
        base = ref("Receipt" if said.media_type == JSON else "Problem")
        narrow: Document = {"properties": {"outcome": {"enum": said.kinds}}}
        if said.media_type != JSON:
            narrow["properties"]["status"] = {"const": status}
        document["content"] = {said.media_type: {"schema": {"allOf": [base, narrow]}}}
    return document


def header(name: str, schema: Document, about: str, *, required: bool = False) -> Document:
    """A request's header."""
    return {"name": name, "in": "header", "required": required, "schema": schema, "description": about}


def deliver() -> Document:
    """POST /."""
    content = {
        JSON: {
            "schema": {"anyOf": [ref("RestartRequest"), ref("AlertGroup")]},
            "examples": {
                "direct": {"value": TASK},
                "failed": {"value": TASK | {"intent": "failed", "id": "nightly-1"}},
                "alertmanager": {"value": ALERTS},
            },
        },
        "application/cloudevents+json": {"schema": ref("CloudEvent"), "example": EVENT},
        "application/cloudevents-batch+json": {
            "schema": {"type": "array", "items": ref("CloudEvent"), "maxItems": MAX_EVENTS},
            "example": [EVENT],
        },
    }
    return {
        "operationId": "deliver",
        "summary": "Deliver a direct call, a CloudEvent, a batch of them, or the alerts of Alertmanager or Grafana.",
        "security": [{"bearer": []}],
        "parameters": [
            header("Idempotency-Key", ID, "Names the event of a direct call, as its member id does otherwise."),
            header("traceparent", TEXT, "W3C Trace Context; the trace stands in the receipt."),
            *(header(f"ce-{name}", schema, "CloudEvent in binary mode.") for name, schema in ATTRIBUTES.items()),
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {str(status): ref(name_of(status), "responses") for status in replies(DELIVERED)},
    }


def invoke() -> Document:
    """POST /invoke: whatever FunctionGraph posts, and a direct call as from everywhere."""
    responses = {str(status): ref(name_of(status), "responses") for status in replies(DELIVERED)}
    ok = {"anyOf": [ref("ApigResponse"), ref("Receipt")]}
    responses["200"] = {"description": "What API Gateway passes on; or a receipt", "content": {JSON: {"schema": ok}}}
    examples = {
        "smn": {"value": {"record": [{"smn": NOTICE}]}},
        "timer": {"value": TIMER},
        "apig": {"value": WRAPPED | {"body": json.dumps(TASK)}},
    }
    content = {"schema": {"anyOf": [ref("SmnEvent"), ref("TimerEvent"), ref("ApigEvent")]}, "examples": examples}
    return {
        "operationId": "invoke",
        "summary": "FunctionGraph's events: of an SMN trigger, of a timer, of API Gateway.",
        "description": "Without a token where the platform has authenticated the caller: CALLER_TRUST_PLATFORM=true.",
        "security": [{"bearer": []}, {}],
        "requestBody": {"required": True, "content": {JSON: content}},
        "responses": responses,
    }


def handshake() -> Document:
    """OPTIONS /."""
    allowed = {
        "Allow": {"required": True, "schema": HEADERS["Allow"]},
        "WebHook-Allowed-Origin": {"required": True, "schema": HEADERS["WebHook-Allowed-Origin"]},
        "WebHook-Allowed-Rate": {"schema": HEADERS["WebHook-Allowed-Rate"]},
    }
    origin = {"type": "string", "pattern": "^[A-Za-z0-9.:-]{1,253}$"}
    return {
        "operationId": "handshake",
        "summary": "A sender of CloudEvents asks whether it may deliver here.",
        "security": [],
        "parameters": [
            header("WebHook-Request-Origin", origin, "Who asks.", required=True),
            header("WebHook-Request-Rate", TEXT, "Deliveries a minute that it would like."),
        ],
        "responses": {"200": {"description": "It may", "headers": allowed}}
        | {str(status): ref(name_of(status), "responses") for status in replies([Kind.METHOD_NOT_ALLOWED])},
    }


def beside() -> Iterator[tuple[str, Document]]:
    """What is no delivery."""
    health = an_object({"status": {"const": "ok"}, "version": TEXT}, "status", "version", additionalProperties=False)
    well = {"description": "It runs", "content": {JSON: {"schema": health}}}
    yield "/healthz", {"get": {"operationId": "healthz", "security": [], "responses": {"200": well}}}
    done = {"description": "All is built before it can be asked"}
    yield "/init", {"post": {"operationId": "init", "security": [], "responses": {"200": done}}}


def openapi() -> Document:
    """The whole surface."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "oms-task-restarter",
            "version": __version__,
            "description": " ".join(ABOUT.split()),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {"/": {"post": deliver(), "options": handshake()}, "/invoke": {"post": invoke()}, **dict(beside())},
        "components": {
            "schemas": shapes(),
            "responses": {name_of(status): response(status, said) for status, said in replies(Kind).items()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
