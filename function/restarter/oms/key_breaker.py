"""A circuit breaker for each key: a key that OMS refused is not used until a cooldown is over, or the key changes.

«More than five consecutive failures of an access key lock it for five minutes»
(https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-0001.html). So the breaker opens after a refusal, and
no request is sent. After the cooldown, and for a new key, one request is sent at a time, until one is accepted. That
closes the breaker, and all are sent. All projects share it. A 403 means that a valid key lacks a permission: it opens
no breaker.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, nullcontext
from datetime import datetime

from restarter.http.call import Answer
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.oms.error_codes import refuses_key

NO_GUARD = nullcontext()


class KeyBreaker:
    """Whether a key, a token or a password may be used, by the last response of OMS or IAM to it."""

    def __init__(self) -> None:
        self.is_closed = False
        """The last response accepted the key."""
        self._opened_at: datetime | None = None
        self._probe = asyncio.Lock()

    def guard(self, remaining: Callable[[], float]) -> AbstractAsyncContextManager[None]:
        """A block in which the key may be used: by all requests while the breaker is closed, else by one at a time.

        `remaining`: returns the seconds for which a request may wait.

        Raises:
            TimeoutError: The request would have to wait for longer.
        """
        return NO_GUARD if self.is_closed else self._one_at_a_time(remaining())

    @asynccontextmanager
    async def _one_at_a_time(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(seconds):
            await self._probe.acquire()
        with ExitStack() as turn:
            turn.callback(self._probe.release)
            if self.is_closed:  # the request before has closed it
                turn.close()
            yield

    def cooldown_left(self, now: datetime, cooldown: float) -> float:
        """Seconds until the key may be used; zero or less if it may be now. `cooldown`: seconds after a refusal."""
        if self._opened_at is None:
            return 0.0
        return min(cooldown, self._opened_at.timestamp() + cooldown - now.timestamp())  # a clock may be set back

    def open(self, now: datetime) -> None:
        """Open the breaker: the key was refused."""
        self.is_closed, self._opened_at = False, now

    def record(self, answer: Answer, now: datetime) -> None:
        """Open or close the breaker by a response. One from a gateway that did not check the key changes nothing."""
        if refuses_key(answer):
            self.open(now)
        elif answer.status < 300 or (answer.error_code or "").startswith("OMS."):
            self.is_closed, self._opened_at = True, None


def breaker_open(seconds: float) -> Outcome:
    """The outcome while a breaker is open. `seconds`: until it no longer is."""
    return Outcome(kind=Kind.DEFERRED, reason=Reason.OMS_KEY, retry_after=math.ceil(seconds))
