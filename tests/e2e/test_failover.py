"""What a ledger in Redis forgets, and for how long it does not answer, when the server that takes writes changes.

Without a change nothing is lost. Redis copies what is written to its replicas a little later, so the promise is about
how much: what was settled shortly before, and nothing of what comes after.
"""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import redis

from redis_server import AT_ONCE, MASTER, RedisServer, cluster, wait_for, watched_by_sentinel
from restarter.ledger import Claim, EventKey, Ledger, LedgerError, LedgerKeys, open_ledger
from restarter.ledger.redis import MASTER_TTL_S, RedisLedger
from restarter.settings.ledger_address import parse_ledger_address

PER_SECOND = 30
Change = Callable[[], None]


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Ledger]:
    ledger = open_ledger(parse_ledger_address(address), time.time)
    try:
        yield ledger
    finally:
        await ledger.close()


async def settle(ledger: Ledger, name: str) -> bool:
    """Whether an event could be claimed and settled."""
    key = EventKey(name, "t")
    try:
        claimed = await ledger.claim(key, 10)
        await ledger.settle(key, claimed.token)
    except LedgerError:
        return False
    return claimed.state is Claim.OURS


async def through(ledger: Ledger, seconds: float, change: Change) -> list[tuple[float, str, bool]]:
    """Settle events at an even pace, with a change after two seconds: when, the event, whether it was settled."""

    async def one(number: int) -> tuple[float, str, bool]:
        await asyncio.sleep(number / PER_SECOND)
        return number / PER_SECOND, f"e{number}", await settle(ledger, f"e{number}")

    events = [asyncio.ensure_future(one(number)) for number in range(int(seconds * PER_SECOND))]
    await asyncio.sleep(2)
    await asyncio.to_thread(change)
    return await asyncio.gather(*events)


async def forgotten(ledger: Ledger, events: list[tuple[float, str, bool]]) -> list[float]:
    """When those were settled that can be claimed again, so that a redelivery would start their tasks again."""
    found = []
    for at, name, settled in events:
        if settled and (await ledger.claim(EventKey(name, "t"), 10)).state is not Claim.SETTLED:
            found.append(at)
    return found


def run(address: str, seconds: float, change: Change) -> tuple[list[float], list[float]]:
    """When events were settled and are forgotten, and when none could be settled; seconds from the beginning."""

    async def steps() -> tuple[list[float], list[float]]:
        async with opened(address) as ledger:
            events = await through(ledger, seconds, change)
        async with opened(address) as ledger:  # which connects to the server that takes writes now
            return await forgotten(ledger, events), [at for at, _, settled in events if not settled]

    return asyncio.run(steps())


@contextmanager
def sentinel(*options: str) -> Iterator[tuple[str, str, RedisServer]]:
    """The ledger's address, Sentinel's, and the master."""
    with watched_by_sentinel("secret", *options) as (where, master):
        yield f"redis+sentinel://:secret@{where}/{MASTER}?sentinel_password=secret", where, master


def ask(where: str, *words: str) -> None:

    host, port = where.split(":")
    with redis.Redis(host, int(port), password="secret") as client:
        client.execute_command(*words)


@pytest.mark.long
def test_a_graceful_failover_of_sentinel_is_followed_within_seconds() -> None:
    """Sentinel makes the old master a replica only some ten seconds later; what it takes until then is lost."""
    with sentinel() as (address, where, _):
        lost, failed = run(address, 14, lambda: ask(where, "SENTINEL", "FAILOVER", MASTER))
    assert not lost or max(lost) - min(lost) < 4
    assert len(lost) < 4 * PER_SECOND
    assert len(failed) < 2 * PER_SECOND


@pytest.mark.long
def test_a_master_without_its_replicas_takes_no_writes() -> None:
    """It counts them, so writes that are lost end with the lag that they may have.

    With one replica the new master takes no writes until the old one has become its replica.
    """
    bounded = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")
    with sentinel(*bounded) as (address, where, _):
        lost, failed = run(address, 16, lambda: ask(where, "SENTINEL", "FAILOVER", MASTER))
    assert not lost or max(lost) - min(lost) < 4
    assert not failed or max(failed) < 15


@pytest.mark.long
def test_a_master_that_is_killed_takes_only_what_was_not_copied_yet_with_it() -> None:
    with sentinel() as (address, _, master):
        lost, failed = run(address, 8, master.stop)
    assert len(lost) <= 3
    assert 0 < len(failed) < 5 * PER_SECOND
    assert max(failed) < 7


@pytest.mark.long
def test_a_master_that_was_frozen_is_not_written_to_any_more() -> None:
    with sentinel() as (address, _, master):

        def freeze() -> None:
            master.freeze()
            threading.Timer(4, master.freeze, [signal.SIGCONT]).start()

        lost, failed = run(address, 9, freeze)
    assert len(lost) <= 3
    assert max(failed) < 7


