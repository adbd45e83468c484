"""One request from its claim to its outcome: admit, claim, look, decide, reserve, start, conclude."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from restarter.decide.admission import admit, outside_hours
from restarter.decide.case import AskGroup, Case, in_progress
from restarter.decide.policy import policy_of
from restarter.decide.progress import Canary
from restarter.decide.rules import decide_group, decide_task, group_status
from restarter.ledger import Claim, Claimed, EventKey, Ledger, LedgerError, LedgerKeys, event_key
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event
from restarter.model.task import Start, Task, TaskGroup
from restarter.oms.client import Oms
from restarter.oms.task_groups import WRONG_STATE
from restarter.reporting.outcomes import OUTCOMES
from restarter.reservation import Reservations, before_deadline, best_effort
from restarter.settings.model import Settings
from restarter.siblings import Siblings, another_task, following
from restarter.telemetry.observer import Observer

NO_LEDGER = Outcome(kind=Kind.UNAVAILABLE, reason=Reason.LEDGER)


class Restarter:
    """Handles requests with one set of settings."""

    def __init__(
        self, settings: Settings, oms: Oms, ledger: Ledger, now: Callable[[], datetime], observer: Observer
    ) -> None:
        self._now = now
        self._observer = observer
        self._policy = policy_of(settings)
        self._oms = oms
        self._ledger = ledger
        self._dry_run = settings.restart_dry_run
        self._reservations = Reservations(ledger, self._policy, self._look, dry_run=self._dry_run)

    async def restart(self, event: Event, context: DeliveryContext, siblings: Siblings | None = None) -> Outcome:
        """Admit, claim, attempt and conclude one request. If the ledger cannot claim its event, nothing is started."""
        outcome = admit(event, self._policy, context.received_at)
        if outcome is not None:
            self._observer.step("decided", outcome)
            return outcome
        key = event_key(event)
        if key is None:  # without an id a redelivery cannot be recognised, so nothing is remembered
            outcome, _ = await self._attempt(event, "", context, siblings)
            return outcome
        try:
            claimed = await before_deadline(self._ledger, self._ledger.claim(key, self._policy.claim_s), context)
        except LedgerError:
            return NO_LEDGER
        self._observer.step("claimed", claimed.state)
        if claimed.state is not Claim.OURS:
            return _not_ours(claimed)
        outcome, reserved = await self._attempt(event, claimed.token, context, siblings)
        return await self._conclude(key, claimed.token, outcome, reserved, context)

    def refuses(self, event: Event, context: DeliveryContext) -> bool:
        """Whether a rule refuses the event before OMS or the ledger is asked."""
        return admit(event, self._policy, context.received_at) is not None

    async def _attempt(
        self, event: Event, token: str, context: DeliveryContext, siblings: Siblings | None
    ) -> tuple[Outcome, tuple[LedgerKeys, ...]]:
        """Read the task or its group, and act on it; in one delivery, only once on each target.

        Returns the outcome, and the keys under which a restart was reserved with the claim's token.
        """
        closed = outside_hours(event, self._policy, self._now())
        if closed is not None:
            self._observer.step("decided", closed)
            return closed, ()
        group_id = event.request.group_id
        asked = AskGroup(group_id) if group_id is not None else await self._read(event, context)
        found = await self._read_group(event, asked, context) if isinstance(asked, AskGroup) else asked
        if isinstance(found, Outcome):
            return found, ()
        target, decision = found
        if siblings is None:
            outcome, reserved = await self._act(event, target, decision, token, context)
        else:
            outcome, reserved = await siblings.once(
                [("target", event.project_id, type(target).__name__, target.id)],
                lambda: self._act(event, target, decision, token, context),
                lambda first, shared: (following(first[0], shared), ()),
            )
        return _described(outcome, target), reserved

    async def _act(
        self, event: Event, target: Task | TaskGroup, decision: Start | Outcome, token: str, context: DeliveryContext
    ) -> tuple[Outcome, tuple[LedgerKeys, ...]]:
        """Reserve the restart that the rules decided on, and start it."""
        try:
            reserved = await self._reservations.reserve(event, target, decision, token, context)
        except LedgerError:
            reserved = NO_LEDGER
        if isinstance(reserved, Outcome):
            self._observer.step("decided", reserved)
            return reserved, ()
        self._observer.step("decided", reserved.start)
        if self._dry_run:
            outcome = Outcome(kind=Kind.WOULD_START, migrate_failed_object=reserved.start.migrate_failed_object)
        else:
            outcome = await self._oms.start(event, reserved.start, context)
            if outcome.oms_error_code in WRONG_STATE and reserved.start.of_group:
                outcome = await self._decide_again(event, reserved.start.target_id, outcome, context)
        return outcome._replace(attempt=reserved.attempt, progress=reserved.progress), reserved.keys

    async def _decide_again(self, event: Event, group_id: str, rejected: Outcome, context: DeliveryContext) -> Outcome:
        """Read the group again after OMS said that its state forbids a retry: the new status decides.

        If the group's status is still failed, the outcome stays `rejected`.
        """
        group = await self._oms.show_group(event.project_id, group_id, context)
        row = group if isinstance(group, Outcome) else group_status(Case(event, group, self._policy))
        if row is None:
            return rejected
        return rejected._replace(kind=row.kind, reason=row.reason, retry_after=row.retry_after)

    async def _read(self, event: Event, context: DeliveryContext) -> tuple[Task, Start | Outcome] | AskGroup | Outcome:
        """The task as it is now, and the decision of the rules. A name is resolved to an id first."""
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

    def _look(self, project_id: str, canary: Canary, context: DeliveryContext) -> Awaitable[Task | TaskGroup | Outcome]:
        """Read a task or group that was started with a storage key."""
        show = self._oms.show_group if canary.of_group else self._oms.show
        return show(project_id, canary.target_id, context)

    async def _read_group(
        self, event: Event, asked: AskGroup, context: DeliveryContext
    ) -> tuple[TaskGroup, Start | Outcome] | Outcome:
        """The group that the event names or its failed task belongs to, and the decision of the rules."""
        group = await self._oms.show_group(event.project_id, asked.group_id, context)
        self._observer.step("looked", group)
        if isinstance(group, Outcome):
            return _described(group, TaskGroup(id=asked.group_id, status=None, member=asked.member))
        group = group._replace(member=asked.member)
        return group, decide_group(Case(event, group, self._policy))

    async def _conclude(
        self, key: EventKey, token: str, outcome: Outcome, reserved: tuple[LedgerKeys, ...], context: DeliveryContext
    ) -> Outcome:
        """Settle the event, or release its claim for a redelivery; confirm what was reserved, or take it back.

        A start that was made is settled first. A restart that was not made is taken back before the claim is released.
        """
        ledger, row = self._ledger, OUTCOMES[outcome.kind]
        if row.settles and not await best_effort(ledger, ledger.settle(key, token), context):
            # The sender must redeliver to settle the event: else a late copy would start the task if it failed again.
            kind = Kind.UNCONFIRMED if outcome.start_called else Kind.UNAVAILABLE
            outcome = outcome._replace(kind=kind, reason=Reason.LEDGER)
        for keys in reserved:
            await best_effort(ledger, (ledger.confirm if row.counts else ledger.unreserve)(keys, token), context)
        if not row.settles:
            await best_effort(ledger, ledger.release(key, token), context)
        await best_effort(ledger, ledger.purge(), context)
        return outcome


def _described(outcome: Outcome, target: Task | TaskGroup) -> Outcome:
    """The outcome with the details of the task, and of the group that decided in its place."""
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
    return another_task()
