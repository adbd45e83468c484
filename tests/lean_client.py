"""A client for tests that make many requests at once."""

from collections.abc import Mapping

import httpx

from processes import TIMEOUT_S
from restarter.http.pool import ConnectionPool


def lean_client(
    connections: int = 100, headers: Mapping[str, str] | None = None, seconds: float = TIMEOUT_S
) -> httpx.AsyncClient:
    """Httpx over our own pool: with its own it takes several times the CPU for so many requests (encode/httpx#3215)."""
    return httpx.AsyncClient(timeout=seconds, headers=headers, transport=ConnectionPool(connections))
