"""Serves the simulator on the loopback interface only, and stops when told to, whoever still waits."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from oms_simulator.connection import Patience

LOOPBACK = "127.0.0.1"
# Longer than any client keeps an idle connection, so that a close is always a rule's doing.
KEEP_ALIVE_SECONDS = 75
START_SECONDS = 10

App = Callable[..., Any]


class Server(uvicorn.Server):
    """uvicorn, but it says when it listens, and lets hanging calls go when it stops."""

    def __init__(
        self, app: App, patience: Patience, *, http: Any = "auto", announce: Callable[[], None] | None = None
    ) -> None:
        config = uvicorn.Config(
            app,
            http=http,
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,  # the object store has a clock of its own
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=5,
        )
        super().__init__(config)
        self._patience = patience
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._announce is not None:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._patience.end_all()
        await super().shutdown(sockets)


def listen(port: int) -> tuple[socket.socket, str]:
    """A listening socket and its address."""
    listening = socket.create_server((LOOPBACK, port), backlog=2048)
    # Head and body of an answer leave in two writes; without this the second waits 40 ms for the first to be confirmed.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening, f"http://{LOOPBACK}:{listening.getsockname()[1]}"


@contextmanager
def serving(app: App, patience: Patience, http: str = "auto") -> Iterator[str]:
    """The address of a server in a thread, for as long as the block lasts."""
    listening, url = listen(0)
    server = Server(app, patience, http=http)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
