"""Run the tests with the clock moved: on other days, across midnights and in other time zones.

    python tests/any_day.py [--workers 5]

libfaketime moves what Python, its children and the ledger's server read as the time; monotonic clocks stay as they are,
so nothing waits longer. What a clock is for is chosen by folder, and `tests/unit/test_any_day.py` sees to it that each
folder runs under two. What is red is played once more, alone. Exit status: 0 when all are green, and where the library
cannot run, which is said; 1 otherwise.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

TESTS = Path(__file__).parent
LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"  # in the package
NEW_YORK = "America/New_York"
# A run begins so long before the moment that its clock is about: workers import the tests, and the first of them run.
LEAD = timedelta(seconds=30)
# The failed tests alone, in one process; an error where there are none.
AGAIN = (sys.executable, "-m", "pytest", "-q", "--last-failed", "--last-failed-no-failures=none")
PROBE = "import time; print(time.time())"


# From the real time (UTC) to the time when a run begins.
Moment = Callable[[datetime], datetime]


@dataclass(frozen=True)
class Clock:
    """One run: `moment` is when it begins, and `folders` are the tests that it runs."""

    name: str
    zone: str
    moment: Moment
    folders: tuple[str, ...]

    def environment(self, library: Path, now: datetime) -> dict[str, str]:
        """The variables that give a process, and its children, this clock. `now`: the real time, UTC."""
        offset = (self.moment(now) - now).total_seconds()
        return {
            "TZ": self.zone,
            "LD_PRELOAD": str(library),
            "FAKETIME": f"{offset:+.0f}",
            "FAKETIME_CACHE_DURATION": "1000000",  # else a thread reads the environment while a test changes it
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # else time.sleep never returns
            "NO_FAKE_STAT": "1",  # else all bytecode looks out of date, and is compiled again in each process
        }


def in_400_days(now: datetime) -> datetime:
    """So far ahead that each date of today is more than a year old."""
    return now + timedelta(days=400)


def before_leap_day(now: datetime) -> datetime:
    """The end of the next 28 February that a leap day follows."""
    years = (year for year in range(now.year, now.year + 9) if _is_leap(year))
    return next(day for day in (datetime(year, 2, 29, tzinfo=UTC) for year in years) if day - LEAD > now) - LEAD


def before_new_year(now: datetime) -> datetime:
    """The end of this 31 December."""
    return datetime(now.year + 1, 1, 1, tzinfo=UTC) - LEAD


def before_clocks_go_back(now: datetime) -> datetime:
    """The end of the hour that the next autumn's night has twice in New York."""
    hour = timedelta(hours=1)
    at = now.replace(minute=0, second=0, microsecond=0) + 2 * hour
    while _offset(at) >= _offset(at - hour):
        at += hour
    return at - LEAD


def _offset(at: datetime) -> timedelta:
    return at.astimezone(ZoneInfo(NEW_YORK)).utcoffset() or timedelta()


def _is_leap(year: int) -> bool:
    return (datetime(year, 3, 1, tzinfo=UTC) - timedelta(days=1)).day == 29


# Each folder twice, for the gate has to be quick; Shanghai, too, is asked 400 days ahead.
CLOCKS = (
    Clock("400 days ahead, in Shanghai", "Asia/Shanghai", in_400_days, ("bench", "e2e", "unit", "wire")),
    Clock("the last seconds of 28 February before a leap day", "UTC", before_leap_day, ("bench", "e2e")),
    Clock("the last seconds of 31 December", "UTC", before_new_year, ("unit",)),
    Clock("New York, the night when its clocks go back", NEW_YORK, before_clocks_go_back, ("wire",)),
)


def say(*words: str) -> None:
    """A line on stdout, at once, since pytest writes there, too."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def compiled_library() -> Path | None:
    """The compiled library, where there is one for this machine: Linux with glibc on x86-64."""
    spec = find_spec("libfaketime")
    if spec is None or spec.origin is None or platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        return None
    return Path(spec.origin).parent / LIBRARY


def probed(environment: dict[str, str]) -> datetime:
    """What a process with these variables takes for the time."""
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROBE], env={**os.environ, **environment}, capture_output=True, check=True
    )
    return datetime.fromtimestamp(float(ran.stdout), UTC)


def run(clock: Clock, library: Path, workers: int) -> int:
    """The exit status of the clock's tests, or 1 where the clock does not move."""
    now = datetime.now(UTC)
    variables = clock.environment(library, now)
    say(f"\n== {clock.name}: {clock.moment(now):%Y-%m-%d %H:%M:%S} UTC, {', '.join(clock.folders)}")
    say("  ", *(f"{name}={value}" for name, value in variables.items()))
    if abs(probed(variables) - clock.moment(now)) > timedelta(seconds=10):
        say("The clock does not move.")
        return 1
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "--dist", "loadfile"]
    command += ["--no-loadscope-reorder", *(str(TESTS / folder) for folder in clock.folders)]
    status = subprocess.run(command, env={**os.environ, **variables}, check=False).returncode  # noqa: S603
    if status == pytest.ExitCode.TESTS_FAILED:  # what a clock breaks is red again; what only a crowd breaks is not
        say("Once more, alone, what was red:")
        status = subprocess.run([*AGAIN, "--no-cov"], env={**os.environ, **variables}, check=False).returncode  # noqa: S603
    tidy()
    return status


def tidy() -> None:
    """Remove what the library leaves in shared memory for each process that was killed."""
    for path in Path("/dev/shm").glob("*faketime_*"):  # noqa: S108
        if not Path("/proc", path.name.rpartition("_")[2]).exists():
            path.unlink(missing_ok=True)


def main() -> int:
    """Run each clock's tests, and say at the end which were red."""
    parser = argparse.ArgumentParser(description="The tests with the clock moved.")
    parser.add_argument("--workers", type=int, default=5, help="processes that run tests")
    workers = parser.parse_args().workers
    library = compiled_library()
    if library is None:
        say(f"The clock cannot be moved here: libfaketime has no library for {platform.platform()}. Nothing was run.")
        return 0
    began = time.monotonic()
    red = [clock.name for clock in CLOCKS if run(clock, library, workers)]
    say(f"\n{len(CLOCKS)} clocks in {time.monotonic() - began:.0f} s; red: {'; '.join(red) or 'none'}.")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
