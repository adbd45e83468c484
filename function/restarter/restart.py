"""One request from its claim to its outcome: admit, claim, look, decide, reserve, start, settle."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from restarter.decide.group_rules import group_status
from restarter.decide.policy import policy_of
from restarter.decide.rules import admit, decide, group_to_ask
from restarter.ledger import Claim, EventKey, Ledger, LedgerError, LedgerKeys, event_key, ledger_keys
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome
from restarter.model.request import Event, Intent
from restarter.model.task import Start, Task, TaskGroup
from restarter.oms.client import Oms
from restarter.oms.task_groups import WRONG_STATE
from restarter.settings.model import Settings
from restarter.telemetry.observer import Observer

T = TypeVar("T")
LOG = logging.getLogger("restarter")
CLAIM_MARGIN_S = 5.0  # a claim lasts longer than any delivery, so it expires only when its instance is gone
RESERVE_ATTEMPTS = 5  # when other deliveries reserve a restart of the same task at the same time
IN_PROGRESS = Outcome(kind=Kind.DEFERRED, reason="in_progress", retry_after=5)
# A redelivery of the event has nothing left to do after these; after all others it may.
SETTLED = (Kind.STARTED, Kind.ALREADY_RUNNING, Kind.NOTHING_TO_DO)
# The task may have been restarted after these, so the restart counts in the budget.
COUNTED = (Kind.STARTED, Kind.UNCONFIRMED)


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
        self._claim_seconds = settings.restart_deadline + CLAIM_MARGIN_S
        self._decide = decide
        self._dry_run = settings.restart_dry_run

    async def restart(self, event: Event, context: DeliveryContext) -> Outcome:
        """The outcome of one request: admit, claim, attempt, settle. Nothing is started while the ledger is silent."""
        outcome = admit(event, self._policy, context.received_at)
        if outcome is not None:
            self._observer.step("decided", outcome)
            return outcome
        key = event_key(event)
        if key is None:  # without an id a repetition cannot be recognised, so nothing is remembered
            return await self._attempt(event, context)
        try:
            claim = await self._claim(key, context)
            if claim is not Claim.OURS:
                return _claim_lost(claim, event)
            try:
                outcome = await self._attempt(event, context)
            except LedgerError:
                await _best_effort(self._ledger.release(key), context)
                raise
        except LedgerError:
            return Outcome(kind=Kind.UNAVAILABLE, reason="ledger")
        return await self._settle(key, outcome, context)

    async def _claim(self, key: EventKey, context: DeliveryContext) -> Claim:
        claim = await _before_deadline(self._ledger.claim(key, self._claim_seconds), context)
        self._observer.step("claimed", claim)
        return claim

    async def _attempt(self, event: Event, context: DeliveryContext) -> Outcome:
        """Look at the task or its group, decide, reserve the restart, and start it."""
        target = await self._look(event, context)
        self._observer.step("looked", target)
        group_id = group_to_ask(event, target) if isinstance(target, Task) else None
        if isinstance(target, Task) and group_id is not None:
            target = await self._look_at_group(event, group_id, target, context)
            self._observer.step("looked", target)
        if isinstance(target, Outcome):
            return target
        decision, keys, attempt = await self._decide_and_reserve(event, target, context)
        self._observer.step("decided", decision)
        if isinstance(decision, Outcome):
            outcome = decision
        elif self._dry_run:
            outcome = Outcome(kind=Kind.WOULD_START, migrate_failed_object=decision.migrate_failed_object)
        else:
            outcome = await self._oms.start(event, decision, context)
            if decision.of_group and outcome.oms_error_code in WRONG_STATE:
                outcome = await self._decide_again(event, decision.target_id, outcome, context)
            if keys is not None and outcome.kind not in COUNTED:
                await _best_effort(self._ledger.unreserve(keys), context)
        return _described(outcome, target, attempt)

    async def _look(self, event: Event, context: DeliveryContext) -> Task | TaskGroup | Outcome:
        """The task or the group that the event names, as OMS has it now."""
        request, project_id = event.request, event.project_id
        if request.group_id is not None:
            return await self._look_at_group(event, request.group_id, None, context)
        if request.task_id is not None:
            task: Task | Outcome = Task(id=request.task_id, name=request.task_name, status=None)
        else:
            task = await self._oms.find(project_id, request.task_name or "", context)
        if isinstance(task, Outcome):
            return task
        return await self._oms.show(project_id, task.id, context)

    async def _look_at_group(
        self, event: Event, group_id: str, member: Task | None, context: DeliveryContext
    ) -> TaskGroup | Outcome:
        """The group that the event names, or that its failed task is a member of."""
        group = TaskGroup(id=group_id, status=None, member=member)
        found = await self._oms.show_group(event.project_id, group_id, context)
        return _described(found, group) if isinstance(found, Outcome) else found._replace(member=member)

    async def _decide_again(self, event: Event, group_id: str, refused: Outcome, context: DeliveryContext) -> Outcome:
        """The outcome where OMS says that the group's state forbids a retry, by the row of the state that it has now.

        A group that seems to have failed still was rejected.
        """
        found = await self._oms.show_group(event.project_id, group_id, context)
        row = found if isinstance(found, Outcome) else group_status(event, found)
        if row is None:
            return refused
        return refused._replace(kind=row.kind, reason=row.reason, retry_after=row.retry_after)

    async def _decide_and_reserve(
        self, event: Event, target: Task | TaskGroup, context: DeliveryContext
    ) -> tuple[Start | Outcome, LedgerKeys | None, int | None]:
        """Decide; for a failed event reserve the restart, so that deliveries at the same time count each other's.

        Gives the decision, the keys of what was reserved, and which restart within the window it is.
        """
        decision = self._decide(event, target, (), self._policy)
        if isinstance(decision, Outcome) or event.intent is not Intent.FAILED or not event.identity:
            return decision, None, None
        keys = ledger_keys(event, target.id, of_group=isinstance(target, TaskGroup))
        for _ in range(RESERVE_ATTEMPTS):
            history = await _before_deadline(self._ledger.history(keys, self._policy.window), context)
            decision = self._decide(event, target, history.ages, self._policy)
            if isinstance(decision, Outcome):
                return await self._mark_repeated(decision, keys, context), None, None
            if self._dry_run:
                return decision, None, len(history.ages) + 1
            if await _before_deadline(self._ledger.reserve(keys, history, self._policy.window), context):
                return decision, keys, len(history.ages) + 1
        return IN_PROGRESS, None, None

    async def _mark_repeated(self, outcome: Outcome, keys: LedgerKeys, context: DeliveryContext) -> Outcome:
        """An exhausted budget is reported at ERROR once within a window."""
        if outcome.reason != "budget_exhausted":
            return outcome
        first = await _before_deadline(self._ledger.mark_exhausted(keys.task, self._policy.window), context)
        return outcome._replace(repeated=not first)

    async def _settle(self, key: EventKey, outcome: Outcome, context: DeliveryContext) -> Outcome:
        """Settle the event, or give its claim up where a redelivery has something left to do."""
        if outcome.kind not in SETTLED:
            await _best_effort(self._ledger.release(key), context)
        elif not await _best_effort(self._ledger.settle(key), context):
            # The sender must redeliver: a late copy would start the task again, if it had failed again by then.
            kind = Kind.UNCONFIRMED if outcome.start_called else Kind.UNAVAILABLE
            return outcome._replace(kind=kind, reason="ledger")
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


def _claim_lost(claim: Claim, event: Event) -> Outcome:
    """The outcome of an event that is settled, or is being handled elsewhere."""
    if claim is Claim.HELD:
        return IN_PROGRESS
    if claim is Claim.SETTLED:
        return Outcome(kind=Kind.DUPLICATE)
    LOG.warning("An event id came again with another task, which is not started; its receipt says which")
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
