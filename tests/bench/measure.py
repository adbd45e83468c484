"""The measures, one function and one round at a time."""

import http.client
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from checks import Miscounted, check_cores, check_counts
from functions import TOKEN, Function
from load import Loaded, load, requests
from proc import Sample, family_peak, family_seconds, family_waited, sample
from servers import Machine, Server, StandIn, serving

START_TIMEOUT_S = 30.0
WARM_UP_S = 1.0
OMS_DELAY_S = 0.1
"""Seconds that OMS takes for each answer in the measure with 200 connections."""


@dataclass(frozen=True)
class Limits:
    """How long each load lasts, and the share of a core above which others disturb a load, or a start."""

    seconds: float = 3.0
    others: float = 0.03
    others_at_start: float = 0.05


def cold_start(function: Function, oms: StandIn, address: str, machine: Machine, limits: Limits) -> float:
    """Seconds from exec to the first 2xx of a start call; `address` is the one of OMS that the function is given.

    Raises:
        Disturbed: others had too much of the core meanwhile.
        Miscounted: the answer was no 2xx, or the stand-in did not see exactly one start.
    """
    oms.reset()
    began = time.perf_counter()
    with serving(function, address, machine) as server:
        status = first_answer(server)
        elapsed = time.perf_counter() - began
        waited = family_waited(server.pid)
        starts = oms.counts()["starts"]
        if not 200 <= status < 300 or starts != bool(function.calls):
            raise Miscounted(f"{function.name}: {status} and {starts} starts at first")
    check_cores({"server": waited / elapsed}, limits.others_at_start)
    return elapsed


def first_answer(server: Server) -> int:
    """The status of the first start call; while nobody listens, it is tried again at once.

    Raises:
        RuntimeError: the function ended, or did not listen in time.
    """
    address = urlsplit(server.url)
    request = next(requests(server.url, TOKEN))
    give_up = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < give_up and server.process.poll() is None:
        try:
            connection = socket.create_connection((address.hostname or "", address.port or 80), START_TIMEOUT_S)
        except ConnectionRefusedError:
            time.sleep(0.0005)
            continue
        with connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection, method="POST")
            response.begin()
            return response.status
    raise RuntimeError(f"{server.function.name} did not start")


@dataclass(frozen=True)
class Phase:
    """A load, the server's CPU seconds for it, what the stand-in saw, and the share of each core that others had."""

    loaded: Loaded
    cpu_seconds: float
    seen: dict[str, Any]
    others: dict[str, float]

    @property
    def cpu_ms(self) -> float:
        """CPU for one call, in ms."""
        return self.cpu_seconds / self.loaded.good * 1000

    @property
    def share_of_possible(self) -> float:
        """Throughput by what the connections allow when nothing takes time but OMS's own answers."""
        delay: float = self.seen["delayed"] / self.loaded.good
        return self.loaded.rate * delay / len(self.loaded.connections)


class Bench:
    """One running function before the stand-in, and the load before it."""

    def __init__(self, server: Server, oms: StandIn, machine: Machine) -> None:
        self._server, self._oms, self._machine = server, oms, machine
        self._plain, self._named = (requests(server.url, TOKEN, named=named) for named in (False, True))

    def phase(self, connections: int, seconds: float, delay: float = 0.0, *, named: bool = False) -> Phase:
        """Load the function, and compare what all sides have counted; `named` calls have an event id each.

        Raises:
            Miscounted: starts, good answers and receipts differ.
        """
        self._oms.reset(delay)
        before = self._samples()
        to_send = self._named if named else self._plain
        loaded = load(self._server.url, to_send, connections=connections, seconds=seconds)
        after, seen = self._samples(), self._oms.counts()
        function = self._server.function
        check_counts(function, loaded, seen, self._server.new_receipts(loaded.good if function.receipts else 0))
        others = {name: before[name].others_until(after[name]) for name in before}
        return Phase(loaded, after["server"].ours - before["server"].ours, seen, others)

    def _samples(self) -> dict[str, Sample]:
        load_seconds = time.process_time() + family_seconds(self._oms.pid)
        return {
            "server": sample(self._machine.server_core, family_seconds(self._server.pid)),
            "load": sample(self._machine.load_core, load_seconds),
        }


def loads(function: Function, oms: StandIn, machine: Machine, limits: Limits) -> dict[str, float]:
    """All figures of one function in one round but its cold start: CPU in ms a call, memory in MiB.

    Raises:
        Disturbed: others had too much of one of the cores.
        Miscounted: starts, good answers and receipts differ.
    """
    oms.reset()
    with serving(function, oms.url, machine) as server:
        first_answer(server)
        server.new_receipts(int(function.receipts))
        bench = Bench(server, oms, machine)
        bench.phase(16, WARM_UP_S)
        narrow = bench.phase(16, limits.seconds)
        check_cores(narrow.others, limits.others)
        wide = bench.phase(200, limits.seconds, OMS_DELAY_S)
        check_cores(wide.others, limits.others)
        memory = family_peak(server.pid) / 2**20
        named = bench.phase(16, limits.seconds, named=True)
        check_cores(named.others, limits.others)
        return {
            "throughput": narrow.loaded.rate,
            "cpu": narrow.cpu_ms,
            "cpu_named": named.cpu_ms,
            "throughput_200": wide.loaded.rate,
            "share_200": wide.share_of_possible,
            "memory": memory,
        }
