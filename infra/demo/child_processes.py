"""Child processes in groups of their own; each ends, with its workers, with the block that started it."""

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

TIMEOUT_S = 20.0
# All that a child gets of this process's environment: where programs are, and which clock and time zone it runs under.
INHERITED = (
    *("PATH", "TZ", "LD_PRELOAD", "NO_FAKE_STAT"),
    *("FAKETIME", "FAKETIME_CACHE_DURATION", "FAKETIME_DONT_FAKE_MONOTONIC"),
)

Lines = queue.Queue[str]
# Where a process writes: a file, a queue that gets its lines, or where this process writes.
Target = IO[Any] | Lines | None

starter: Callable[..., "subprocess.Popen[str]"] = subprocess.Popen
"""How `started` starts a process; tests have one that is cheaper."""


@contextmanager
def started(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    stdout: Target | int = None,
    stderr: Target | int = None,
) -> Iterator["subprocess.Popen[str]"]:
    """A process in a group of its own, which ends with the block: first asked to (SIGTERM), then made to (SIGKILL).

    In a group of its own it does not hear the terminal's Ctrl-C, and its workers can be ended with it.
    """
    with starter(
        command,
        env=child_environment(**environment),
        cwd=folder,
        stdout=_file_of(stdout),
        stderr=_file_of(stderr),
        encoding="utf-8",
        errors="replace",
        process_group=0,
    ) as process:
        collectors = [*_collectors(process.stdout, stdout), *_collectors(process.stderr, stderr)]
        try:
            yield process
        finally:
            _end(process)
            for collector in collectors:
                collector.join(TIMEOUT_S)


def _file_of(target: Target | int) -> IO[Any] | int | None:
    return subprocess.PIPE if isinstance(target, queue.Queue) else target


def _collectors(stream: IO[str] | None, target: Target | int) -> Iterator[threading.Thread]:
    """The thread, if one is needed, that puts each line of the stream into the queue."""
    if stream is not None and isinstance(target, queue.Queue):
        collector = threading.Thread(target=_collect, args=(stream, target), daemon=True)
        collector.start()
        yield collector


def _collect(stream: IO[str], lines: Lines) -> None:
    for line in stream:
        lines.put(line)


def child_environment(**more: str) -> dict[str, str]:
    """The environment of a child that gets none of the machine's settings: INHERITED, and `more`."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | more


def _end(process: "subprocess.Popen[str]") -> None:
    """The process has answered what it was doing, and nothing of its group is left."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(TIMEOUT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(TIMEOUT_S)


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """The status and the output of a command that ends by itself; it gets INHERITED and this environment alone.

    Raises:
        subprocess.TimeoutExpired: It took longer than TIMEOUT_S.
    """
    with TemporaryFile("w+", encoding="utf-8") as stdout, TemporaryFile("w+", encoding="utf-8") as stderr:
        with started(command, environment, folder=folder, stdout=stdout, stderr=stderr) as process:
            status = process.wait(TIMEOUT_S)
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(command, status, stdout.read(), stderr.read())
