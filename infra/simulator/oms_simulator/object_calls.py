"""The calls of an object store in OBS's dialect: PUT, GET and append, with its headers and its errors as XML. No I/O.

https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0080.html (PUT), obs_04_0083.html (GET), obs_04_0088.html
(append). Nothing is listed or deleted here.
"""

import re
import secrets
from email.utils import formatdate
from urllib.parse import parse_qs, unquote

from oms_simulator.gateway import Auth
from oms_simulator.messages import Answer, Request
from oms_simulator.object_signature import refuse_caller
from oms_simulator.objects import Objects, Refused, StoredObject
from oms_simulator.routes import Operation, Route

OPERATIONS: dict[str, Operation] = {"PUT": "put_object", "GET": "get_object", "POST": "append_object"}
IN_HOST = re.compile(r"([a-z0-9][a-z0-9.-]*)\.obs\.")
DIGITS = re.compile(r"[0-9]{1,10}")
MAX_BODY = 1024 * 1024


def is_object_call(request: Request) -> bool:
    """Whether the call is for the object store: OMS knows none of these headers."""
    return request.headers.get("authorization", "").startswith("OBS ") or "x-obs-date" in request.headers


def object_route(request: Request) -> Route:
    """Which call it is."""
    return Route(OPERATIONS.get(request.method, "unknown"), object_name="/".join(_place(request)))


def serve_object(objects: Objects, request: Request, auth: Auth, now: float, real_now: float) -> Answer:
    """Answer a call. `now`: the world's time, which may have been moved; signatures keep the real one.

    The store's clock may be ahead of both.
    """
    at = now + objects.document.skew
    bucket, name = _place(request)
    try:
        resource = f"/{bucket}{request.path}" if IN_HOST.match(request.headers.get("host", "")) else request.path
        refuse_caller(request, resource, auth, real_now + objects.document.skew)
        answer = _made(objects, bucket, name, request, at)
    except Refused as refused:
        answer = _error(refused)
    own = {"date": formatdate(at, usegmt=True), "x-obs-request-id": secrets.token_hex(16), "server": "OBS"}
    return Answer(answer.status, answer.body, (*answer.headers, *own.items()), answer.code)


def _place(request: Request) -> tuple[str, str]:
    """Bucket and name: the bucket is in the host's name, or the first part of the path."""
    in_host = IN_HOST.match(request.headers.get("host", ""))
    path = unquote(request.path).removeprefix("/")
    bucket, _, name = (in_host[1], "/", path) if in_host else path.partition("/")
    return bucket, name


def _made(objects: Objects, bucket: str, name: str, request: Request, at: float) -> Answer:
    if not name:
        raise Refused(405, "MethodNotAllowed")
    if len(request.body) > MAX_BODY:
        raise Refused(400, "EntityTooLarge")
    match request.method:
        case "PUT":
            days = request.headers.get("x-obs-expires")
            if days is not None and not (DIGITS.fullmatch(days) and int(days)):
                raise Refused(400, "InvalidArgument")
            stored = objects.put(bucket, name, request.body, int(days) if days else None, at)
            return Answer(200, b"", (("etag", stored.etag),))
        case "GET":
            return _content(objects.get(bucket, name, at))
        case "POST":
            position = parse_qs(request.query, keep_blank_values=True).get("position", [""])[0]
            if "append" not in request.query.split("&") or not DIGITS.fullmatch(position):
                raise Refused(400, "InvalidArgument")
            stored = objects.append(bucket, name, int(position), request.body, at)
            return Answer(200, b"", (("etag", stored.etag), ("x-obs-next-append-position", str(len(stored.body)))))
    raise Refused(405, "MethodNotAllowed")


def _content(found: StoredObject) -> Answer:
    headers = {"etag": found.etag, "last-modified": formatdate(found.modified, usegmt=True)}
    headers["content-type"] = "binary/octet-stream"
    if found.appends is not None:
        headers |= {"x-obs-object-type": "Appendable", "x-obs-next-append-position": str(len(found.body))}
    return Answer(200, found.body, tuple(headers.items()))


def error_document(code: str) -> bytes:
    """An error as OBS writes it."""
    fields = {"Code": code, "Message": f"The simulator says {code}.", "RequestId": "0" * 32, "HostId": "simulator"}
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Error>{inside}</Error>'.encode()


def _error(refused: Refused) -> Answer:
    return Answer(refused.status, error_document(refused.code), (("content-type", "application/xml"),), refused.code)
