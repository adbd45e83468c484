"""Every ledger by the one suite, and what each promises besides: in memory, in a file, in a real server."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from child_processes import child_environment
from example import PROJECT
from gcs_server import MovedClock, empty, gcs_server, open_gcs
from ledger_suite import DAY, Bench, LedgerSuite, SharedLedgerSuite, event, reserve
from obs_bench import open_obs
from redis_server import RedisServer
from restarter.ledger import (
    Claim,
    History,
    Ledger,
    LedgerError,
    LedgerKeys,
    event_key,
    ledger_keys,
    open_ledger,
)
from restarter.ledger.memory import EVENT_CACHE_SIZE, MemoryLedger
from restarter.model.request import Event, Intent, RestartRequest
from restarter.settings.ledger_address import parse_ledger_address
from simulator import Simulator


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(autouse=True)
def measured(request: pytest.FixtureRequest) -> None:
    """All but the tests that do the same thousands of times, in every ledger."""
    if request.node.name.startswith(("test_any_sequence", "test_processes_that_race")):
        request.getfixturevalue("unmeasured")


@asynccontextmanager
async def opened(address: str, clock: Clock) -> AsyncIterator[Ledger]:
    ledger = open_ledger(parse_ledger_address(address), clock)
    try:
        yield ledger
    finally:
        await ledger.close()


OLDER = """
for _, key in ipairs(redis.call('keys', '*')) do
  if redis.call('type', key).ok == 'zset' then
    for _, member in ipairs(redis.call('zrange', key, 0, -1)) do
      redis.call('zincrby', key, '-' .. ARGV[1], member)
    end
  end
  local left = redis.call('pttl', key) - 1000 * ARGV[1]
  if left > 0 then redis.call('pexpire', key, left) else redis.call('del', key) end
