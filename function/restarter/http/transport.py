"""Sends requests, each once, and reads responses within bounds: all I/O of the function but the ledger's."""

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol, cast

import httpx
from pydantic import SecretStr

from restarter.http.call import PRINTABLE, Answer, Call, NoAnswer
from restarter.http.pool import NOT_SENT, ConnectionPool, may_have_been_sent
from restarter.model.outcome import Reason

MAX_ANSWER_BYTES = 4 * 1024 * 1024  # room for a task with the keys of thousands of objects
KEPT_HEADERS = (b"x-request-id", b"x-subject-token", b"date", b"last-modified")
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_CONNECTIONS = 480


class Sender(Protocol):
    """Something that sends requests: the transport, an observed one, or one that responds from a file."""

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Send the request once with these headers, and read its response, in at most `seconds` altogether."""

    async def close(self) -> None:
        """Close all connections."""


def connections() -> httpx.AsyncBaseTransport:
    """A connection pool behind httpx's interface. httpx's own walks all connections for each request (httpx#3215)."""
    return ConnectionPool(MAX_CONNECTIONS)


class Transport:
    """Sends requests through httpx's transport interface, without httpx's client around it.

    No request is sent twice, no redirect followed, no cookie kept, no proxy used.
    """

    def __init__(self) -> None:
        self._connections: httpx.AsyncBaseTransport | None = None

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Send the request once and read its response, within `seconds`; connecting may take half of them."""
        request = _request(call, headers, seconds)
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(seconds):
                response = await self._opened().handle_async_request(request)
                return _answer(response, await _read(response))
        except (TimeoutError, httpx.TransportError) as error:
            # Once the status has arrived, it counts, with or without a body.
            return _answer(response, None) if response is not None else _no_answer(request, error)
        finally:
            if response is not None:
                await _stream(response).aclose()

    async def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        if self._connections is not None:
            opened, self._connections = self._connections, None
            await opened.aclose()

    def _opened(self) -> httpx.AsyncBaseTransport:
        if self._connections is None:
            self._connections = connections()
        return self._connections


def _request(call: Call, headers: Mapping[str, str], seconds: float) -> httpx.Request:
    """The request for httpx. Headers as bytes and content as a stream make it cheap, and httpx adds no headers."""
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    if "Host" not in headers:
        raw.append((b"Host", call.host.encode()))
    if call.content or call.method != "GET":
        raw.append((b"Content-Length", b"%d" % len(call.content)))
    # `send` bounds the whole exchange, so reading and writing need no timeouts of their own.
    extensions: dict[str, Any] = {"timeout": {"connect": seconds / 2, "pool": seconds / 2}}
    if call.path:
        url, extensions["target"] = _parsed(call.origin), call.target.encode()
    else:
        url = httpx.URL(call.origin)
    stream = httpx.ByteStream(call.content)
    return httpx.Request(call.method, url, headers=raw, stream=stream, extensions=extensions)


@lru_cache(maxsize=64)
def _parsed(origin: str) -> httpx.URL:
    """An origin, parsed. Parsing takes httpx longer than sending, so it is cached, and paths are passed separately."""
    return httpx.URL(origin)


async def _read(response: httpx.Response) -> bytes | None:
    """The raw body; None if it is over the limit. It is never decompressed: a small one could unpack to a huge one."""
    body = bytearray()
    async for chunk in _stream(response):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return None
    return bytes(body)


def _stream(response: httpx.Response) -> httpx.AsyncByteStream:
    """The raw stream of the body, without httpx's own reading around it, which costs time and adds nothing here."""
    return cast("httpx.AsyncByteStream", response.stream)


def _answer(response: httpx.Response, body: bytes | None) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.raw}
    request_id, token, date, modified = [headers.get(name, b"").decode("latin-1") for name in KEPT_HEADERS]
    return Answer(
        response.status_code,
        body,
        request_id if REQUEST_ID.fullmatch(request_id) else None,
        SecretStr(token) if PRINTABLE.fullmatch(token) else None,
        date or None,
        modified or None,
    )


def _no_answer(request: httpx.Request, error: Exception) -> NoAnswer:
    """Whether the request may have arrived. It did not only if no byte of it was sent."""
    timed_out = isinstance(error, TimeoutError | httpx.TimeoutException)
    if isinstance(error, NOT_SENT) or not may_have_been_sent(request):
        return NoAnswer(sent=False, reason=Reason.NO_CONNECTION)
    return NoAnswer(sent=True, reason=Reason.TIMEOUT if timed_out else Reason.CONNECTION_LOST)
