"""SMN between OMS and the function: it redelivers after a 5xx or no response, and loses some notices."""

import asyncio
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from lean_client import lean_client
from oms_simulator.connection import Message, Patience, Receive, Send, read, say
from oms_simulator.messages import Answer
from oms_simulator.server import serving

# https://support.huaweicloud.com/smn_faq/smn_faq_0014.html: after a 5xx or no response, up to six more times.
REDELIVERIES = 6
FIRST_PAUSE_S = 60.0  # nothing documents the pauses; here each is twice the one before, and never less than Retry-After
ONE_IN = 20  # notices is lost
AT_ONCE = 50


class Sender:
    """Delivers to one function. Pauses are those of a clock that runs `speed` times as fast."""

    def __init__(self, url: str, bearer: str, speed: float) -> None:
        self._url = url
        self._speed = speed
        self._client = lean_client(AT_ONCE, {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"})
        self._free = asyncio.Semaphore(AT_ONCE)
        self._seen: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_over = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """The topic's subscriber, an ASGI application in another thread: it takes each notice at once."""
        request = await read(scope, receive)
        if request is not None:
            self._loop.call_soon_threadsafe(self.take, json.loads(request.body))
            await say(send, Answer(200), "")

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The address of the subscriber."""
        with serving(self, Patience()) as url:
            yield url

    def take(self, event: dict[str, Any], key: str = "") -> None:
        """Deliver an event, unless it is one of those that get lost: the same ones for every function."""
        text = event["record"][0]["smn"]["message"] if "record" in event else ""
        self._seen[text] += 1
        is_lost = bool(text) and zlib.crc32(f"{self._seen[text]} {text}".encode()) % ONE_IN == 0
        if is_lost or self._is_over:
            return
        delivery = self._loop.create_task(self._deliver(json.dumps(event).encode(), key))
        self._under_way.add(delivery)
        delivery.add_done_callback(self._under_way.discard)

    async def _deliver(self, body: bytes, key: str) -> None:
        for n in range(1 + REDELIVERIES):
            status, retry_after_s = await self._post(body, key)
            if status < httpx.codes.INTERNAL_SERVER_ERROR:
                return
            await asyncio.sleep(max(retry_after_s, FIRST_PAUSE_S * 2**n) / self._speed)

    async def _post(self, body: bytes, key: str) -> tuple[int, float]:
        """The status, 599 where there was no response, and Retry-After."""
        headers = {"Idempotency-Key": key} if key else {}
        async with self._free:
            try:
                response = await self._client.post(self._url, content=body, headers=headers)
            except httpx.HTTPError:
                return 599, 0.0
        return response.status_code, float(response.headers.get("Retry-After", 0))

    async def finish(self) -> None:
        """Wait for what is under way, and close."""
        await asyncio.gather(*self._under_way)
        await self.close()

    async def close(self) -> None:
        """Send nothing more."""
        self._is_over = True
        for delivery in self._under_way:
            delivery.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._client.aclose()