@pytest.mark.long
@pytest.mark.parametrize("graceful", [True, False])
def test_a_cluster_that_changes_a_master_loses_nothing_but_what_was_not_copied_yet(
    graceful: bool,  # noqa: FBT001
) -> None:
    with cluster() as (nodes, masters):
        first = masters[0]

        def change() -> None:
            if graceful:
                with replica_of(first) as replica:
                    replica.execute_command("CLUSTER", "FAILOVER")
            else:
                first.stop()

        lost, failed = run(f"redis+cluster://{nodes}", 8, change)
    assert len(lost) <= (0 if graceful else 3)
    assert not failed or max(failed) < 7


@contextmanager
def replica_of(master: RedisServer) -> Iterator[Any]:
    """A client of the master's replica."""
    with master.client() as client:
        lines: str = client.execute_command("CLUSTER", "NODES")
    (line,) = [line for line in lines.splitlines() if "slave" in line]
    host, port = line.split()[1].partition("@")[0].split(":")
    with redis.Redis(host, int(port), decode_responses=True) as replica:
        yield replica


class Switch:
    """An address behind which another server can be put; connections that are there stay with the old one."""

    def __init__(self, port: int) -> None:
        self.behind = port
        self._server: asyncio.Server | None = None

    async def listen(self) -> str:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server
        self._server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", self.behind)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer), return_exceptions=True)


def test_an_address_whose_server_became_a_replica_is_connected_to_anew_at_once() -> None:
    """Nobody cuts the connections: each command on them would be refused until they were idle for a minute."""

    async def steps(old: RedisServer, new: RedisServer) -> list[bool]:
        switch = Switch(old.port)
        async with opened(await switch.listen()) as ledger:
            assert await settle(ledger, "before")
            switch.behind = new.port
            with old.client() as one, new.client() as other:
                other.execute_command("REPLICAOF", "NO", "ONE")
                one.execute_command("REPLICAOF", "127.0.0.1", new.port)
            results = [await settle(ledger, f"after {number}") for number in range(5)]
            assert (await ledger.claim(EventKey("before", "t"), 10)).state is Claim.SETTLED
        await switch.close()
        return results

    with RedisServer() as old, RedisServer(*AT_ONCE, "--replicaof", "127.0.0.1", str(old.port)) as new:
        with new.client() as copy:
            wait_for(lambda: copy.info("replication")["master_link_status"] == "up")
        assert asyncio.run(steps(old, new)) == [False, True, True, True, True]


def test_connections_to_another_than_the_master_that_sentinel_names_are_closed() -> None:
    """So are they when none of them broke: the old master may still take writes, which are lost."""
    with sentinel() as (address, _, master), master.client() as client:

        async def steps() -> list[tuple[bool, int]]:
            taken = []
            async with opened(address) as ledger:
                for number in range(3):
                    settled = await settle(ledger, f"event {number}")
                    taken.append((settled, client.info("stats")["total_connections_received"]))
                    await asyncio.sleep(MASTER_TTL_S + 0.1)
                    assert isinstance(ledger, RedisLedger)
                    if number == 1:
                        ledger._redis.connection_pool.master_address = ("127.0.0.1", 9)  # noqa: SLF001  # as if it was
            return taken

        (first, before), (second, same), (third, anew) = asyncio.run(steps())
        assert (first, second, third) == (True, True, True)
        assert same == before < anew


@pytest.mark.long
def test_a_cluster_that_is_away_is_an_error_and_found_again() -> None:
    """So is one that lacks a node. The client's exceptions for it are no RedisError."""

    async def steps(address: str, node: RedisServer) -> list[set[bool]]:
        async with opened(address) as ledger:
            before = {await settle(ledger, f"before {number}") for number in range(20)}
            node.stop()
            down = {await settle(ledger, f"down {number}") for number in range(20)}
            node.start()
            give_up = time.monotonic() + 20
            while not all([await settle(ledger, f"{time.monotonic()} {number}") for number in range(10)]):
                assert time.monotonic() < give_up
                await asyncio.sleep(0.2)
        return [before, down]

    async def nowhere() -> None:
        async with opened("redis+cluster://127.0.0.1:9") as ledger:
            for question in (ledger.claim(EventKey("e", "t"), 10), ledger.history(LedgerKeys("e", "t"), 60)):
                with pytest.raises(LedgerError):
                    await question

    asyncio.run(nowhere())
    with cluster() as (nodes, masters):
        assert asyncio.run(steps(f"redis+cluster://{nodes}", masters[1])) == [{True}, {True, False}]


@pytest.mark.long
def test_sentinels_that_are_away_do_not_take_a_master_that_is_well_with_them() -> None:
    with watched_by_sentinel("secret") as (where, _):
        address = f"redis+sentinel://:secret@{where}/{MASTER}?sentinel_password=secret"

        async def steps() -> list[bool]:
            async with opened(address) as ledger:
                results = [await settle(ledger, "before")]
                await asyncio.to_thread(ask_to_end, where)
                for number in range(4):
                    await asyncio.sleep(0.6)
                    results.append(await settle(ledger, f"after {number}"))
                return results

        assert asyncio.run(steps()) == [True] * 5


def ask_to_end(where: str) -> None:

    with pytest.raises(redis.ConnectionError):
        ask(where, "SHUTDOWN", "NOSAVE")
