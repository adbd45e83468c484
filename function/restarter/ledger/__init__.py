"""What must be remembered between deliveries: claimed and settled events, and the restarts of each task.

A ledger is opened by its address. This module is the contract for all ledgers; `tests/ledger_suite.py` tests any ledger
against it. *Atomic* means in the contract: whatever other instances do at the same time, the result is as if whole
operations were made one after the other.

Two instances race
    `claim`, `reserve` and `mark` are atomic. Of any number of claims of one event at most one is OURS until it is
    released or expires. Of any number of reservations with the same expected history at most one succeeds.
An instance dies
    Its claim expires when its seconds are over, by the ledger's own clock. Its reservation stays, and counts: it may
    have started the task. Nobody takes back what another attempt reserved.
The store does not respond
    LedgerError, within a time that the ledger bounds; nothing may be started then. The caller also cancels each
    operation at the deadline of its delivery. A cancelled or failed operation leaves the ledger usable.
The response is lost
    The operation may have been done. If it is repeated with the same token, it is done only once: a claim is then
    OURS, a reservation succeeds, a mark is the first. A ledger whose store cannot tell (a plain PUT) must treat it as
    failed, and not repeat it. `settle`, `release`, `confirm`, `unreserve` and `purge` may be repeated at any time.
The store forgets
    What it forgot may be started again. function/README.md says when each ledger forgets.
"""

import secrets
from collections.abc import Callable
from enum import Enum
from hashlib import sha256
from typing import NamedTuple, Protocol, Self

from restarter.model.delivery import AccessKey
from restarter.model.request import Event
from restarter.model.task import Restart
from restarter.settings.bucket_address import BucketAddress
from restarter.settings.ledger_address import LedgerAddress, MemoryAddress
from restarter.settings.model import Settings
from restarter.settings.sqlite_address import SqliteAddress

SETTLED_TTL_S = 7 * 24 * 3600
"""For as long as any sender may redeliver (Pub/Sub keeps a message for seven days)."""
MAX_WINDOW_S = 31 * 24 * 3600
"""The longest window that RESTART_BUDGET allows; nobody asks for an older restart."""
MAX_NOTE_LENGTH = 128


class Claim(Enum):
    """The result of claiming an event."""

    OURS = "ours"
    HELD = "held"
    """Another delivery of the event is in progress, or was when its instance crashed."""
    SETTLED = "settled"
    SETTLED_ELSEWHERE = "settled for another task"
    """Settled, but the event named another task then: its sender uses one id twice."""


class Claimed(NamedTuple):
    """The result of a claim."""

    state: Claim
    token: str = ""
    """Identifies the holder, if the claim is OURS. It also names the attempt in the task's restarts."""
    rest_s: float = 0.0
    """Seconds until the claim expires, if it is HELD; at least 0."""


class LedgerError(Exception):
    """The ledger failed or did not respond; nothing may be started without it."""


class EventKey(NamedTuple):
    """A hash of an event's identity, and a short hash of the task or group that it names."""

    id: str
    target: str


class History(NamedTuple):
    """The restarts that are counted under one key, within a window."""

    restarts: tuple[Restart, ...]
    """The oldest first, including those of the event that asks."""
    version: str
    """Changes when a restart under the key is recorded or taken back; may also change when one is confirmed or leaves
    the window."""


class LedgerKeys(NamedTuple):
    """An event, and the key under which its restarts are counted; both are hashes, because ids may be long."""

    event: str
    task: str


def ledger_keys(event: Event, target_id: str, *, of_group: bool = False) -> LedgerKeys:
    """The keys of an event that has an identity, and of the task or task group whose restarts are counted."""
    kind = "group" if of_group else "task"
    return LedgerKeys(_event_id(event.identity or ()), _digest(kind, event.project_id, target_id))


def storage_key(event: Event, fingerprint: str) -> LedgerKeys:
    """The keys under which restarts count against the storage keys that an event's start sends."""
    of_key = _digest("storage key", event.project_id, event.request.credentials, fingerprint)
    return LedgerKeys(_event_id(event.identity or ()), of_key)


def event_key(event: Event) -> EventKey | None:
    """The key of an event; None if the sender gave no id."""
    if not event.identity:
        return None
    request = event.request
    named = (request.task_id or "", request.task_name or "", request.group_id or "")
    return EventKey(_event_id(event.identity), _digest("target", event.project_id, *named)[:16])


