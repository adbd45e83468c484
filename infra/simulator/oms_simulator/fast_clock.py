"""A clock that may run fast: processes that know the same file show the same time."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

# In the environment: the path of the file. Until it is there, the clock is the true one.
NAME = "DEMO_CLOCK"


def begin(file: Path, shown: float, speed: float) -> None:
    """Let every clock of that file show `shown` now, in seconds since 1970, and run `speed` times as fast."""
    complete = file.with_suffix(".new")
    complete.write_text(f"{time.time()!r},{shown!r},{speed!r}", "ascii")
    complete.rename(file)


def clock(environment: Mapping[str, str]) -> Callable[[], float]:
    """The clock of that environment; without the setting it is the true one."""
    return FastClock(Path(environment[NAME])) if NAME in environment else time.time


class FastClock:
    """The clock of a file, which is read once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._begun: tuple[float, ...] | None = None

    def __call__(self) -> float:
        """Seconds since 1970."""
        if self._begun is None and self._file.exists():
            self._begun = tuple(float(number) for number in self._file.read_text("ascii").split(","))
        if self._begun is None:
            return time.time()
        begun, shown, speed = self._begun
        return shown + (time.time() - begun) * speed
