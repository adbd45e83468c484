"""The same promises of both ledgers: in memory, and in a real server that several clients share."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from example import PROJECT
from redis_server import RedisServer
from restarter.ledger import SETTLED_TTL_S, Claim, Ledger, LedgerError, LedgerKeys, event_key, ledger_keys, open_ledger
from restarter.ledger.memory import EVENT_CACHE_SIZE, MemoryLedger
from restarter.model import Event, Intent, RestartRequest

DAY = 86400.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

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


Steps = Callable[[Ledger, Clock], Awaitable[Any]]


@pytest.fixture(params=["memory", "redis"])
def run(request: pytest.FixtureRequest, server: RedisServer) -> Callable[[Steps], Any]:
    """Run steps against a ledger of each kind."""

    def run(steps: Steps) -> Any:
        async def within() -> Any:
            clock = Clock()
            address = "memory://"
            if request.param == "redis":
                server.empty()
                address = server.address
            async with opened(address, clock) as ledger:
                return await steps(ledger, clock)

        return asyncio.run(within())

    return run


def test_an_event_is_claimed_once_and_settled_for_seven_days(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, clock: Clock) -> None:
        assert await ledger.claim("e", 10) is Claim.OURS
        assert await ledger.claim("e", 10) is Claim.HELD
        assert await ledger.claim("other", 10) is Claim.OURS
        await ledger.settle("e")
        assert await ledger.claim("e", 10) is Claim.SETTLED

    run(steps)


def test_a_released_event_can_be_claimed_again(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, clock: Clock) -> None:
        assert await ledger.claim("e", 10) is Claim.OURS
        await ledger.release("e")
        await ledger.release("e")
        assert await ledger.claim("e", 10) is Claim.OURS

    run(steps)


def test_of_many_claims_at_once_one_is_ours(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, clock: Clock) -> list[Claim]:
        return await asyncio.gather(*(ledger.claim("e", 10) for _ in range(50)))

    claims = run(steps)
    assert sorted(claim.value for claim in claims) == ["held"] * 49 + ["ours"]


def test_restarts_of_a_task_are_those_within_the_window_and_of_other_events(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, clock: Clock) -> None:
        first = clock.now
        assert await ledger.history(LedgerKeys("a", "t"), DAY) == ()
        assert await ledger.reserve(LedgerKeys("a", "t"), (), DAY)
        assert await ledger.reserve(LedgerKeys("a", "other task"), (), DAY)
        clock.now += 100
        assert await ledger.history(LedgerKeys("b", "t"), DAY) == (first,)
        assert await ledger.history(LedgerKeys("a", "t"), DAY) == ()
        assert not await ledger.reserve(LedgerKeys("b", "t"), (), DAY)
        assert await ledger.reserve(LedgerKeys("b", "t"), (first,), DAY)
        clock.now += 100
        assert await ledger.reserve(LedgerKeys("b", "t"), (first,), DAY)
        assert await ledger.history(LedgerKeys("c", "t"), DAY) == (first, first + 200)
        await ledger.unreserve(LedgerKeys("b", "t"))
        await ledger.unreserve(LedgerKeys("never", "t"))
        await ledger.unreserve(LedgerKeys("never", "unheard of"))
        assert await ledger.history(LedgerKeys("c", "t"), DAY) == (first,)
        clock.now = first + DAY
        assert await ledger.history(LedgerKeys("c", "t"), DAY) == ()
        assert await ledger.reserve(LedgerKeys("c", "t"), (), DAY)
        assert await ledger.history(LedgerKeys("d", "t"), DAY) == (first + DAY,)

    run(steps)


def test_of_two_events_that_come_again_at_once_one_sees_the_other(run: Callable[[Steps], Any]) -> None:
    """Both were written down before: their number stays the same, and only the times tell."""

    async def steps(ledger: Ledger, clock: Clock) -> None:
        one, other = LedgerKeys("one", "t"), LedgerKeys("other", "t")
        assert await ledger.reserve(one, (), DAY)
        clock.now += 100
        assert await ledger.reserve(other, await ledger.history(other, DAY), DAY)
        clock.now += 1000
        seen_by_one, seen_by_other = await ledger.history(one, DAY), await ledger.history(other, DAY)
        assert await ledger.reserve(one, seen_by_one, DAY)
        assert not await ledger.reserve(other, seen_by_other, DAY)

    run(steps)


def test_of_many_restarts_at_once_that_saw_the_same_one_is_written_down(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, clock: Clock) -> list[bool]:
        return await asyncio.gather(*(ledger.reserve(LedgerKeys(f"e{n}", "t"), (), DAY) for n in range(20)))

    assert sum(run(steps)) == 1


def test_a_budget_that_is_used_up_is_news_once_a_window(run: Callable[[Steps], Any]) -> None:
    async def steps(ledger: Ledger, clock: Clock) -> list[bool]:
        return [await ledger.mark_exhausted(task, DAY) for task in ("t", "t", "other", "t")]

    assert run(steps) == [True, False, True, False]


def test_in_memory_all_runs_out_by_the_clock_that_is_given() -> None:
    async def steps() -> None:
        clock = Clock()
        ledger = MemoryLedger(clock)
        await ledger.claim("crashed", 10)
        await ledger.claim("e", 10)
        await ledger.settle("e")
        await ledger.mark_exhausted("t", DAY)
        clock.now += 9.9
        assert await ledger.claim("crashed", 10) is Claim.HELD
        clock.now += 0.2
        assert await ledger.claim("crashed", 10) is Claim.OURS
        clock.now += SETTLED_TTL_S - 20
        assert await ledger.claim("e", 10) is Claim.SETTLED
        clock.now += 20
        assert await ledger.claim("e", 10) is Claim.OURS
        assert await ledger.mark_exhausted("t", DAY) is True

    asyncio.run(steps())


def test_in_the_server_a_claim_of_a_crashed_instance_runs_out_and_another_cannot_release_it(
    server: RedisServer,
) -> None:
    async def steps() -> None:
        async with opened(server.address, Clock()) as one, opened(server.address, Clock()) as other:
            assert await one.claim("run-out", 0.2) is Claim.OURS
            assert await other.claim("run-out", 10) is Claim.HELD
            await other.release("run-out")
            assert await other.claim("run-out", 10) is Claim.HELD
            await asyncio.sleep(0.25)
            assert await other.claim("run-out", 10) is Claim.OURS
            await one.release("run-out")
            assert await one.claim("run-out", 10) is Claim.HELD
            await one.settle("run-out")
            assert await other.claim("run-out", 10) is Claim.SETTLED

    asyncio.run(steps())


def test_a_server_that_is_gone_is_an_error_in_time_and_one_that_is_back_is_found_again() -> None:
    async def steps() -> None:
        with RedisServer() as server:
            async with opened(server.address, Clock()) as ledger:
                assert await ledger.claim("e", 10) is Claim.OURS
                server.stop()
                for question in (
                    ledger.claim("e", 1),
                    ledger.settle("e"),
                    ledger.reserve(LedgerKeys("e", "t"), (), DAY),
                ):
                    with pytest.raises(LedgerError):
                        await question
                server.start()
                assert await ledger.claim("e", 10) is Claim.HELD

    asyncio.run(steps())


A_MILLION = """
import asyncio, tracemalloc
from restarter.ledger import Claim
from restarter.ledger.memory import EVENT_CACHE_SIZE, MemoryLedger

