"""One request from its claim to its outcome: admitted, claimed, looked at, decided, reserved, started, settled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from restarter.decide import Policy, admit, decide, start_of
from restarter.ledger import Claim, Entry, Ledger, LedgerError, entry_of, event_key
from restarter.model import Event, Intent, Kind, Outcome, Start, Task, Visit
from restarter.oms.service import Oms
from restarter.setting_types import parse_budget
from restarter.settings import Settings

T = TypeVar("T")
LOG = logging.getLogger("restarter")
# Longer than any delivery, so that a claim runs out only when its instance is gone.
CLAIM_MARGIN = 5.0
TRIES = 5  # to write a restart down before somebody else does
IN_PROGRESS = Outcome(kind=Kind.DEFERRED, reason="in_progress", retry_after=5)
# After these a redelivery of the event has nothing left to do; after all others it may.
SETTLED = (Kind.STARTED, Kind.ALREADY_RUNNING, Kind.NOTHING_TO_DO)
# After these the task may have been restarted, and the restart counts.
SPENT = (Kind.STARTED, Kind.UNCONFIRMED)


def policy_of(settings: Settings) -> Policy:
    """What the operator decided beforehand."""
    budget, window = parse_budget(settings.restart_budget)
    return Policy(
        enabled=settings.restart_enabled,
        max_event_age=settings.restart_max_event_age,
        archived=settings.restart_archived,
        budget=budget,
        window=window,
        backoff=settings.restart_backoff,
        migrate_failed_object=settings.oms_migrate_failed_object,
    )


class Restarter:
    """What deals with requests for as long as the settings are what they are."""

    def __init__(self, settings: Settings, oms: Oms, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._now = now
        self._policy = policy_of(settings)
        self._oms = oms
        self._ledger = ledger
        self._claim_seconds = settings.restart_deadline + CLAIM_MARGIN
        self._look_first = settings.restart_look_first
        self._rules = decide if settings.restart_look_first else start_of
        self._dry_run = settings.restart_dry_run

    async def restart(self, event: Event, visit: Visit) -> Outcome:
        """The outcome of a request; without a ledger to ask nothing is started."""
        stopped = admit(event, self._policy, visit.came_at)
        if stopped is not None:
            return stopped
        try:
            return await self._once(event, visit)
        except LedgerError:
            return Outcome(kind=Kind.UNAVAILABLE, reason="ledger")

    async def _once(self, event: Event, visit: Visit) -> Outcome:
        """Deal with an event unless that was done, or is being done; one without an id cannot be told from its twin."""
        if event.identity is None:
            return await self._attempt(event, visit)
        key = event_key(event)
        claim = await _in_time(self._ledger.claim(key, self._claim_seconds), visit)
        if claim is not Claim.OURS:
            return Outcome(kind=Kind.DUPLICATE) if claim is Claim.SETTLED else IN_PROGRESS
        try:
            outcome = await self._attempt(event, visit)
        except LedgerError:
            await _tried(self._ledger.release(key), visit)
            raise
        if outcome.kind not in SETTLED:
            await _tried(self._ledger.release(key), visit)
        elif not await _tried(self._ledger.settle(key), visit):
            # To be redelivered: a late copy would start the task once more, if it had failed again by then.
            return replace(outcome, kind=Kind.UNCONFIRMED, reason="ledger")
        return outcome

    async def _attempt(self, event: Event, visit: Visit) -> Outcome:
        task = await self._look(event, visit)
        if isinstance(task, Outcome):
            return task
        decision = self._rules(event, task, (), self._policy, self._now())
        if isinstance(decision, Outcome):
            outcome = decision
        elif event.intent is Intent.FAILED and event.identity is not None:
            outcome = await self._within_budget(event, task, visit)
        else:
            outcome = await self._start(event, decision, visit)
        return replace(outcome, task_id=task.id, task_name=task.name)

    async def _look(self, event: Event, visit: Visit) -> Task | Outcome:
        """The task that the event means: a name is always resolved, its state is read where the operator wants it."""
        request, project_id = event.request, event.project_id
        if request.task_id is not None:
            task: Task | Outcome = Task(id=request.task_id, name=request.task_name, status=None)
        else:
            task = await self._oms.find(project_id, request.task_name or "", visit)
        if isinstance(task, Outcome) or not self._look_first:
            return task
        return await self._oms.show(project_id, task.id, visit)

    async def _within_budget(self, event: Event, task: Task, visit: Visit) -> Outcome:
        """The restart is written down before it is made, so that of many at once each counts the others."""
        entry = entry_of(event, task.id)
        for _ in range(TRIES):
            history = await _in_time(self._ledger.history(entry, self._policy.window), visit)
            decision = self._rules(event, task, history, self._policy, self._now())
            if isinstance(decision, Outcome):
                return await self._counted(decision, entry, visit)
            if self._dry_run or await _in_time(self._ledger.spend(entry, history, self._policy.window), visit):
                outcome = await self._start(event, decision, visit)
                if outcome.kind not in SPENT:
                    await _tried(self._ledger.cancel(entry), visit)
                return replace(outcome, attempt=len(history) + 1)
        return IN_PROGRESS

    async def _counted(self, outcome: Outcome, entry: Entry, visit: Visit) -> Outcome:
        """A budget that is used up is news once in a window."""
        if outcome.reason != "budget_exhausted":
            return outcome
        first = await _in_time(self._ledger.first_refusal(entry.task, self._policy.window), visit)
        return replace(outcome, repeated=not first)

    async def _start(self, event: Event, start: Start, visit: Visit) -> Outcome:
        if self._dry_run:
            return Outcome(kind=Kind.WOULD_START, migrate_failed_object=start.migrate_failed_object)
        return await self._oms.start(event, start, visit)


async def _in_time(question: Awaitable[T], visit: Visit) -> T:
    """The ledger's answer, for which the delivery does not wait longer than it may last."""
    try:
        async with asyncio.timeout(visit.left_now()):
            return await question
    except TimeoutError:
        raise LedgerError("deadline") from None


async def _tried(step: Awaitable[None], visit: Visit) -> bool:
    """Tell the ledger how it went; what a dead one does not hear, the end of the claim repairs."""
    try:
        await _in_time(step, visit)
    except LedgerError as error:
        LOG.error("The ledger could not be told how an event ended: %s", error)  # noqa: TRY400  # the kind says it all
        return False
    return True