def new_token() -> str:
    """A unique token, which fences a claim and names an attempt."""
    return secrets.token_hex(8)


def _event_id(identity: tuple[str, ...]) -> str:
    return _digest("event", *identity)


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:40]


class Ledger(Protocol):
    """Every method raises LedgerError if the ledger fails. Times are seconds by the ledger's own clock.

    Expired means gone: no operation sees an expired claim, settled event, restart or mark, purged or not.
    """

    waits: bool = True
    """False if no method awaits anything, so that no deadline can pass meanwhile."""

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        """Claim the event for `seconds`, unless it is claimed or settled. Each claim has its own token."""

    async def settle(self, event: EventKey, token: str) -> None:
        """Settle the event: for SETTLED_TTL_S a redelivery of it is a duplicate.

        Only a holder calls this. Even if its claim has expired and another delivery holds the event, the event is
        settled, because its start was made; then the other delivery's `release` has no effect.
        """

    async def release(self, event: EventKey, token: str) -> None:
        """Release the claim, so that a redelivery can be handled. Only the holder's call has an effect."""

    async def history(self, keys: LedgerKeys, window_s: float) -> History:
        """The restarts under `keys.task` within the window; `own` are those whose event is `keys.event`."""

    async def reserve(self, keys: LedgerKeys, expected: History, window_s: float, attempt: str, note: str = "") -> bool:
        """Record a restart that is under way, if the history is still the `expected` one; False if it changed.

        Args:
            keys: The event that causes the restart, and the key under which it counts.
            expected: What `history` returned to this attempt.
            window_s: The same as for `expected`; the restart is kept for at least as long.
            attempt: The token of the claim. It owns the entry: only the same attempt confirms it or takes it back,
                even if the response to this call was lost.
            note: Text to store with the restart, up to MAX_NOTE_LENGTH characters.
        """

    async def confirm(self, keys: LedgerKeys, attempt: str) -> None:
        """Count the attempt's restart, which was made or may have been. It is no longer under way."""

    async def unreserve(self, keys: LedgerKeys, attempt: str) -> None:
        """Remove the attempt's restart, which was not made. Entries of other attempts stay, even of the same event."""

    async def mark(self, name: str, owner: str, window_s: float) -> bool:
        """Mark a name for the window; True for the first owner within it, and for the same owner again."""

    async def purge(self) -> None:
        """Delete a bounded number of expired rows, if the store does not expire them itself."""

    async def close(self) -> None:
        """Close connections and files. A later operation opens them again."""


def no_key() -> AccessKey | None:
    """None: no key is known yet."""
    return None


class Stores(NamedTuple):
    """How to reach the object stores that can hold a ledger."""

    key: Callable[[], AccessKey | None] = no_key
    """Returns the current key for OBS; None if the platform has lent none yet."""
    obs_endpoint: str = ""
    gcs_endpoint: str | None = None
    """Replaces Cloud Storage. No token is requested for it, unless there is a `metadata_host`."""
    metadata_host: str | None = None
    """Replaces Google's metadata server: host, or host and port."""

    @classmethod
    def of(cls, settings: Settings, key: Callable[[], AccessKey | None]) -> Self:
        """The stores that the settings name."""
        obs = settings.obs_endpoint or f"https://obs.{settings.oms_region}.myhuaweicloud.com"
        return cls(key, obs, settings.storage_emulator_host, settings.gce_metadata_host)


def open_ledger(address: LedgerAddress, clock: Callable[[], float], stores: Stores = Stores()) -> Ledger:  # noqa: B008  # a value
    """The ledger at an address; it connects later.

    `clock`: seconds since 1970, for a ledger that has no clock of its own, and for signatures and tokens.
    """
    match address:
        case MemoryAddress():
            from restarter.ledger.memory import MemoryLedger  # noqa: PLC0415  # one of them is enough

            return MemoryLedger(clock)
        case SqliteAddress():
            from restarter.ledger.sqlite import SqliteLedger  # noqa: PLC0415  # the same

            return SqliteLedger(address.path, clock)
        case BucketAddress():
            from restarter.ledger.buckets import open_bucket  # noqa: PLC0415  # the same

            return open_bucket(address, clock, stores)
        case _:
            from restarter.ledger.redis import RedisLedger  # noqa: PLC0415  # an extra: only where it is configured

            return RedisLedger(address)
