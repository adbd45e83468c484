"""A ledger in Redis (or Valkey), shared by all instances. It stores only hashes, tokens, times and notes.

Keys contain the version of their format. Events have version 1. Release 0.1.0 wrote events under other keys, with
hashes of fewer parts, so they are not found; then the look, the budget and the backoff decide. Restarts have no number,
which is version 0: this release and 0.1.0 and 0.2.0 count each other's restarts, so all share one budget while they run
side by side. Claims, settled events and marks are shared with 0.2.0, too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from restarter.ledger import (
    SETTLED_TTL_S,
    Claim,
    Claimed,
    EventKey,
    History,
    Ledger,
    LedgerError,
    LedgerKeys,
    new_token,
    scripts,
)
from restarter.ledger.connect import connect
from restarter.model.task import Restart
from restarter.settings.redis_address import RedisAddress, Topology

PREFIX = "oms-task-restarter:"
TIMEOUT_S = 2.0  # for one command
IDLE_TTL_S = 60.0  # a network may drop connections unnoticed that were idle for longer than this
MASTER_TTL_S = 1.0  # for some ten seconds after a failover the old master still takes writes, and they are lost
MAX_COMMANDS = 32  # at once, each on its own connection: more would only wait for each other inside Redis
SETTLED = "settled:"
UNDER_WAY, COUNTED = "r", "c"


class RedisLedger(Ledger):
    """Connections are opened when first needed, and again after they break. Times are those of Redis's clock."""

    def __init__(self, address: RedisAddress) -> None:
        self._clients = connect(address)
        self._redis = self._clients[0]
        self._by_sentinel = address.topology is Topology.SENTINEL
        self._slots = asyncio.Semaphore(MAX_COMMANDS)
        # By the wall clock: a monotonic one may stop while the instance is frozen.
        self._used_at = self._asked_at = 0.0
        self._renewing = asyncio.Lock()

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        token = new_token()
        found = await self._run(scripts.CLAIM, _event(event), token, int(seconds * 1000))
        if not found:
            return Claimed(Claim.OURS, token)
        held, rest_ms = found
        if not held.startswith(SETTLED):
            return Claimed(Claim.HELD, rest_s=max(rest_ms / 1000, 0.0))
        return Claimed(Claim.SETTLED if held == SETTLED + event.target else Claim.SETTLED_ELSEWHERE)

    async def settle(self, event: EventKey, token: str) -> None:
        await self._ask(self._redis.set, _event(event), SETTLED + event.target, ex=SETTLED_TTL_S)

    async def release(self, event: EventKey, token: str) -> None:
        await self._run(scripts.RELEASE, _event(event), token)

    async def history(self, keys: LedgerKeys, window_s: float) -> History:
        version, *found = await self._run(scripts.HISTORY, _restarts(keys), window_s)
        pairs = zip(found[::2], found[1::2], strict=True)
        return History(tuple(_restart(float(age), member, keys) for age, member in pairs), version)

    async def reserve(self, keys: LedgerKeys, expected: History, window_s: float, attempt: str, note: str = "") -> bool:
        entry = (_entry(keys, attempt), f"{UNDER_WAY}:{note}")
        arguments = (window_s, expected.version, *entry, int(window_s) + 1)
        return bool(await self._run(scripts.RESERVE, _restarts(keys), *arguments))

    async def confirm(self, keys: LedgerKeys, attempt: str) -> None:
        await self._run(scripts.END, _restarts(keys), _entry(keys, attempt), COUNTED)

    async def unreserve(self, keys: LedgerKeys, attempt: str) -> None:
        await self._run(scripts.END, _restarts(keys), _entry(keys, attempt))

    async def mark(self, name: str, owner: str, window_s: float) -> bool:
        return not await self._run(scripts.CLAIM, f"{PREFIX}1:{name}", owner, int(window_s * 1000))

    async def purge(self) -> None:
        """Every key expires by itself."""

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def _renew(self) -> None:
        """Close connections that were idle for too long, and ask a cluster for its nodes before the first command.

        No command is under way at that time. If many commands made a cluster's client ask at once, it would drop
        connections that some of them use.
        """
        async with self._renewing:
            if abs(time.time() - self._used_at) > IDLE_TTL_S:
                await self.close()
                await self._redis.initialize()
            elif self._by_sentinel and abs(time.time() - self._asked_at) > MASTER_TTL_S:
                await self._follow_master()
            self._used_at = time.time()

    async def _follow_master(self) -> None:
        """Ask Sentinel for the master, and close all connections if it is another one now.

        If no Sentinel responds, the known master is kept: it may be well although the Sentinels are not.
        """
        self._asked_at = time.time()
        pool = self._redis.connection_pool
        known = pool.master_address
        with suppress(RedisError, OSError):
            if await pool.get_master_address() != known:
                await self.close()

    async def _run(self, script: str, key: str, *arguments: str | float) -> Any:
        """The result of a script, which is sent whole only to a server that does not know it."""
        try:
            return await self._ask(self._redis.evalsha, HASHES[script], 1, key, *arguments)
        except NoScriptError:
            return await self._ask(self._redis.eval, script, 1, key, *arguments)

    async def _ask(self, command: Callable[..., Awaitable[Any]], *arguments: str | float, **options: Any) -> Any:
        """The result of a command. Its caller bounds how long it may wait for a slot.

        Any error of the client is the same failure: a cluster's client raises some that are not a RedisError, some come
        from inside it, and some from uvloop if a connection is cut off (https://github.com/redis/redis-py/issues/4287).

        Raises:
            LedgerError: There is no result in time; the text is the kind of failure.
            NoScriptError: The server does not know the script.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._renew()
                    return await command(*arguments, **options)
            except NoScriptError:
                raise
            except Exception as error:  # noqa: BLE001  # see above
                if _is_replica(error):
                    self._used_at = 0.0  # another server is the master now: the next command opens new connections
                raise LedgerError(type(error).__name__) from None


HASHES = {script: sha1(script.encode(), usedforsecurity=False).hexdigest() for script in scripts.ALL}


def _is_replica(error: Exception) -> bool:
    """Whether the server said READONLY. Redis before 7 wraps that in the error of the script, without its type."""
    return isinstance(error, RedisError) and "read only replica" in str(error)


def _restart(age_s: float, member: str, keys: LedgerKeys) -> Restart:
    """A restart. If release 0.2.0 recorded it, only its event is known, and it counts."""
    event, _, rest = member.partition(":")
    _, state, note = rest.split(":", 2) if rest else ("", COUNTED, "")
    return Restart(age_s, event == keys.event, state == UNDER_WAY, note)


def _event(event: EventKey) -> str:
    return f"{PREFIX}1:event:{event.id}"


def _restarts(keys: LedgerKeys) -> str:
    return f"{PREFIX}restarts:{keys.task}"


def _entry(keys: LedgerKeys, attempt: str) -> str:
    return f"{keys.event}:{attempt}:"
