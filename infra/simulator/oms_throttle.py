"""So many starts per second and no more. The time is an argument."""

from dataclasses import dataclass

import oms_shapes as shapes


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate of None lets everything through."""

    starts_per_second: float | None = None
    burst: float = 1.0


def read_limit(value: object) -> Limit:
    """The limit of a control document; an empty one lifts it."""
    given = shapes.members(value, "throttle", ("starts_per_second", "burst"))
    rate = given.get("starts_per_second")
    if rate is None:
        return Limit()
    rate = shapes.number(rate, "throttle.starts_per_second")
    return Limit(rate, shapes.number(given.get("burst", max(1.0, rate)), "throttle.burst"))


class Bucket:
    """A token bucket: full at first, refilled by time, one token a start."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._tokens = limit.burst
        self._at: float | None = None

    def reserve(self, now: float) -> bool:
        rate = self.limit.starts_per_second
        if rate is None:
            return True
        # A clock that steps back must not empty the bucket.
        elapsed = max(0.0, now - (now if self._at is None else self._at))
        self._tokens, self._at = min(self.limit.burst, self._tokens + elapsed * rate), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def words(self) -> str:
        return f"policy user over ratelimit,limit:{self.limit.starts_per_second:g},time:1 second"
