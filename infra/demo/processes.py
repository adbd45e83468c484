"""The simulator and the function as real processes; each ends with the block that started it.

The demo, the playground, the bench and the tests on real processes start the function here.
"""

import json
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from child_processes import TIMEOUT_S, Lines, Target, run, started
from example_settings import EXAMPLE

__all__ = [
    "EXAMPLE",
    "FUNCTION",
    "TIMEOUT_S",
    "Running",
    "failed_start",
    "free_port",
    "function",
    "run_python",
    "simulator",
]

INFRA = Path(__file__).parents[1]
FUNCTION = INFRA.parent / "function"
LOOPBACK = "127.0.0.1"


@dataclass
class Running:
    """A process that listens on `url`; `lines` is what the function wrote to stdout."""

    url: str
    process: subprocess.Popen[str]
    lines: Lines = field(default_factory=queue.Queue)

    def receipt(self, seconds: float = TIMEOUT_S) -> dict[str, Any]:
        """The next line of its stdout as JSON.

        Raises:
            queue.Empty: None came within `seconds`.
        """
        receipt: dict[str, Any] = json.loads(self.lines.get(timeout=seconds))
        return receipt

    def kill(self) -> None:
        """End it and its workers at once, as when their machine goes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(TIMEOUT_S)

    def control(self, method: str, path: str, document: Any = None) -> Any:
        """Call one of the simulator's controls, and return what it answers.

        Raises:
            OSError: The simulator did not answer, or answered with an error.
        """
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310  # loopback
        body = None if document is None else json.dumps(document).encode()
        with urllib.request.urlopen(request, body, timeout=TIMEOUT_S) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def operations(self) -> list[str]:
        """The operations of OMS that the simulator was asked for, in order."""
        return [call["operation"] for call in self.control("GET", "/_sim/calls")]


@contextmanager
def simulator(
    port: int = 0, environment: Mapping[str, str] | None = None, world: Path | None = None
) -> Iterator[Running]:
    """The simulator of OMS with a world, by default that of the demo, on `port` or, with 0, on a free one.

    Raises:
        RuntimeError: It did not start.
    """
    command = [sys.executable, str(INFRA / "simulator" / "simulator.py"), "--port", str(port)]
    command += ["--world", str(world)] if world else []
    with started(command, environment or {}, stdout=subprocess.PIPE) as process:
        yield Running(_read(process).removeprefix("listening on ").strip(), process)


@contextmanager
def function(
    settings: Mapping[str, str],
    port: int | None = None,
    *,
    source: Path = FUNCTION / "main.py",
    stdout: Target = None,
    stderr: Target = None,
) -> Iterator[Running]:
    """The function as a platform starts it, with these settings and nothing of this machine's.

    Args:
        settings: Its whole environment but PORT, HOST and what each child inherits.
        port: Where it listens; None is a free one.
        source: The file that holds the target `restart`.
        stdout: Where its receipts go; None is to `lines`.
        stderr: Where its log goes; None is to this process's stderr.

    Raises:
        RuntimeError: It did not start.
    """
    port = port or free_port()
    stdout = queue.Queue() if stdout is None else stdout
    environment = {"PORT": str(port), "HOST": LOOPBACK, **_own_code(source), **settings}
    with started(_framework(source), environment, stdout=stdout, stderr=stderr) as process:
        running = Running(f"http://{LOOPBACK}:{port}", process)
        if isinstance(stdout, queue.Queue):
            running.lines = stdout
        _await_health(running)
        yield running


def _own_code(source: Path) -> dict[str, str]:
    """The framework looks in the function's folder last, so an installed package of the same name would be taken."""
    return {"PYTHONPATH": str(source.parent)}


def _framework(source: Path) -> list[str]:
    """The command with which platforms start the function."""
    framework = Path(sys.executable).with_name("functions-framework")
    return [str(framework), "--source", str(source), "--target", "restart"]


def failed_start(settings: Mapping[str, str], folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """What a function with these settings says before it ends; for settings with which it does not start.

    Raises:
        subprocess.TimeoutExpired: It did start.
    """
    source = FUNCTION / "main.py"
    command = _framework(source.relative_to(folder) if folder else source)
    return run(command, {**_own_code(source), **settings}, folder)


def run_python(arguments: Sequence[str], settings: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """What Python says, run to its end with these arguments and the function's folder on its path.

    Raises:
        subprocess.TimeoutExpired: It took too long.
    """
    return run([sys.executable, *arguments], {"PYTHONPATH": str(FUNCTION), **settings})


def free_port() -> int:
    """A port on which nobody listens now, below those that systems give to connections: none takes it meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError), socket.create_server((LOOPBACK, port)):
            return port


def _read(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError("the process ended before it was ready")
    return line


def _await_health(running: Running) -> None:
    """The function answers, or its process has ended."""
    give_up = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(f"{running.url}/healthz", timeout=1):  # noqa: S310
                return
        except OSError:
            if running.process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError("the function did not start; what it wrote is above") from None
            time.sleep(0.02)
