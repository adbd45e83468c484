"""The door: a Starlette request becomes a Delivery, a Reply becomes a response. Everything is built once, at import.

The framework starts this file under gunicorn, with the worker of restarter/serving/worker.py.
"""

import gc

# What is imported now stays for the life of the process; collecting garbage in between costs a tenth of the start.
gc.disable()

import asyncio
import contextlib
import resource
from collections.abc import Mapping, Sequence

import functions_framework.aio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from restarter.app import Application
from restarter.model.delivery import AccessKey, Delivery, DeliveryContext
from restarter.model.errors import (
    MAX_BODY_BYTES,
    BodyTimeout,
    Malformed,
    Rejected,
    check_body_size,
    check_headers,
)
from restarter.serving import worker
from restarter.settings.errors import SettingsError
from restarter.settings.reload import SettingsReloader
from restarter.telemetry.log import configure_logging
from restarter.telemetry.trace_context import trace_id_of

# What is read of a refused body on a connection that closes after the reply, and for how long.
MAX_DISCARDED_BYTES = 4 * MAX_BODY_BYTES
DISCARD_TIMEOUT_S = 1.0

try:
    settings = SettingsReloader()
    application = Application(settings.current)
except SettingsError as error:
    raise SystemExit(f"oms-task-restarter cannot start:\n{error}") from None
configure_logging(settings.current().log_level)
settings.warn()
worker.install()
# Each connection is an open file: raise the usual limit of 1,024 to what the system allows.
with contextlib.suppress(ValueError, OSError):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
# The collector need not walk through what start-up made. A delivery leaves little for it: looking less often saves a
# tenth of the CPU per call, and garbage in cycles lives longer.
gc.freeze()
gc.set_threshold(20_000)
gc.enable()


@functions_framework.aio.http
async def restart(request: Request) -> Response:
    """Take a delivery and answer it."""
    pipeline = application.pipeline()
    headers: dict[str, str] = {}
    context = pipeline.begin()
    try:
        sent = _sent(request)
        check_headers(sent)
        headers = _headers(sent)
        _check_framing(headers)
        if pipeline.settings.oms_agency:
            context = context._replace(platform_key=_agency_key(headers))
        body = await _body(request, headers.get("content-length", ""), context)
        delivery = Delivery(request.method, request.scope["path"], headers, body)
    except Rejected as error:
        await _discard_body(request, context)
        reply = pipeline.error_reply(error, context, trace_id_of(headers.get("traceparent", "")))
    else:
        reply = await pipeline.handle(delivery, context)
    closing = {"Connection": "close"} if _has_two_lengths(headers) else {}
    return Response(reply.body, reply.status, {**reply.headers, **closing})


def _sent(request: Request) -> list[tuple[bytes, bytes]]:
    """Headers as they were sent; the framework appends an id of its own."""
    raw = request.headers.raw
    return raw[:-1] if raw and raw[-1][0] == b"function-execution-id" else raw


def _headers(sent: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are joined as RFC 9110, 5.3 says, so that none hides another."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in sent:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check_framing(headers: Mapping[str, str]) -> None:
    """Refuse a body of two lengths, of which a proxy may have used the other (RFC 9112, 6.3).

    Raises:
        Malformed: There are Content-Length and Transfer-Encoding. The connection must be closed after the reply.
    """
    if _has_two_lengths(headers):
        raise Malformed("content-length: stands beside transfer-encoding")


def _has_two_lengths(headers: Mapping[str, str]) -> bool:
    return "content-length" in headers and "transfer-encoding" in headers


def _agency_key(headers: Mapping[str, str]) -> AccessKey | None:
    """The key of the agency, as FunctionGraph sends it to an image with each delivery."""
    return AccessKey.lent(*(headers.get(f"x-cff-security-{part}") for part in ("access-key", "secret-key", "token")))


async def _body(request: Request, announced: str, context: DeliveryContext) -> bytes:
    """The body, read no further than the limit and no longer than the deadline. `announced`: its Content-Length.

    Raises:
        ContentTooLarge: The body is over the limit.
        BodyTimeout: It did not arrive in time.
        Malformed: The caller hung up.
    """
    if announced.isdecimal():  # Python reads no integer of thousands of digits
        check_body_size(int(announced) if len(announced) < 20 else MAX_BODY_BYTES + 1)
    body = bytearray()
    try:
        async with asyncio.timeout(context.remaining()):
            async for chunk in request.stream():
                body += chunk
                check_body_size(len(body))
    except TimeoutError:
        raise BodyTimeout("body: did not arrive in time") from None
    except ClientDisconnect:
        raise Malformed("body: the caller hung up") from None
    return bytes(body)


async def _discard_body(request: Request, context: DeliveryContext) -> None:
    """Read the rest of a refused body, within bounds, where the connection closes after the reply.

    If it were closed on bytes that nobody read, TCP would reset it, and a proxy in front (nginx speaks HTTP/1.0 unless
    told not to) would answer 502 in place of the 4xx.
    """
    closes = request.scope["http_version"] == "1.0" or "close" in request.headers.get("connection", "").lower()
    if not closes or "expect" in request.headers:  # such a client has not sent it yet
        return
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(min(context.remaining(), DISCARD_TIMEOUT_S)):
            await _read_at_most(MAX_DISCARDED_BYTES, request)


async def _read_at_most(size: int, request: Request) -> None:
    async for chunk in request.stream():
        size -= len(chunk)
        if size < 0:
            return
