"""gunicorn's worker for the function: how uvicorn runs in it, which requests reach the function, and how it stops.

The framework loads the class `uvicorn_worker.UvicornWorker` by name, without options, so our class takes its place.
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
"""Key in a request's scope: its original method and path."""


class EveryRequest:
    """Wraps the framework's ASGI application, so that the function handles every request, with any method and target.

    The framework routes by both, and would respond to some requests itself, without a receipt; an event could get a
    404. With LOG_EXECUTION_ID it also logs two headers in each line, so those that strangers can choose are removed.
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
    """uvicorn's worker. It exits like any program, so that telemetry is exported once more after the last reply.

    uvicorn finishes the requests in flight, and then raises the signal that stopped it again, for earlier listeners.
    Without one, that would kill the process before its exit handlers run.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "asyncio",
        "http": http_protocol.Http,
        "ws": "none",
        "proxy_headers": False,  # the client's address is not used here
        "server_header": False,
        # Seconds that an idle connection stays open. Most proxies keep one for 60; if the function closed it first, a
        # proxy that uses it at that moment would lose the delivery.
        "timeout_keep_alive": 75,
    }

    def init_signals(self) -> None:
        """Listen to the signals that stop a worker, before uvicorn does and after it has stopped."""
        super().init_signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _exit)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop as for SIGTERM when gunicorn sends SIGQUIT, which it does after it has received SIGINT.

        Without this nothing happens, and gunicorn kills the worker after 30 s.
        """
        signal.raise_signal(signal.SIGTERM)


def _exit(number: int, frame: FrameType | None) -> None:
    """End the process; a second signal does not interrupt that.

    Raises:
        SystemExit: Always.
    """
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(0)


def install() -> None:
    """Make the framework start this worker, and no control socket of gunicorn.

    If it starts uvicorn without gunicorn (`--debug`), uvicorn reads HTTP in the same way.

    The socket would be in the home folder, under the same name for all functions of a machine, so they would collide.
    Anybody who reaches it could stop the function, and it costs a thread and time at the start.
    """
    gunicorn.config.ControlSocketDisable.default = True
    uvicorn_worker.UvicornWorker = Worker
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{http_protocol.__name__}:Http"  # else httptools, if it is installed
