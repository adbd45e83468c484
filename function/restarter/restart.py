"""One request from its claim to its outcome: admit, claim, look, decide, reserve, start, settle."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from restarter.decide.policy import policy_of
from restarter.decide.rules import admit, decide, decide_unseen
from restarter.ledger import Claim, EventKey, Ledger, LedgerError, LedgerKeys, event_key, ledger_keys
from restarter.model import DeliveryContext, Event, Intent, Kind, Outcome, Start, Task
from restarter.oms.client import Oms
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
        self._look_first = settings.restart_look_first
        self._decide = decide if settings.restart_look_first else decide_unseen
        self._dry_run = settings.restart_dry_run

    async def restart(self, event: Event, context: DeliveryContext) -> Outcome:
        """The outcome of one request: admit, claim, attempt, settle. Nothing is started while the ledger is silent."""
        outcome = admit(event, self._policy, context.received_at)
        if outcome is not None:
            self._observer.step("decided", outcome)
            return outcome
        key = event_key(event)
        try:
            claim = await self._claim(key, context)
            if claim is not Claim.OURS:
                return _not_ours(claim, event)
            try:
                outcome = await self._attempt(event, context)
            except LedgerError:
                await self._release(key, context)
                raise
        except LedgerError:
            return Outcome(kind=Kind.UNAVAILABLE, reason="ledger")
        return await self._settle(key, outcome, context)

    async def _claim(self, key: EventKey | None, context: DeliveryContext) -> Claim:
        """Claim the event. Without an id a repetition cannot be recognised, so each such request is handled."""
        if key is None:
            return Claim.OURS
        claim = await _before_deadline(self._ledger.claim(key, self._claim_seconds), context)
        self._observer.step("claimed", claim)
        return claim

    async def _attempt(self, event: Event, context: DeliveryContext) -> Outcome:
        """Look at the task, decide, reserve the restart, and start it."""
        task = await self._look(event, context)
        self._observer.step("looked", task)
        if isinstance(task, Outcome):
            return task
        decision, keys, attempt = await self._decide_and_reserve(event, task, context)
        self._observer.step("decided", decision)
        if isinstance(decision, Outcome):
            outcome = decision
        elif self._dry_run:
            outcome = Outcome(kind=Kind.WOULD_START, migrate_failed_object=decision.migrate_failed_object)
        else:
            outcome = await self._oms.start(event, decision, context)
            if keys is not None and outcome.kind not in COUNTED:
                await _best_effort(self._ledger.unreserve(keys), context)
        return replace(outcome, task_id=task.id, task_name=task.name, attempt=attempt)

    async def _look(self, event: Event, context: DeliveryContext) -> Task | Outcome:
        """The task that the event means. A name is always resolved; the state is read with RESTART_LOOK_FIRST."""
        request, project_id = event.request, event.project_id
        if request.task_id is not None:
            task: Task | Outcome = Task(id=request.task_id, name=request.task_name, status=None)
        else:
            task = await self._oms.find(project_id, request.task_name or "", context)
        if isinstance(task, Outcome) or not self._look_first:
            return task
        return await self._oms.show(project_id, task.id, context)

    async def _decide_and_reserve(
        self, event: Event, task: Task, context: DeliveryContext
    ) -> tuple[Start | Outcome, LedgerKeys | None, int | None]:
        """Decide; for a failed event reserve the restart, so that deliveries at the same time count each other's.

        Gives the decision, the keys of what was reserved, and which restart within the window it is.
        """
        decision = self._decide(event, task, (), self._policy)
        if isinstance(decision, Outcome) or event.intent is not Intent.FAILED or event.identity is None:
            return decision, None, None
        keys = ledger_keys(event, task.id)
        for _ in range(RESERVE_ATTEMPTS):
            history = await _before_deadline(self._ledger.history(keys, self._policy.window), context)
            decision = self._decide(event, task, history.ages, self._policy)
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
        return replace(outcome, repeated=not first)

    async def _settle(self, key: EventKey | None, outcome: Outcome, context: DeliveryContext) -> Outcome:
        """Settle the event, or give its claim up where a redelivery has something left to do."""
        if key is None:
            return outcome
        if outcome.kind not in SETTLED:
            await self._release(key, context)
        elif not await _best_effort(self._ledger.settle(key), context):
            # The sender must redeliver: a late copy would start the task again, if it had failed again by then.
            return replace(outcome, kind=Kind.UNCONFIRMED, reason="ledger")
        return outcome

    async def _release(self, key: EventKey | None, context: DeliveryContext) -> None:
        if key is not None:
            await _best_effort(self._ledger.release(key), context)


def _not_ours(claim: Claim, event: Event) -> Outcome:
    """The outcome of an event that is settled, or is being handled elsewhere."""
    if claim is Claim.HELD:
        return IN_PROGRESS
    if claim is Claim.SETTLED:
        return Outcome(kind=Kind.DUPLICATE)
    LOG.warning("An event id came again with another task, which is not started: %.200a", event.event_id)
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
