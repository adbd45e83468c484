"""The storm: thousands of events for thousands of failed tasks, while everything fails that can, and their outcomes.

    python tests/bench/storm.py [--events 5000] [--tasks 5000] [--seed 1] [--starts-per-second 100]
                                 [--other FOLDER] [--platform]

Two functions share a Valkey and a simulator of OMS. Some events come twice at the same moment, late, or out of their
order, and one in twenty never comes; OMS throttles starts, fails some, and cuts connections before and after it has
started a task; one function is killed in the middle and started again. The sender redelivers on 5xx and on no answer,
and honours Retry-After. Sweeps come all the while, and until every task was started. In the end all tasks fail once
more, and some events come again: they are settled, and must start nothing. All on loopback; it ends by itself, with 1
if a promise was broken.

`--other` names a folder with another version of the function, which is the second of the two: an upgrade that is under
way. Release 0.2.0 does not name the sender in the identity of an event, so neither knows which events the other one
settled, and events do not come again then. With `--platform`, where the platform authenticates, both do.
"""

import argparse
import asyncio
import itertools
import json
import queue
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "infra" / "demo"), str(ROOT / "function")]

from lean_client import lean_client  # noqa: E402  # run as a program, it finds them only now
from processes import EXAMPLE, FUNCTION, Running, function, simulator  # noqa: E402  # the same
from redis_server import RedisServer  # noqa: E402  # the same

FIRST_TASK = 1_000_001
ANSWER_WITHIN = 10.0  # seconds that the sender waits
AGAIN_AFTER = 2.0  # seconds after which it tries again where nobody answered
KEPT = 3_000  # deliveries after which the call log is read; it keeps 20,000 calls, and a delivery makes up to three
SWEEP_LIMIT = 50  # starts of one sweep
KILLED_WITHIN_S = 5.0  # after a third of the events
SWEEP_EVERY = 1.5  # seconds between sweeps while events come
SETTLED = ("swept", "started", "already_running", "nothing_to_do", "duplicate")


@dataclass(frozen=True)
class Plan:
    """What is played; times in seconds."""

    events: int = 5_000
    tasks: int = 5_000
    seed: int = 1
    starts_per_second: float = 100.0
    connections: int = 200
    deadline: float = 4.5
    late: float = 10.0
    limit: float = 280.0
    backoff: float = 5.0
    lost: float = 0.05
    """The part of the events that never comes."""
    other: str | None = None
    """The folder of the second function, where it is another version."""
    platform: bool = False
    """The platform authenticates, so no event has a sender in its identity."""
    faults: int | None = None
    """How often each kind of fault happens at most; None is as often as the dice say."""

    @property
    def least(self) -> float:
        """Seconds that the throttle needs at least: the bucket is full at first and holds what a second brings."""
        return max(0.0, min(self.tasks, self.events) / self.starts_per_second - 1)

    def settings(self, oms: str, ledger: str) -> dict[str, str]:
        """The function's. No pause keeps a second event from a task that the first one has not started yet."""
        changes = {
            "RESTART_DEADLINE": str(self.deadline),
            "RESTART_BACKOFF": f"{self.backoff:g}",
            "RESTART_BUDGET": "1000/24h",
        }
        changes |= {"RESTART_SWEEP": "on", "RESTART_SWEEP_LIMIT": str(SWEEP_LIMIT)}
        changes |= {"CALLER_TRUST_PLATFORM": "true", "CALLER_BEARER_TOKENS": ""} if self.platform else {}
        return EXAMPLE | changes | {"OMS_ENDPOINT": oms, "RESTART_LEDGER": ledger}

    def rules(self) -> list[dict[str, Any]]:
        """What OMS does wrong, by the same dice for the same seed."""
        actions: list[tuple[str, dict[str, Any], float]] = [
            ("start", {"answer": "broken"}, 0.02),
            ("start", {"answer": "unavailable"}, 0.02),
            ("start", {"reset_before": "rst"}, 0.01),
            ("start", {"reset_before": "fin"}, 0.01),
            ("start", {"reset_after": "rst"}, 0.01),
            ("start", {"reset_after": "fin"}, 0.01),
            ("list", {"answer": "bad_gateway"}, 0.02),
            ("show", {"answer": "bad_gateway"}, 0.01),
            ("show", {"reset_before": "rst"}, 0.01),
        ]
        return [
            {"operation": operation, "action": action, "probability": probability, "seed": self.seed * 100 + n}
            | ({} if self.faults is None else {"count": self.faults})
            for n, (operation, action, probability) in enumerate(actions)
        ]


