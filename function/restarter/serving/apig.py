"""FunctionGraph's APIG trigger: an HTTP request inside an event, an HTTP response inside an object. No I/O here.

It is not a dialect: the request inside is a delivery like any other.
https://support.huaweicloud.com/intl/en-us/devg-functiongraph/functiongraph_02_0102.html
"""

from base64 import b64decode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from restarter.dialects.parsing import ParsedDelivery
from restarter.model.delivery import AuthenticatedDelivery, Delivery
from restarter.model.errors import Malformed
from restarter.reporting.reply import JSON, Reply


def recognises(parsed: ParsedDelivery) -> bool:
    """Whether it is an event of the trigger. A signed webhook is not: its signature covers no method and no path."""
    return not parsed.by_webhook and is_event(parsed.document)


def is_event(document: Any) -> bool:
    """Whether a document has the shape of the trigger: method, context and body of a request."""
    return isinstance(document, dict) and {"httpMethod", "requestContext", "body"} <= document.keys()


def unwrap(parsed: ParsedDelivery, outer: AuthenticatedDelivery | None) -> Delivery:
    """The request inside the event. `outer`: the APIG event that contains this one; there must be none.

    Faults of the request are not raised here, because APIG expects every reply inside a response object. A method that
    is not a string becomes empty, and so does the body if the headers are not an object; later checks refuse these.

    Raises:
        Malformed: The event is inside another one.
    """
    if outer is not None:
        raise Malformed("body: an APIG event inside another")
    event = parsed.document
    method, path, headers = event["httpMethod"], event.get("path"), event.get("headers") or {}
    readable = isinstance(headers, dict)
    return Delivery(
        method.upper() if isinstance(method, str) else "",
        path if isinstance(path, str) else "/",
        _headers(headers) if readable else {},
        _body(event["body"], event.get("isBase64Encoded", True)) if readable else b"",
    )


def _headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """The headers as if sent over HTTP: each byte as a character, names in lower case, repeated ones joined."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                seen = f"{joined[name.lower()]}, " if name.lower() in joined else ""
                joined[name.lower()] = seen + text.encode().decode("latin-1")
    return joined


def _body(body: Any, is_base64: Any) -> bytes:
    """The body. It may be plain text despite isBase64Encoded, as in a documented sample: no JSON object is base64."""
    if not isinstance(body, str):
        return b""
    if is_base64:
        try:
            return b64decode(body, validate=True)
        except ValueError:
            pass
    return body.encode()


def response(reply: Reply) -> Reply:
    """The reply in the form that the trigger expects. It treats any other form as a failure."""
    inside = {
        "isBase64Encoded": False,
        "statusCode": reply.status,
        "headers": dict(reply.headers),
        "body": reply.body.decode(),
    }
    return Reply(HTTPStatus.OK, JSON, to_json(inside), reply.receipts)
