"""A circuit breaker for each key: one that OMS refused is not tried again for a while, or until it changes.

«More than five consecutive failures of an access key lock it for five minutes»
(https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-0001.html): so a key of which nothing is known yet is
tried by one call at a time, and a refused one by none.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from restarter.http.call import Answer
from restarter.model import Kind, Outcome
from restarter.oms.error_codes import read_error


class KeyBreaker:
    """What OMS has lately answered to a key."""

    def __init__(self) -> None:
        self._accepted = False
        self._refused_at: datetime | None = None
        self._first_call = asyncio.Lock()

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """A block in which the key may be used: by all at once when it was accepted before, else by one at a time."""
        if not self._accepted:
            async with self._first_call:
                if not self._accepted:
                    yield
                    return
        yield

    def cooldown_left(self, now: datetime, cooldown: float) -> float:
        """Seconds for which the key is not used; zero or less when it may be. `cooldown`: seconds after a refusal."""
        if self._refused_at is None:
            return 0.0
        return self._refused_at.timestamp() + cooldown - now.timestamp()

    def record(self, answer: Answer, now: datetime) -> None:
        """Take note of an answer. One that is no refusal proves the key, unless a gateway gave it that did not look."""
        if is_refusal(answer):
            self._accepted, self._refused_at = False, now
        elif answer.status < 300 or (answer.error_code or "").startswith("OMS."):
            self._accepted, self._refused_at = True, None


def is_refusal(answer: Answer) -> bool:
    """Whether OMS, its gateway or IAM did not accept our credentials."""
    return answer.status >= 300 and read_error(answer).reason == "credentials"


def cooling_down(seconds: float) -> Outcome:
    """The outcome while a refused key is not used, for so many seconds more."""
    return Outcome(kind=Kind.DEFERRED, reason="credentials", retry_after=math.ceil(seconds))
