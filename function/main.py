"""The door: a Starlette request becomes a Delivery, a Reply becomes a response. Everything is built once, here."""

import asyncio

import functions_framework.aio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from restarter import __version__, receipt
from restarter.errors import Malformed, NotReadInTime, Rejected, TooLarge, WrongMethod
from restarter.model import Delivery
from restarter.pipeline import Pipeline, Visit
from restarter.settings import SettingsError, load

LONGEST_BODY = 512 * 1024

try:
    pipeline = Pipeline(load())
except SettingsError as error:
    raise SystemExit(f"oms-task-restarter cannot start:\n{error}") from None
receipt.open_log()


@functions_framework.aio.http
async def restart(request: Request) -> Response:
    """Answer a health check, or take a delivery."""
    method, path = request.method, request.url.path
    if method in ("GET", "HEAD") and path == "/healthz":
        return JSONResponse({"status": "ok", "version": __version__})
    if method == "POST" and path == "/init":  # FunctionGraph calls it once for each instance; all is built by then
        return Response()
    visit = pipeline.visit()
    headers = _headers(request)
    try:
        if method != "POST":
            raise WrongMethod("method: only POST is served")
        delivery = Delivery(method, path, headers, await _body(request, visit))
        reply = await pipeline.deliver(delivery, visit)
    except Rejected as error:
        reply = pipeline.turn_away(error, visit, headers)
    return Response(reply.body, reply.status, reply.headers)


def _headers(request: Request) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are joined as RFC 9110, 5.3 says, so that none hides another."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _body(request: Request, visit: Visit) -> bytes:
    """The body, read no further than the limit and no longer than the deadline."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LONGEST_BODY:
        raise TooLarge(f"body: over {LONGEST_BODY} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(visit.left()):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_BODY:
                    raise TooLarge(f"body: over {LONGEST_BODY} bytes")
    except TimeoutError:
        raise NotReadInTime("body: did not arrive in time") from None
    except ClientDisconnect:
        raise Malformed("body: the caller hung up") from None
    return bytes(body)
