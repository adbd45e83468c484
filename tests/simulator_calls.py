"""Calls to the simulator in-process, at a time that stands still, for its own tests."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx

from simulator import Simulator

PROJECT = "2c0689c860ad4728a497ffffc0844383"
TASKS = f"/v2/{PROJECT}/tasks"
GROUPS = f"/v2/{PROJECT}/taskgroups"
TOKEN = {"X-Auth-Token": "example-token"}
BODY = {"src_ak": "a", "src_sk": "b", "dst_ak": "c", "dst_sk": "d"}
BROKEN = {"error_code": "TRF.0001", "error_msg": "System error."}
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def ask(sim: Simulator, method: str, path: str, **options: Any) -> httpx.Response:
    """One call in-process, with the known token unless other headers are given."""
    options.setdefault("headers", TOKEN)

    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=sim)
        async with httpx.AsyncClient(transport=transport, base_url="http://oms.test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(call())


def code(response: httpx.Response) -> str:
    return str(response.json()["error_code"])
