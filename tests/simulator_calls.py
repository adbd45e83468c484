"""Calls to the simulator in-process, with a clock that only the test moves."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer

from simulator import Simulator

PROJECT = "2c0689c860ad4728a497ffffc0844383"
TASKS = f"/v2/{PROJECT}/tasks"
GROUPS = f"/v2/{PROJECT}/taskgroups"
TOKEN = {"X-Auth-Token": "example-token"}
BODY = {"src_ak": "a", "src_sk": "b", "dst_ak": "c", "dst_sk": "d"}
BROKEN = {"error_code": "TRF.0001", "error_msg": "System error."}
ID = 191297407830872
START = f"{TASKS}/{ID}/start"
AK, SK = "AKEXAMPLE0000000001", "SKEXAMPLE00000000000000000000000000000001"
FAILED = {"id": ID, "name": "photos", "status": 4, "error_reason": BROKEN}
NOON_TEXT = "21261124T120000Z"
# The official SDK has no types.
ORACLE: Any = Signer
NOON = datetime(2126, 11, 24, 12, tzinfo=UTC).timestamp()


class Clock:
    """A clock that moves only when it is told to."""

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


def start(sim: Simulator, task_id: object = ID, body: object = BODY, **options: Any) -> httpx.Response:
    return ask(sim, "POST", f"{TASKS}/{task_id}/start", json=body, **options)


def signed(
    method: str, path: str, query: str = "", body: bytes = b"", extra: dict[str, str] | None = None
) -> dict[str, str]:
    """Headers as the official SDK signs them, at noon."""
    fields = [pair.partition("=") for pair in query.split("&") if pair]
    headers = {"Content-Type": "application/json", "X-Sdk-Date": NOON_TEXT, **(extra or {})}
    request = SdkRequest(
        method=method,
        schema="http",
        host="oms.test",
        resource_path=path,
        query_params=[(name, value) for name, _, value in fields],
        header_params=headers,
        body=body,
    )
    return dict(ORACLE(BasicCredentials(AK, SK)).sign(request).header_params)


def send_start(url: str, seconds: float = 5) -> socket.socket:
    """A start sent by hand, to see every byte that comes back."""
    raw = json.dumps(BODY).encode()
    head = f"POST {START} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: example-token\r\n"
    length = f"Content-Length: {len(raw)}\r\n\r\n"
    connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=seconds)
    connection.sendall((head + length).encode() + raw)
    return connection


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fail(sim: Simulator, times: int) -> list[str]:
    """So many calls with a wrong signature, and the messages that came back."""
    headers = signed("GET", TASKS)
    headers["Authorization"] = headers["Authorization"][:-64] + "0" * 64
    return [ask(sim, "GET", TASKS, headers=headers).json()["error_msg"] for _ in range(times)]
