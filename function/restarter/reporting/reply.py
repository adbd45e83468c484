"""Turns outcomes into the HTTP response, by the rows of `reporting.outcomes`. No I/O here."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic_core import to_json

from restarter.model.errors import HEADERS_TOO_LARGE
from restarter.model.outcome import Outcome
from restarter.model.text import known
from restarter.reporting.outcomes import OUTCOMES

JSON = {"Content-Type": "application/json"}
RETRY_AFTER = 5  # seconds; Huawei's advice for a throttled request is 2 to 5
NO_HEADERS: Mapping[str, str] = {}


class Reply(NamedTuple):
    """An HTTP response, independent of any framework."""

    status: int
    headers: Mapping[str, str] = NO_HEADERS
    body: bytes = b""
    receipts: Sequence[Mapping[str, Any]] = ()


class Entry(NamedTuple):
    """One result of a delivery, with its receipt."""

    outcome: Outcome
    receipt: Mapping[str, Any]
    line: bytes
    """The receipt as JSON."""
    is_direct: bool
    """The caller expects the receipt in the response."""
    answers_sender: bool = True
    """False for a task that a sweep found: the sweep's own result decides the reply."""


def status_of(outcome: Outcome, *, direct: bool) -> HTTPStatus:
    """The status of one outcome. Headers that are too large have their own status, 431."""
    if outcome.fault == HEADERS_TOO_LARGE:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    row = OUTCOMES[outcome.kind]
    return row.direct if direct else row.event


def reply_to(entries: Sequence[Entry]) -> Reply:
    """The response to a delivery. Of several results the most urgent decides: 503 before 4xx before success."""
    answering = [entry for entry in entries if entry.answers_sender]
    direct = all(entry.is_direct for entry in answering)
    statuses = [status_of(entry.outcome, direct=direct) for entry in answering]
    if len(statuses) > 1:  # a batch only has 503, 422 and 204; its senders treat 400 like 422
        statuses = [
            HTTPStatus.UNPROCESSABLE_ENTITY if status == HTTPStatus.BAD_REQUEST else status for status in statuses
        ]
    status, entry = max(zip(statuses, answering, strict=True), key=lambda one: one[0])
    match status:
        case HTTPStatus.NO_CONTENT:
            return Reply(status)
        case HTTPStatus.OK:
            return Reply(status, JSON, entry.line)
        case _:
            return _problem(status, entry.outcome, entry.receipt)


def _problem(status: HTTPStatus, outcome: Outcome, receipt: Mapping[str, Any]) -> Reply:
    """Problem details (RFC 9457); `detail` is the sentence of the receipt."""
    headers = {"Content-Type": "application/problem+json"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(outcome.retry_after or RETRY_AFTER)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, 15.5.2 asks for one
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "POST"
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": receipt["message"],
        "outcome": outcome.kind,
        "reason": receipt.get("reason") if outcome.reason or outcome.fault else None,
        "advice": receipt.get("advice"),
    }
    return Reply(status, headers, to_json(known(body)))
