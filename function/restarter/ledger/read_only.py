"""The configured ledger, read and never written: for commands that only say what an event would do."""

from restarter.ledger import Claim, Claimed, EventKey, History, Ledger, LedgerError, LedgerKeys


class ReadOnlyLedger(Ledger):
    """Every event may be claimed, each task's restarts are the real ones, and nothing is recorded."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        """Always OURS: the event is invented, so no other delivery has it."""
        return Claimed(Claim.OURS, "read only")

    async def settle(self, event: EventKey, token: str) -> None:
        """Nothing is recorded."""

    async def release(self, event: EventKey, token: str) -> None:
        """Nothing was claimed."""

    async def history(self, keys: LedgerKeys, window_s: float) -> History:
        return await self._ledger.history(keys, window_s)

    async def reserve(self, keys: LedgerKeys, expected: History, window_s: float, attempt: str, note: str = "") -> bool:
        """A dry run reserves nothing; without a reservation nothing is started.

        Raises:
            LedgerError: Always.
        """
        raise LedgerError("read only")

    async def confirm(self, keys: LedgerKeys, attempt: str) -> None:
        """Nothing was reserved."""

    async def unreserve(self, keys: LedgerKeys, attempt: str) -> None:
        """Nothing was reserved."""

    async def mark(self, name: str, owner: str, window_s: float) -> bool:
        """Nothing is marked: each report is the first."""
        return True

    async def purge(self) -> None:
        """Nothing is deleted."""

    async def close(self) -> None:
        await self._ledger.close()