end
"""


class TestMemory(LedgerSuite):
    @pytest.fixture
    def bench(self) -> Bench:
        clock = Clock()
        ledger = MemoryLedger(clock)
        return Bench(lambda: ledger, clock.advance)


class TestSqlite(SharedLedgerSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        clock, address = Clock(), f"sqlite://{tmp_path / 'ledger.db'}"
        return Bench(
            lambda: open_ledger(parse_ledger_address(address), clock),
            clock.advance,
            partial(open_ledger, parse_ledger_address(address), time.time),
        )


class TestRedis(SharedLedgerSuite):
    @pytest.fixture
    def bench(self, server: RedisServer) -> Bench:
        server.empty()

        def pass_time(seconds: float) -> None:
            with server.client() as client:
                client.eval(OLDER, 0, seconds)

        opener = partial(open_ledger, parse_ledger_address(server.address), time.time)
        return Bench(opener, pass_time, opener)


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with gcs_server() as url:
        yield url


class TestGcs(SharedLedgerSuite):
    @pytest.fixture
    def bench(self, storage: str) -> Iterator[Bench]:
        empty(storage)
        clock = Clock()  # it stands, however slow the machine is
        with MovedClock(storage, clock).serving() as url:
            yield Bench(partial(open_gcs, url), clock.advance, partial(open_gcs, storage), rounds=10)


class TestObs(SharedLedgerSuite):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        simulator = Simulator({}, Clock())  # it stands, however slow the machine is
        with simulator.serving() as url:
            yield Bench(
                partial(open_obs, url),
                lambda seconds: simulator.set_clock({"forward": seconds}),
                partial(open_obs, url),
                somebody_wins=False,
                rounds=10,
            )


async def state(ledger: Ledger, name: str, seconds: float = 10) -> Claim:
    """What a claim of an event says."""
    return (await ledger.claim(event(name), seconds)).state


async def ages(ledger: Ledger, keys: LedgerKeys, window: float = DAY) -> list[int]:
    """Whole seconds since each restart."""
    return [int(restart.age_s) for restart in (await ledger.history(keys, window)).restarts]


def test_instances_whose_clocks_differ_see_each_others_restarts(server: RedisServer) -> None:
    """Time in the server is its own, so a clock a day ahead drops nothing and one behind waits for nothing."""

    async def steps() -> None:
        ahead, behind = Clock(), Clock()
        ahead.now += 2 * DAY
        async with opened(server.address, ahead) as one, opened(server.address, behind) as other:
            keys = [LedgerKeys(name, "clocks") for name in "abc"]
            assert await reserve(one, keys[0], "one")
            assert await reserve(other, keys[1], "other")
            assert await ages(one, keys[2]) == await ages(other, keys[2]) == [0, 0]

    asyncio.run(steps())


def test_restarts_that_earlier_releases_recorded_count(server: RedisServer) -> None:
    """They wrote the event alone: its result is not known, so it counts. The marks of 0.1.0 are passed over."""

    async def steps() -> None:
        key, keys = event("old"), LedgerKeys("e" * 40, "old task")
        with server.client() as client:
            client.set(f"oms-task-restarter:event:{key.id}", "settled")
            client.zadd(
                f"oms-task-restarter:restarts:{keys.task}", {"f" * 40: time.time() - 100, "e" * 40: time.time()}
            )
        async with opened(server.address, Clock()) as ledger:
            assert (await ledger.claim(key, 10)).state is Claim.OURS
            found = (await ledger.history(keys, DAY)).restarts
            assert [(int(restart.age_s) // 90, restart.own) for restart in found] == [(1, False), (0, True)]
            assert not any(restart.under_way for restart in found)
            assert await reserve(ledger, keys, "attempt")
            await ledger.unreserve(keys, "attempt")
            assert len((await ledger.history(keys, DAY)).restarts) == 2

    asyncio.run(steps())


def test_a_restart_that_was_confirmed_expires_with_its_window(server: RedisServer) -> None:
    """Also the only one of its task, and one that was confirmed twice."""

    async def steps() -> None:
        keys = LedgerKeys("e" * 40, "confirmed")
        async with opened(server.address, Clock()) as ledger:
            assert await reserve(ledger, keys, "attempt", window=60)
            for _ in range(2):
                await ledger.confirm(keys, "attempt")
            assert await ages(ledger, keys) == [0]
        with server.client() as client:
            assert 0 < client.ttl(f"oms-task-restarter:restarts:{keys.task}") <= 61

    asyncio.run(steps())


# What release 0.2.0 runs to read the restarts of other events, and to record one.
HISTORY_OF_0_2_0 = """
local time = redis.call('time')
local now = time[1] + time[2] / 1000000
local since = string.format('%.6f', now - ARGV[1])
local kept = redis.call('zrangebyscore', KEYS[1], '(' .. since, '+inf', 'withscores')
local ages = {}
for i = 1, #kept, 2 do
  if kept[i] ~= ARGV[2] then ages[#ages + 1] = string.format('%.3f', math.max(now - kept[i + 1], 0)) end
end
return ages
"""


def test_release_0_2_0_counts_what_this_one_recorded_and_takes_none_of_it_back(server: RedisServer) -> None:
    async def steps() -> None:
        keys = LedgerKeys("e" * 40, "shared with 0.2.0")
        restarts = f"oms-task-restarter:restarts:{keys.task}"
        async with opened(server.address, Clock()) as ledger:
            assert await reserve(ledger, keys, "attempt")
            await ledger.confirm(keys, "attempt")
            claimed = await ledger.claim(event("by 0.3.0"), 10)
            with server.client() as client:
                client.zrem(restarts, keys.event)  # how 0.2.0 takes a restart of the event back
                assert len(client.eval(HISTORY_OF_0_2_0, 1, restarts, DAY, "f" * 40)) == 1
                client.set("oms-task-restarter:1:event:by 0.2.0", "a" * 16, px=9000)
                client.set("oms-task-restarter:1:event:settled by 0.2.0", "settled:t", ex=60)
                client.set("oms-task-restarter:1:exhausted:t", "a" * 16, px=9000)
                assert client.get("oms-task-restarter:1:event:by 0.3.0") == claimed.token
            held = await ledger.claim(event("by 0.2.0"), 10)
            assert (held.state, 8 < held.rest_s <= 9) == (Claim.HELD, True)
            assert await state(ledger, "settled by 0.2.0") is Claim.SETTLED
            assert not await ledger.mark("exhausted:t", "e", DAY)

    asyncio.run(steps())


@pytest.mark.usefixtures("unmeasured")
def test_hundreds_of_commands_at_once_share_few_connections_and_none_fails(server: RedisServer) -> None:
    """As a batch of events brings them: a connection for each would be opened at once, and time out."""

    async def steps() -> None:
        async with opened(server.address, Clock()) as ledger:
            claims = await asyncio.gather(*(ledger.claim(event(f"crowd-{n}"), 10) for n in range(1000)))
            assert {claimed.state for claimed in claims} == {Claim.OURS}
            with server.client() as client:
                assert 1 < len(client.client_list()) <= 40

    asyncio.run(steps())


def test_in_memory_no_question_is_waited_for_so_none_has_a_deadline() -> None:
    ledger, key, keys = MemoryLedger(Clock()), event("e"), LedgerKeys("e", "t")
    questions: list[Coroutine[None, None, object]] = [
        ledger.claim(key, 10),
        ledger.history(keys, DAY),
        ledger.reserve(keys, History((), ""), DAY, "attempt"),
        ledger.mark("name", "owner", DAY),
        ledger.settle(key, "token"),
        ledger.confirm(keys, "attempt"),
        ledger.unreserve(keys, "attempt"),
        ledger.release(key, "token"),
        ledger.purge(),
    ]
    assert not ledger.waits
    for question in questions:
        with pytest.raises(StopIteration):  # it has ended at its first step
            question.send(None)


def test_in_memory_a_clock_that_is_set_back_makes_nothing_longer() -> None:
    async def steps() -> None:
        clock = Clock()
        ledger, keys = MemoryLedger(clock), LedgerKeys("e", "t")
        await ledger.claim(event("e"), 10)
        await reserve(ledger, keys, "attempt")
        clock.advance(-3600)
        assert (await ledger.claim(event("e"), 10)).rest_s == 10
        assert await ages(ledger, keys) == [0]

    asyncio.run(steps())


def test_a_server_that_is_gone_is_an_error_in_time() -> None:
    """One that is back is found again."""

    async def steps() -> None:
        with RedisServer() as server:
            async with opened(server.address, Clock()) as ledger:
                assert await state(ledger, "e") is Claim.OURS
                server.stop()
                for question in (
                    ledger.claim(event("e"), 1),
                    ledger.settle(event("e"), "token"),
                    ledger.reserve(LedgerKeys("e", "t"), History((), ""), DAY, "attempt"),
                ):
                    with pytest.raises(LedgerError):
                        await question
                server.start()
                assert await state(ledger, "e") is Claim.HELD

    asyncio.run(steps())


def test_a_server_that_hangs_is_an_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its late response is not taken for another request's."""

    async def steps(server: RedisServer) -> None:
        async with opened(server.address, Clock()) as ledger:
            assert await state(ledger, "before") is Claim.OURS
            server.freeze()
            monkeypatch.setattr("restarter.ledger.redis.TIMEOUT_S", 0.5)
            started_at = time.monotonic()
            claims = [ledger.claim(event(f"e{number}"), 10) for number in range(5)]
            assert {str(error) for error in await asyncio.gather(*claims, return_exceptions=True)} == {"TimeoutError"}
            assert time.monotonic() - started_at < 2  # they wait together, not one after the other
            monkeypatch.setattr("restarter.ledger.redis.TIMEOUT_S", 10.0)
            server.freeze(signal.SIGCONT)
            assert (await ledger.history(LedgerKeys("e", "t"), DAY)).restarts == ()
            assert await state(ledger, "before") is Claim.HELD

    with RedisServer() as server:
        asyncio.run(steps(server))


MANY_EVENTS = """
import asyncio, tracemalloc
from restarter.ledger import Claim, EventKey
from restarter.settings.ledger_address import parse_ledger_address
from restarter.ledger.memory import EVENT_CACHE_SIZE, MemoryLedger

def key(n):
    return EventKey(f"{n:040}", f"{n:016}")

async def settle(ledger, first, last):
    for n in range(first, last):
        await ledger.settle(key(n), "token")

async def main():
    ledger = MemoryLedger(lambda: 4_800_000_000.0)
    tracemalloc.start()
    await settle(ledger, 0, 2 * EVENT_CACHE_SIZE)
    full = tracemalloc.get_traced_memory()[0]
    await settle(ledger, 2 * EVENT_CACHE_SIZE, 5 * EVENT_CACHE_SIZE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    await settle(ledger, 5 * EVENT_CACHE_SIZE, 10 * EVENT_CACHE_SIZE)
    newest, oldest = await ledger.claim(key(10 * EVENT_CACHE_SIZE - 1), 1), await ledger.claim(key(0), 1)
    print(full, peak, len(ledger._events), newest.state is Claim.SETTLED, oldest.state is Claim.OURS)

asyncio.run(main())
"""


@pytest.mark.long
def test_ten_times_the_events_that_fit_in_memory_stay_within_the_bound() -> None:
    """The newest are known, the oldest forgotten; once it is full the memory does not grow. By itself, for speed."""
    environment = child_environment(PYTHONPATH=str(Path(__file__).parents[2] / "function"))
    command = [sys.executable, "-c", MANY_EVENTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    full, peak, size, newest_known, oldest_free = done.stdout.split()
    assert int(full) < 15_000_000
    assert int(peak) < 1.2 * int(full)
    assert (int(size), newest_known, oldest_free) == (EVENT_CACHE_SIZE, "True", "True")


def test_an_event_is_known_by_what_identifies_it_and_a_task_by_project_and_id() -> None:
    one = Event(
        request=RestartRequest(task_id="1"),
        dialect="cloudevent",
        intent=Intent.FAILED,
        project_id=PROJECT,
        identity=("cloudevent", "/oms", "1"),
    )
    elsewhere = one._replace(project_id="other")
    key, elsewhere_key = event_key(one), event_key(elsewhere)
    another = event_key(one._replace(identity=("cloudevent", "/oms/1", "")))
    assert key
    assert another
    assert elsewhere_key
    assert key.id == elsewhere_key.id != another.id
    assert key.target == another.target != elsewhere_key.target
    assert event_key(one._replace(identity=None)) is None
    requests = [{"task_id": "1"}, {"task_name": "1"}, {"group_id": "1"}]
    named = [event_key(one._replace(request=RestartRequest.model_validate(request))) for request in requests]
    assert len({key.target for key in named if key}) == 3
    assert ledger_keys(one, "1").task != ledger_keys(elsewhere, "1").task
    assert ledger_keys(one, "1").task != ledger_keys(one, "2").task
    assert ledger_keys(one, "1").event == key.id
    assert (len(key.id), len(key.target)) == (40, 16)
