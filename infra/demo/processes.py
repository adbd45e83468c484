"""The simulator and the function as real processes on free ports; each ends with the block that started it."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INFRA = Path(__file__).parents[1]
FUNCTION = INFRA.parent / "function"
TIMEOUT_S = 20.0

# Settings of the demo and of the tests on real processes; the keys open nothing but the simulator.
EXAMPLE = {
    "OMS_REGION": "cn-north-4",
    "OMS_PROJECT_ID": "2c0689c860ad4728a497ffffc0844383",
    "HUAWEICLOUD_SDK_AK": "AKEXAMPLE0000000001",
    "HUAWEICLOUD_SDK_SK": "SKEXAMPLE00000000000000000000000000000001",
    "OMS_SRC_AK": "source-access-key",
    "OMS_SRC_SK": "source-secret-key",
    "OMS_DST_AK": "destination-access-key",
    "OMS_DST_SK": "destination-secret-key",
    "CALLER_BEARER_TOKENS": "example-caller-token-0001",
}


@dataclass
class Running:
    """A process that listens on `url`."""

    url: str
    process: subprocess.Popen[str]
    lines: "queue.Queue[str]" = field(default_factory=queue.Queue)

    def receipt(self, seconds: float = TIMEOUT_S) -> dict[str, Any]:
        """The next line of its stdout as JSON; queue.Empty when none comes."""
        receipt: dict[str, Any] = json.loads(self.lines.get(timeout=seconds))
        return receipt

    def kill(self) -> None:
        """End it and its workers at once, as when their machine goes; only for what has a group of its own."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(TIMEOUT_S)

    def control(self, method: str, path: str, document: Any = None) -> Any:
        """Ask the simulator, or tell it something."""
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310  # loopback
        body = None if document is None else json.dumps(document).encode()
        with urllib.request.urlopen(request, body, timeout=TIMEOUT_S) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None


@contextmanager
def simulator() -> Iterator[Running]:
    """OMS's stand-in, with the world of the demo."""
    with _process([sys.executable, str(INFRA / "simulator" / "simulator.py"), "--port", "0"], os.environ) as process:
        url = _read(process).removeprefix("listening on ").strip()
        yield Running(url, process)


@contextmanager
def function(settings: Mapping[str, str], port: int | None = None) -> Iterator[Running]:
    """The function as a platform starts it, with these settings and nothing of this machine's."""
    port = port or free_port()
    framework = Path(sys.executable).with_name("functions-framework")
    command = [str(framework), "--source", str(FUNCTION / "main.py"), "--target", "restart"]
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "HOST": "127.0.0.1", **settings}
    with _process(command, environment, group=0) as process:
        running = Running(f"http://127.0.0.1:{port}", process)
        _await_health(running)
        threading.Thread(target=_collect, args=(running,), daemon=True).start()
        yield running


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], group: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block; group 0 is one of its own."""
    with subprocess.Popen(  # noqa: S603
        command, env=environment, stdout=subprocess.PIPE, text=True, process_group=group
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _read(process: subprocess.Popen[str]) -> str:
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


def _collect(running: Running) -> None:
    for line in running.process.stdout or ():
        running.lines.put(line)
