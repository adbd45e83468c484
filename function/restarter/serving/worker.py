"""gunicorn's worker for the function: how uvicorn runs in it, which requests reach the function, and how it ends.

The framework names the worker's class, `uvicorn_worker.UvicornWorker`, and gives it no options; here another takes that
name.
"""

import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, ClassVar

import gunicorn.config
import uvicorn.config
import uvicorn_worker

from restarter.serving import http_protocol

EXECUTION_ID = b"function-execution-id"
TRACE_CONTEXT = b"x-cloud-trace-context"
MAX_TRACE_CONTEXT_BYTES = 96
ASKED = "asked"
"""In a request's scope: its method and its path."""


class EveryRequest:
    """The framework's ASGI application, whose one function answers every request, whatever the method and the target.

    The framework routes by both, and would answer some requests itself, without a receipt. An event would get its 404.
    With LOG_EXECUTION_ID it also writes two headers into each line: those that a stranger chose are left out.
    """

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            headers = [
                (name, value)
                for name, value in scope["headers"]
                if name != EXECUTION_ID and (name != TRACE_CONTEXT or len(value) <= MAX_TRACE_CONTEXT_BYTES)
            ]
            asked = scope["method"], _path(scope["path"])
            scope = {**scope, "method": "POST", "path": "/", "headers": headers, ASKED: asked}
        await self._application(scope, receive, send)


def _path(target: str) -> str:
    """The path of a target, which may be in absolute form (RFC 9112, 3.2.2)."""
    scheme, separator, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if separator and "/" not in scheme else target


class Worker(uvicorn_worker.UvicornWorker):  # type: ignore[misc]  # gunicorn has no types
    """uvicorn's worker. It ends as a program does, so telemetry is exported once more, after the last reply.

    uvicorn answers what is in flight, and then raises the signal that stopped it again, for whoever listened before it.
    With nobody listening, the signal would kill the process before what is registered for its exit could run.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "asyncio",
        "http": http_protocol.Http,
        "ws": "none",
        "proxy_headers": False,  # nothing here asks for the client's address
        "server_header": False,
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
    uvicorn_worker.UvicornWorker = Worker
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{http_protocol.__name__}:Http"  # else httptools, where it is installed
