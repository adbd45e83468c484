"""What every ledger has to do: the contract in `restarter.ledger`, as tests for a ledger of any kind.

To hold a ledger of your own to it, derive a class and give it a `bench`:

    class TestMine(SharedLedgerSuite):
        @pytest.fixture
        def bench(self) -> Bench:
            return Bench(open=lambda: MyLedger(clock), pass_time=clock.advance, in_process=open_mine)

and run `pytest` on that file with this folder and `function/` on the path.
"""

import asyncio
import multiprocessing
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from restarter.decide.policy import Policy
from restarter.decide.progress import Canary
from restarter.ledger import MAX_NOTE_LENGTH, SETTLED_TTL_S, Claim, Claimed, EventKey, History, Ledger, LedgerKeys
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Outcome
from restarter.model.request import Event, Intent, RestartRequest
from restarter.model.task import Counters, Restart, Start, Task
from restarter.reservation import Reservations

DAY = 86400.0
PROCESSES = 4
SLOT_S = 0.02
PRELOADED = ["httpx", "hypothesis.stateful", "pydantic_settings", "pytest", "redis.asyncio"]  # once for all processes


@dataclass
class Bench:
    """A kind of ledger, with nothing in it."""

    open: Callable[[], Ledger]
    """Opens the ledger; what is opened twice shares what it remembers."""
    pass_time: Callable[[float], None]
    """Lets seconds pass for the ledger."""
    in_process: Callable[[], Ledger] | None = None
    """For SharedLedgerSuite: what another process calls to open the ledger, a function of a module or a partial."""
    tolerance_s: float = 5.0
    """How much too old or too young a restart may be told to be."""
    somebody_wins: bool = True
    """Of claims that are made at the very same time one wins; False: none may."""
    examples: int = int(os.environ.get("EXAMPLES", "15"))
    """How many sequences of operations are tried; `make prove` tries 500."""
    rounds: int = 50
    """How often processes race for an event and for a restart."""


Steps = Callable[[Ledger, Ledger], Awaitable[None]]


def with_two(bench: Bench, steps: Steps) -> None:
    """Run steps by two instances of a ledger."""

    async def run() -> None:
        one, other = bench.open(), bench.open()
        try:
            await steps(one, other)
        finally:
            await one.close()
            await other.close()

    asyncio.run(run())


def event(name: str, target: str = "t") -> EventKey:
    return EventKey(name, target)


async def reserve(ledger: Ledger, keys: LedgerKeys, attempt: str, window: float = DAY, note: str = "") -> bool:
    """Record a restart by the history as it is."""
    return await ledger.reserve(keys, await ledger.history(keys, window), window, attempt, note)


