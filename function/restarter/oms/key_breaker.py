"""A circuit breaker for each key: one that OMS refused is not tried again for a while, or until it changes.

«More than five consecutive failures of an access key lock it for five minutes»
(https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-0001.html): so a key of which nothing is known yet is
tried by one call at a time, and a refused one by none, whatever the project. A 403 says less: the key is right and may
not do this. It may be about one task, so the key rests in that project once two different tasks met one.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime

from restarter.http.call import Answer
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.oms.error_codes import refuses_key

NO_GUARD = nullcontext()


class KeyBreaker:
    """What OMS has lately answered to a key."""

    def __init__(self) -> None:
        self._accepted = False
        self._refused_at: datetime | None = None
        self._first_call = asyncio.Lock()
        self._forbidden: dict[str, dict[str, datetime]] = {}
        """For each project the last two tasks that met a 403, and when, the last one last."""

    def guard(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """A block in which the key may be used: by all at once when it was accepted before, else by one at a time.

        Raises:
            TimeoutError: Its turn did not come within so many seconds.
        """
        return NO_GUARD if self._accepted else self._one_at_a_time(seconds)

    @asynccontextmanager
    async def _one_at_a_time(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(seconds):
            await self._first_call.acquire()
        try:
            if not self._accepted:
                yield
                return
        finally:
            self._first_call.release()
        yield

    def cooldown_left(self, project_id: str, now: datetime, cooldown: float) -> float:
        """Seconds for which the key is not used in the project; zero or less when it may be.

        `cooldown`: seconds after a refusal.
        """
        if self._refused_at is None and not self._forbidden:
            return 0.0
        rests_since = [] if self._refused_at is None else [self._refused_at]
        last_two = list(self._forbidden.get(project_id, {}).values())
        if len(last_two) == 2 and (last_two[1] - last_two[0]).total_seconds() < cooldown:
            rests_since.append(last_two[1])
        return max((at.timestamp() + cooldown - now.timestamp() for at in rests_since), default=0.0)

    def record(self, answer: Answer, now: datetime) -> None:
        """Take note of what an answer says of the key. A gateway that did not look at it says nothing."""
        if refuses_key(answer):
            self._accepted, self._refused_at = False, now
        elif answer.status < 300 or (answer.error_code or "").startswith("OMS."):
            self._accepted, self._refused_at = True, None

    def record_permission(self, answer: Answer, project_id: str, task: str | None, now: datetime) -> None:
        """Take note of a 403 to a call about a task (its id or name) of a project; without a task it does not count."""
        if task is not None and answer.status == 403 and not refuses_key(answer):
            tasks = self._forbidden.setdefault(project_id, {})
            tasks.pop(task, None)
            tasks[task] = now
            if len(tasks) > 2:
                del tasks[next(iter(tasks))]


def cooling_down(seconds: float) -> Outcome:
    """The outcome while a refused key is not used, for so many seconds more."""
    return Outcome(kind=Kind.DEFERRED, reason=Reason.OMS_KEY, retry_after=math.ceil(seconds))
