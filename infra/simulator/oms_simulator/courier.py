"""Delivers notices to their subscribers over HTTP, as FunctionGraph's SMN trigger does. Loopback only."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from oms_simulator.connection import Patience
from oms_simulator.notices import Attempt, Notice, Smn, Subscriber

if TYPE_CHECKING:
    import httpx

# Asynchronous calls of FunctionGraph may take long; the function has its own deadline.
TIMEOUT_S = 60
# How often the outbox is looked into; a task that fails by itself is noticed then.
TICK_S = 0.05
SERVER_ERROR = 500

Read = Callable[[], Smn]


class Courier:
    """Runs beside the calls for as long as there is a topic. `advance` brings the world up to now."""

    def __init__(self, smn: Read, advance: Callable[[], None], patience: Patience) -> None:
        self._smn = smn
        self._advance = advance
        self._patience = patience
        self._round: asyncio.Task[None] | None = None
        self._deliveries: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Go on the round if there is a topic and nobody is on it. Needs a running event loop."""
        if self._round is not None and self._round.get_loop() is asyncio.get_running_loop() and not self._round.done():
            return
        if self._smn().document.topics:
            self._round = asyncio.create_task(self._go())

    async def _go(self) -> None:
        import httpx  # noqa: PLC0415  # a third of the start, and most simulators have no topic

        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            while (smn := self._smn()).document.topics or smn.outbox or self._deliveries:
                self._advance()
                while smn.outbox:
                    delivery = asyncio.create_task(self._deliver(client, *smn.outbox.popleft()))
                    self._deliveries.add(delivery)
                    delivery.add_done_callback(self._deliveries.discard)
                await asyncio.sleep(TICK_S)

    async def _deliver(self, client: "httpx.AsyncClient", notice: Notice, subscriber: Subscriber) -> None:
        """One notice to one subscriber: repeated after no response and a 5xx, and after nothing else."""
        from httpx import HTTPError  # noqa: PLC0415  # as above

        for attempt in range(1 + subscriber.retries):
            if attempt:
                await self._patience.pause(subscriber.pause_seconds)
            try:
                response = await client.post(subscriber.url, json=notice.event, headers=subscriber.headers)
            except HTTPError:
                status = None
            else:
                status = response.status_code
            notice.attempts.append(Attempt(subscriber.url, status))
            if status is not None and status < SERVER_ERROR:
                return
