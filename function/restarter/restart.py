"""One request from its claim to its outcome: admit, claim, look, decide, reserve, start, conclude."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from restarter.decide.admission import admit, outside_hours
from restarter.decide.case import AskGroup, Case, in_progress
from restarter.decide.policy import policy_of
from restarter.decide.rules import decide_group, decide_task, group_status, limit
from restarter.ledger import Claim, Claimed, EventKey, History, Ledger, LedgerError, LedgerKeys, event_key, ledger_keys
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event, Intent
from restarter.model.task import Start, Task, TaskGroup
from restarter.oms.client import MIN_START_TIME_S, Oms
from restarter.oms.task_groups import WRONG_STATE
from restarter.reporting.outcomes import OUTCOMES
from restarter.settings.model import Settings
from restarter.siblings import Siblings, following
from restarter.telemetry.observer import Observer

T = TypeVar("T")
LOG = logging.getLogger("restarter")
RESERVE_ATTEMPTS = 5  # when other deliveries reserve a restart of the same task at the same time
OUTRUN_FOR_S = 5.0  # the pause of a delivery that was too late for each of them
NO_LEDGER = Outcome(kind=Kind.UNAVAILABLE, reason=Reason.LEDGER)
NO_TIME = Outcome(kind=Kind.UNAVAILABLE, reason=Reason.DEADLINE)


class Reserved(NamedTuple):
    """The decision to start a target, and the restart that was reserved for it."""

    start: Start
    attempt: int | None = None
    """Which restart within the window it is; None where restarts are not counted."""
    keys: LedgerKeys | None = None
    """Under which the restart was reserved."""


class Restarter:
    """Handles requests by one set of settings."""

    def __init__(
        self, settings: Settings, oms: Oms, ledger: Ledger, now: Callable[[], datetime], observer: Observer
    ) -> None:
        self._now = now
        self._observer = observer
        self._policy = policy_of(settings)
        self._oms = oms
        self._ledger = ledger
        self._dry_run = settings.restart_dry_run

    async def restart(self, event: Event, context: DeliveryContext, siblings: Siblings | None = None) -> Outcome:
        """The outcome of one request: admit, claim, attempt, conclude. Nothing is started without the ledger."""
        outcome = admit(event, self._policy, context.received_at)
        if outcome is not None:
            self._observer.step("decided", outcome)
            return outcome
        key = event_key(event)
        if key is None:  # without an id a redelivery cannot be recognised, so nothing is remembered
            outcome, _ = await self._attempt(event, "", context, siblings)
            return outcome
        try:
            claimed = await _before_deadline(self._ledger.claim(key, self._policy.claim_s), context)
        except LedgerError:
            return NO_LEDGER
        self._observer.step("claimed", claimed.state)
        if claimed.state is not Claim.OURS:
            return _not_ours(claimed)
        outcome, reserved = await self._attempt(event, claimed.token, context, siblings)
        return await self._conclude(key, claimed.token, outcome, reserved, context)

    async def _attempt(
        self, event: Event, token: str, context: DeliveryContext, siblings: Siblings | None
    ) -> tuple[Outcome, LedgerKeys | None]:
        """Read the task or its group, and act once on it in this delivery.

        Gives the outcome, and the keys of what was reserved with the claim's token.
        """
        closed = outside_hours(event, self._policy, self._now())
        if closed is not None:
            self._observer.step("decided", closed)
            return closed, None
        group_id = event.request.group_id
        asked = AskGroup(group_id) if group_id is not None else await self._read(event, context)
        found = await self._read_group(event, asked, context) if isinstance(asked, AskGroup) else asked
        if isinstance(found, Outcome):
            return found, None
        target, decision = found
        if siblings is None:
            outcome, reserved = await self._act(event, target, decision, token, context)
        else:
            outcome, reserved = await siblings.once(
                [("target", event.project_id, type(target).__name__, target.id)],
                lambda: self._act(event, target, decision, token, context),
                lambda first: (following(first[0]), None),
            )
        return _described(outcome, target), reserved

    async def _act(
        self, event: Event, target: Task | TaskGroup, decision: Start | Outcome, token: str, context: DeliveryContext
    ) -> tuple[Outcome, LedgerKeys | None]:
        """Reserve the restart that the rules decided, and start it."""
        try:
            reserved = await self._reserve(event, target, decision, token, context)
        except LedgerError:
            reserved = NO_LEDGER
        if isinstance(reserved, Outcome):
            self._observer.step("decided", reserved)
            return reserved, None
        self._observer.step("decided", reserved.start)
        if self._dry_run:
            outcome = Outcome(kind=Kind.WOULD_START, migrate_failed_object=reserved.start.migrate_failed_object)
        else:
            outcome = await self._oms.start(event, reserved.start, context)
            if outcome.oms_error_code in WRONG_STATE and reserved.start.of_group:
                outcome = await self._decide_again(event, reserved.start.target_id, outcome, context)
        return outcome._replace(attempt=reserved.attempt), reserved.keys

    async def _decide_again(self, event: Event, group_id: str, rejected: Outcome, context: DeliveryContext) -> Outcome:
        """The outcome where OMS says that the group's state forbids a retry: the state that it has now decides.

        A group that still seems to have failed was rejected.
        """
        group = await self._oms.show_group(event.project_id, group_id, context)
        row = group if isinstance(group, Outcome) else group_status(Case(event, group, self._policy))
        if row is None:
            return rejected
        return rejected._replace(kind=row.kind, reason=row.reason, retry_after=row.retry_after)

    async def _read(self, event: Event, context: DeliveryContext) -> tuple[Task, Start | Outcome] | AskGroup | Outcome:
        """The task as it is now, and what the rules say of it; a name is resolved first."""
        task_id = event.request.task_id
        if task_id is None:
            named = await self._oms.find(event.project_id, event.request.task_name or "", context)
            if isinstance(named, Outcome):
                self._observer.step("looked", named)
                return named
            task_id = named.id
        task = await self._oms.show(event.project_id, task_id, context)
        self._observer.step("looked", task)
        if isinstance(task, Outcome):
            return task
        decision = decide_task(Case(event, task, self._policy))
        return decision if isinstance(decision, AskGroup) else (task, decision)

    async def _read_group(
        self, event: Event, asked: AskGroup, context: DeliveryContext
    ) -> tuple[TaskGroup, Start | Outcome] | Outcome:
        """The group that the event names, or that its failed task is a member of, and what the rules say of it."""
        group = await self._oms.show_group(event.project_id, asked.group_id, context)
        self._observer.step("looked", group)
        if isinstance(group, Outcome):
            return _described(group, TaskGroup(id=asked.group_id, status=None, member=asked.member))
        group = group._replace(member=asked.member)
        return group, decide_group(Case(event, group, self._policy))

    async def _reserve(
        self, event: Event, target: Task | TaskGroup, start: Start | Outcome, token: str, context: DeliveryContext
    ) -> Reserved | Outcome:
        """Reserve the restart within budget and backoff, so that deliveries at the same time count each other's.

        Restarts count for failed events that have an id. Where another delivery reserves one in between, they are read
        again.

        Raises:
            LedgerError: The ledger did not answer.
        """
        if isinstance(start, Outcome):
            return start
        if event.intent is not Intent.FAILED or not token:
            return Reserved(start)
        keys = ledger_keys(event, target.id, of_group=start.of_group)
        for _ in range(RESERVE_ATTEMPTS):
            history = await _before_deadline(self._ledger.history(keys, self._policy.window), context)
            forbidden = limit(Case(event, target, self._policy, history.restarts))
            if forbidden is not None:
                return await self._mark_repeated(forbidden, keys, context)
            attempt = len(history.restarts) + 1
            if self._dry_run:
                return Reserved(start, attempt)
            if context.remaining() <= MIN_START_TIME_S:  # what is reserved in vain would count until it is taken back
                return NO_TIME
            if await self._record(keys, history, token, context):
                return Reserved(start, attempt, keys)
        return in_progress(OUTRUN_FOR_S)

    async def _record(self, keys: LedgerKeys, history: History, token: str, context: DeliveryContext) -> bool:
        """Record the restart in the ledger; False if the history has changed since.

        Raises:
            LedgerError: The ledger did not answer. It may have recorded the restart, which is taken back.
        """
        try:
            return await _before_deadline(self._ledger.reserve(keys, history, self._policy.window, token), context)
        except LedgerError:
            await _best_effort(self._ledger.unreserve(keys, token), context)
            raise

    async def _mark_repeated(self, outcome: Outcome, keys: LedgerKeys, context: DeliveryContext) -> Outcome:
        """An exhausted budget is reported at ERROR once within a window, and to redeliveries of that event again."""
        if outcome.reason is not Reason.BUDGET_EXHAUSTED:
            return outcome
        mark = self._ledger.mark(f"exhausted:{keys.task}", keys.event, self._policy.window)
        return outcome._replace(repeated=not await _before_deadline(mark, context))

    async def _conclude(
        self, key: EventKey, token: str, outcome: Outcome, reserved: LedgerKeys | None, context: DeliveryContext
    ) -> Outcome:
        """Settle the event, or give its claim up where a redelivery has something left to do; count what was reserved.

        A start that was made is settled first, and a restart that was not made is taken back before the claim ends.
        """
        ledger, row = self._ledger, OUTCOMES[outcome.kind]
        if row.settles and not await _best_effort(ledger.settle(key, token), context):
            # The sender must redeliver: a late copy would start the task again, if it had failed again by then.
            kind = Kind.UNCONFIRMED if outcome.start_called else Kind.UNAVAILABLE
            outcome = outcome._replace(kind=kind, reason=Reason.LEDGER)
        if reserved is not None:
            await _best_effort((ledger.confirm if row.counts else ledger.unreserve)(reserved, token), context)
        if not row.settles:
            await _best_effort(ledger.release(key, token), context)
        await _best_effort(ledger.purge(), context)
        return outcome


def _described(outcome: Outcome, target: Task | TaskGroup) -> Outcome:
    """The outcome with what is known of the task, and of the group that decided in its place."""
    task = target.member if isinstance(target, TaskGroup) else target
    return outcome._replace(
        task_id=task.id if task else None,
        task_name=task.name if task else None,
        group_id=target.id if isinstance(target, TaskGroup) else None,
        failure_reason=target.failure_reason,
        failed_objects=target.failed_objects,
        failed_objects_list=target.failed_objects_list,
    )


def _not_ours(claimed: Claimed) -> Outcome:
    """The outcome of an event that is settled, or in progress in another delivery."""
    if claimed.state is Claim.HELD:
        return in_progress(claimed.rest_s)
    if claimed.state is Claim.SETTLED:
        return Outcome(kind=Kind.DUPLICATE)
    LOG.warning("An event id came again with another task, which is not started")
    return Outcome(kind=Kind.DUPLICATE, reason=Reason.ANOTHER_TASK)


async def _before_deadline(command: Awaitable[T], context: DeliveryContext) -> T:
    """The ledger's answer to a command.

    Raises:
        LedgerError: There was none before the delivery's deadline, or the ledger failed.
    """
    try:
        async with asyncio.timeout(context.remaining()):
            return await command
    except TimeoutError:
        raise LedgerError("deadline") from None


async def _best_effort(command: Awaitable[None], context: DeliveryContext) -> bool:
    """Whether the ledger took a command about a finished event; if not, the end of the claim repairs it."""
    try:
        await _before_deadline(command, context)
    except LedgerError as error:
        LOG.error("The ledger did not record how an event ended: %s", error)  # noqa: TRY400  # the kind is enough
        return False
    return True
