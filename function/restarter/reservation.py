"""Reserves each restart in the ledger before it is made, so that concurrent deliveries count each other's."""

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
RESERVE_ATTEMPTS = 5  # while other deliveries reserve restarts of the same task
OUTRUN_FOR_S = 5.0  # until the redelivery, if another delivery was faster each time
SUMMARY_ONLY = (Reason.BACKOFF, Reason.BUDGET_EXHAUSTED, Reason.OUTSIDE_HOURS)
"""What a sweep only counts in its summary, without a receipt for the task."""
NO_TIME = Outcome(kind=Kind.UNAVAILABLE, reason=Reason.DEADLINE)


class Reserved(NamedTuple):
    """The decision to start a target, and the restart that was reserved for it."""

    start: Start
    attempt: int | None = None
    """The number of this restart among those that count; None if restarts are not counted."""
    progress: Counters | None = None
    """What the target has moved since its last restart."""
    keys: tuple[LedgerKeys, ...] = ()
    """The keys under which the restart was reserved."""


class Entry(NamedTuple):
    """A restart to be recorded under one key."""

    keys: LedgerKeys
    expected: History
    note: str


Look = Callable[[str, Canary, DeliveryContext], Awaitable[Task | TaskGroup | Outcome]]
"""Reads the target of a canary from OMS. The string is the project id."""


class Reservations:
    """Reserves restarts with one set of settings."""

    def __init__(self, ledger: Ledger, policy: Policy, look: Look, *, dry_run: bool) -> None:
        self._ledger = ledger
        self._policy = policy
        self._look = look
        self._dry_run = dry_run

    async def reserve(
        self, event: Event, target: Task | TaskGroup, decision: Start | Outcome, token: str, context: DeliveryContext
    ) -> Reserved | Outcome:
        """Reserve the restart that the rules decided on, within budget and backoff of the target and its storage key.

        Only failed events with an id reserve restarts. If another delivery reserves one meanwhile, the restarts are
        read again. An outcome that needs a person is an ERROR only in the first sweep that finds it.

        Raises:
            LedgerError: The ledger failed or did not respond in time.
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
            if context.remaining() <= MIN_START_TIME_S:  # a reservation in vain would count until it is taken back
                return NO_TIME
            if await self._record(entries, token, context):
                return reserved._replace(keys=tuple(entry.keys for entry in entries))
        return in_progress(OUTRUN_FOR_S)

    async def _read(
        self, event: Event, target: Task | TaskGroup, keys: LedgerKeys, context: DeliveryContext
    ) -> tuple[AnyCase, list[Entry]]:
        """The case with its counted restarts, and the entries that a start must record: the target's comes last.

        A failure of the storage key counts against the key. A target that moved with the key shows that it works.
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
            return case, entries  # the key forbids nothing to a target that has not failed with it yet
        if not key_works:
            case, key_works = await self._judge_key(case, history, context)
        if case.about_key or since_key_moved(history.restarts):
            note = write_key_note(target, key_works=key_works, counts=case.about_key)
            entries.insert(0, Entry(keys, history, note))  # first, because there concurrent tasks collide
        return case, entries

    async def _judge_key(self, case: AnyCase, history: History, context: DeliveryContext) -> tuple[AnyCase, bool]:
        """The case with the restarts that count against its storage key, and whether the key turns out to work.

        Before the key alone forbids a start, the first and the newest target that were started with it are read.
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
        """Record the restart under each key. If a history has changed since it was read, record nothing: False.

        Raises:
            LedgerError: The ledger failed. It may have recorded the restart, so that is taken back.
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
        """Mark an ERROR as repeated if another event got it within the window; redeliveries of one event get it again.

        Otherwise each sweep would report the same target at ERROR.
        """
        is_counted_only = event.from_sweep and outcome.reason in SUMMARY_ONLY
        if self._dry_run or is_counted_only or severity_of(outcome, is_event=True) is not Severity.ERROR:
            return outcome
        kind = "exhausted" if outcome.reason is Reason.BUDGET_EXHAUSTED else outcome.reason  # as release 0.2.0 has it
        mark = self._ledger.mark(f"{kind}:{keys.task}", keys.event, self._policy.window)
        return outcome._replace(repeated=not await before_deadline(self._ledger, mark, context))


async def before_deadline(ledger: Ledger, command: Awaitable[T], context: DeliveryContext) -> T:
    """The result of a command to the ledger.

    Raises:
        LedgerError: The ledger failed, or did not respond before the delivery's deadline.
    """
    if not ledger.waits:
        return await command
    try:
        async with asyncio.timeout(context.remaining()):
            return await command
    except TimeoutError:
        raise LedgerError("deadline") from None


async def best_effort(ledger: Ledger, command: Awaitable[None], context: DeliveryContext) -> bool:
    """Send a command about a finished event; False if the ledger failed, which the expiry of the claim repairs."""
    try:
        await before_deadline(ledger, command, context)
    except LedgerError as error:
        LOG.error("The ledger did not record how an event ended: %s", error)  # noqa: TRY400  # the kind is enough
        return False
    return True
