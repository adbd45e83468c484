"""FunctionGraph's APIG trigger: an HTTP request inside an event, answered by a response inside an object. No I/O here.

It is an envelope and no dialect of its own: what is inside is a delivery like any other.
https://support.huaweicloud.com/intl/en-us/devg-functiongraph/functiongraph_02_0102.html
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from restarter.dialects.envelope import Envelope
from restarter.model import Delivery


def recognises(envelope: Envelope) -> bool:
    """Method, context and body of a request."""
    document = envelope.document
    return isinstance(document, dict) and {"httpMethod", "requestContext", "body"} <= document.keys()


def unwrap(envelope: Envelope) -> Delivery:
    """The request inside.

    Nothing is refused here, for APIG has to hear of it inside a response: a method of the wrong type is no POST, and
    behind headers of the wrong type there is no body, so that nobody takes it for something else.
    """
    event = envelope.document
    method, path, headers = event["httpMethod"], event.get("path"), event.get("headers") or {}
    readable = isinstance(headers, dict)
    return Delivery(
        method.upper() if isinstance(method, str) else "",
        path if isinstance(path, str) else "/",
        _headers(headers) if readable else {},
        _body(event["body"], event.get("isBase64Encoded", True)) if readable else b"",
    )


def _headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """As they come over a wire: bytes as characters, names in lower case, repeated ones joined."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                seen = f"{joined[name.lower()]}, " if name.lower() in joined else ""
                joined[name.lower()] = seen + text.encode().decode("latin-1")
    return joined


def _body(body: Any, is_base64: Any) -> bytes:
    """A documented sample says base64 and has plain text; JSON is never base64, so there is no doubt which it is."""
    if not isinstance(body, str):
        return b""
    if is_base64:
        try:
            return b64decode(body, validate=True)
        except ValueError:
            pass
    return body.encode()


def wrap(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """The response as APIG wants it; anything else it takes for a failure of the function."""
    response = {"isBase64Encoded": False, "statusCode": status, "headers": dict(headers), "body": body.decode()}
    return json.dumps(response).encode()
