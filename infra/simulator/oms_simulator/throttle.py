"""So many starts per second and no more. The time is an argument."""

from typing import Annotated

from pydantic import Field

from oms_simulator.documents import Document, Seconds


class Limit(Document):
    """How many starts pass. A rate of None lets everything through; without `burst` it is one second's worth.

    `running`: how many tasks run at a time, as OMS has five in an account; those that start besides wait. None is all.
    https://support.huaweicloud.com/productdesc-oms/oms_01_0038.html
    """

    starts_per_second: Seconds | None = None
    burst: Seconds | None = None
    running: Annotated[int, Field(ge=1, le=2**31)] | None = None


class Bucket:
    """A token bucket: full at first, refilled by time, one token a start."""

    def __init__(self, limit: Limit) -> None:
        self._rate = limit.starts_per_second
        self._size = max(1.0, self._rate or 0.0) if limit.burst is None else limit.burst
        self._tokens = self._size
        self._at: float | None = None

    def reserve(self, now: float) -> bool:
        """Take one token. Returns whether there was one. `now`: seconds."""
        if self._rate is None:
            return True
        # A clock that steps back must not empty the bucket.
        elapsed = max(0.0, now - (now if self._at is None else self._at))
        self._tokens, self._at = min(self._size, self._tokens + elapsed * self._rate), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def message(self) -> str:
        """What the gateway says when nothing is left."""
        return f"policy user over ratelimit,limit:{self._rate or 0:g},time:1 second"