@dataclass
class Parcel:
    """One copy of an event until it is taken: when it is sent first, and to which of the functions.

    An event about no task asks for a sweep.
    """

    event: str
    task: int | None
    due: float
    where: int
    happened: datetime
    again: bool = False
    tries: int = 0
    status: int | None = None

    def content(self) -> bytes:
        """The event as JSON."""
        event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms/storm", "id": self.event}
        data = {"sweep": True} if self.task is None else {"task_id": self.task}
        return json.dumps(event | {"time": self.happened.isoformat(), "data": data}).encode()


def parcels_of(plan: Plan) -> list[Parcel]:
    """One for each event, but some never come, 5 % come twice at the same moment, 5 % late, 10 % out of their order."""
    dice, fate, now = random.Random(plan.seed), random.Random(-plan.seed), datetime.now(UTC)
    parcels: list[Parcel] = []
    for n in range(plan.events):
        if fate.random() < plan.lost:
            continue
        luck = dice.random()
        due = dice.uniform(plan.late / 2, plan.late) if luck < 0.05 else dice.uniform(0, 3) if luck < 0.15 else 0.0
        happened = now - timedelta(seconds=600 if luck < 0.05 else 1)
        parcels.append(Parcel(f"event-{n}", FIRST_TASK + n % plan.tasks, due, n % 2, happened))
        if luck >= 0.95:
            parcels.append(replace(parcels[-1], where=(n + 1) % 2))
    return parcels


@dataclass
class Sent:
    """One delivery: which event, and what the sender heard; None is nothing."""

    event: str
    again: bool
    sweep: bool = False
    status: int | None = None
    seconds: float = 0.0


class Sender:
    """Delivers at least once: redelivers what was not taken, and gives up only when told that it is in vain."""

    def __init__(self, client: httpx.AsyncClient, addresses: list[str], plan: Plan) -> None:
        self.sent: dict[str, Sent] = {}
        self._at_first = 0
        self.first_is_busy = asyncio.Event()
        """A delivery to the first instance is under way."""
        self.third = asyncio.Event()
        self._to_come = plan.events // 3
        self._client = client
        self._addresses = addresses
        self._dice = random.Random(plan.seed)
        self._free = asyncio.Semaphore(plan.connections)

    async def deliver(self, parcel: Parcel) -> None:
        """Until it is taken, or refused for good."""
        await asyncio.sleep(parcel.due)
        while True:
            async with self._free:
                wait = await self._post(parcel)
            if wait is None:
                self._to_come -= 1
                if self._to_come <= 0:
                    self.third.set()
                return
            parcel.where = self._dice.randrange(len(self._addresses))
            await asyncio.sleep(wait)

    async def deliver_once(self, parcel: Parcel) -> None:
        """As a timer does it, which ignores the response: its next delivery comes soon."""
        await self._post(parcel)

    async def _post(self, parcel: Parcel) -> float | None:
        """Seconds until the next try, or None when there is none."""
        parcel.tries += 1
        trace = f"{len(self.sent) + 1:032x}"
        sent = self.sent[trace] = Sent(parcel.event, parcel.again, parcel.task is None)
        started_at = time.monotonic()
        headers = {"traceparent": f"00-{trace}-{1:016x}-01"}
        self._count(parcel.where, 1)
        try:
            reply = await self._client.post(self._addresses[parcel.where], content=parcel.content(), headers=headers)
        except httpx.TransportError:
            return AGAIN_AFTER
        finally:
            self._count(parcel.where, -1)
        sent.status = parcel.status = reply.status_code
        sent.seconds = time.monotonic() - started_at
        return float(reply.headers.get("retry-after", AGAIN_AFTER)) if reply.status_code >= 500 else None

    def _count(self, where: int, change: int) -> None:
        self._at_first += change if where == 0 else 0
        (self.first_is_busy.set if self._at_first else self.first_is_busy.clear)()


