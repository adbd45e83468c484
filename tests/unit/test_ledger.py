"""The same promises of both ledgers: in memory, and in a real server that several clients share."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from child_processes import child_environment
from example import PROJECT
from redis_server import RedisServer, wait_for
from restarter.ledger import (
    SETTLED_TTL_S,
    Claim,
    EventKey,
    History,
    Ledger,
    LedgerError,
    LedgerKeys,
    event_key,
    ledger_keys,
    open_ledger,
)
from restarter.ledger.memory import EVENT_CACHE_SIZE, MemoryLedger
from restarter.model import Event, Intent, RestartRequest

DAY = 86400.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 4_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@asynccontextmanager
async def opened(address: str, clock: Clock) -> AsyncIterator[Ledger]:
    ledger = open_ledger(address, clock)
    try:
        yield ledger
    finally:
        await ledger.close()


class Time:
    """Time that a test lets pass: for the memory its clock moves, in Redis all that was recorded becomes older."""

    def __init__(self, clock: Clock, server: RedisServer | None) -> None:
        self._clock = clock
        self._server = server

    def passes(self, seconds: float) -> None:
        self._clock.now += seconds
        if self._server:
            with self._server.client() as client:
                client.eval(OLDER, 0, seconds)


OLDER = """
for _, key in ipairs(redis.call('keys', '*:restarts:*')) do
  for _, event in ipairs(redis.call('zrange', key, 0, -1)) do redis.call('zincrby', key, '-' .. ARGV[1], event) end
