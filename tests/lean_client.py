"""A client for tests that make many requests at once."""

import asyncio
from collections.abc import Mapping

import httpx

from processes import TIMEOUT_S
from restarter.http.pool import ConnectionPool


class TimedPool(ConnectionPool):
    """Our own pool, with httpx's time limit on what it waits for."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the head of its response.

        Raises:
            httpx.ReadTimeout: It did not come in time.
        """
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                return await super().handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("no response in time") from None


def lean_client(
    connections: int = 100, headers: Mapping[str, str] | None = None, seconds: float = TIMEOUT_S
) -> httpx.AsyncClient:
    """Httpx over our own pool: with its own it takes several times the CPU for so many requests (encode/httpx#3215)."""
    return httpx.AsyncClient(timeout=seconds, headers=headers, transport=TimedPool(connections))
