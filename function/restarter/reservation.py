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
    read_canaries,
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
"""Reads from OMS the target that a canary names; the text is the project."""


class Reservations:
    """Reserves restarts by one set of settings."""

    def __init__(self, ledger: Ledger, policy: Policy, look: Look, *, dry_run: bool) -> None:
        self._ledger = ledger
        self._policy = policy
        self._look = look
        self._dry_run = dry_run

    async def reserve(
        self, event: Event, target: Task | TaskGroup, decision: Start | Outcome, token: str, context: DeliveryContext
    ) -> Reserved | Outcome:
        """Reserve the restart that the rules decided, within budget and backoff of the target and of its storage key.

        Restarts count for failed events that have an id. If another delivery reserves one, they are read again. What
        needs a person and is found by sweeps is an ERROR only in the first of them.

        Raises:
            LedgerError: The ledger did not answer.
        """
        if isinstance(decision, Start) and (event.intent is not Intent.FAILED or not token):
            return Reserved(decision)
        keys = ledger_keys(event, target.id, of_group=isinstance(target, TaskGroup))
        if isinstance(decision, Outcome):
            return await self._told_once(event, decision, keys, context) if event.from_sweep else decision
        for _ in range(RESERVE_ATTEMPTS):
            case, entries = await self._read(event, target, keys, context)
            progress = progress_since(case.restarts, target.counters)
            if (forbidden := limit(case)) is not None:
                by = entries[0 if forbidden.reason is Reason.STORAGE_KEY else -1].keys
                return (await self._told_once(event, forbidden, by, context))._replace(progress=progress)
            reserved = Reserved(decision, len(case.counted) + 1, progress)
            if self._dry_run:
                return reserved
            if context.remaining() <= MIN_START_TIME_S:  # what is reserved in vain would count until it is taken back
                return NO_TIME
            if await self._record(entries, token, context):
                return reserved._replace(keys=tuple(entry.keys for entry in entries))
        return in_progress(OUTRUN_FOR_S)

    async def _read(
        self, event: Event, target: Task | TaskGroup, keys: LedgerKeys, context: DeliveryContext
    ) -> tuple[AnyCase, list[Entry]]:
        """The restarts that are counted, and what a start has to record: last under the target, before under its key.

        A failure of the storage key counts against the key. A target that moved with the key shows that the key works.
        """
        history = await self._history(keys, context)
        case = Case(event, target, self._policy, history.restarts)
        entries = [Entry(keys, history, write_note(target.counters, case.fingerprint))]
        key_works = has_moved_with(case.fingerprint, case.restarts, target.counters)
        if not case.about_key and not key_works:
            return case, entries
        keys = storage_key(event, case.fingerprint)
        history = await self._history(keys, context)
        if not key_works and not case.relevant and key_worked_within(self._policy.backoff, history.restarts):
            return case, entries  # it forbids nothing to a target that has not failed with it yet
        if not key_works:
            case, key_works = await self._judge_key(case, history, context)
        if case.about_key or since_key_moved(history.restarts):
            note = write_key_note(target, key_works=key_works, counts=case.about_key)
            entries.insert(0, Entry(keys, history, note))  # first: many tasks at once are outrun there
        return case, entries

    async def _judge_key(self, case: AnyCase, history: History, context: DeliveryContext) -> tuple[AnyCase, bool]:
        """The case with the restarts that count against its storage key, and whether the key is found to work.

        Before a key alone forbids a start, the first and the newest target that were started with it are read.
        """
        of_key = since_key_moved(history.restarts)
        with_key = case._replace(of_key=of_key)
        if limit(case) is not None or limit(with_key) is None:
            return with_key, False
        runs = False
        for canary in read_canaries(of_key):
            found = await self._look(case.event.project_id, canary, context)
            if isinstance(found, Outcome):
                runs |= found.kind is not Kind.NOT_FOUND
            elif canary.has_moved(found):
                return case, True
            else:
                runs |= found.status in (GROUPS if canary.of_group else TASKS).active
        return with_key._replace(canary_runs=runs), False

    async def _history(self, keys: LedgerKeys, context: DeliveryContext) -> History:
        return await before_deadline(self._ledger, self._ledger.history(keys, self._policy.window), context)

    async def _record(self, entries: list[Entry], token: str, context: DeliveryContext) -> bool:
        """Record the restart under each key; False, and nothing is recorded, if a history has changed since.

        Raises:
            LedgerError: The ledger did not answer. It may have recorded the restart, which is taken back.
        """
        for number, entry in enumerate(entries):
            reservation = self._ledger.reserve(entry.keys, entry.expected, self._policy.window, token, entry.note)
            try:
                taken = await before_deadline(self._ledger, reservation, context)
            except LedgerError:
                await self._take_back(entries[: number + 1], token, context)
                raise
            if not taken:
                await self._take_back(entries[:number], token, context)
                return False
        return True

    async def _take_back(self, entries: list[Entry], token: str, context: DeliveryContext) -> None:
        for entry in entries:
            await best_effort(self._ledger, self._ledger.unreserve(entry.keys, token), context)

    async def _told_once(self, event: Event, outcome: Outcome, keys: LedgerKeys, context: DeliveryContext) -> Outcome:
        """What is reported at ERROR is so once within a window; to redeliveries of the same event it is again.

        Each sweep finds it again; an event of its own comes once.
        """
        is_told = not (event.from_sweep and outcome.reason is Reason.BUDGET_EXHAUSTED)  # the summary counts it
        if self._dry_run or not is_told or severity_of(outcome, is_event=True) is not Severity.ERROR:
            return outcome
        kind = "exhausted" if outcome.reason is Reason.BUDGET_EXHAUSTED else outcome.reason  # as release 0.2.0 has it
        mark = self._ledger.mark(f"{kind}:{keys.task}", keys.event, self._policy.window)
        return outcome._replace(repeated=not await before_deadline(self._ledger, mark, context))


async def before_deadline(ledger: Ledger, command: Awaitable[T], context: DeliveryContext) -> T:
    """The ledger's answer to a command.

    Raises:
        LedgerError: There was none before the delivery's deadline, or the ledger failed.
    """
    if not ledger.waits:
        return await command
    try:
        async with asyncio.timeout(context.remaining()):
            return await command
    except TimeoutError:
        raise LedgerError("deadline") from None


async def best_effort(ledger: Ledger, command: Awaitable[None], context: DeliveryContext) -> bool:
    """Whether the ledger took a command about a finished event; if not, the end of the claim repairs it."""
    try:
        await before_deadline(ledger, command, context)
    except LedgerError as error:
        LOG.error("The ledger did not record how an event ended: %s", error)  # noqa: TRY400  # the kind is enough
        return False
    return True