@dataclass
class Found:
    """Everything that is known in the end."""

    plan: Plan
    parcels: list[Parcel]
    again: list[Parcel] = field(default_factory=list)
    sweeps: list[Parcel] = field(default_factory=list)
    sent: dict[str, Sent] = field(default_factory=dict)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    starts: dict[int, int] = field(default_factory=dict)
    starts_again: dict[int, int] = field(default_factory=dict)
    posts: Counter[int] = field(default_factory=Counter)
    calls: int = 0
    elapsed: float = 0.0

    @property
    def lost(self) -> set[int]:
        """The tasks of which no notice ever came."""
        told = {parcel.task for parcel in self.parcels}
        return {FIRST_TASK + n for n in range(min(self.plan.tasks, self.plan.events)) if FIRST_TASK + n not in told}

    @property
    def swept(self) -> set[str]:
        """The traces of sweeps."""
        return {trace for trace, sent in self.sent.items() if sent.sweep}

    @property
    def answered(self) -> dict[str, Sent]:
        """The deliveries that were answered, by trace."""
        return {trace: sent for trace, sent in self.sent.items() if sent.status is not None}

    def promises(self) -> dict[str, list[Any]]:
        """Each promise, and what breaks it."""
        tries, swept = Counter[int | None](), self.swept
        for parcel in self.parcels + self.again:
            tries[parcel.task] += parcel.tries
        by_events = (r for r in self.receipts if r["outcome"] == "started" and r.get("trace_id") not in swept)
        started = Counter(receipt["event_id"] for receipt in by_events)
        return {
            "every task was started": [p.task for p in self.parcels if not self.starts.get(p.task or 0)],
            "sweeps find what no notice told of": [task for task in self.lost if self.starts.get(task) != 1],
            "no task was started twice": [task for task, starts in self.starts.items() if starts > 1],
            "no event started twice": [event for event, times in started.items() if times > 1],
            "no event was lost or given up": [p.event for p in self.parcels if p.status != 204],
            "an event that comes again is a duplicate": self._not_duplicates(),
            "nor does it start anything": [t for t, starts in self.starts_again.items() if starts != self.starts[t]],
            "no start of what OMS runs already": [
                r["event_id"] for r in self.receipts if r["outcome"] == "already_running" and r.get("start_called")
            ],
            "one POST at most for a delivery": self._too_many_posts(tries),
            "each POST has its receipt": self._posts_without_receipt(),
            "each answer has one receipt": self._without_receipt(),
            "each receipt has its delivery": [r for r in self.receipts if r.get("trace_id") not in self.sent],
        }

    def _too_many_posts(self, tries: Counter[int | None]) -> list[int]:
        """A delivery of a sweep may make one of each task, too."""
        return [task for task, posts in self.posts.items() if posts > tries[task] + len(self.swept)]

    def _not_duplicates(self) -> list[str]:
        """Whatever was delivered again must have been taken in the end, and as nothing else."""
        told = {receipt.get("trace_id"): receipt["outcome"] for receipt in self.receipts}
        taken = {trace: sent for trace, sent in self.answered.items() if sent.again and sent.status == 204}
        wrong = [sent.event for trace, sent in taken.items() if told.get(trace) != "duplicate"]
        return wrong + [parcel.event for parcel in self.again if parcel.status != 204]

    def _without_receipt(self) -> list[str]:
        """By the delivery's own trace; the receipt tells what the answer told. Of a sweep the last one does."""
        heard = {trace: "settled" if sent.status == 204 else sent.status for trace, sent in self.answered.items()}
        traces = Counter(receipt.get("trace_id") for receipt in self.receipts)
        told = {r.get("trace_id"): "settled" if r["outcome"] in SETTLED else 503 for r in self.receipts}
        single = {trace: traces[trace] for trace in heard} | {trace: min(traces[trace], 1) for trace in self.swept}
        return [trace for trace, status in heard.items() if single[trace] != 1 or told[trace] != status]

    def _posts_without_receipt(self) -> list[str]:
        """Only a delivery that was not answered may have made a POST that nobody told of."""
        told = sum(bool(receipt.get("start_called")) for receipt in self.receipts)
        heard_of = {receipt.get("trace_id") for receipt in self.receipts}
        excuses = sum(SWEEP_LIMIT if s.sweep else 1 for trace, s in self.sent.items() if trace not in heard_of)
        untold = self.posts.total() - told
        return [] if 0 <= untold <= excuses else [f"{untold} POSTs more than told, {excuses} may be"]


