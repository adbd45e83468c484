"""The processes of the bench: the function on one core, the stand-in for OMS on the other. Each ends with its block."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environment import make_certificate, make_environments
from functions import SETTINGS, Function
from proc import on_core

from child_processes import child_environment
from processes import free_port

HERE = Path(__file__).parent
END_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Machine:
    """Where everything runs: the two cores, the folder with the copied functions and their environments."""

    server_core: int
    load_core: int
    home: Path


@dataclass
class Server:
    """A running function."""

    function: Function
    url: str
    process: subprocess.Popen[bytes]
    stdout: Path
    _read: int = 0

    @property
    def pid(self) -> int:
        """The process that was started; its workers are its descendants."""
        return self.process.pid

    def new_receipts(self, expected: int, seconds: float = 2.0) -> int:
        """Receipts of starts written since the last call; waits so long for those that are expected and not there."""
        found: int = 0
        give_up = time.monotonic() + seconds
        while True:
            with self.stdout.open("rb") as file:
                file.seek(self._read)
                lines = file.read().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith(b"\n")]
            self._read += sum(map(len, whole))
            found += sum(json.loads(line).get("outcome") == "started" for line in whole if line.startswith(b"{"))
            if found >= expected or time.monotonic() > give_up:
                return found
            time.sleep(0.02)


@contextmanager
def serving(function: Function, oms: str, machine: Machine) -> Iterator[Server]:
    """The function as a platform starts it, pinned to the server's core; it may not answer yet."""
    port, folder = free_port(), machine.home / function.name
    python = machine.home / function.environment / "bin" / "python"
    command = [str(python), "-m", "functions_framework", "--target", "restart", "--source"]
    settings = child_environment(**SETTINGS) | {"OMS_ENDPOINT": oms, "HOME": str(machine.home)}
    settings |= {"HOST": "127.0.0.1", "PORT": str(port)} | function.settings
    stdout = machine.home / f"stdout-{port}"
    with stdout.open("wb") as file, on_core(machine.server_core):
        process = subprocess.Popen(  # noqa: S603
            [*command, str(folder / "main.py")], cwd=folder, env=settings, stdout=file
        )
    with _ended(process):
        yield Server(function, f"http://127.0.0.1:{port}", process, stdout)
    stdout.unlink()


@dataclass(frozen=True)
class StandIn:
    """The running stand-in for OMS: the same behind both addresses."""

    url: str
    https_url: str
    pid: int

    def counts(self) -> dict[str, Any]:
        """What it has seen since the last reset: calls, starts, tasks, and the seconds of delay in all."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=END_TIMEOUT_S) as answer:  # noqa: S310  # loopback
            counts: dict[str, Any] = json.load(answer)
        return counts

    def reset(self, delay: float = 0.0) -> None:
        """Forget what was seen; from now on each answer takes `delay` seconds."""
        request = urllib.request.Request(f"{self.url}/reset?{delay}", method="PUT")  # noqa: S310  # loopback
        urllib.request.urlopen(request, timeout=END_TIMEOUT_S).close()  # noqa: S310


@contextmanager
def prepared(functions: Iterable[Function]) -> Iterator[tuple[Machine, StandIn]]:
    """A machine with the environments of these functions, and the stand-in. This process gets the load's core."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_environments(home, functions)
        machine = Machine(cores[-1], cores[0], home)
        os.sched_setaffinity(0, {machine.load_core})
        with stand_in(machine.load_core, *make_certificate(home)) as oms:
            yield machine, oms


@contextmanager
def stand_in(core: int, certificate: Path, key: Path) -> Iterator[StandIn]:
    """The stand-in for OMS, pinned to the load's core."""
    command = [sys.executable, str(HERE / "stand_in.py"), str(certificate), str(key)]
    with on_core(core):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603
    with _ended(process):
        assert process.stdout
        http, https = process.stdout.readline().split()
        yield StandIn(f"http://127.0.0.1:{int(http)}", f"https://127.0.0.1:{int(https)}", process.pid)


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    with process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
