"""The HTTP entry point: turns a Starlette request into a Delivery, and a Reply into a response.

Everything is built once, at import. The framework starts this file under gunicorn, with restarter/serving/worker.py.
"""

import gc
import os

# Keeps pydantic from searching installed packages for plugins. It reads this at import.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# Imported modules live as long as the process; collecting garbage meanwhile would take a tenth of the start-up time.
gc.disable()

import asyncio
import contextlib
import resource
from collections.abc import Callable, Mapping, Sequence

import functions_framework.aio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from restarter.app import Application
from restarter.model.delivery import AccessKey, Delivery, DeliveryContext
from restarter.model.errors import MAX_BODY_BYTES, BodyTimeout, DeliveryError, Malformed, check_body_size, check_headers
from restarter.serving import worker
from restarter.serving.http_protocol import BROKEN_BODY
from restarter.serving.http_reader import MAX_EXCESS_BYTES
from restarter.settings.errors import SettingsError
from restarter.settings.reload import SettingsReloader
from restarter.telemetry.log import configure_logging
from restarter.telemetry.trace_context import trace_id_of

try:
    settings = SettingsReloader()
    application = Application(settings.current)
except SettingsError as error:
    raise SystemExit(f"oms-task-restarter cannot start:\n{error}") from None
configure_logging(settings.current().log_level)
settings.warn()
worker.install()
# The framework creates its application through this name, and has no other hook to wrap it.
setattr(functions_framework.aio, "Starlette", lambda **options: worker.EveryRequest(Starlette(**options)))  # noqa: B010
# Each connection is an open file: raise the usual limit of 1,024 to what the system allows.
with contextlib.suppress(ValueError, OSError):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
# The collector need not walk the objects made at start-up. A delivery leaves little garbage: collecting less often
# saves a tenth of its CPU time, at the price that cyclic garbage lives longer.
gc.freeze()
gc.set_threshold(20_000)
gc.enable()


@functions_framework.aio.http
async def restart(request: Request) -> Response:
    """Handle one delivery. If it was not read to its end, the connection is closed after the response."""
    pipeline = application.pipeline()
    headers: dict[str, str] = {}
    context = pipeline.begin()
    with application.bodies() as hold:
        try:
            sent = _sent(request)
            check_headers(sent)
            headers = _headers(sent)
            _check_framing(headers)
            if pipeline.settings.oms_agency:
                context = context._replace(platform_key=_agency_key(headers))
            body = await _body(request, headers.get("content-length", ""), context, hold)
            method, path = request.scope[worker.ASKED]
            delivery = Delivery(method, path, headers, body)
        except DeliveryError as error:
            reply = pipeline.error_reply(error, context, trace_id_of(headers.get("traceparent", "")))
            reply = reply._replace(headers={**reply.headers, "Connection": "close"})
        else:
            reply = await pipeline.handle(delivery, context)
    return Response(reply.body, reply.status, reply.headers)


def _sent(request: Request) -> list[tuple[bytes, bytes]]:
    """The headers as the client sent them, without the execution id that the framework appends."""
    raw = request.headers.raw
    return raw[:-1] if raw and raw[-1][0] == b"function-execution-id" else raw


def _headers(sent: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by lower-case name. Repeated ones are joined (RFC 9110, 5.3), so that none hides another."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in sent:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check_framing(headers: Mapping[str, str]) -> None:
    """Refuse a body whose length is given twice: a proxy may have used the other one (RFC 9112, 6.3).

    Raises:
        Malformed: Both Content-Length and Transfer-Encoding are present. Close the connection after the response.
    """
    if "content-length" in headers and "transfer-encoding" in headers:
        raise Malformed("content-length: stands beside transfer-encoding")


def _agency_key(headers: Mapping[str, str]) -> AccessKey | None:
    """The agency's key, which FunctionGraph sends to an image with each delivery; None without an agency."""
    return AccessKey.from_platform(
        *(headers.get(f"x-cff-security-{part}") for part in ("access-key", "secret-key", "token"))
    )


async def _body(request: Request, announced: str, context: DeliveryContext, hold: Callable[[int], None]) -> bytes:
    """Read the body, up to the size limit and until the deadline.

    `announced`: its Content-Length. `hold`: called with the size of each part before the part is kept.

    Raises:
        ContentTooLarge: The body is over the limit.
        Busy: All bodies in flight leave no room for it.
        BodyTimeout: It did not arrive in time.
        Malformed: The caller disconnected, or the chunks break HTTP/1.1 or have too much framing.
    """
    if announced.isdecimal():  # int() refuses thousands of digits
        check_body_size(int(announced) if len(announced) < 20 else MAX_BODY_BYTES + 1)
    body = bytearray()
    try:
        async with asyncio.timeout(context.remaining()):
            async for chunk in request.stream():
                check_body_size(len(body) + len(chunk))
                hold(len(chunk))
                body += chunk
    except TimeoutError:
        raise BodyTimeout("body: did not arrive in time") from None
    except ClientDisconnect:
        raise Malformed("body: the caller hung up") from None
    if BROKEN_BODY in request.scope.get("state", {}):
        raise Malformed(f"body: not chunked by HTTP/1.1, or over {MAX_EXCESS_BYTES} more bytes of framing than content")
    return bytes(body)
