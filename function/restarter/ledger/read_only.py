"""The configured ledger, read and never written: for what says what an event would do, and does nothing."""

from restarter.ledger import Claim, EventKey, History, Ledger, LedgerError, LedgerKeys


class ReadOnlyLedger:
    """Every event may be claimed, each task's restarts are the real ones, and nothing is recorded."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def claim(self, event: EventKey, seconds: float) -> Claim:
        """Nobody else is asked: the event is made up, and nobody else has it."""
        return Claim.OURS

    async def settle(self, event: EventKey) -> None:
        """Nothing is recorded."""

    async def release(self, event: EventKey) -> None:
        """Nothing was claimed."""

    async def history(self, keys: LedgerKeys, window: float) -> History:
        """The task's restarts within the window (seconds)."""
        return await self._ledger.history(keys, window)

    async def reserve(self, keys: LedgerKeys, expected: History, window: float) -> bool:
        """A dry run reserves nothing; whoever tries to gets no start.

        Raises:
            LedgerError: Always.
        """
        raise LedgerError("read only")

    async def unreserve(self, keys: LedgerKeys) -> None:
        """Nothing was reserved."""

    async def mark_exhausted(self, task: str, window: float) -> bool:
        """Nothing is marked; to a person each report is the first."""
        return True

    async def close(self) -> None:
        """Close the ledger."""
        await self._ledger.close()