class Storm:
    """The play: three kinds of processes, a sender, an accident, and a look at everything afterwards."""

    def __init__(self, plan: Plan, oms: Running, settings: dict[str, str], stack: ExitStack) -> None:
        self._oms = oms
        self._settings = settings
        self._stack = stack
        folders = (FUNCTION, Path(plan.other) if plan.other else FUNCTION)
        self._functions = [stack.enter_context(function(settings, source=folder / "main.py")) for folder in folders]
        self._found = Found(plan, parcels_of(plan))
        self._read = 0

    async def play(self) -> Found:
        """All of it, within the limit of the plan."""
        found, plan = self._found, self._found.plan
        self._fail_all()
        self._oms.control("PUT", "/_sim/rules", plan.rules())
        self._oms.control("PUT", "/_sim/throttle", {"starts_per_second": plan.starts_per_second})
        async with self._sender() as sender:
            started_at = time.monotonic()
            try:
                async with asyncio.timeout(plan.limit):
                    await self._rage(sender)
                    found.elapsed = time.monotonic() - started_at
                    found.starts = self._starts()
                    if plan.platform or not plan.other:
                        await self._come_again(sender)
            except TimeoutError:
                found.elapsed = found.elapsed or time.monotonic() - started_at
                found.starts = found.starts or self._starts()
        await asyncio.to_thread(self._look)
        return found

    @asynccontextmanager
    async def _sender(self) -> Any:
        plan = self._found.plan
        headers = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
        headers["Content-Type"] = "application/cloudevents+json"
        async with lean_client(plan.connections, headers, ANSWER_WITHIN) as client:
            sender = Sender(client, [running.url for running in self._functions], plan)
            self._found.sent = sender.sent
            yield sender

    async def _rage(self, sender: Sender) -> None:
        """Everything is delivered; meanwhile one function dies and comes back, and sweeps look for what was lost."""
        delivered = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            log = group.create_task(self._keep_the_log(sender))
            beside = [group.create_task(self._kill_one(sender)), group.create_task(self._sweep(sender, delivered))]
            await asyncio.gather(*(sender.deliver(parcel) for parcel in self._found.parcels))
            delivered.set()
            await asyncio.gather(*beside)
            log.cancel()

    async def _sweep(self, sender: Sender, delivered: asyncio.Event) -> None:
        """One sweep after the other, until all events were delivered and every task was started."""
        for n in itertools.count():
            with suppress(TimeoutError):
                await asyncio.wait_for(delivered.wait(), SWEEP_EVERY)
            if delivered.is_set():
                await asyncio.sleep(SWEEP_EVERY / 5)
            if delivered.is_set() and all((await asyncio.to_thread(self._starts)).values()):
                return
            where = 0 if self._found.plan.other else n % 2
            self._found.sweeps.append(Parcel(f"sweep-{n}", None, 0.0, where, datetime.now(UTC)))
            await sender.deliver_once(self._found.sweeps[-1])

    async def _kill_one(self, sender: Sender) -> None:
        """As its machine goes, in the middle; the platform starts another at the same address."""
        await sender.third.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(sender.first_is_busy.wait(), KILLED_WITHIN_S)  # not between two deliveries
        killed = self._functions[0]
        await asyncio.to_thread(killed.kill)
        port = int(killed.url.rpartition(":")[2])
        again = function(self._settings, port)
        self._functions.append(await asyncio.to_thread(self._stack.enter_context, again))

    async def _keep_the_log(self, sender: Sender) -> None:
        """Read OMS's log of calls before it forgets the oldest."""
        read = 0
        while True:
            await asyncio.sleep(0.2)
            if len(sender.sent) >= read + KEPT:
                read = len(sender.sent)
                await asyncio.to_thread(self._count_calls)

    def _count_calls(self) -> None:
        for call in self._oms.control("GET", "/_sim/calls"):
            if call["n"] > self._read:
                self._read = call["n"]
                self._found.calls += 1
                if call["operation"] == "start":
                    self._found.posts[int(call["task_id"])] += 1

    async def _come_again(self, sender: Sender) -> None:
        """All tasks fail once more, and a part of the events is delivered again by a sender that has forgotten."""
        self._count_calls()
        self._fail_all(self._found.starts)
        found = self._found
        chosen = random.Random(found.plan.seed).sample(found.parcels, min(500, len(found.parcels)))
        found.again = [replace(parcel, due=0.0, again=True, tries=0, status=None) for parcel in chosen]
        await asyncio.gather(*(sender.deliver(parcel) for parcel in found.again))
        found.starts_again = self._starts()

    def _fail_all(self, starts: dict[int, int] | None = None) -> None:
        tasks, known = range(FIRST_TASK, FIRST_TASK + self._found.plan.tasks), starts or {}
        failed = [{"id": task, "status": 4, "started_ago": 600, "starts": known.get(task, 0)} for task in tasks]
        self._oms.control("PUT", "/_sim/tasks", failed)

    def _starts(self) -> dict[int, int]:
        return {task["id"]: task["starts"] for task in self._oms.control("GET", "/_sim/tasks")}

    def _look(self) -> None:
        """Every line that a function has written, the killed one's too, as soon as the answered ones' are there."""
        self._count_calls()
        found, missing = self._found, set(self._found.answered)
        give_up = time.monotonic() + 20
        while True:
            for receipt in self._lines():
                found.receipts.append(receipt)
                missing.discard(receipt.get("trace_id", ""))
            if not missing or time.monotonic() > give_up:
                return
            time.sleep(0.05)

    def _lines(self) -> Iterator[dict[str, Any]]:
        for running in self._functions:
            try:
                while True:
                    yield running.receipt(0.05)
            except queue.Empty:
                continue


