"""The function as a caller and an operator see it, in the real framework but without a socket."""

import asyncio
import contextlib
import io
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx

from example import BEARER, ENDPOINT, PROJECT, TASK

T = TypeVar("T")
TASKS = f"{ENDPOINT}/v2/{PROJECT}/tasks"
SHOW = f"{TASKS}/{TASK}"
START = f"{SHOW}/start"


class Function:
    """The function as a caller sees it, and its log as the operator sees it."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._log = io.StringIO()

    def request(self, method: str, path: str = "/", **arguments: Any) -> httpx.Response:
        """One request without any proof of who makes it."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://function") as client:
                return await client.request(method, path, **arguments)

        return self.run(send())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in which the function handles deliveries, and keep the lines that it writes."""
        with contextlib.redirect_stdout(self._log):
            return asyncio.run(coroutine)

    def post(self, path: str = "/", *, headers: dict[str, str] | None = None, **arguments: Any) -> httpx.Response:
        """One delivery of a caller with the token."""
        return self.request("POST", path, headers={"Authorization": f"Bearer {BEARER}"} | (headers or {}), **arguments)

    def receipts(self) -> list[dict[str, Any]]:
        """The lines written to stdout since the last look."""
        lines = self._log.getvalue().splitlines()
        self._log.seek(0)
        self._log.truncate()
        return [json.loads(line) for line in lines]

    def receipt(self) -> dict[str, Any]:
        """The only line."""
        (receipt,) = self.receipts()
        return receipt
