"""The playground as a process of its own, on free ports, for tests."""

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from child_processes import Lines, started
from processes import TIMEOUT_S, free_port

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "infra" / "demo" / "playground.py"
LAST_OF_WELCOME = "Ctrl-C ends both processes."

CLOCK = ("LD_PRELOAD", "FAKETIME")


def browser_environment() -> dict[str, str | float | bool]:
    """That of this process without its clock: a browser whose clock is moved may never load a page."""
    return {name: value for name, value in os.environ.items() if name not in CLOCK}


@dataclass(frozen=True)
class Playing:
    """A playground on free ports; what it wrote until it was ready is `welcome`."""

    process: subprocess.Popen[str]
    function: str
    oms: str
    page: str
    stdout: Lines
    stderr: Lines
    welcome: str

    def descendants(self) -> dict[int, str]:
        """The command line of every process that it has started, by process id."""
        parents = {pid: parent for pid, parent, _ in processes()}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return {pid: command for pid, _, command in processes() if pid in found - {self.process.pid}}


def processes() -> Iterator[tuple[int, int, str]]:
    """Process id, parent and command line of all that run now; one that has ended and waits for its parent does not."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text("utf-8").rpartition(") ")[2].split()[:2]
            command = (folder / "cmdline").read_text("utf-8").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            yield int(folder.name), int(parent), command


def lines_until(lines: Lines, text: str) -> str:
    """What was written, up to the line with that text."""
    written, give_up = "", time.monotonic() + TIMEOUT_S
    while text not in written:
        written += lines.get(timeout=max(0.0, give_up - time.monotonic()))
    return written


def end_with(process: "subprocess.Popen[str]", children: dict[int, str]) -> None:
    """End it and, where it fails to do so, its children: a red test must not leave what it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(TIMEOUT_S)
    for pid, _, command in processes():
        if children.get(pid) == command:
            os.kill(pid, signal.SIGKILL)


@contextmanager
def playing(
    *arguments: str,
    program: Path = PROGRAM,
    folder: Path | None = None,
    stdout: int | None = None,
    settings: Path | None = None,
) -> Iterator[Playing]:
    ports = {"PORT": str(free_port()), "OMS_PORT": str(free_port()), "PAGE_PORT": str(free_port())}
    lines: Lines = queue.Queue()
    errors: Lines = queue.Queue()
    command = [sys.executable, str(program), *arguments]
    command += ["--settings", str(settings)] if settings else []
    target = lines if stdout is None else stdout
    home = {"HOME": str(folder), "TMPDIR": str(folder)} if folder else {}
    with started(command, ports | home, folder=folder, stdout=target, stderr=errors) as process:
        welcome = lines_until(errors if "--json" in arguments else lines, LAST_OF_WELCOME)
        function, oms, page = (f"http://localhost:{port}" for port in ports.values())
        one = Playing(process, function, oms, page, lines, errors, welcome)
        children = one.descendants()
        try:
            yield one
        finally:
            end_with(process, children)
