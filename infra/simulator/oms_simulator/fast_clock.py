"""A clock that may run fast: processes that are told the same beginning and speed show the same time."""

import time
from collections.abc import Callable, Mapping

# In the environment: the true time and the shown time at its beginning, and its speed, separated by commas.
NAME = "DEMO_CLOCK"


def setting(shown: float, speed: float) -> dict[str, str]:
    """The environment in which a clock shows `shown` now, in seconds since 1970, and runs `speed` times as fast."""
    return {NAME: f"{time.time()!r},{shown!r},{speed!r}"}


def clock(environment: Mapping[str, str]) -> Callable[[], float]:
    """The clock of that environment; without the setting it is the true one."""
    if NAME not in environment:
        return time.time
    begun, shown, speed = (float(number) for number in environment[NAME].split(","))
    return lambda: shown + (time.time() - begun) * speed
