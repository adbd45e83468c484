"""A claim by plain writes and reads: of any number of contenders for one place, at most one wins. No I/O here.

It needs one promise of its store: after a successful write, every read that begins later sees it or a later one.
https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0118.html

Why at most one wins: if p and q both found y missing, the x of each was written before the y of the other, so before
either read x again. By then x holds one token, and it cannot be that of both. No shorter one works: "look, then write",
"write, then look" and "look, write, look" let two win. Nor may a write be sent twice: the second may arrive after
another contender has read. tests/unit/test_splitter.py tries all of this in every order.
"""

from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

from restarter.ledger import LedgerError


class Read(NamedTuple):
    """What the store returned for an object. Times are seconds since 1970, by the store's clock."""

    value: str | None
    """None if there is no such object."""
    modified: float
    """When it was last written; 0 if there is none."""
    now: float


class Store(Protocol):
    """Writes and reads whole objects. Both raise LedgerError unless the operation is known to have succeeded."""

    async def put(self, name: str, value: str, days: int) -> float:
        """Write an object by one request, and return the store's time. The store may delete it after `days`."""

    async def get(self, name: str) -> Read:
        """Read an object."""

    async def close(self) -> None:
        """Close connections."""


class Split(NamedTuple):
    """The result of contending for a place."""

    won: bool
    standing: Read | None = None
    """What an earlier contender wrote, if there was one."""
    written_at: float = 0.0
    """When the content that others see was written, by the store's clock."""
    took_s: float = 0.0
    """Seconds from then to the end, by the same clock."""


async def split(store: Store, place: str, token: str, content: str, days: int) -> Split:  # a write
    """Contend for a place once. `token`: never used before. `content`: what later contenders read.

    A loser only knows that it has lost: if several contend at the same moment, possibly none wins.

    Raises:
        LedgerError: The store failed. What was written stays, and this contender has lost.
    """
    await store.put(f"{place}/x", token, days)
    standing = await store.get(f"{place}/y")
    if standing.value is not None:
        return Split(won=False, standing=standing)
    written_at = await store.put(f"{place}/y", content, days)
    seen = await store.get(f"{place}/x")
    return Split(won=seen.value == token, written_at=written_at, took_s=seen.now - written_at)


def seconds_of(header: str | None) -> float:
    """The time in a store's header, in seconds since 1970.

    Raises:
        LedgerError: It is not a time.
    """
    try:
        return parsedate_to_datetime(header or "").timestamp()
    except ValueError:
        raise LedgerError("no time in the answer") from None
