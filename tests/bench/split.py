"""Where the CPU of a call goes: samples the function's stacks with py-spy under load.

    python tests/bench/split.py [--seconds 5]

Each sample counts for the innermost frame whose area is known, so that what C code does counts for whoever called it.
py-spy has to be on PATH (`pip install py-spy`).
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from functions import FUNCTIONS, OURS, Function
from measure import Bench, first_answer
from proc import family
from report import markdown
from servers import Machine, StandIn, prepared, serving

RATE_HZ = 400
# The first pattern that a frame's file matches names its area; a file that matches none counts for its caller.
AREAS = (
    (r"/function/restarter/([a-z_]+)", r"ours: \1"),
    (r"/function/main\.py", "ours: main"),
    (r"/site-packages/(httpx|h11|httptools|starlette|functions_framework|pydantic|redis)/", r"\1"),
    (r"/site-packages/(uvicorn|uvicorn_worker)/", "uvicorn"),
    (r"/logging/__init__", "logging"),
    (r"/asyncio/", "event loop"),
)


def area(stack: str) -> str:
    """The area of the innermost frame that has one; `stack` is a line of py-spy's raw format, outermost frame first."""
    for frame in reversed(stack.split(";")):
        for pattern, name in AREAS:
            found = re.search(pattern, frame)
            if found:
                return found.expand(name)
    return "other"


def split(lines: Iterable[str]) -> Counter[str]:
    """Samples by area, from the lines of py-spy's raw format: a stack and how often it was seen."""
    samples: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        samples[area(stack)] += int(count)
    return samples


@contextmanager
def _recording(pid: int, seconds: float, file: Path) -> Iterator[None]:
    """Sample a process meanwhile."""
    command = [shutil.which("py-spy") or "py-spy", "record", "--pid", str(pid), "--format", "raw", "--full-filenames"]
    command += ["--rate", str(RATE_HZ), "--duration", str(int(seconds)), "--output", str(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        yield
        process.wait(seconds + 30)


def sampled(function: Function, oms: StandIn, machine: Machine, seconds: float) -> tuple[Counter[str], float]:
    """Samples by area, and CPU ms for a call as it is without the sampling."""
    file = machine.home / "stacks"
    with serving(function, oms.url, machine) as server:
        first_answer(server)
        server.new_receipts(1)
        bench = Bench(server, oms, machine)
        bench.phase(16, 1.0)
        cpu_ms = bench.phase(16, seconds).cpu_ms
        worker = family(server.pid)[-1]
        with _recording(worker, seconds, file):
            bench.phase(16, seconds + 1)
    return split(file.read_text().splitlines()), cpu_ms


def main() -> int:
    """Print one table: ms a call by area."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds: float = parser.parse_args().seconds
    if not shutil.which("py-spy"):
        sys.stderr.write("py-spy is not on PATH: pip install py-spy\n")
        return 1
    with prepared(FUNCTIONS) as (machine, oms):
        samples, cpu_ms = sampled(OURS, oms, machine, seconds)
    rows = [(name, f"{count / samples.total() * cpu_ms:.3f}") for name, count in samples.most_common()]
    sys.stdout.write(markdown(("area", "CPU per call, ms"), [*rows, ("all", f"{cpu_ms:.3f}")]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
