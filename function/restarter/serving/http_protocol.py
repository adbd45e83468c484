"""uvicorn's protocol for HTTP/1.1, with bounds on how long a connection may wait and on what is read from it.

uvicorn reads HTTP with h11: the size of a head is bounded, and a request with an `Upgrade` header keeps its body. With
httptools neither would hold (Kludex/uvicorn#2722).
"""

import asyncio
import contextlib
from typing import Any, cast
from weakref import ref

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from restarter.model.errors import MAX_HEADER_BYTES
from restarter.serving.http_reader import Connection

# How much is read and discarded after the reply to a request that was not read to its end, and for how long. If the
# connection were closed at once, TCP would reset it, and the sender might never see the reply.
MAX_DISCARDED_BYTES = 8 * 1024 * 1024
DISCARD_TIMEOUT_S = 1.0
BROKEN_BODY = "broken_body"
"""Key in the state of a request's scope: its body is not valid HTTP, so the function must refuse it."""


class Http(H11Protocol):
    """One connection. It waits for a complete head only as long as an idle connection may stay open."""

    conn: Connection

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = Connection(MAX_HEADER_BYTES)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a new connection, and wait for its first head."""
        super().connection_made(cast("asyncio.Transport", LingeringTransport(transport, self)))
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Also end the timer of a connection that the sender reset: else uvicorn keeps that until the timer ends."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived. Unlike in uvicorn's own method, only a complete head stops the timer."""
        if self.conn.their_state is not h11.ERROR:
            self.conn.receive_data(data)
            self.handle_events()

    def handle_events(self) -> None:
        """Handle what was parsed."""
        super().handle_events()
        if self.conn.is_cut() and self.cycle is not None:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, and close the connection. If only the body is not, the function refuses it."""
        if self.cycle is not None and self.cycle.more_body and not self.cycle.response_started:
            self.scope["state"][BROKEN_BODY] = True
            self.cycle.more_body = False
            self.cycle.message_event.set()
            return
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # a reply has begun
            self.transport.close()


class LingeringTransport:
    """A transport that, if unread bytes may still arrive, reads some of them before it closes the connection.

    It sends a reply once it is complete: uvicorn writes head and body separately, and each system call costs some 3 %
    of a delivery's CPU time.

    It only has a weak reference to the protocol, which refers to it: in a cycle, what was read would stay until garbage
    is collected, and strangers could fill the memory before that.
    """

    def __init__(self, transport: asyncio.Transport, http: Http) -> None:
        self._transport = transport
        self._http = ref(http)
        self._is_lingering = False
        self._reply = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send what was written, unless more of the reply follows."""
        self._reply += data
        http = self._http()
        if http is None or http.conn.our_state is not h11.SEND_BODY:
            whole, self._reply = self._reply, b""
            self._transport.write(whole)

    def is_closing(self) -> bool:
        """Whether nothing more will be written."""
        return self._is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """Close the connection. If unread bytes may arrive, end it only on this side, and wait for the sender's end."""
        if self.is_closing():
            return
        http = self._http()
        if http is None or not http.conn.is_unread():
            self._transport.close()
            return
        self._is_lingering = True
        self._transport.set_protocol(Discard(self._transport, http))
        self._transport.resume_reading()
        with contextlib.suppress(OSError):  # the sender has reset it
            self._transport.write_eof()


class Discard(asyncio.Protocol):
    """Reads and discards what a sender still sends after the reply, within bounds."""

    def __init__(self, transport: asyncio.Transport, http: Http) -> None:
        self._transport = transport
        self._http = http
        self._left = MAX_DISCARDED_BYTES
        self._end = asyncio.get_running_loop().call_later(DISCARD_TIMEOUT_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Count the bytes, and abort the connection if there are too many."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell uvicorn that the connection is closed."""
        self._end.cancel()
        self._http.connection_lost(exc)
