"""One fetch at a time of each thing that authentication needs. The fetch is the caller's; no other I/O here."""

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
        """What the fetch gives.

        None where it gives nothing, takes longer than `seconds`, which are the delivery's own, or is one too many.
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
