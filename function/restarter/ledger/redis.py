"""A ledger in Redis (or Valkey), shared by all instances; what is written there is hashes and times.

Keys carry the version of their format. Events are version 1: a mark of release 0.1.0 stands under another key, and its
hash was made of less, so it is not found; that event is then judged by the look, the budget and the backoff. Restarts
have no number, which is version 0, the format of release 0.1.0: both releases count in one budget while both run.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from restarter.ledger import SETTLED_TTL_S, Claim, EventKey, History, LedgerError, LedgerKeys, scripts
from restarter.ledger.connect import connect
from restarter.settings.redis_address import RedisAddress

PREFIX = "oms-task-restarter:"
TIMEOUT_S = 2.0  # for one command
IDLE_TTL_S = 60.0  # a network may drop, without a word, connections that were idle for longer than this
MAX_COMMANDS = 32  # at once, each on a connection of its own: more would only wait for each other inside Redis
SETTLED = "settled:"
# The last three come from inside the client or uvloop when a connection was cut off while it was used
# (https://github.com/redis/redis-py/issues/4287).
CLIENT_ERRORS = (RedisError, OSError, TimeoutError, RuntimeError, AttributeError, TypeError)


class RedisLedger:
    """Connections are opened when first needed, and again after they broke. Times are those of Redis's clock."""

    def __init__(self, address: RedisAddress) -> None:
        self._clients = connect(address)
        self._redis = self._clients[0]
        self._slots = asyncio.Semaphore(MAX_COMMANDS)
        self._used_at = 0.0  # of the wall clock, for a monotonic one may stand while the instance is frozen
        self._renewing = asyncio.Lock()
        self._tokens: dict[str, str] = {}
        """For each claim of this instance the token that proves it; as many as there are deliveries in flight."""

    async def claim(self, event: EventKey, seconds: float) -> Claim:
        """Claim the event for so many seconds, unless it is claimed or settled."""
        token = secrets.token_hex(8)
        held = await self._run(scripts.CLAIM, _event(event), token, int(seconds * 1000))
        if held is None:
            self._tokens[event.id] = token
            return Claim.OURS
        if not held.startswith(SETTLED):
            return Claim.HELD
        return Claim.SETTLED if held == SETTLED + event.target else Claim.SETTLED_ELSEWHERE

    async def settle(self, event: EventKey) -> None:
        """Settle the event."""
        self._tokens.pop(event.id, None)
        await self._ask(self._redis.set, _event(event), SETTLED + event.target, ex=SETTLED_TTL_S)

    async def release(self, event: EventKey) -> None:
        """Give the claim up, if it is still ours."""
        await self._run(scripts.RELEASE, _event(event), self._tokens.pop(event.id, ""))

    async def history(self, keys: LedgerKeys, window: float) -> History:
        """The task's restarts within the window, without those of this event."""
        version, *ages = await self._run(scripts.HISTORY, _restarts(keys), window, keys.event)
        return History(tuple(map(float, ages)), version)

    async def reserve(self, keys: LedgerKeys, expected: History, window: float) -> bool:
        """Record a restart, if the history is still the expected one."""
        arguments = (window, keys.event, expected.version, int(window) + 1)
        return bool(await self._run(scripts.RESERVE, _restarts(keys), *arguments))

    async def unreserve(self, keys: LedgerKeys) -> None:
        """Remove the restart recorded for the event."""
        await self._ask(self._redis.zrem, _restarts(keys), keys.event)

    async def mark_exhausted(self, task: str, window: float) -> bool:
        """Mark the budget as exhausted; True the first time within the window."""
        key, token = f"{PREFIX}1:exhausted:{task}", secrets.token_hex(8)
        return await self._run(scripts.CLAIM, key, token, int(window * 1000)) is None

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()

    async def _renew(self) -> None:
        """Close connections that were idle for too long, and before the first command ask a cluster for its nodes.

        No command is under way then. If many commands made a cluster's client ask at once, it would drop connections
        that some of them use.
        """
        async with self._renewing:
            if abs(time.time() - self._used_at) > IDLE_TTL_S:
                await self.close()
                await self._redis.initialize()
            self._used_at = time.time()

    async def _run(self, script: str, key: str, *arguments: str | float) -> Any:
        """The result of a script, which is sent whole only to a server that does not know it."""
        try:
            return await self._ask(self._redis.evalsha, HASHES[script], 1, key, *arguments)
        except NoScriptError:
            return await self._ask(self._redis.eval, script, 1, key, *arguments)

    async def _ask(self, command: Callable[..., Awaitable[Any]], *arguments: str | float, **options: Any) -> Any:
        """The answer to a command; how long it may wait for its turn is the delivery's affair.

        Raises:
            LedgerError: There was none in time; its text is the kind of the failure.
            NoScriptError: The server does not know the script.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._renew()
                    return await command(*arguments, **options)
            except NoScriptError:
                raise
            except CLIENT_ERRORS as error:
                raise LedgerError(type(error).__name__) from None


HASHES = {
    script: sha1(script.encode(), usedforsecurity=False).hexdigest()
    for script in (scripts.CLAIM, scripts.RELEASE, scripts.HISTORY, scripts.RESERVE)
}


def _event(event: EventKey) -> str:
    return f"{PREFIX}1:event:{event.id}"


def _restarts(keys: LedgerKeys) -> str:
    return f"{PREFIX}restarts:{keys.task}"
