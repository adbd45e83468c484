"""Sends calls: the only I/O of the function but Redis. Each call is sent once and its answer is read within bounds."""

import asyncio
import re
from collections.abc import Mapping
from typing import Protocol

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from pydantic import SecretStr

from restarter.http.call import Answer, Call, NoAnswer

MAX_ANSWER_BYTES = 4 * 1024 * 1024  # a task with the keys of thousands of objects
KEPT_HEADERS = (b"x-request-id", b"x-subject-token")
CONNECTIONS = 480


class Sender(Protocol):
    """Whatever sends calls: the transport, one that is watched, or one that answers from a file."""

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Send the call once with these headers and read its answer, all of it within `seconds`."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def connections() -> httpx.AsyncBaseTransport:
    """The connection pool of aiohttp under httpx: its own slows down tenfold under load (encode/httpx#3215)."""
    tls = httpx.create_ssl_context()

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=tls, limit=CONNECTIONS)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return AiohttpTransport(verify=tls, client=session)


class Transport:
    """Sends calls through httpx's transport interface, without httpx's client around it.

    No call is repeated, no redirect followed, no cookie kept, no proxy used.
    """

    def __init__(self) -> None:
        self._connections: httpx.AsyncBaseTransport | None = None

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Send the call once and read its answer, all of it within `seconds`; half of them are for connecting."""
        timeout = dict.fromkeys(("connect", "pool"), seconds / 2) | dict.fromkeys(("read", "write"), seconds)
        request = httpx.Request(
            call.method, call.url, headers=dict(headers), content=call.content or None, extensions={"timeout": timeout}
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
        """Close all connections; the next call opens new ones."""
        if self._connections is not None:
            opened, self._connections = self._connections, None
            await opened.aclose()

    def _opened(self) -> httpx.AsyncBaseTransport:
        if self._connections is None:
            self._connections = connections()
        return self._connections


async def _read(response: httpx.Response) -> bytes | None:
    """The raw body, or None over the bound; it is never decompressed, for a small answer can unpack to a huge one."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return None
    return bytes(body)


def _answer(response: httpx.Response, body: bytes | None) -> Answer:
    kept = {name.lower(): value for name, value in response.headers.raw if name.lower() in KEPT_HEADERS}
    request_id, token = (kept.get(name, b"").decode("latin-1") for name in KEPT_HEADERS)
    return Answer(
        response.status_code,
        body,
        request_id if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", request_id) else None,
        SecretStr(token) if re.fullmatch(r"[!-~]{1,16384}", token) else None,
    )


def _no_answer(error: Exception) -> NoAnswer:
    """Whether the request can have arrived. Only a connection that was never made proves that it did not.

    The pool reports a connection lost half-way as a ConnectTimeout too, so aiohttp's own error decides.
    """
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError | TimeoutError) else error
    not_sent = (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
    )
    if isinstance(cause, not_sent):
        return NoAnswer(sent=False, reason="no_connection")
    timed_out = isinstance(cause, TimeoutError | httpx.TimeoutException)
    return NoAnswer(sent=True, reason="timeout" if timed_out else "connection_lost")