async def settle(ledger, first, last):
    for n in range(first, last):
        await ledger.settle(f"{n:040}")

async def main():
    ledger = MemoryLedger(lambda: 1_800_000_000.0)
    tracemalloc.start()
    await settle(ledger, 0, 2 * EVENT_CACHE_SIZE)
    full = tracemalloc.get_traced_memory()[0]
    await settle(ledger, 2 * EVENT_CACHE_SIZE, 5 * EVENT_CACHE_SIZE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    await settle(ledger, 5 * EVENT_CACHE_SIZE, 1_000_000)
    newest, oldest = await ledger.claim(f"{999_999:040}", 1), await ledger.claim(f"{0:040}", 1)
    print(full, peak, len(ledger._events), newest is Claim.SETTLED, oldest is Claim.OURS)

asyncio.run(main())
"""


def test_a_million_events_in_memory_stay_within_a_bound() -> None:
    """The newest are known, the oldest forgotten; once it is full the memory does not grow. By itself, for speed."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "function")}
    command = [sys.executable, "-c", A_MILLION]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    full, peak, size, newest_known, oldest_free = done.stdout.split()
    assert int(full) < 15_000_000
    assert int(peak) < 1.2 * int(full)
    assert (int(size), newest_known, oldest_free) == (EVENT_CACHE_SIZE, "True", "True")


def test_an_event_is_known_by_what_identifies_it_and_a_task_by_project_and_id() -> None:
    event = Event(
        request=RestartRequest(task_id="1"),
        dialect="cloudevent",
        intent=Intent.FAILED,
        project_id=PROJECT,
        identity=("cloudevent", "/oms", "1"),
    )
    assert event_key(event) == event_key(replace(event, project_id="other"))
    assert event_key(event) != event_key(replace(event, identity=("cloudevent", "/oms/1", "")))
    assert ledger_keys(event, "1").task != ledger_keys(replace(event, project_id="other"), "1").task
    assert ledger_keys(event, "1").task != ledger_keys(event, "2").task
    assert len(event_key(event) or "") == 40