class LedgerSuite:
    """The cases; `bench` is a fixture that the class of each ledger gives."""

    def test_an_event_is_claimed_once_and_settled_for_seven_days(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            claimed = await one.claim(event("e"), 10)
            assert claimed.state is Claim.OURS
            assert claimed.token
            assert (await other.claim(event("e"), 10)).state is Claim.HELD
            assert (await other.claim(event("another"), 10)).state is Claim.OURS
            await one.settle(event("e"), claimed.token)
            bench.pass_time(SETTLED_TTL_S - 60)
            assert (await other.claim(event("e"), 10)).state is Claim.SETTLED
            bench.pass_time(120)
            assert (await other.claim(event("e"), 10)).state is Claim.OURS

        with_two(bench, steps)

    def test_a_settled_event_that_names_another_task_is_told_from_its_own_redelivery(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            claimed = await one.claim(event("e", "one"), 10)
            assert (await other.claim(event("e", "other"), 10)).state is Claim.HELD
            await one.settle(event("e", "one"), claimed.token)
            assert (await other.claim(event("e", "one"), 10)).state is Claim.SETTLED
            assert (await other.claim(event("e", "other"), 10)).state is Claim.SETTLED_ELSEWHERE

        with_two(bench, steps)

    def test_a_claim_that_is_held_says_for_how_long(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            await one.claim(event("e"), 50)
            bench.pass_time(20)
            assert (await other.claim(event("e"), 50)).rest_s == pytest.approx(30, abs=bench.tolerance_s)

        with_two(bench, steps)

    def test_a_released_event_can_be_claimed_again_and_only_its_holder_releases_it(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            first = await one.claim(event("e"), 10)
            await other.release(event("e"), "of nobody")
            assert (await other.claim(event("e"), 10)).state is Claim.HELD
            await one.release(event("e"), first.token)
            await one.release(event("e"), first.token)
            second = await other.claim(event("e"), 10)
            assert second.state is Claim.OURS
            assert second.token != first.token
            await one.release(event("e"), first.token)
            assert (await one.claim(event("e"), 10)).state is Claim.HELD

        with_two(bench, steps)

    def test_an_expired_claim_is_anybodys_and_its_holder_releases_nothing_any_more(self, bench: Bench) -> None:
        """Two claims of one instance as well: each has a token of its own."""

        async def steps(one: Ledger, other: Ledger) -> None:
            for number, second_holder in enumerate((one, other)):
                frozen = await one.claim(event(f"e{number}"), 10)
                bench.pass_time(20)
                assert (await second_holder.claim(event(f"e{number}"), 10)).state is Claim.OURS
                await one.release(event(f"e{number}"), frozen.token)
                assert (await one.claim(event(f"e{number}"), 10)).state is Claim.HELD

        with_two(bench, steps)

    def test_settled_wins_over_a_claim_that_was_taken_over(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            frozen = await one.claim(event("e"), 10)
            bench.pass_time(20)
            second = await other.claim(event("e"), 10)
            await one.settle(event("e"), frozen.token)
            await other.release(event("e"), second.token)
            assert (await other.claim(event("e"), 10)).state is Claim.SETTLED

        with_two(bench, steps)

    def test_of_many_claims_at_once_one_is_ours(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            claims = await asyncio.gather(*((one, other)[n % 2].claim(event("e"), 10) for n in range(20)))
            ours = sum(claimed.state is Claim.OURS for claimed in claims)
            assert ours == 1 if bench.somebody_wins else ours <= 1
            assert {claimed.state for claimed in claims} <= {Claim.OURS, Claim.HELD}

        with_two(bench, steps)

    def test_restarts_are_those_within_the_window_the_longest_ago_first(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            a, b, elsewhere = LedgerKeys("a", "t"), LedgerKeys("b", "t"), LedgerKeys("a", "another task")
            assert (await one.history(a, DAY)).restarts == ()
            assert await reserve(one, a, "a1", note="n:ö €")
            assert await reserve(one, elsewhere, "a1")
            bench.pass_time(100)
            assert await reserve(other, b, "b1", note="x" * MAX_NOTE_LENGTH)
            bench.pass_time(100)
            first, second = (await one.history(b, DAY)).restarts
            assert (first.own, first.under_way, first.note) == (False, True, "n:ö €")
            assert (second.own, second.under_way, second.note) == (True, True, "x" * MAX_NOTE_LENGTH)
            ages = [restart.age_s for restart in (first, second)]
            assert ages == pytest.approx([200, 100], abs=bench.tolerance_s)
            assert [restart.own for restart in (await one.history(a, 150)).restarts] == [False]
            bench.pass_time(DAY - 150)
            assert [restart.own for restart in (await one.history(b, DAY)).restarts] == [True]
            bench.pass_time(100)
            assert (await one.history(b, DAY)).restarts == ()

        with_two(bench, steps)

    def test_a_restart_belongs_to_the_attempt_that_reserved_it(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            keys = LedgerKeys("e", "t")
            assert await reserve(one, keys, "first")
            await one.confirm(keys, "first")
            assert await reserve(other, keys, "second")
            await other.confirm(keys, "of nobody")
            under_way = [restart.under_way for restart in (await one.history(keys, DAY)).restarts]
            assert sorted(under_way) == [False, True]
            await other.unreserve(keys, "of nobody")
            await other.unreserve(LedgerKeys("e", "unheard of"), "first")
            await other.unreserve(keys, "second")
            await other.unreserve(keys, "second")
            (restart,) = (await one.history(keys, DAY)).restarts
            assert (restart.own, restart.under_way) == (True, False)

        with_two(bench, steps)

    def test_a_restart_is_recorded_only_by_the_history_as_it_still_is(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            mine, theirs = LedgerKeys("mine", "t"), LedgerKeys("theirs", "t")
            before, seen_by_them = await one.history(mine, DAY), await other.history(theirs, DAY)
            assert await one.reserve(mine, before, DAY, "first")
            assert not await other.reserve(theirs, seen_by_them, DAY, "theirs")
            assert not await one.reserve(mine, before, DAY, "second")
            seen = await other.history(theirs, DAY)
            await one.unreserve(mine, "first")
            assert not await other.reserve(theirs, seen, DAY, "theirs")
            assert await reserve(one, mine, "third")
            assert not await other.reserve(theirs, seen, DAY, "theirs")
            assert len((await other.history(theirs, DAY)).restarts) == 1

        with_two(bench, steps)

    def test_the_same_attempt_reserves_once(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            keys = LedgerKeys("e", "t")
            seen = await one.history(keys, DAY)
            assert await one.reserve(keys, seen, DAY, "attempt")
            assert await other.reserve(keys, seen, DAY, "attempt")
            assert len((await one.history(keys, DAY)).restarts) == 1

        with_two(bench, steps)

    def test_of_many_restarts_at_once_that_saw_the_same_one_is_recorded(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            keys = [LedgerKeys(f"e{number}", "t") for number in range(10)]
            seen = await one.history(keys[0], DAY)
            attempts = ((one, other)[n % 2].reserve(each, seen, DAY, f"a{n}") for n, each in enumerate(keys))
            taken = sum(await asyncio.gather(*attempts))
            assert taken == 1 if bench.somebody_wins else taken <= 1
            counted = len((await one.history(keys[0], DAY)).restarts)
            assert counted == taken if bench.somebody_wins else counted == 1

        with_two(bench, steps)

    def test_a_mark_is_the_first_owners_for_its_window(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            assert await one.mark("name", "e", 50)
            assert not await other.mark("name", "f", 50)
            assert await other.mark("another name", "f", 50)
            bench.pass_time(20)
            assert await other.mark("name", "e", 50)
            bench.pass_time(60)
            assert await other.mark("name", "f", 50)
            assert not await one.mark("name", "e", 50)

        with_two(bench, steps)

    def test_a_purge_removes_nothing_that_counts(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            keys = LedgerKeys("e", "t")
            await one.claim(event("held"), 3600)
            await one.settle(event("settled"), (await one.claim(event("settled"), 10)).token)
            await reserve(one, keys, "attempt")
            await one.mark("name", "e", DAY)
            for number in range(5):
                await one.claim(event(f"expired {number}"), 10)
            bench.pass_time(20)
            await other.purge()
            await one.purge()
            assert (await one.claim(event("held"), 10)).state is Claim.HELD
            assert (await one.claim(event("settled"), 10)).state is Claim.SETTLED
            assert len((await one.history(keys, DAY)).restarts) == 1
            assert not await one.mark("name", "f", DAY)
            assert (await one.claim(event("expired 0"), 10)).state is Claim.OURS

        with_two(bench, steps)

    def test_what_is_cancelled_may_be_done_or_not_and_the_ledger_can_be_used_on(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            for number in range(20):
                operation = asyncio.ensure_future(one.claim(event(f"e{number}"), 3600))
                for _ in range(number):
                    await asyncio.sleep(0)
                operation.cancel()
                with suppress(asyncio.CancelledError):
                    await operation
            for number in range(20):
                claimed = await other.claim(event(f"e{number}"), 3600)
                assert claimed.state in (Claim.OURS, Claim.HELD)
            assert (await one.claim(event("more"), 10)).state is Claim.OURS

        with_two(bench, steps)

    def test_a_restart_that_moved_something_does_not_count(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            deliver = Deliveries(bench, one, other)
            assert await deliver("a", objects=5) == "start 1"
            assert await deliver("a", objects=5) == "start 2"
            assert await deliver("a", objects=5) == "refused budget_exhausted"
            assert await deliver("a", objects=6) == "start 1"
            assert await deliver("a", objects=6) == "start 2"
            assert await deliver("a") == "refused budget_exhausted (repeated)"

        with_two(bench, steps)

    def test_failures_of_one_storage_key_are_one_incident(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            deliver = Deliveries(bench, one, other)
            assert await deliver("a", cause="TRF.0151", objects=1) == "start 1"
            assert await deliver("b", cause="TRF.0151", objects=1) == "start 1"
            assert await deliver("c", cause="TRF.0151") == "refused storage_key"
            assert await deliver("d", cause="TRF.0151") == "refused storage_key (repeated)"
            assert await deliver("e", cause="TRF.0001") == "start 1"
            assert await deliver("d", cause="TRF.0151", fingerprint="0b") == "start 1"
            assert await deliver("a", cause="TRF.0001", objects=2) == "start 1"
            assert await deliver("c", cause="TRF.0151") == "start 1"
            assert await deliver("b", cause="TRF.0151", objects=2) == "start 1"
            assert await deliver("f", cause="TRF.0151") == "start 1"
            assert await deliver("g", cause="TRF.0151") == "refused storage_key (repeated)"

        with_two(bench, steps)

    def test_a_key_with_which_the_first_task_moves_is_known_to_work(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            deliver = Deliveries(bench, one, other)
            assert await deliver("a", cause="TRF.0151", objects=1) == "start 1"
            assert await deliver("b", cause="TRF.0151", objects=1) == "start 1"
            deliver.tasks["a"] = deliver.tasks["a"]._replace(status=2)
            assert await deliver("c", cause="TRF.0151") == "deferred backoff"
            deliver.tasks["a"] = deliver.tasks["a"]._replace(status=2, counters=Counters(2))
            assert await deliver("d", cause="TRF.0151") == "start 1"
            assert await deliver("e", cause="TRF.0151") == "start 1"
            assert await deliver("f", cause="TRF.0151") == "refused storage_key"

        with_two(bench, steps)

    def test_a_restart_that_was_not_made_counts_under_neither_key(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            deliver = Deliveries(bench, one, other)
            for _ in range(3):
                assert await deliver("a", cause="TRF.0151", is_made=False) == "start 1"
            assert await deliver("b", cause="TRF.0151") == "start 1"

        with_two(bench, steps)

    def test_a_closed_ledger_opens_again(self, bench: Bench) -> None:
        async def steps(one: Ledger, other: Ledger) -> None:
            await one.claim(event("e"), 10)
            await one.close()
            assert (await one.claim(event("e"), 10)).state is Claim.HELD

        with_two(bench, steps)

    def test_any_sequence_of_operations_does_what_the_model_says(self, bench: Bench) -> None:
        limits = hypothesis_settings(
            max_examples=bench.examples,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(lambda: Compared(bench), settings=limits)  # type: ignore[arg-type]


class SharedLedgerSuite(LedgerSuite):
    """And for a ledger that processes share."""

    def test_processes_that_race_claim_each_event_once_and_reserve_one_by_one(self, bench: Bench) -> None:
        processes = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload(PRELOADED)
        with processes.Pool(PROCESSES) as pool:
            pool.map(abs, range(PROCESSES), chunksize=1)  # they are there
            jobs = [(bench.in_process, time.time() + 0.5, bench.rounds)] * PROCESSES
            results = pool.starmap(race, jobs, chunksize=1)
        for claims in zip(*(claims for claims, _ in results), strict=True):
            assert sum(claims) == 1 if bench.somebody_wins else sum(claims) <= 1
        reserved = sum(reserved for _, reserved in results)
        restarts = asyncio.run(history_of(bench.open()))
        # Where nobody may win, a reservation that was begun counts: it may have been made.
        assert reserved == len(restarts) > 0 if bench.somebody_wins else len(restarts) >= max(reserved, 1)


def race(opener: Callable[[], Ledger] | None, start_at: float, rounds: int) -> tuple[list[bool], int]:
    """Which events this process could claim, and how many restarts of one task it could reserve.

    `start_at`: when all begin; a round begins so often after that, for all processes that keep up.
    """

    async def run() -> tuple[list[bool], int]:
        assert opener
        ledger, mine, reserved = opener(), secrets.token_hex(4), 0
        claims = []
        for number in range(rounds):
            await asyncio.sleep(max(start_at + number * SLOT_S - time.time(), 0))
            claims.append((await ledger.claim(event(f"race {number}"), 600)).state is Claim.OURS)
            reserved += await reserve(ledger, RACED, f"{mine}-{number}")
        await ledger.close()
        return claims, reserved

    return asyncio.run(run())


async def history_of(ledger: Ledger) -> Sequence[Restart]:
    found = (await ledger.history(RACED, DAY)).restarts
    await ledger.close()
    return found


RACED = LedgerKeys("e", "raced")


class Deliveries:
    """Failed events about tasks, by two instances in turn: reserved by the real rules, then confirmed or taken back.

    A second apart, with a budget of two and no pause between restarts.
    """

    def __init__(self, bench: Bench, *ledgers: Ledger) -> None:
        self._bench = bench
        self._ledgers = ledgers
        self._number = 0
        self.tasks: dict[str, Task] = {}
        """As OMS shows them now."""

    async def _look(self, _project_id: str, canary: Canary, _context: DeliveryContext) -> Task:
        return self.tasks[canary.target_id]

    async def __call__(
        self,
        name: str,
        *,
        cause: str = "TRF.0001",
        objects: int | None = None,
        fingerprint: str = "0a",
        is_made: bool = True,
    ) -> str:
        """The result of an event about the task of that name, which has moved so many objects."""
        self._number += 1
        self._bench.pass_time(1)
        ledger = self._ledgers[self._number % len(self._ledgers)]
        policy = Policy(budget=2, backoff=0.0, fingerprints={"default": fingerprint})
        event = Event(RestartRequest(task_id="1"), "direct", Intent.FAILED, "p", identity=(str(self._number),))
        task = Task(name, None, 4, failure_reason=cause, counters=Counters(objects))
        self.tasks[name] = task
        token, received_at = f"token-{self._number}", time.monotonic()
        context = DeliveryContext(datetime.now(UTC), received_at, received_at + 60)
        start = Start(name, migrate_failed_object=False)
        found = await Reservations(ledger, policy, self._look, dry_run=False).reserve(
            event, task, start, token, context
        )
        if isinstance(found, Outcome):
            return f"{found.kind} {found.reason}" + (" (repeated)" if found.repeated else "")
        for keys in found.keys:
            await (ledger.confirm if is_made else ledger.unreserve)(keys, token)
        return f"start {found.attempt}"


@dataclass
class Model:
    """What a ledger has to remember, in the simplest way there is."""

    now: float = 0.0
    events: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    restarts: dict[str, tuple[str, float, bool]] = field(default_factory=dict)
    marks: dict[str, tuple[str, float]] = field(default_factory=dict)

    def claim(self, key: EventKey, seconds: float) -> Claim:
        _, settled_for, until = self.events.get(key.id, ("", "", 0.0))
        if until <= self.now:
            self.events[key.id] = ("", "", self.now + seconds)
            return Claim.OURS
        if not settled_for:
            return Claim.HELD
        return Claim.SETTLED if settled_for == key.target else Claim.SETTLED_ELSEWHERE

    def release(self, key: EventKey, token: str) -> None:
        if self.events.get(key.id, ("", "", 0.0))[:2] == (token, ""):
            del self.events[key.id]

    def history(self, window: float) -> dict[str, tuple[str, float, bool]]:
        return {attempt: each for attempt, each in self.restarts.items() if each[1] > self.now - window}

    def mark(self, name: str, owner: str, window: float) -> bool:
        if self.marks.get(name, ("", 0.0))[1] <= self.now:
            self.marks[name] = (owner, self.now + window)
        return self.marks[name][0] == owner


EVENTS, TARGETS = st.sampled_from("ef"), st.sampled_from("tu")
# Time passes in steps of 20 s, and nothing ends near one.
CLAIMS, WINDOWS, PASSES = st.sampled_from([10.0, 50.0]), st.sampled_from([90.0, 170.0]), st.sampled_from([20, 80])


class Compared(RuleBasedStateMachine):
    """Two instances of a ledger, and the model: whoever is asked, all say the same.

    A restart is concluded by the instance that reserved it, as one delivery does. One window is used throughout, as
    RESTART_BUDGET gives it: a ledger may forget a restart after its own window.
    """

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench
        self._loop = asyncio.new_event_loop()
        self._ledgers = (bench.open(), bench.open())
        self._turn = 0
        self._window = 0.0
        self._name = secrets.token_hex(8)
        self._model = Model()
        self._tokens: list[tuple[EventKey, str]] = []
        self._seen: tuple[History, set[str]] | None = None
        self._attempts: dict[str, int] = {}
        """Those that reserved something, and which instance it was."""

    def _ask(self, question: Callable[[Ledger], Awaitable[Any]], instance: int | None = None) -> Any:
        self._turn += 1

        async def ask() -> Any:
            return await question(self._ledgers[self._turn % 2 if instance is None else instance])

        return self._loop.run_until_complete(ask())

    def _event(self, name: str, target: str) -> EventKey:
        return EventKey(self._name + name, target)

    def _keys(self, name: str) -> LedgerKeys:
        return LedgerKeys(self._name + name, self._name)

    @initialize(window=WINDOWS)
    def begin(self, window: float) -> None:
        self._window = window

    @rule(seconds=PASSES)
    def time_passes(self, seconds: int) -> None:
        self._bench.pass_time(seconds)
        self._model.now += seconds
        self._seen = None  # whether a restart that leaves the window changes the version is the ledger's affair

    @rule(name=EVENTS, named=TARGETS, seconds=CLAIMS)
    def claim(self, name: str, named: str, seconds: float) -> None:
        key = self._event(name, named)
        claimed: Claimed = self._ask(lambda ledger: ledger.claim(key, seconds))
        assert claimed.state is self._model.claim(key, seconds)
        if claimed.state is Claim.OURS:
            self._model.events[key.id] = (claimed.token, *self._model.events[key.id][1:])
            self._tokens.append((key, claimed.token))

    @rule(data=st.data(), settles=st.booleans())
    def end(self, data: st.DataObject, settles: bool) -> None:  # noqa: FBT001
        if self._tokens:
            key, token = data.draw(st.sampled_from(self._tokens))
            if settles:
                self._ask(lambda ledger: ledger.settle(key, token))
                self._model.events[key.id] = (token, key.target, self._model.now + SETTLED_TTL_S)
            else:
                self._ask(lambda ledger: ledger.release(key, token))
                self._model.release(key, token)

    @rule(name=EVENTS)
    def history(self, name: str) -> None:
        found: History = self._ask(lambda ledger: ledger.history(self._keys(name), self._window))
        expected = self._model.history(self._window)
        ages = sorted((self._model.now - at for _, at, _ in expected.values()), reverse=True)
        assert [restart.age_s for restart in found.restarts] == pytest.approx(ages, abs=self._bench.tolerance_s)
        facts = sorted((event == name, under_way) for event, _, under_way in expected.values())
        assert sorted((restart.own, restart.under_way) for restart in found.restarts) == facts
        self._seen = (found, set(expected))

    @rule(name=EVENTS)
    def reserve(self, name: str) -> None:
        if self._seen is not None:
            (found, seen), attempt = self._seen, secrets.token_hex(8)
            taken = self._ask(lambda ledger: ledger.reserve(self._keys(name), found, self._window, attempt))
            assert taken is (set(self._model.history(self._window)) == seen)
            if taken:
                self._model.restarts[attempt] = (name, self._model.now, True)
                self._attempts[attempt] = self._turn % 2

    @rule(data=st.data(), counts=st.booleans())
    def conclude(self, data: st.DataObject, counts: bool) -> None:  # noqa: FBT001
        if self._attempts:
            attempt, by = data.draw(st.sampled_from([*self._attempts.items()]))
            name, at, _ = self._model.restarts.get(attempt, ("e", 0.0, False))
            if counts:
                self._ask(lambda ledger: ledger.confirm(self._keys(name), attempt), by)
                self._seen = None  # and whether one that is confirmed does
                if attempt in self._model.restarts:
                    self._model.restarts[attempt] = (name, at, False)
            else:
                self._ask(lambda ledger: ledger.unreserve(self._keys(name), attempt), by)
                self._model.restarts.pop(attempt, None)

    @rule(name=EVENTS, owner=EVENTS, window=CLAIMS)
    def mark(self, name: str, owner: str, window: float) -> None:
        found = self._ask(lambda ledger: ledger.mark(self._name + name, owner, window))
        assert found is self._model.mark(name, owner, window)

    @rule()
    def purge(self) -> None:
        self._ask(lambda ledger: ledger.purge())

    def teardown(self) -> None:
        for ledger in self._ledgers:
            self._loop.run_until_complete(ledger.close())
        self._loop.close()
