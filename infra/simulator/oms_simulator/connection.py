"""The only I/O of the application: reads, answers, closes without an answer, waits for a client to go."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any

from oms_simulator.messages import Answer, Request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE = 65_536
NO_CONTENT = 204


async def read(scope: Message, receive: Receive) -> Request | None:
    """The whole request, or None if the client left before it was complete."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    raw_path = scope.get("raw_path") or scope["path"].encode()
    headers = {_text(name).lower(): _text(value) for name, value in scope["headers"]}
    return Request(scope["method"], _text(raw_path), _text(scope["query_string"]), headers, body)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


async def say(send: Send, answer: Answer, request_id: str) -> None:
    """Sends the answer, a long one in pieces so that a slow reader slows it down."""
    size = len(answer.body)
    headers = {"x-request-id": request_id, "date": formatdate(usegmt=True), **dict(answer.headers)}
    if answer.status != NO_CONTENT:
        headers.setdefault("content-length", str(size))
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    for at in range(0, max(1, size), PIECE):
        piece, more = answer.body[at : at + PIECE], at + PIECE < size
        await send({"type": "http.response.body", "body": piece, "more_body": more})


async def drop(receive: Receive, send: Send, *, hard: bool) -> None:
    """Closes the connection without a byte of HTTP.

    ASGI has no word for this, and an application that returns or raises makes uvicorn send a 500. But
    `send` is a method of uvicorn's request cycle, in both its protocols, and the cycle holds the transport.
    Waiting for the disconnect afterwards tells uvicorn that no answer is due. In-process there is no
    connection: the caller gets the ConnectionResetError.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        message = "the simulator closed the connection"
        raise ConnectionResetError(message)
    if hard:
        # Lingering for zero seconds turns the end of the connection into a reset.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
    await gone(receive)


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Patience:
    """Waits that end early when the server stops, so that a hanging call cannot keep it alive."""

    def __init__(self) -> None:
        self._waits: set[asyncio.Future[None]] = set()

    async def pause(self, seconds: float) -> None:
        await self._wait(asyncio.sleep(seconds))

    async def until_gone(self, receive: Receive) -> None:
        await self._wait(gone(receive))

    def end_all(self) -> None:
        for wait in self._waits:
            if not wait.done():
                wait.set_result(None)

    async def _wait(self, event: Awaitable[None]) -> None:
        ended = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(event)
        self._waits.add(ended)
        try:
            await asyncio.wait({ended, task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waits.discard(ended)
            task.cancel()
