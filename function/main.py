"""The door: a Starlette request becomes a Delivery, a Reply becomes a response. Everything is built once, at import."""

import gc

# What is imported now stays for the life of the process; collecting garbage in between costs a tenth of the start.
gc.disable()

import asyncio
import contextlib
import resource

import functions_framework.aio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from restarter import receipt
from restarter.app import Application
from restarter.errors import BodyTimeout, Malformed, Rejected, check_body_size
from restarter.model import AccessKey, Delivery, DeliveryContext
from restarter.settings.errors import SettingsError
from restarter.settings.reload import SettingsReloader

try:
    settings = SettingsReloader()
    application = Application(settings.current)
except SettingsError as error:
    raise SystemExit(f"oms-task-restarter cannot start:\n{error}") from None
receipt.configure_logging(settings.current().log_level)
settings.warn()
# Each connection is an open file: raise the usual limit of 1,024 to what the system allows.
with contextlib.suppress(ValueError, OSError):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
# The collector need not walk through what start-up made.
gc.freeze()
gc.enable()


@functions_framework.aio.http
async def restart(request: Request) -> Response:
    """Take a delivery and answer it."""
    pipeline, headers = application.pipeline(), _headers(request)
    key = AccessKey.lent(*(headers.get(f"x-cff-security-{part}") for part in ("access-key", "secret-key", "token")))
    context = pipeline.begin(platform_key=key if pipeline.settings.caller_trust_platform else None)
    try:
        delivery = Delivery(request.method, request.url.path, headers, await _body(request, context))
    except Rejected as error:
        reply = pipeline.reject(error, context, headers)
    else:
        reply = await pipeline.handle(delivery, context)
    return Response(reply.body, reply.status, reply.headers)


def _headers(request: Request) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are joined as RFC 9110, 5.3 says, so that none hides another."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _body(request: Request, context: DeliveryContext) -> bytes:
    """The body, read no further than the limit and no longer than the deadline.

    Raises:
        ContentTooLarge: The body is over the limit.
        BodyTimeout: It did not arrive in time.
        Malformed: The caller hung up.
    """
    announced = request.headers.get("content-length", "")
    check_body_size(int(announced) if announced.isdecimal() else 0)
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
