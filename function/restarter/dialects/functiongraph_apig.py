"""FunctionGraph's APIG trigger: an HTTP request inside an event, answered by a response inside an object. No I/O here.

It is an envelope and no dialect of its own: what is inside is a delivery like any other.
https://support.huaweicloud.com/intl/en-us/devg-functiongraph/functiongraph_02_0102.html
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from restarter.dialects.envelope import Envelope
from restarter.errors import Malformed
from restarter.model import Delivery


def recognises(envelope: Envelope) -> bool:
    """Method, context and body of a request."""
    document = envelope.document
    return isinstance(document, dict) and {"httpMethod", "requestContext", "body"} <= document.keys()


def unwrap(envelope: Envelope) -> Delivery:
    """The request inside."""
    event = envelope.document
    method, path, headers = event["httpMethod"], event.get("path", "/"), event.get("headers") or {}
    if not isinstance(method, str) or not isinstance(path, str) or not isinstance(headers, dict):
        raise Malformed("httpMethod, path, headers: of the wrong type")
    text = {str(name).lower(): value for name, value in headers.items() if isinstance(value, str)}
    return Delivery(method.upper(), path, text, _body(event["body"] or "", event.get("isBase64Encoded")))


def _body(body: Any, is_base64: Any) -> bytes:
    """A documented sample says base64 and has plain text; JSON is never base64, so there is no doubt which it is."""
    if not isinstance(body, str):
        raise Malformed("body: must be a string")
    if is_base64:
        try:
            return b64decode(body, validate=True)
        except ValueError:
            pass
    return body.encode("utf-8", "surrogatepass")


def wrap(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """The response as APIG wants it; anything else it takes for a failure of the function."""
    response = {"isBase64Encoded": False, "statusCode": status, "headers": dict(headers), "body": body.decode()}
    return json.dumps(response).encode()
