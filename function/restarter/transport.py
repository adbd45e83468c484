"""The only I/O: one client, made when first needed, sends a call once and reads a bounded answer."""

import asyncio
import re
from collections.abc import Mapping

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from pydantic import SecretStr

from restarter.call import Answer, Call, NoAnswer
from restarter.telemetry import SILENT, Telemetry

# Bytes; a page of ListTasks has some 70 KiB. What is longer is not kept.
LONGEST_ANSWER = 256 * 1024
TOLD = (b"x-request-id", b"x-subject-token")
CONNECTIONS = 480  # one for each place that the pipeline has


def connections() -> httpx.AsyncBaseTransport:
    """The connection pool of aiohttp under httpx: its own slows down tenfold under load (encode/httpx#3215)."""
    tls = httpx.create_ssl_context()

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=tls, limit=CONNECTIONS)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return AiohttpTransport(verify=tls, client=session)


class Transport:
    """Sends calls by httpx's transport, without the client around it, whose redirects, cookies and logins cost a tenth.

    Nothing is repeated, no redirect is followed, no cookie kept, no proxy asked.
    """

    def __init__(self, telemetry: Telemetry = SILENT) -> None:
        self._telemetry = telemetry
        self._connections: httpx.AsyncBaseTransport | None = None

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Make the call and read its answer, all of it within `seconds`; half of them are for connecting."""
        with self._telemetry.call(call) as span:
            answer = await self._send(call, {**headers, **span.headers}, seconds)
            span.end(answer)
            return answer

    async def _send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        timeout = dict.fromkeys(("connect", "pool"), seconds / 2) | dict.fromkeys(("read", "write"), seconds)
        content = call.content or None
        request = httpx.Request(
            call.method, call.url, headers=headers, content=content, extensions={"timeout": timeout}
        )
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(seconds):
                response = await self._opened().handle_async_request(request)
                return _answer(response, await _read(response))
        except (TimeoutError, httpx.TransportError, aiohttp.ClientError) as error:
            # Once the status is here it counts, whatever became of the body.
            return _answer(response, None) if response is not None else _no_answer(error)
        finally:
            if response is not None:
                await response.aclose()

    async def close(self) -> None:
        """Let the connections go; the next call would open new ones."""
        if self._connections is not None:
            opened, self._connections = self._connections, None
            await opened.aclose()

    def _opened(self) -> httpx.AsyncBaseTransport:
        if self._connections is None:
            self._connections = connections()
        return self._connections


async def _read(response: httpx.Response) -> bytes | None:
    """The raw body up to the bound; never decompressed, for a small answer can unpack to a huge one."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LONGEST_ANSWER:
            return None
    return bytes(body)


def _answer(response: httpx.Response, body: bytes | None) -> Answer:
    told = {name.lower(): value for name, value in response.headers.raw if name.lower() in TOLD}
    request_id, token = (told.get(name, b"").decode("latin-1") for name in TOLD)
    return Answer(
        response.status_code,
        body,
        request_id if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", request_id) else None,
        SecretStr(token) if re.fullmatch(r"[!-~]{1,16384}", token) else None,
    )


def _no_answer(error: Exception) -> NoAnswer:
    """Whether the request can have arrived. Only a connection that was never made is proof that it did not.

    The pool reports a connection lost half-way as a ConnectTimeout too, so aiohttp's own error decides.
    """
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError | TimeoutError) else error
    unmade = (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
    )
    if isinstance(cause, unmade):
        return NoAnswer(sent=False, reason="no_connection")
    timed_out = isinstance(cause, TimeoutError | httpx.TimeoutException)
    return NoAnswer(sent=True, reason="timeout" if timed_out else "connection_lost")
