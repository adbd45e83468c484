"""The playground's page: one HTML file, its events, and what a person does on it. Loopback only.

It answers no other host than this machine and no page of another origin; its page runs and loads nothing but its own.
"""

import asyncio
import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from example_settings import BEARER
from page_actions import Actions, Again, FailIt, StartIt, Unable
from page_state import State
from signing_keys import Signer

PAGE = Path(__file__).with_name("page.html")
TICK_S, LOOK_S = 0.1, 0.4
MOST_WAITING = 50  # changes that a slow browser may be behind before it has to connect anew
MAX_BODY = 512 * 1024
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
Asked = TypeVar("Asked", bound=BaseModel)


def page_policy(html: str) -> str:
    """The Content-Security-Policy of the page: its own script and style by their hashes, and nothing else."""

    def digest(tag: str) -> str:
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        return "'sha256-" + base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode() + "'"

    own = f"script-src {digest('script')}; style-src {digest('style')}; img-src 'self'; connect-src 'self'"
    return f"{NOTHING}; {own}"


class SameOrigin:
    """Refuses what a page of another origin sends: browsers name the origin of each such request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        own = b"http://" + headers.get(b"host", b"")
        foreign = headers.get(b"origin", own) != own or headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
        if scope["type"] == "http" and foreign:
            await Response("Another origin has no business here.\n", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Page:
    """The page on a socket that listens, served by a thread.

    `kill` is called on that thread, to end the function's process.
    """

    def __init__(
        self, listening: socket.socket, oms: str, function: str, signer: Signer, kill: Callable[[], None]
    ) -> None:
        self._socket = listening
        self._loop = asyncio.new_event_loop()
        self._state = State(datetime.now(UTC))
        self._make_actions: Callable[[], Actions] = lambda: Actions(self._state, oms, function, signer, kill)
        self._browsers: set[asyncio.Queue[str]] = set()

    def tell(self, line: str) -> None:
        """What the function told of a delivery, as watched_main.py writes it. From any thread."""
        told = json.loads(line)
        self._loop.call_soon_threadsafe(self._state.tell, told["steps"], told["receipts"])

    @contextmanager
    def serving(self) -> Iterator[None]:
        """A block in which the page answers."""
        config = uvicorn.Config(
            self._app(), log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=self._run, args=(server,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(10)

    def _run(self, server: uvicorn.Server) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(server.serve([self._socket]))
        self._loop.close()

    def _app(self) -> Starlette:
        routes = [
            Route("/", self._page),
            Route("/favicon.ico", _no_icon),
            Route("/events", self._events),
            Route("/night.svg", self._night),
            Route("/notice", self._notice, methods=["POST"]),
            Route("/do/fail", self._doing(FailIt, lambda actions, asked: actions.fail(asked)), methods=["POST"]),
            Route("/do/start", self._doing(StartIt, lambda actions, asked: actions.start(asked)), methods=["POST"]),
            Route("/do/again", self._doing(Again, lambda actions, asked: actions.again(asked)), methods=["POST"]),
        ]
        guards = [
            Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"], www_redirect=False),
            Middleware(SameOrigin),
        ]
        return Starlette(routes=routes, middleware=guards, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._actions = self._make_actions()
        rounds = [asyncio.create_task(self._send_changes()), asyncio.create_task(self._look_again())]
        yield
        for one in rounds:
            one.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)
        await self._actions.close()

    async def _send_changes(self) -> None:
        """Tell all browsers what has changed, a few times a second."""
        while True:
            await asyncio.sleep(TICK_S)
            changes = self._state.take_changes()
            if changes is None:
                continue
            text = _event(changes)
            for browser in [*self._browsers]:
                if browser.full():
                    self._browsers.discard(browser)
                else:
                    browser.put_nowait(text)

    async def _look_again(self) -> None:
        """Follow the simulator's tasks for as long as somebody watches; it may be gone when the playground ends."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._browsers:
                await asyncio.gather(self._actions.look(), return_exceptions=True)

    async def _page(self, request: Request) -> Response:
        html = PAGE.read_text("utf-8")
        return Response(html, headers=HEADERS | {"Content-Security-Policy": page_policy(html)}, media_type="text/html")

    async def _night(self, request: Request) -> Response:
        policy = f"{NOTHING}; style-src 'unsafe-inline'; sandbox"
        night = await asyncio.to_thread(self._state.drawing())
        return Response(night, headers=HEADERS | {"Content-Security-Policy": policy}, media_type="image/svg+xml")

    async def _events(self, request: Request) -> Response:
        await self._actions.look()
        return StreamingResponse(self._stream(), headers=HEADERS, media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        """Everything, then each change; it ends for a browser that is too far behind, which connects anew."""
        browser: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        browser.put_nowait(_event(self._state.all()))
        self._browsers.add(browser)
        try:
            while browser in self._browsers or not browser.empty():
                yield await browser.get()
        finally:
            self._browsers.discard(browser)

    async def _notice(self, request: Request) -> Response:
        """OMS's topic delivers here, as to FunctionGraph."""
        if request.headers.get("authorization") != f"Bearer {BEARER}":
            return Response(status_code=401)
        return Response(status_code=await self._actions.notice(await request.json()))

    def _doing(self, kind: type[Asked], act: Callable[[Actions, Asked], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("content-type") != "application/json":
                return _problem(415, "The body has to be JSON.")
            body = await request.body()
            try:
                await act(self._actions, kind.model_validate_json(body[:MAX_BODY]))
            except ValidationError as error:
                return _problem(400, f"{'.'.join(map(str, error.errors()[0]['loc'])) or 'body'}: is not usable")
            except Unable as why:
                return _problem(409, str(why))
            return Response(status_code=204)

        return endpoint


def _event(document: Any) -> str:
    return f"data: {json.dumps(document)}\n\n"


def _problem(status: int, why: str) -> Response:
    return JSONResponse({"why": why}, status)


async def _no_icon(request: Request) -> Response:
    return Response(status_code=204)
