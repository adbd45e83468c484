"""An instance of the function that goes on only when it is told to: its clock stands, and each wait is a question.

Pipeline, restarter, client of OMS and breaker are the real ones. What they ask of the ledger and of OMS is answered by
the caller, one question at a time, so the same events make the same instance again.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

from restarter.http.call import Answer, Call, NoAnswer
from restarter.ledger import EventKey, LedgerError
from restarter.model.delivery import Delivery
from restarter.model.outcome import Reason
from restarter.oms.credentials import CredentialProvider
from restarter.pipeline import Pipeline, Resources
from restarter.settings.model import Settings
from restarter.telemetry.observer import NO_OBSERVER

WHO: ContextVar[str] = ContextVar("WHO")
STARTS = ("StartTask", "RetryTaskGroup")
Op = tuple[str, int]
"""Of which delivery, and the how manieth of its questions."""
Event = tuple[Any, ...]
"""`begin` time · `arrive` who · `answer` op value · `pass` monotonic and wall seconds · `settings` which of them."""


class Question(NamedTuple):
    """What a delivery waits for: an operation of the ledger, or a request to OMS."""

    name: str
    arguments: tuple[Any, ...]

    @property
    def of(self) -> str:
        return "OMS" if self.name[0].isupper() else "ledger"


class Ended(NamedTuple):
    """The reply to a delivery, and of each receipt the outcome, the reason and the severity."""

    status: int
    retry_after: float
    receipts: tuple[tuple[str, str, str], ...]
    at: float = 0.0


class Face(NamedTuple):
    """What can be seen of an instance."""

    pending: tuple[tuple[Op, Question], ...]
    given_up: tuple[tuple[Op, Question], ...]
    """Questions whose answer the delivery has ceased to wait for."""
    failed: tuple[tuple[str, str], ...]
    """Of which delivery, and the operation, each that the ledger did not answer, or not in time."""
    ended: tuple[tuple[str, Ended], ...]
    timer: float | None
    """Seconds until the next wait ends by itself."""
    longest: float
    """Seconds that the delivery took, or has taken so far, which took the longest."""
    starts: tuple[str, ...]
    """Of which delivery each request for a start was, those that were given up too."""
    events: tuple[tuple[str, EventKey], ...]
    """Which events the deliveries have claimed."""


class Loop(asyncio.BaseEventLoop):
    """An event loop without sockets, whose clocks stand."""

    def __init__(self, wall: float) -> None:
        super().__init__()
        self.clock, self.wall = 0.0, wall
        self._selector = self  # which never has anything
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self.clock

    def select(self, timeout: float | None) -> list[Any]:
        return []

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def settle(self) -> None:
        """Run until everything waits."""
        asyncio._set_running_loop(self)  # noqa: SLF001  # run_forever would wait, and costs more
        try:
            while self._ready or self.next_timer() <= self.clock:  # type: ignore[attr-defined]
                self._run_once()  # type: ignore[attr-defined]
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001

    def next_timer(self) -> float:
        timers = self._scheduled  # type: ignore[attr-defined]
        return min((timer.when() for timer in timers if not timer.cancelled()), default=float("inf"))


def _running() -> Loop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    return loop


@contextmanager
def standing_clocks() -> Iterator[None]:
    """A block in which the function reads the clocks of the instance that runs it."""
    clocks = SimpleNamespace(monotonic=lambda: _running().clock, time=lambda: _running().wall)
    with patch("restarter.pipeline.time", clocks), patch("restarter.model.delivery.time", clocks):
        yield


class Instance:
    """One instance; `settings`: those it begins with, and those that replace them one by one."""

    def __init__(
        self, settings: tuple[Settings, ...], deliveries: Mapping[str, Delivery], wall: float, *, knows_key: bool
    ) -> None:
        self._loop = Loop(wall)
        self._deliveries = deliveries
        self._settings, self._current = settings, settings[0]
        self._pending: dict[Op, tuple[Question, asyncio.Future[Any]]] = {}
        self._given_up: list[tuple[Op, Question]] = []
        self._failed: list[tuple[str, str]] = []
        self._asked: dict[str, int] = {}
        self._arrived: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._ended: list[tuple[str, Ended]] = []
        self._starts: list[str] = []
        self._events: list[tuple[str, EventKey]] = []
        self._written: dict[str, list[bytes]] = {}
        self._credentials = CredentialProvider(self, self._now)  # type: ignore[arg-type]  # nothing closes it
        if knows_key:
            self._credentials.configured(settings[0]).breaker.is_closed = True  # type: ignore[union-attr]
        self._resources = Resources(
            *(self, self._credentials, self, NO_OBSERVER, self._now),  # type: ignore[arg-type]  # a ledger by __getattr__
            lambda _: nullcontext(),
            lambda lines: self._written.setdefault(WHO.get(), []).extend(lines),
            lambda _: None,
        )
        self._pipeline = self._build(settings[0])

    def _build(self, settings: Settings) -> Pipeline:
        return Pipeline(settings, self._resources, lambda: self._current is settings)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(_running().wall, UTC)

    def feed(self, event: Event) -> None:
        """Let one thing happen, and run until everything waits."""
        match event:
            case ("arrive", who):
                context = copy_context()
                context.run(WHO.set, who)
                self._loop.create_task(self._handle(who, self._deliveries[who.rstrip("'")]), context=context)
            case ("answer", op, LedgerError() as error):
                self._pending[op][1].set_exception(error)
            case ("answer", op, value):
                self._pending[op][1].set_result(value)
            case ("pass", monotonic, wall):
                self._loop.clock += monotonic
                self._loop.wall += wall
            case ("settings", which):
                self._current = self._settings[which]
                self._pipeline = self._build(self._current)
        self._loop.settle()

    async def _handle(self, who: str, delivery: Delivery) -> None:
        self._arrived[who] = self._loop.clock
        reply = await self._pipeline.handle(delivery, self._pipeline.begin())
        lines = [json.loads(line) for line in self._written.get(who, [])]
        receipts = tuple((line["outcome"], line.get("reason", ""), line["severity"]) for line in lines)
        self._ended.append((who, Ended(reply.status, float(reply.headers.get("Retry-After", 0)), receipts)))
        self._took[who] = self._loop.clock - self._arrived[who]

    async def _ask(self, name: str, *arguments: Any) -> Any:
        who = WHO.get()
        op = who, self._asked.get(who, 0)
        self._asked[who] = op[1] + 1
        question, future = Question(name, arguments), self._loop.create_future()
        self._pending[op] = question, future
        try:
            return await future
        except asyncio.CancelledError:
            self._given_up.append((op, question))
            self._failed.append((who, name))
            raise
        except LedgerError:
            self._failed.append((who, name))
            raise
        finally:
            del self._pending[op]

    waits = True
    """As a ledger: it is asked with a deadline."""

    def __getattr__(self, name: str) -> Any:
        """An operation of the ledger."""

        async def operation(*arguments: Any) -> Any:
            if name == "claim":
                self._events.append((WHO.get(), arguments[0]))
            return None if name == "purge" else await self._ask(name, *arguments)  # there is nothing to purge

        return operation

    async def send(self, call: Call, headers: Any, seconds: float) -> Answer | NoAnswer:
        """As the transport: no exception, and no longer than it may take."""
        if call.operation in STARTS:
            self._starts.append(WHO.get())
        which = next((n for n, one in enumerate(self._settings) if _ak(one) in headers["Authorization"]), 0)
        try:
            async with asyncio.timeout(seconds):
                answer: Answer | NoAnswer = await self._ask(call.operation, call.path, which)
                return answer
        except TimeoutError:
            return NoAnswer(sent=True, reason=Reason.TIMEOUT)

    def face(self) -> Face:
        clock, timer = self._loop.clock, self._loop.next_timer()
        running = [clock - at for who, at in self._arrived.items() if who not in self._took]
        return Face(
            tuple((op, question) for op, (question, _) in self._pending.items()),
            tuple(self._given_up),
            tuple(self._failed),
            tuple(self._ended),
            timer - clock if timer < float("inf") else None,
            max([*running, *self._took.values()], default=0.0),
            tuple(self._starts),
            tuple(self._events),
        )

    def close(self) -> None:
        """End what is left of it, without a warning."""
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.settle()
        self._loop.close()


def _ak(settings: Settings) -> str:
    key = settings.access_key()
    assert key is not None
    return key.ak.get_secret_value()


class Instances:
    """Instances by what has happened to them, which is a number. One that is asked for again is made again."""

    def __init__(self, settings: tuple[Settings, ...], deliveries: Mapping[str, Delivery], *, knows_key: bool) -> None:
        self._make = partial(Instance, settings, deliveries, knows_key=knows_key)
        self._numbers: dict[tuple[int, Event], int] = {}
        self._histories: list[tuple[Event, ...]] = []
        self._faces: dict[int, Face] = {}
        self._live: tuple[tuple[Event, ...], Instance] | None = None

    def begin(self, wall: float) -> int:
        """The number of an instance that begins now. `wall`: seconds since 1970."""
        return self.after(-1, ("begin", wall))

    def after(self, number: int, event: Event) -> int:
        """The number of an instance to which one thing more happened."""
        key = number, event
        if key not in self._numbers:
            self._numbers[key] = len(self._histories)
            self._histories.append((*(self._histories[number] if number >= 0 else ()), event))
        return self._numbers[key]

    def face(self, number: int) -> Face:
        """What is seen of an instance."""
        if number not in self._faces:
            self._faces[number] = self._play(self._histories[number])
        return self._faces[number]

    def _play(self, history: tuple[Event, ...]) -> Face:
        begin, *todo = history
        if self._live is not None and self._live[0] == history[:-1]:
            instance, todo = self._live[1], [history[-1]]
        else:
            self.close()
            instance = self._make(begin[1])
        self._live = history, instance
        for event in todo:
            instance.feed(event)
        return instance.face()

    def close(self) -> None:
        if self._live is not None:
            self._live[1].close()
            self._live = None
