"""gunicorn's worker for the function: how uvicorn reads HTTP in it, and how it ends.

The framework names the worker's class, `uvicorn_worker.UvicornWorker`, and gives it no options; here another takes that
name. h11 reads HTTP, with a bound on what it keeps of a head, and an `Upgrade` changes nothing, so a request keeps its
body. httptools does neither: it keeps heads without end, and takes the body of a request with `Upgrade` for another
request (Kludex/uvicorn#2722).
"""

import asyncio
import signal
from types import FrameType
from typing import Any, ClassVar, cast

import gunicorn.config
import h11
import uvicorn.config
import uvicorn_worker
from uvicorn.protocols.http.h11_impl import H11Protocol

from restarter.model.errors import MAX_HEADER_BYTES

HEADS = tuple(b"HTTP/1.1 %d" % first for first in (2, 3, 4, 5))  # a reply with 1xx has no end


class Http(H11Protocol):
    """uvicorn's reading of HTTP by h11, which logs a traceback when garbage follows a reply; here it closes.

    uvicorn writes head and body of a reply one after the other; here one call of the system sends both.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a new connection."""
        super().connection_made(cast("asyncio.Transport", OneWrite(transport)))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, if the reply to it has not begun; then close the connection."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.close()


class OneWrite:
    """A transport that holds the head of a reply back until uvicorn writes what follows, if only the end."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send the data, after the head that was held back; or hold it back, where it is a head."""
        if not self._head and data.startswith(HEADS):
            self._head = data
            return
        head, self._head = self._head, b""
        self._transport.write(head + data)

    def close(self) -> None:
        """Send what was held back, and close."""
        self.write(b"")
        self._transport.close()


class Worker(uvicorn_worker.UvicornWorker):  # type: ignore[misc]  # gunicorn has no types
    """uvicorn's worker. It ends as a program does, so telemetry is exported once more, after the last reply.

    uvicorn answers what is in flight, and then raises the signal that stopped it again, for whoever listened before it.
    With nobody listening, the signal would kill the process before what is registered for its exit could run.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "asyncio",
        "http": Http,
        "ws": "none",
        "proxy_headers": False,  # nothing here asks for the client's address
        "server_header": False,
        "h11_max_incomplete_event_size": MAX_HEADER_BYTES,
        # Seconds that an idle connection stays: over the 60 of most proxies, for one that still means to use it when
        # the function closes it loses the delivery.
        "timeout_keep_alive": 75,
    }

    def init_signals(self) -> None:
        """Listen to the signals that stop a worker, until uvicorn does and after it did."""
        super().init_signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _exit)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop as for SIGTERM when gunicorn sends SIGQUIT, which it does after a SIGINT of its own.

        Without this nothing happens, and gunicorn kills the worker after 30 s.
        """
        signal.raise_signal(signal.SIGTERM)


def _exit(number: int, frame: FrameType | None) -> None:
    """End the process. A second signal does not interrupt that.

    Raises:
        SystemExit: Always.
    """
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(0)


def install() -> None:
    """Let the framework start this worker, and no socket beside it for gunicorn's own commands.

    Where it starts uvicorn without gunicorn (`--debug`), uvicorn reads HTTP in the same way.

    The socket would lie in the home folder, under one name for all functions of a machine, so they get in each other's
    way; it would let whoever reaches it stop the function, and it costs a thread and time at the start.
    """
    gunicorn.config.ControlSocketDisable.default = True
    uvicorn_worker.UvicornWorker = Worker  # the framework gives no other way to name it
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Http.__name__}"  # else it takes httptools where it is there
