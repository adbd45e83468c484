"""A circuit breaker for each key: one that OMS refused is not tried again for a while, or until it changes.

«More than five consecutive failures of an access key lock it for five minutes»
(https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-0001.html). So the breaker opens after a refusal, and
no request is sent. It is half open until a request was accepted, and one is sent at a time. Then it is closed, and all
are sent. It is the same for all projects. A 403 says that the key is right and may not do this: it opens nothing.
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
    """Whether a key, a token or a password may be used, by what OMS or IAM last said of it."""

    def __init__(self) -> None:
        self.is_closed = False
        """The key was accepted last."""
        self._opened_at: datetime | None = None
        self._probe = asyncio.Lock()

    def guard(self, remaining: Callable[[], float]) -> AbstractAsyncContextManager[None]:
        """A block in which the key may be used: by all at once while the breaker is closed, else by one at a time.

        `remaining`: for how many seconds it may wait.

        Raises:
            TimeoutError: Its turn did not come within them.
        """
        return NO_GUARD if self.is_closed else self._one_at_a_time(remaining())

    @asynccontextmanager
    async def _one_at_a_time(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(seconds):
            await self._probe.acquire()
        with ExitStack() as turn:
            turn.callback(self._probe.release)
            if self.is_closed:  # the one before has closed it
                turn.close()
            yield

    def cooldown_left(self, now: datetime, cooldown: float) -> float:
        """Seconds for which the breaker is still open; zero or less when the key may be used.

        `cooldown`: seconds after a refusal.
        """
        if self._opened_at is None:
            return 0.0
        return min(cooldown, self._opened_at.timestamp() + cooldown - now.timestamp())  # a clock may be set back

    def open(self, now: datetime) -> None:
        """The key was refused."""
        self.is_closed, self._opened_at = False, now

    def record(self, answer: Answer, now: datetime) -> None:
        """Open or close it by a response. That of a gateway which did not look at the key changes nothing."""
        if refuses_key(answer):
            self.open(now)
        elif answer.status < 300 or (answer.error_code or "").startswith("OMS."):
            self.is_closed, self._opened_at = True, None


def breaker_open(seconds: float) -> Outcome:
    """The outcome while a breaker is open, for so many seconds more."""
    return Outcome(kind=Kind.DEFERRED, reason=Reason.OMS_KEY, retry_after=math.ceil(seconds))
