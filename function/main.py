"""The door: a Starlette request becomes a Delivery, a Reply becomes a response. Everything is built once, here."""

import gc

# What is imported now stays for good; to collect garbage in between costs a tenth of the start.
gc.disable()

import asyncio
import contextlib
import resource
from collections.abc import Mapping

import functions_framework.aio
from pydantic import SecretStr
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from restarter import receipt
from restarter.errors import Malformed, NotReadInTime, Rejected, TooLarge
from restarter.faults import SettingsError
from restarter.model import AccessKey, Delivery, Visit
from restarter.pipeline import Lasting
from restarter.rotation import Rotation

LONGEST_BODY = 512 * 1024

try:
    rotation = Rotation()
    lasting = Lasting(rotation.current)
except SettingsError as error:
    raise SystemExit(f"oms-task-restarter cannot start:\n{error}") from None
receipt.open_log(rotation.current().log_level)
rotation.warn()
# A connection is an open file: take as many as the system gives, where the usual 1,024 would end in a storm.
with contextlib.suppress(ValueError, OSError):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
# What start-up made, the collector need never walk through again.
gc.freeze()
gc.enable()


@functions_framework.aio.http
async def restart(request: Request) -> Response:
    """Take a delivery and answer it."""
    pipeline, headers = lasting.pipeline(), _headers(request)
    visit = pipeline.visit(agency=_agency_key(headers) if pipeline.settings.caller_trust_platform else None)
    try:
        delivery = Delivery(request.method, request.url.path, headers, await _body(request, visit))
    except Rejected as error:
        reply = pipeline.turn_away(error, visit, headers)
    else:
        reply = await pipeline.answer(delivery, visit)
    return Response(reply.body, reply.status, reply.headers)


def _agency_key(headers: Mapping[str, str]) -> AccessKey | None:
    """The key that FunctionGraph lends to an image; it writes `null` where the function has no agency."""
    parts = [headers.get(f"x-cff-security-{name}", "") for name in ("access-key", "secret-key", "token")]
    if not all(parts) or "null" in parts:
        return None
    ak, sk, token = map(SecretStr, parts)
    return AccessKey(ak, sk, token)


def _headers(request: Request) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are joined as RFC 9110, 5.3 says, so that none hides another."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _body(request: Request, visit: Visit) -> bytes:
    """The body, read no further than the limit and no longer than the deadline."""
    too_large = TooLarge(f"body: over {LONGEST_BODY} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LONGEST_BODY:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(visit.left_now()):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_BODY:
                    raise too_large
    except TimeoutError:
        raise NotReadInTime("body: did not arrive in time") from None
    except ClientDisconnect:
        raise Malformed("body: the caller hung up") from None
    return bytes(body)