@contextmanager
def processes(plan: Plan) -> Iterator[Storm]:
    """The storm, ready to be played."""
    with RedisServer() as ledger, simulator() as oms, ExitStack() as stack:
        yield Storm(plan, oms, plan.settings(oms.url, ledger.address), stack)


def play(plan: Plan) -> Found:
    """Play it, and say what was found."""
    with processes(plan) as storm:
        return asyncio.run(storm.play())


def figures(found: Found) -> list[tuple[str, str]]:
    """What a person wants to know."""
    plan = found.plan
    answered = sorted(sent.seconds for sent in found.answered.values())
    statuses = Counter(str(sent.status or "no answer") for sent in found.sent.values())
    outcomes = Counter(f"{r['outcome']} {r.get('reason', '')}".strip() for r in found.receipts)
    per_task = Counter(found.starts.values())
    swept = found.swept
    by_sweeps = sum(r["outcome"] == "started" and r.get("trace_id") in swept for r in found.receipts)
    return [
        ("events, tasks, seed", f"{plan.events}, {plan.tasks}, {plan.seed}"),
        ("copies, come again", f"{len(found.parcels)}, {len(found.again)}"),
        ("lost, sweeps, started by sweeps", f"{len(found.lost)}, {len(found.sweeps)}, {by_sweeps}"),
        ("deliveries", f"{len(found.sent)}: " + ", ".join(f"{n} {status}" for status, n in sorted(statuses.items()))),
        ("tries for one copy, at most", str(max(parcel.tries for parcel in found.parcels))),
        ("answered within, half and 99 %", f"{_at(answered, 0.5):.2f} s, {_at(answered, 0.99):.2f} s"),
        ("receipts", str(len(found.receipts))),
        *((f"  {outcome}", str(n)) for outcome, n in outcomes.most_common()),
        ("calls that OMS saw, starts of them", f"{found.calls}, {found.posts.total()}"),
        ("starts accepted for a task", ", ".join(f"{starts} ({n} tasks)" for starts, n in sorted(per_task.items()))),
        ("elapsed", f"{found.elapsed:.1f} s"),
        ("least that the throttle allows", f"{plan.least:.1f} s at {plan.starts_per_second:g} starts a second"),
        ("ratio", f"{found.elapsed / plan.least:.2f}" if plan.least else "-"),
    ]


def _at(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def show(found: Found, console: Console) -> None:
    """Figures and promises as tables."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_header=False)
    for row in figures(found):
        table.add_row(*row)
    table.add_section()
    for promise, broken in found.promises().items():
        table.add_row(promise, f"BROKEN {len(broken)} times: {broken[:3]}" if broken else "kept")
    console.print(table)


def main(arguments: list[str] | None = None) -> int:
    """0 when every promise was kept."""
    parser = argparse.ArgumentParser(description="A storm of events at two functions, with every kind of failure.")
    parser.add_argument("--events", type=int, default=Plan.events)
    parser.add_argument("--tasks", type=int, default=Plan.tasks)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--starts-per-second", type=float, default=Plan.starts_per_second)
    parser.add_argument("--other", help="the folder of another version of the function, for one of the two")
    parser.add_argument("--platform", action="store_true", help="the platform authenticates, and no token does")
    found = play(Plan(**vars(parser.parse_args(arguments))))
    show(found, Console(width=None if sys.stdout.isatty() else 120))
    return 1 if any(found.promises().values()) else 0


if __name__ == "__main__":
    sys.exit(main())
