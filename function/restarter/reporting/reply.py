"""From outcomes to the HTTP answer: a total table, read by one function. No I/O here."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, assert_never

from pydantic_core import to_json

from restarter.model.errors import HEADERS_TOO_LARGE
from restarter.model.outcome import Kind, Outcome

JSON = {"Content-Type": "application/json"}
# Of content that is too large, by its reason; any other is 413.
TOO_LARGE: dict[str | None, HTTPStatus] = {HEADERS_TOO_LARGE: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE}
RETRY_AFTER = 5  # seconds; Huawei's advice for a throttled call is 2 to 5


NO_HEADERS: Mapping[str, str] = {}


class Reply(NamedTuple):
    """An HTTP answer before any framework knows of it."""

    status: int
    headers: Mapping[str, str] = NO_HEADERS
    body: bytes = b""
    receipts: Sequence[Mapping[str, Any]] = ()


def status_of(kind: Kind, *, direct: bool, reason: str | None = None) -> HTTPStatus:
    """The status of one outcome. An event never gets one that makes Knative repeat it in vain (404, 408, 409, 429)."""
    match kind:
        case Kind.STARTED | Kind.WOULD_START | Kind.ALREADY_RUNNING | Kind.NOTHING_TO_DO:
            return HTTPStatus.OK if direct else HTTPStatus.NO_CONTENT
        case Kind.DUPLICATE | Kind.IGNORED | Kind.SWEPT:
            return HTTPStatus.OK if direct else HTTPStatus.NO_CONTENT
        case Kind.REFUSED:
            return HTTPStatus.CONFLICT if direct else HTTPStatus.NO_CONTENT
        case Kind.NOT_FOUND:
            return HTTPStatus.NOT_FOUND if direct else HTTPStatus.UNPROCESSABLE_ENTITY
        case Kind.REJECTED:
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case Kind.DEFERRED | Kind.UNAVAILABLE | Kind.UNCONFIRMED:
            return HTTPStatus.SERVICE_UNAVAILABLE
        case Kind.MALFORMED:
            return HTTPStatus.BAD_REQUEST
        case Kind.UNAUTHENTICATED:
            return HTTPStatus.UNAUTHORIZED
        case Kind.METHOD_NOT_ALLOWED:
            return HTTPStatus.METHOD_NOT_ALLOWED
        case Kind.CONTENT_TOO_LARGE:
            return TOO_LARGE.get(reason, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        case Kind.UNSUPPORTED_MEDIA_TYPE:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        case _:  # pragma: no cover
            assert_never(kind)


def reply_to(
    outcomes: Sequence[Outcome], receipts: Sequence[Mapping[str, Any]], lines: Sequence[bytes], *, direct: bool
) -> Reply:
    """The answer to a delivery with one receipt for each outcome, and each receipt's line.

    Of several outcomes the most urgent decides: 503 before 4xx before success.
    """
    statuses = [status_of(outcome.kind, direct=direct, reason=outcome.reason) for outcome in outcomes]
    if len(statuses) > 1:  # a batch knows 503, 422 and 204 only; for its senders 400 and 422 are one
        statuses = [
            HTTPStatus.UNPROCESSABLE_ENTITY if status == HTTPStatus.BAD_REQUEST else status for status in statuses
        ]
    urgent = max(range(len(statuses)), key=statuses.__getitem__)
    match statuses[urgent]:
        case HTTPStatus.NO_CONTENT:
            return Reply(HTTPStatus.NO_CONTENT)
        case HTTPStatus.OK:
            return Reply(HTTPStatus.OK, JSON, lines[urgent])
        case status:
            return _problem(status, outcomes[urgent], receipts[urgent])


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
        "reason": receipt.get("reason") if outcome.reason else _default_reason(outcome, receipt),
        "advice": receipt.get("advice"),
    }
    return Reply(status, headers, to_json({name: value for name, value in body.items() if value is not None}))


def _default_reason(outcome: Outcome, receipt: Mapping[str, Any]) -> str | None:
    """What OMS does not have: a problem says it in a word, too."""
    if outcome.kind is not Kind.NOT_FOUND:
        return None
    return "no_such_group" if "group_id" in receipt else "no_such_task"
