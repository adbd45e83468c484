"""One request from its claim to its outcome: admit, claim, look, decide, reserve, start, conclude."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from restarter.decide.group_rules import group_status
from restarter.decide.limits import in_progress
from restarter.decide.policy import policy_of
from restarter.decide.rules import admit, decide, group_to_ask
from restarter.ledger import Claim, Claimed, EventKey, Ledger, LedgerError, LedgerKeys, event_key, ledger_keys
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome
from restarter.model.request import Event, Intent
from restarter.model.task import Start, Task, TaskGroup
from restarter.oms.client import MIN_START_TIME_S, Oms
from restarter.oms.task_groups import WRONG_STATE
from restarter.settings.model import Settings
from restarter.telemetry.observer import Observer

T = TypeVar("T")
LOG = logging.getLogger("restarter")
RESERVE_ATTEMPTS = 5  # when other deliveries reserve a restart of the same task at the same time
OUTRUN_FOR_S = 5.0  # the pause of a delivery that was too late for each of them
NO_LEDGER = Outcome(kind=Kind.UNAVAILABLE, reason="ledger")
NO_TIME = Outcome(kind=Kind.UNAVAILABLE, reason="deadline")
# A redelivery of the event has nothing left to do after these; after all others it may.
SETTLED = (Kind.STARTED, Kind.ALREADY_RUNNING, Kind.NOTHING_TO_DO, Kind.DUPLICATE)
# The task may have been restarted after these, so the restart counts in the budget.
COUNTED = (Kind.STARTED, Kind.UNCONFIRMED)


class Decision(NamedTuple):
    """To start a target."""

    start: Start
    attempt: int | None = None
    """Which restart within the window it is; None where restarts are not counted."""
    reserved: LedgerKeys | None = None
    """The keys under which the restart was reserved."""


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

    async def restart(self, event: Event, context: DeliveryContext) -> Outcome:
        """The outcome of one request: admit, claim, attempt, conclude. Nothing is started without the ledger."""
        outcome = admit(event, self._policy, context.received_at)
        if outcome is not None:
            self._observer.step("decided", outcome)
            return outcome
        key = event_key(event)
        if key is None:  # without an id a redelivery cannot be recognised, so nothing is remembered
            outcome, _ = await self._attempt(event, "", context)
            return outcome
        try:
            claimed = await _before_deadline(self._ledger.claim(key, self._policy.claim_s), context)
        except LedgerError:
            return NO_LEDGER
        self._observer.step("claimed", claimed.state)
        if claimed.state is not Claim.OURS:
            return _not_ours(claimed)
        outcome, reserved = await self._attempt(event, claimed.token, context)
        return await self._conclude(key, claimed.token, outcome, reserved, context)

    async def _attempt(self, event: Event, token: str, context: DeliveryContext) -> tuple[Outcome, LedgerKeys | None]:
        """Look at the task or its group, decide, reserve the restart, and start it.

        Gives the outcome, and the keys of what was reserved with the claim's token.
        """
        target = await self._look(event, context)
        if isinstance(target, Outcome):
            return target, None
        try:
            decision = await self._decide(event, target, token, context)
        except LedgerError:
            return _described(NO_LEDGER, target), None
        if isinstance(decision, Outcome):
            self._observer.step("decided", decision)
            return _described(decision, target), None
        self._observer.step("decided", decision.start)
        if self._dry_run:
            outcome = Outcome(kind=Kind.WOULD_START, migrate_failed_object=decision.start.migrate_failed_object)
        else:
            outcome = await self._oms.start(event, decision.start, context)
            if decision.start.of_group and outcome.oms_error_code in WRONG_STATE:
                outcome = await self._decide_again(event, decision.start.target_id, outcome, context)
        return _described(outcome, target, decision.attempt), decision.reserved

    async def _look(self, event: Event, context: DeliveryContext) -> Task | TaskGroup | Outcome:
        """The task as it is now, or the group that decides in its place or that the event names."""
        if event.request.group_id is not None:
            return await self._look_at_group(event, event.request.group_id, None, context)
        task_id = event.request.task_id
        task: Task | Outcome
        if task_id is None:
            task = await self._oms.find(event.project_id, event.request.task_name or "", context)
            task_id = task.id if isinstance(task, Task) else None
        if task_id is not None:
            task = await self._oms.show(event.project_id, task_id, context)
        self._observer.step("looked", task)
        group_id = group_to_ask(event, task) if isinstance(task, Task) else None
        if group_id is None or isinstance(task, Outcome):
            return task
        return await self._look_at_group(event, group_id, task, context)

    async def _look_at_group(
        self, event: Event, group_id: str, member: Task | None, context: DeliveryContext
    ) -> TaskGroup | Outcome:
        """The group that the event names, or that its failed task is a member of."""
        found = await self._oms.show_group(event.project_id, group_id, context)
        if isinstance(found, Outcome):
            found = _described(found, TaskGroup(id=group_id, status=None, member=member))
        else:
            found = found._replace(member=member)
        self._observer.step("looked", found)
        return found

    async def _decide_again(self, event: Event, group_id: str, refused: Outcome, context: DeliveryContext) -> Outcome:
        """The outcome where OMS says that the group's state forbids a retry, by the row of the state that it has now.

        A group that seems to have failed still was rejected.
        """
        found = await self._oms.show_group(event.project_id, group_id, context)
        row = found if isinstance(found, Outcome) else group_status(event, found)
        if row is None:
            return refused
        return refused._replace(kind=row.kind, reason=row.reason, retry_after=row.retry_after)

    async def _decide(
        self, event: Event, target: Task | TaskGroup, token: str, context: DeliveryContext
    ) -> Decision | Outcome:
        """Decide; restarts count for failed events that have an id, and for those one is reserved.

        Raises:
            LedgerError: The ledger did not answer.
        """
        decision = decide(event, target, (), self._policy)
        if isinstance(decision, Outcome):
            return decision
        if event.intent is not Intent.FAILED or not token:
            return Decision(decision)
        keys = ledger_keys(event, target.id, of_group=isinstance(target, TaskGroup))
        return await self._reserve_within_budget(event, target, keys, token, context)

    async def _reserve_within_budget(
        self, event: Event, target: Task | TaskGroup, keys: LedgerKeys, token: str, context: DeliveryContext
    ) -> Decision | Outcome:
        """Decide by the restarts so far and reserve one more, so that deliveries at the same time count each other's.

        Where another delivery reserves one in between, the restarts are read again.
        """
        window = self._policy.window
        for _ in range(RESERVE_ATTEMPTS):
            history = await _before_deadline(self._ledger.history(keys, window), context)
            decision = decide(event, target, history.restarts, self._policy)
            if isinstance(decision, Outcome):
                return await self._mark_repeated(decision, keys, context)
            attempt = len(history.restarts) + 1
            if self._dry_run:
                return Decision(decision, attempt)
            if context.remaining() <= MIN_START_TIME_S:  # what is reserved in vain would count until it is taken back
                return NO_TIME
            try:
                reserved = await _before_deadline(self._ledger.reserve(keys, history, window, token), context)
            except LedgerError:
                await _best_effort(self._ledger.unreserve(keys, token), context)
                raise
            if reserved:
                return Decision(decision, attempt, keys)
        return in_progress(OUTRUN_FOR_S)

    async def _mark_repeated(self, outcome: Outcome, keys: LedgerKeys, context: DeliveryContext) -> Outcome:
        """An exhausted budget is reported at ERROR once within a window, and to redeliveries of that event again."""
        if outcome.reason != "budget_exhausted":
            return outcome
        mark = self._ledger.mark(f"exhausted:{keys.task}", keys.event, self._policy.window)
        return outcome._replace(repeated=not await _before_deadline(mark, context))

    async def _conclude(
        self, key: EventKey, token: str, outcome: Outcome, reserved: LedgerKeys | None, context: DeliveryContext
    ) -> Outcome:
        """Settle the event, or give its claim up where a redelivery has something left to do; count what was reserved.

        A start that was made is settled first, and a restart that was not made is taken back before the claim ends.
        """
        ledger, settles, counts = self._ledger, outcome.kind in SETTLED, outcome.kind in COUNTED
        if settles and not await _best_effort(ledger.settle(key, token), context):
            # The sender must redeliver: a late copy would start the task again, if it had failed again by then.
            kind = Kind.UNCONFIRMED if outcome.start_called else Kind.UNAVAILABLE
            outcome = outcome._replace(kind=kind, reason="ledger")
        if reserved is not None:
            await _best_effort((ledger.confirm if counts else ledger.unreserve)(reserved, token), context)
        if not settles:
            await _best_effort(ledger.release(key, token), context)
        await _best_effort(ledger.purge(), context)
        return outcome


def _described(outcome: Outcome, target: Task | TaskGroup, attempt: int | None = None) -> Outcome:
    """The outcome with what is known of the task, and of the group that decided in its place.

    `attempt`: which restart within the window it is.
    """
    task = target.member if isinstance(target, TaskGroup) else target
    return outcome._replace(
        task_id=task.id if task else None,
        task_name=task.name if task else None,
        group_id=target.id if isinstance(target, TaskGroup) else None,
        failure_reason=target.failure_reason,
        failed_objects=target.failed_objects,
        failed_objects_list=target.failed_objects_list,
        attempt=attempt,
    )


def _not_ours(claimed: Claimed) -> Outcome:
    """The outcome of an event that is settled, or in progress in another delivery."""
    if claimed.state is Claim.HELD:
        return in_progress(claimed.rest_s)
    if claimed.state is Claim.SETTLED:
        return Outcome(kind=Kind.DUPLICATE)
    LOG.warning("An event id came again with another task, which is not started")
    return Outcome(kind=Kind.DUPLICATE, reason="another_task")


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
