"""A restart is reserved in the ledger before it is made, so that deliveries at the same time count each other's."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from restarter.decide.case import AnyCase, Case, in_progress
from restarter.decide.policy import Policy
from restarter.decide.progress import (
    Canary,
    has_moved_with,
    key_worked_within,
    progress_since,
    read_canary,
    since_key_moved,
    write_key_note,
    write_note,
)
from restarter.decide.rules import limit
from restarter.ledger import History, Ledger, LedgerError, LedgerKeys, ledger_keys, storage_key
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event, Intent
from restarter.model.task import Counters, Start, Task, TaskGroup
from restarter.oms.client import GROUPS, MIN_START_TIME_S, TASKS
from restarter.reporting.outcomes import Severity
from restarter.reporting.reasons import severity_of

T = TypeVar("T")
LOG = logging.getLogger("restarter")
RESERVE_ATTEMPTS = 5  # when other deliveries reserve a restart of the same task at the same time
OUTRUN_FOR_S = 5.0  # the pause of a delivery that was too late for each of them
NO_TIME = Outcome(kind=Kind.UNAVAILABLE, reason=Reason.DEADLINE)


class Reserved(NamedTuple):
    """The decision to start a target, and the restart that was reserved for it."""

    start: Start
    attempt: int | None = None
    """Which restart it is, of those that count; None where restarts are not counted."""
    progress: Counters | None = None
    """What the target has moved since its last restart."""
    keys: tuple[LedgerKeys, ...] = ()
    """Under which the restart was reserved."""


class Entry(NamedTuple):
    """A restart to be recorded under one key."""

    keys: LedgerKeys
    expected: History
    note: str


Look = Callable[[str, Canary, DeliveryContext], Awaitable[Task | TaskGroup | Outcome]]
"""Reads a target of a project."""


class Reservations:
    """Reserves restarts by one set of settings."""

    def __init__(self, ledger: Ledger, policy: Policy, look: Look, *, dry_run: bool) -> None:
        self._ledger = ledger
        self._policy = policy
        self._look = look
        self._dry_run = dry_run

    async def reserve(
        self, event: Event, target: Task | TaskGroup, start: Start | Outcome, token: str, context: DeliveryContext
    ) -> Reserved | Outcome:
        """Reserve the restart within budget and backoff of the target, and of its storage key.

        Restarts count for failed events that have an id. Where another delivery reserves one in between, they are read
        again.

        Raises:
            LedgerError: The ledger did not answer.
        """
        if isinstance(start, Outcome):
            return await self._told_once(start, event, target, context) if event.from_sweep else start
        if event.intent is not Intent.FAILED or not token:
            return Reserved(start)
        for _ in range(RESERVE_ATTEMPTS):
            case, entries = await self._read(event, target, start, context)
            progress = progress_since(case.restarts, target.counters)
            forbidden = limit(case)
            if forbidden is not None:
                return (await self._mark_repeated(forbidden, entries, context))._replace(progress=progress)
            reserved = Reserved(start, len(case.counted) + 1, progress)
            if self._dry_run:
                return reserved
            if context.remaining() <= MIN_START_TIME_S:  # what is reserved in vain would count until it is taken back
                return NO_TIME
            if await self._record(entries, token, context):
                return reserved._replace(keys=tuple(entry.keys for entry in entries))
        return in_progress(OUTRUN_FOR_S)

    async def _read(
        self, event: Event, target: Task | TaskGroup, start: Start, context: DeliveryContext
    ) -> tuple[AnyCase, list[Entry]]:
        """The restarts that are counted, and what a start has to record.

        A failure of the storage key counts against the key, too; whoever moved with it clears it.
        """
        keys = ledger_keys(event, target.id, of_group=start.of_group)
        history = await self._history(keys, context)
        case = Case(event, target, self._policy, history.restarts)
        entries = [Entry(keys, history, write_note(target.counters, case.fingerprint))]
        moved = has_moved_with(case.fingerprint, case.restarts, target.counters)
        if not case.about_key and not moved:
            return case, entries
        of_key = storage_key(event, case.fingerprint)
        history = await self._history(of_key, context)
        if not moved:
            case, moved = await self._judge_key(case, history, context)
        if case.about_key or since_key_moved(history.restarts):
            note = write_key_note(target, moved=moved, counts=case.about_key)
            entries.append(Entry(of_key, history, note))
        return case, entries

    async def _judge_key(self, case: AnyCase, history: History, context: DeliveryContext) -> tuple[AnyCase, bool]:
        """The case with the restarts that count against its storage key; True where the key is found to work.

        Before the key forbids a start, OMS is asked about the first target that was started with it. While it was known
        to work a moment ago, it forbids nothing to a task that has not failed with it yet.
        """
        counted = since_key_moved(history.restarts)
        judged = case._replace(of_key=counted)
        if key_worked_within(self._policy.backoff, history.restarts) and not case.tried:
            return case, False
        canary = read_canary(counted[0].note) if counted else None
        if canary is None or limit(case) is not None or limit(judged) is None:
            return judged, False
        found = await self._look(case.event.project_id, canary, context)
        if isinstance(found, Outcome):
            return judged, False
        if canary.has_moved(found):
            return case, True
        return judged._replace(canary_runs=found.status in (GROUPS if canary.of_group else TASKS).active), False

    async def _history(self, keys: LedgerKeys, context: DeliveryContext) -> History:
        return await before_deadline(self._ledger.history(keys, self._policy.window), context)

    async def _record(self, entries: list[Entry], token: str, context: DeliveryContext) -> bool:
        """Record the restart under each key; False, and nothing is recorded, if a history has changed since.

        Raises:
            LedgerError: The ledger did not answer. It may have recorded the restart, which is taken back.
        """
        for number, entry in enumerate(entries):
            reservation = self._ledger.reserve(entry.keys, entry.expected, self._policy.window, token, entry.note)
            try:
                taken = await before_deadline(reservation, context)
            except LedgerError:
                await self._take_back(entries[: number + 1], token, context)
                raise
            if not taken:
                await self._take_back(entries[:number], token, context)
                return False
        return True

    async def _take_back(self, entries: list[Entry], token: str, context: DeliveryContext) -> None:
        for entry in entries:
            await best_effort(self._ledger.unreserve(entry.keys, token), context)

    async def _mark_repeated(self, outcome: Outcome, entries: list[Entry], context: DeliveryContext) -> Outcome:
        """A used budget, of a task or a storage key, is reported at ERROR once within a window.

        To redeliveries of the same event it is reported again.
        """
        marks = {
            Reason.BUDGET_EXHAUSTED: f"exhausted:{entries[0].keys.task}",
            Reason.STORAGE_KEY: f"storage_key:{entries[-1].keys.task}",
        }
        mark = marks.get(outcome.reason) if outcome.reason else None
        return await self._marked(outcome, mark, entries[0].keys.event, context) if mark else outcome

    async def _told_once(
        self, outcome: Outcome, event: Event, target: Task | TaskGroup, context: DeliveryContext
    ) -> Outcome:
        """What needs a person is an ERROR in the first sweep within a window, for sweeps find it again and again."""
        if severity_of(outcome, is_event=True) is not Severity.ERROR:
            return outcome
        keys = ledger_keys(event, target.id, of_group=isinstance(target, TaskGroup))
        return await self._marked(outcome, f"{outcome.reason}:{keys.task}", keys.event, context)

    async def _marked(self, outcome: Outcome, mark: str, owner: str, context: DeliveryContext) -> Outcome:
        is_first = await before_deadline(self._ledger.mark(mark, owner, self._policy.window), context)
        return outcome._replace(repeated=not is_first)


async def before_deadline(command: Awaitable[T], context: DeliveryContext) -> T:
    """The ledger's answer to a command.

    Raises:
        LedgerError: There was none before the delivery's deadline, or the ledger failed.
    """
    try:
        async with asyncio.timeout(context.remaining()):
            return await command
    except TimeoutError:
        raise LedgerError("deadline") from None


async def best_effort(command: Awaitable[None], context: DeliveryContext) -> bool:
    """Whether the ledger took a command about a finished event; if not, the end of the claim repairs it."""
    try:
        await before_deadline(command, context)
    except LedgerError as error:
        LOG.error("The ledger did not record how an event ended: %s", error)  # noqa: TRY400  # the kind is enough
        return False
    return True
