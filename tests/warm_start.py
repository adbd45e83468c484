"""Starts the function and the simulator from a template process that has imported their packages, and forks.

Half of the CPU of all tests went into importing the same packages for each process. The template, one for each process
that runs tests, imports what the function installs, and what the simulator consists of, but nothing of function/. A
forked child is a process of its own, in a group of its own, with the environment, folder, arguments, path and files
that were asked for; it runs the same script as after exec, and imports function/ and reads its settings itself. Only
Linux; `start` leaves everything else to exec.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import child_processes
from child_processes import INHERITED, child_environment

# What the function imports from elsewhere; a package that is missing here is imported by the child.
PACKAGES = (
    *("functions_framework._cli", "functions_framework.aio", "functions_framework._http", "gunicorn.app.base"),
    *("gunicorn.arbiter", "gunicorn.workers.gthread", "uvicorn_worker", "uvicorn.lifespan.on", "uvicorn.loops.auto"),
    *("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto", "starlette.applications", "anyio"),
    *("httpx", "h11", "httptools", "pydantic", "pydantic_settings", "cachetools", "certifi", "zoneinfo", "sqlite3"),
    *("cryptography.x509", "cryptography.hazmat.primitives.asymmetric.padding", "click", "rich.table", "rich.console"),
)
# Python, libraries and packages read these before the script begins: exec is needed where they differ.
AT_START = (
    *(name for name in INHERITED if name not in ("PATH", "TZ")),
    *("HOME", "XDG_RUNTIME_DIR", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"),
    *("LANG", "LC_ALL", "LC_CTYPE"),
)
DEMO = str(Path(child_processes.__file__).parent)
SIMULATOR = Path(__file__).parents[1] / "infra" / "simulator"


def is_program(command: Sequence[str]) -> bool:
    """Whether the command is Python with a file or a module, or a script in its folder."""
    python = Path(sys.executable)
    return command[0] == str(python.with_name("functions-framework")) or (
        command[0] == str(python) and len(command) > 1 and (command[1].endswith(".py") or command[1] == "-m")
    )


class Template:
    """The process that forks. It ends, with all its children, when the process that made it does."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(  # noqa: S603
                command, env=child_environment(PYTHONPATH=DEMO), pass_fds=[theirs.fileno()], process_group=0
            )

    def fork(self, order: Mapping[str, Any], files: Sequence[int]) -> int:
        """The id of a new process for the order; `files` are its stdin, stdout, stderr, and where its status goes."""
        socket.send_fds(self._ours, [json.dumps(order).encode()], files)
        return int(self._ours.recv(32))

    def close(self) -> None:
        """End it, and what is left of its children."""
        self._ours.close()
        self._process.wait()


class Forked(subprocess.Popen[str]):
    """A child of the template, as subprocess shows a process."""

    def __init__(self, template: Template, command: Sequence[str], options: Mapping[str, Any]) -> None:
        self.args, self.returncode, self.stdin = command, None, None
        self._child_created = False  # so that the base class does not wait for it
        self._one_reads = threading.Lock()
        self._status, status = os.pipe()
        self._ended = select.poll()
        self._ended.register(self._status, select.POLLIN)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, status)
            null = stack.enter_context(Path(os.devnull).open("r+b"))
            self.stdout, out = _stream(options, "stdout", 1, null, stack)
            self.stderr, err = _stream(options, "stderr", 2, null, stack)
            order = {
                "command": [*command],
                "environment": {**options["env"]},
                "folder": str(options["cwd"] or Path.cwd()),
            }
            self.pid = template.fork(order, [null.fileno(), out, err, status])

    def poll(self) -> int | None:
        """Its exit status, once it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, or the negative number of the signal that ended it; several threads may ask."""
        if self.returncode is None and not self._ended.poll(None if timeout is None else 1000 * timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        with self._one_reads:
            if self.returncode is None:
                self.returncode = os.waitstatus_to_exitcode(int(os.read(self._status, 16) or signal.SIGKILL))
        status: int = self.returncode
        return status

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[arg-type]  # three of them, as always
        os.close(self._status)


def _stream(
    options: Mapping[str, Any], name: str, number: int, null: IO[bytes], stack: contextlib.ExitStack
) -> tuple[IO[str] | None, int]:
    """Where we read what it writes, and the file that it writes to."""
    target = options[name]
    if target is None:
        return None, number
    if target == subprocess.DEVNULL:
        return None, null.fileno()
    if target != subprocess.PIPE:
        return None, target if isinstance(target, int) else target.fileno()
    ours, theirs = os.pipe()
    stack.callback(os.close, theirs)
    return os.fdopen(ours, encoding=options["encoding"], errors=options["errors"]), theirs


_templates: dict[int, Template] = {}
_one_at_a_time = threading.Lock()


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    """A started process: forked where that makes no difference to the program, otherwise by exec."""
    environment = options["env"]
    known = child_environment()
    is_cold = any(environment.get(name) != known.get(name) for name in AT_START) or any(
        name.startswith("PYTHON") and name != "PYTHONPATH" for name in environment
    )
    if is_cold or sys.platform != "linux" or not is_program(command):
        return subprocess.Popen(command, **options)  # noqa: S603
    with _one_at_a_time:
        if os.getpid() not in _templates:
            _templates[os.getpid()] = Template()
        return Forked(_templates[os.getpid()], command, options)


def end() -> None:
    """End the template of this process, if it has one."""
    template = _templates.pop(os.getpid(), None)
    if template is not None:
        template.close()


def serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order, and tell how each child ended. Returns in each child, with its order, and at the end."""
    children: dict[int, tuple[int, int]] = {}  # by pidfd: process id, and where its status goes
    while True:
        ready, _, _ = select.select([orders.fileno(), *children], [], [])
        for pidfd in ready:
            if pidfd in children:
                _tell(pidfd, *children.pop(pidfd))
        if orders.fileno() not in ready:
            continue
        message, files, _, _ = socket.recv_fds(orders, 256 * 1024, 4)
        if not message:
            for pid, _ in children.values():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            return None
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            for number, file in enumerate(files[:3]):
                os.dup2(file, number)
            order: dict[str, Any] = json.loads(message)
            return order
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)  # as the child does: whoever is first
        for file in files[:3]:
            os.close(file)
        children[os.pidfd_open(pid)] = (pid, files[3])
        orders.send(str(pid).encode())


def _tell(pidfd: int, pid: int, status: int) -> None:
    os.close(pidfd)
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(status, str(os.waitpid(pid, 0)[1]).encode())
    os.close(status)


def become(order: Mapping[str, Any]) -> None:
    """Run the order's script as if Python had just been started with it."""
    environment, command = order["environment"], order["command"]
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(order["folder"])
    arguments = command[1:] if command[0] == sys.executable else command
    paths = [*filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path[:2] = [order["folder"], *paths]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [*arguments]
        sys.path[:2] = [str(Path(arguments[0]).parent), *paths]
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # as function/main.py does
    sys.path[0] = str(SIMULATOR)
    for name in (*PACKAGES, *(f"oms_simulator.{path.stem}" for path in SIMULATOR.glob("oms_simulator/[a-z]*.py"))):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    ORDERS = socket.socket(fileno=int(sys.argv[1]))
    ORDER = serve(ORDERS)
    if ORDER is not None:
        ORDERS.detach()  # its number may be another file's when Python ends
        os.closerange(3, 1024)
        become(ORDER)
