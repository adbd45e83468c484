"""At most one fetch at a time of each key or certificate. The caller passes the fetch; no other I/O here."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Lets deliveries that need the same thing at the same time share one fetch of it.

    Args:
        limit: How many fetches may be in flight together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._flights: dict[str, asyncio.Task[T | None]] = {}

    def __contains__(self, name: str) -> bool:
        """Whether a fetch of that name is in flight."""
        return name in self._flights

    async def run(self, name: str, fetch: Callable[[], Awaitable[T | None]], seconds: float) -> T | None:
        """The result of a fetch of that name, which deliveries share.

        None if there is no result, if this delivery has waited `seconds`, or if too many fetches are in flight.
        """
        flight = self._flights.get(name)
        if flight is None:
            if len(self._flights) >= self._limit:
                return None
            flight = self._flights[name] = asyncio.create_task(self._fly(name, fetch))
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(flight)
        except TimeoutError:
            return None

    async def _fly(self, name: str, fetch: Callable[[], Awaitable[T | None]]) -> T | None:
        try:
            return await fetch()
        finally:
            del self._flights[name]
