"""A ledger in Redis (or Valkey), shared by all instances; what is written there is hashes and times."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from restarter.ledger import SETTLED_TTL_S, Claim, LedgerError, LedgerKeys

PREFIX = "oms-task-restarter:"
TIMEOUT_S = 1.0  # for one command
MAX_CONNECTIONS = 512  # more than requests in flight, so that none waits for a connection
SETTLED = "settled"

# Only the delivery that holds a claim may give it up: it may have expired and be held by another by now.
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

# Restarts older than the window are removed; then one more is recorded, if the others are the expected ones.
RESERVE = """
redis.call('zremrangebyscore', KEYS[1], '-inf', ARGV[1])
local others, newest = 0, 0
local kept = redis.call('zrange', KEYS[1], 0, -1, 'withscores')
for i = 1, #kept, 2 do
  if kept[i] ~= ARGV[2] then others, newest = others + 1, tonumber(kept[i + 1]) end
end
if others ~= tonumber(ARGV[3]) or newest ~= tonumber(ARGV[4]) then return 0 end
redis.call('zadd', KEYS[1], ARGV[5], ARGV[2])
redis.call('expire', KEYS[1], ARGV[6])
return 1
"""


class RedisLedger:
    """Connections are opened when first needed, and again after they broke."""

    def __init__(self, address: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        # A connection that broke while it was idle is noticed at the next command: that one repetition is enough.
        retry = Retry(NoBackoff(), 1)
        self._redis = Redis.from_url(
            address,
            max_connections=MAX_CONNECTIONS,
            decode_responses=True,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=retry,
        )
        self._release = self._redis.register_script(RELEASE)
        self._reserve = self._redis.register_script(RESERVE)
        self._tokens: dict[str, str] = {}
        """For each claim of this instance the token that proves it; as many as there are deliveries in flight."""

    async def claim(self, event: str, seconds: float) -> Claim:
        """Claim the event for so many seconds, unless it is claimed or settled."""
        key, token = f"{PREFIX}event:{event}", secrets.token_hex(8)
        if await _call(self._redis.set(key, token, nx=True, px=int(seconds * 1000))):
            self._tokens[event] = token
            return Claim.OURS
        return Claim.SETTLED if await _call(self._redis.get(key)) == SETTLED else Claim.HELD

    async def settle(self, event: str) -> None:
        """Settle the event."""
        self._tokens.pop(event, None)
        await _call(self._redis.set(f"{PREFIX}event:{event}", SETTLED, ex=SETTLED_TTL_S))

    async def release(self, event: str) -> None:
        """Give the claim up, if it is still ours."""
        token = self._tokens.pop(event, "")
        await _call(self._release(keys=[f"{PREFIX}event:{event}"], args=[token]))

    async def history(self, keys: LedgerKeys, window: float) -> tuple[float, ...]:
        """Times of the task's restarts within the window, without those of this event."""
        since = f"({self._clock() - window}"
        kept = await _call(self._redis.zrange(_restarts(keys), since, "+inf", byscore=True, withscores=True))
        return tuple(float(at) for event, at in kept if event != keys.event)

    async def reserve(self, keys: LedgerKeys, expected: tuple[float, ...], window: float) -> bool:
        """Record a restart, if the history is still the expected one."""
        now, newest = self._clock(), expected[-1] if expected else 0
        arguments: list[str | float] = [now - window, keys.event, len(expected), newest, now, int(window) + 1]
        return bool(await _call(self._reserve(keys=[_restarts(keys)], args=arguments)))

    async def unreserve(self, keys: LedgerKeys) -> None:
        """Remove the restart recorded for the event."""
        await _call(self._redis.zrem(_restarts(keys), keys.event))

    async def mark_exhausted(self, task: str, window: float) -> bool:
        """Mark the budget as exhausted; True the first time within the window."""
        return bool(await _call(self._redis.set(f"{PREFIX}exhausted:{task}", "1", nx=True, ex=int(window) + 1)))

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()


def _restarts(keys: LedgerKeys) -> str:
    return f"{PREFIX}restarts:{keys.task}"


async def _call(command: Awaitable[Any]) -> Any:
    """Await the answer.

    Raises:
        LedgerError: There was none in time; its text is the kind of the failure.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await command
    except (RedisError, OSError, RuntimeError, TimeoutError) as error:  # RuntimeError: uvloop's, for a lost connection
        raise LedgerError(type(error).__name__) from None
