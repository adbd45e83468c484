"""What /proc tells about processes and cores: CPU seconds, peak memory, and how much of a core others had."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def process_seconds(stat: str) -> float:
    """CPU seconds of a process and of its children that have ended, from the text of /proc/<pid>/stat."""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return sum(int(ticks) for ticks in fields[11:15]) / TICKS


def core_seconds(stat: str, core: int) -> float:
    """Seconds for which a core was not idle, or the host took it away, from the text of /proc/stat.

    Interrupts count, for they count in the times of the processes, too: on loopback they carry their packets.
    """
    found = re.search(rf"^cpu{core} (.*)$", stat, re.MULTILINE)
    if not found:
        raise ValueError(f"/proc/stat has no core {core}")
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, found[1].split()[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS


def peak_bytes(status: str) -> int:
    """The most memory that a process has ever held, from the text of /proc/<pid>/status."""
    found = re.search(r"^VmHWM:\s+([0-9]+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def family(pid: int) -> list[int]:
    """A process and all of its descendants."""
    found = [pid]
    for task in (PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def family_seconds(pid: int) -> float:
    """CPU seconds of a process and all of its descendants."""
    return sum(process_seconds((PROC / str(one) / "stat").read_text()) for one in family(pid))


def waited_seconds(schedstat: str) -> float:
    """Seconds for which a thread could have run and others had its core, from the text of its schedstat."""
    return int(schedstat.split()[1]) / 1e9


def family_waited(pid: int) -> float:
    """Seconds for which the threads of a process and all of its descendants waited for their core."""
    threads = (thread for one in family(pid) for thread in (PROC / str(one) / "task").iterdir())
    return sum(waited_seconds((thread / "schedstat").read_text()) for thread in threads)


def family_peak(pid: int) -> int:
    """Bytes that the largest process of a family held at its peak."""
    return max(peak_bytes((PROC / str(one) / "status").read_text()) for one in family(pid))


@dataclass(frozen=True)
class Sample:
    """A core at one moment: the clock, the seconds that it was in use, the seconds that our own processes used."""

    clock: float
    used: float
    ours: float

    def others_until(self, later: "Sample") -> float:
        """The share of the time between two samples for which others had the core."""
        used, ours = later.used - self.used, later.ours - self.ours
        return max(0.0, used - ours) / (later.clock - self.clock)


def sample(core: int, ours: float) -> Sample:
    """How things stand now, with the CPU seconds that our own processes on that core have used."""
    return Sample(time.perf_counter(), core_seconds((PROC / "stat").read_text(), core), ours)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What this thread starts inside the block stays on that core; the thread itself goes back afterwards."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
