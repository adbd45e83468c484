"""A ledger in Redis (or Valkey), shared by all instances; what is written there is hashes and times."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from restarter.ledger import SETTLED_SECONDS, Claim, Entry, LedgerError

PREFIX = "oms-task-restarter:"
PATIENCE = 1.0  # seconds for one question
CONNECTIONS = 512  # more than deliveries at once; a pool that makes them wait is slower than any of them can be
SETTLED = "settled"

# Only the delivery that holds a claim may give it up: it may have run out, and be another's by now.
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

# Old restarts go; then one more is written down, unless the others are not those that were seen.
SPEND = """
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
    """Connections are made when first needed, and again after they broke."""

    def __init__(self, address: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        # A connection that broke while it was idle is noticed at the next command: that one repetition is enough.
        retry = Retry(NoBackoff(), 1)
        self._redis = Redis.from_url(
            address,
            max_connections=CONNECTIONS,
            decode_responses=True,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=retry,
        )
        self._release = self._redis.register_script(RELEASE)
        self._spend = self._redis.register_script(SPEND)
        self._tokens: dict[str, str] = {}
        """What proves that a claim is ours; as many as there are deliveries on their way."""

    async def claim(self, event: str, seconds: float) -> Claim:
        """Make the event ours for so long, if it is nobody's."""
        key, token = f"{PREFIX}event:{event}", secrets.token_hex(8)
        if await _asked(self._redis.set(key, token, nx=True, px=int(seconds * 1000))):
            self._tokens[event] = token
            return Claim.OURS
        return Claim.SETTLED if await _asked(self._redis.get(key)) == SETTLED else Claim.HELD

    async def settle(self, event: str) -> None:
        """The event is dealt with."""
        self._tokens.pop(event, None)
        await _asked(self._redis.set(f"{PREFIX}event:{event}", SETTLED, ex=SETTLED_SECONDS))

    async def release(self, event: str) -> None:
        """The event is nobody's again, if it is still ours."""
        token = self._tokens.pop(event, "")
        await _asked(self._release(keys=[f"{PREFIX}event:{event}"], args=[token]))

    async def history(self, entry: Entry, window: float) -> tuple[float, ...]:
        """The times of the task's restarts within the window, but for this event's own."""
        since = f"({self._clock() - window}"
        kept = await _asked(self._redis.zrange(_restarts(entry), since, "+inf", byscore=True, withscores=True))
        return tuple(float(at) for event, at in kept if event != entry.event)

    async def spend(self, entry: Entry, seen: tuple[float, ...], window: float) -> bool:
        """Write down a restart, if nobody was faster."""
        now, newest = self._clock(), seen[-1] if seen else 0
        arguments: list[str | float] = [now - window, entry.event, len(seen), newest, now, int(window) + 1]
        return bool(await _asked(self._spend(keys=[_restarts(entry)], args=arguments)))

    async def cancel(self, entry: Entry) -> None:
        """The restart was none."""
        await _asked(self._redis.zrem(_restarts(entry), entry.event))

    async def first_refusal(self, task: str, window: float) -> bool:
        """Whether this is the first refusal within the window."""
        return bool(await _asked(self._redis.set(f"{PREFIX}refused:{task}", "1", nx=True, ex=int(window) + 1)))

    async def close(self) -> None:
        """Let the connections go."""
        await self._redis.aclose()


def _restarts(entry: Entry) -> str:
    return f"{PREFIX}restarts:{entry.task}"


async def _asked(question: Awaitable[Any]) -> Any:
    """The answer, or LedgerError when there is none in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await question
    except (RedisError, OSError, RuntimeError, TimeoutError) as error:  # RuntimeError: uvloop's, for a lost connection
        raise LedgerError(type(error).__name__) from None