end
"""
Steps = Callable[[Ledger, Time], Awaitable[Any]]


@pytest.fixture(params=["memory", "redis"])
def run(request: pytest.FixtureRequest, server: RedisServer) -> Callable[[Steps], Any]:
    """Run steps against a ledger of each kind."""

    def run(steps: Steps) -> Any:
        async def within() -> Any:
            clock = Clock()
            shared = request.param == "redis"
            server.empty()
            async with opened(server.address if shared else "memory://", clock) as ledger:
                return await steps(ledger, Time(clock, server if shared else None))

        return asyncio.run(within())

    return run


def event(name: str, target: str = "t") -> EventKey:
    return EventKey(name, target)


async def restart(ledger: Ledger, keys: LedgerKeys, window: float = DAY) -> bool:
    """Record a restart by the history as it is."""
    return await ledger.reserve(keys, await ledger.history(keys, window), window)


async def ages(ledger: Ledger, keys: LedgerKeys, window: float = DAY) -> list[int]:
    """Whole seconds since each restart."""
    return [int(age) for age in (await ledger.history(keys, window)).ages]


def test_an_event_is_claimed_once_and_settled_for_seven_days(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, times: Time) -> None:
        assert await ledger.claim(event("e"), 10) is Claim.OURS
        assert await ledger.claim(event("e"), 10) is Claim.HELD
        assert await ledger.claim(event("other"), 10) is Claim.OURS
        await ledger.settle(event("e"))
        assert await ledger.claim(event("e"), 10) is Claim.SETTLED

    run(steps)


def test_a_released_event_can_be_claimed_again(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, times: Time) -> None:
        assert await ledger.claim(event("e"), 10) is Claim.OURS
        await ledger.release(event("e"))
        await ledger.release(event("e"))
        assert await ledger.claim(event("e"), 10) is Claim.OURS

    run(steps)


def test_of_many_claims_at_once_one_is_ours(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, times: Time) -> list[Claim]:
        return await asyncio.gather(*(ledger.claim(event("e"), 10) for _ in range(50)))

    claims = run(steps)
    assert sorted(claim.value for claim in claims) == ["held"] * 49 + ["ours"]


def test_a_settled_event_that_names_another_task_is_told_from_its_own_redelivery(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, times: Time) -> None:
        await ledger.claim(event("e", "one"), 10)
        assert await ledger.claim(event("e", "other"), 10) is Claim.HELD
        await ledger.settle(event("e", "one"))
        assert await ledger.claim(event("e", "one"), 10) is Claim.SETTLED
        assert await ledger.claim(event("e", "other"), 10) is Claim.SETTLED_ELSEWHERE

    run(steps)


def test_restarts_of_a_task_are_those_within_the_window_and_of_other_events(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, times: Time) -> None:
        a, b, c = (LedgerKeys(name, "t") for name in "abc")
        assert await ages(ledger, a) == []
        assert await restart(ledger, a)
        assert await restart(ledger, LedgerKeys("a", "other task"))
        times.passes(100)
        assert await ages(ledger, b) == [100]
        assert await ages(ledger, a) == []
        assert await restart(ledger, b)
        times.passes(100)
        assert await ages(ledger, c) == [200, 100]
        assert await restart(ledger, b)
        assert await ages(ledger, c) == [200, 0]
        assert await ages(ledger, c, 150) == [0]
        await ledger.unreserve(b)
        await ledger.unreserve(LedgerKeys("never", "t"))
        await ledger.unreserve(LedgerKeys("never", "unheard of"))
        assert await ages(ledger, c) == [200]
        times.passes(DAY - 200)
        assert await ages(ledger, c) == []
        assert await restart(ledger, c)
        assert await ages(ledger, LedgerKeys("d", "t")) == [0]

    run(steps)


def test_a_restart_is_recorded_only_by_the_history_as_it_still_is(run: Callable[[Steps], Any]) -> None:
    """Both were recorded before: their number stays the same, and only what they are tells."""

    async def steps(ledger: Ledger, times: Time) -> None:
        one, other = LedgerKeys("one", "t"), LedgerKeys("other", "t")
        before = await ledger.history(one, DAY)
        assert await ledger.reserve(one, before, DAY)
        assert not await ledger.reserve(other, before, DAY)
        times.passes(100)
        assert await restart(ledger, other)
        times.passes(1000)
        seen_by_one, seen_by_other = await ledger.history(one, DAY), await ledger.history(other, DAY)
        assert await ledger.reserve(one, seen_by_one, DAY)
        assert not await ledger.reserve(other, seen_by_other, DAY)

    run(steps)


def test_instances_whose_clocks_differ_see_each_others_restarts(server: RedisServer) -> None:
    """Time in the server is its own, so a clock a day ahead drops nothing and one behind waits for nothing."""

    async def steps() -> None:
        ahead, behind = Clock(), Clock()
        ahead.now += 2 * DAY
        async with opened(server.address, ahead) as one, opened(server.address, behind) as other:
            keys = [LedgerKeys(name, "clocks") for name in "abc"]
            assert await restart(one, keys[0])
            assert await restart(other, keys[1])
            assert await ages(one, keys[2]) == await ages(other, keys[2]) == [0, 0]

    asyncio.run(steps())


def test_restarts_that_release_0_1_0_recorded_count_and_its_marks_of_events_are_passed_over(
    server: RedisServer,
) -> None:
    async def steps() -> None:
        key, keys = event("old"), LedgerKeys("new event", "old task")
        with server.client() as client:
            client.set(f"oms-task-restarter:event:{key.id}", "settled")
            client.zadd(f"oms-task-restarter:restarts:{keys.task}", {"e" * 40: time.time() - 100})
        async with opened(server.address, Clock()) as ledger:
            assert await ledger.claim(key, 10) is Claim.OURS
            assert await ages(ledger, keys) in ([100], [99])
            assert await restart(ledger, keys)
        with server.client() as client:
            (_, before), (member, after) = client.zrange(
                f"oms-task-restarter:restarts:{keys.task}", 0, -1, withscores=True
            )
        assert member == keys.event
        assert 99 < after - before < 110

    asyncio.run(steps())


def test_hundreds_of_commands_at_once_share_few_connections_and_none_fails(server: RedisServer) -> None:
    """As a batch of events brings them: a connection for each would be opened at once, and time out."""

    async def steps() -> None:
        async with opened(server.address, Clock()) as ledger:
            claims = await asyncio.gather(*(ledger.claim(event(f"crowd-{n}"), 10) for n in range(1000)))
            assert set(claims) == {Claim.OURS}
            with server.client() as client:
                assert 1 < len(client.client_list()) <= 40

    asyncio.run(steps())


def test_of_many_restarts_at_once_that_saw_the_same_one_is_recorded(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, times: Time) -> list[bool]:
        seen = await ledger.history(LedgerKeys("e", "t"), DAY)
        return await asyncio.gather(*(ledger.reserve(LedgerKeys(f"e{n}", "t"), seen, DAY) for n in range(20)))

    assert sum(run(steps)) == 1


def test_a_budget_that_is_used_up_is_news_once_a_window(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, times: Time) -> list[bool]:
        return [await ledger.mark_exhausted(task, DAY) for task in ("t", "t", "other", "t")]

    assert run(steps) == [True, False, True, False]


def test_in_memory_all_runs_out_by_the_clock_that_is_given() -> None:
    async def steps() -> None:
        clock = Clock()
        ledger = MemoryLedger(clock)
        await ledger.claim(event("crashed"), 10)
        await ledger.claim(event("e"), 10)
        await ledger.settle(event("e"))
        await ledger.mark_exhausted("t", DAY)
        clock.now += 9.9
        assert await ledger.claim(event("crashed"), 10) is Claim.HELD
        clock.now += 0.2
        assert await ledger.claim(event("crashed"), 10) is Claim.OURS
        clock.now += SETTLED_TTL_S - 20
        assert await ledger.claim(event("e"), 10) is Claim.SETTLED
        clock.now += 20
        assert await ledger.claim(event("e"), 10) is Claim.OURS
        assert await ledger.mark_exhausted("t", DAY) is True

    asyncio.run(steps())


def test_in_the_server_a_claim_of_a_crashed_instance_runs_out_and_another_cannot_release_it(
    server: RedisServer,
) -> None:
    async def steps() -> None:
        async with opened(server.address, Clock()) as one, opened(server.address, Clock()) as other:
            assert await one.claim(event("run-out"), 10) is Claim.OURS
            assert await other.claim(event("run-out"), 10) is Claim.HELD
            await other.release(event("run-out"))
            assert await other.claim(event("run-out"), 10) is Claim.HELD
            with server.client() as client:  # ten seconds later
                assert [client.pexpire(key, 1) for key in client.keys("*run-out*")] == [True]
                wait_for(lambda: not client.keys("*run-out*"))
            assert await other.claim(event("run-out"), 10) is Claim.OURS
            await one.release(event("run-out"))
            assert await one.claim(event("run-out"), 10) is Claim.HELD
            await one.settle(event("run-out"))
            assert await other.claim(event("run-out"), 10) is Claim.SETTLED

    asyncio.run(steps())


def test_a_server_that_is_gone_is_an_error_in_time_and_one_that_is_back_is_found_again() -> None:
    async def steps() -> None:
        with RedisServer() as server:
            async with opened(server.address, Clock()) as ledger:
                assert await ledger.claim(event("e"), 10) is Claim.OURS
                server.stop()
                for question in (
                    ledger.claim(event("e"), 1),
                    ledger.settle(event("e")),
                    ledger.reserve(LedgerKeys("e", "t"), History((), ""), DAY),
                ):
                    with pytest.raises(LedgerError):
                        await question
                server.start()
                assert await ledger.claim(event("e"), 10) is Claim.HELD

    asyncio.run(steps())


def test_a_server_that_hangs_is_an_error_in_time_and_its_late_answer_is_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def steps(server: RedisServer) -> None:
        async with opened(server.address, Clock()) as ledger:
            assert await ledger.claim(event("before"), 10) is Claim.OURS
            server.freeze()
            monkeypatch.setattr("restarter.ledger.redis.TIMEOUT_S", 0.5)
            started_at = time.monotonic()
            claims = [ledger.claim(event(f"e{number}"), 10) for number in range(5)]
            assert {str(error) for error in await asyncio.gather(*claims, return_exceptions=True)} == {"TimeoutError"}
            assert time.monotonic() - started_at < 2  # they wait together, not one after the other
            monkeypatch.setattr("restarter.ledger.redis.TIMEOUT_S", 10.0)
            server.freeze(signal.SIGCONT)
            assert (await ledger.history(LedgerKeys("e", "t"), DAY)).ages == ()
            assert await ledger.claim(event("before"), 10) is Claim.HELD

    with RedisServer() as server:
        asyncio.run(steps(server))


MANY_EVENTS = """
import asyncio, tracemalloc
from restarter.ledger import Claim, EventKey
from restarter.ledger.memory import EVENT_CACHE_SIZE, MemoryLedger

def key(n):
    return EventKey(f"{n:040}", f"{n:016}")

async def settle(ledger, first, last):
    for n in range(first, last):
        await ledger.settle(key(n))

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
    print(full, peak, len(ledger._events), newest is Claim.SETTLED, oldest is Claim.OURS)

asyncio.run(main())
"""


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
