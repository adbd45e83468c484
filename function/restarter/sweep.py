"""A sweep: list the failed tasks of a project and send each through the same path as a failed event.

It is the safety net for notices that were lost. RESTART_SWEEP=on switches it on.
"""

import math
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime

from restarter.decide.admission import admit, outside_hours
from restarter.decide.case import Case
from restarter.decide.policy import policy_of
from restarter.decide.rules import decide_task
from restarter.decide.task_rules import usable_group_id
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason, SweepCounts
from restarter.model.request import Event, Intent, RestartRequest
from restarter.model.task import Task
from restarter.oms.client import Oms
from restarter.oms.task_list import TaskList
from restarter.reporting.notices import why_no_notice
from restarter.reservation import SUMMARY_ONLY
from restarter.restart import Restarter
from restarter.settings.model import Settings
from restarter.siblings import Siblings

MIN_TIME_S = 1.0  # that must remain to begin the next candidate
LIST_SHARE = 2 / 3  # of the remaining time for reading the list; the rest is for starts
NEVER_MS = 10**15  # the time of failure if it is unknown: such a task comes last
# These count towards RESTART_SWEEP_LIMIT.
MAY_HAVE_STARTED = (Kind.STARTED, Kind.WOULD_START, Kind.UNCONFIRMED)
# After these the reply is 503, so that the sender redelivers the sweep.
INCOMPLETE = (Kind.UNAVAILABLE, Kind.UNCONFIRMED)
# These are only counted in the summary: their receipts would be the same in every sweep.
OFF = Outcome(kind=Kind.IGNORED, reason=Reason.SWEEP_OFF)
# The field that a request would use, `task_id` or `group_id`, and its value; Targets have the failed tasks of each.
Target = tuple[str, str]
Targets = dict[Target, list[Task]]
Handled = tuple[Event, Outcome]


class Sweeper:
    """Handles sweeps with one set of settings."""

    def __init__(self, settings: Settings, oms: Oms, restarter: Restarter, now: Callable[[], datetime]) -> None:
        self._is_on = settings.restart_sweep == "on"
        self._age_ms = 1000 * settings.restart_sweep_age
        self._limit = settings.restart_sweep_limit
        self._max_running = settings.restart_max_running
        self._prefix = settings.restart_sweep_prefix or ""
        self._policy = policy_of(settings)
        self._oms = oms
        self._restarter = restarter
        self._now = now

    async def sweep(self, tick: Event, context: DeliveryContext, siblings: Siblings | None) -> list[Handled]:
        """Run the sweep that `tick` requests. Returns what needs a receipt: handled targets, and last the summary."""
        not_admitted = admit(tick, self._policy, context.received_at) if self._is_on else OFF
        if not_admitted is not None:
            return [(tick, not_admitted)]
        found = await self._oms.failed(tick.project_id, _for_the_list(context))
        counts, targets = select(found.tasks, 1000 * self._now().timestamp() - self._age_ms, self._prefix)
        closed = outside_hours(tick._replace(intent=Intent.FAILED), self._policy, self._now())
        if closed is not None:
            return [(tick, _summary(counts, len(targets), [closed] * len(targets), found))]
        can_start = targets and context.remaining() >= MIN_TIME_S
        free = await self._free_places(tick, context) if can_start else 0
        if isinstance(free, Outcome):
            return [(tick, _summary(counts, len(targets), [], found._replace(error=found.error or free)))]
        handled = await self._handle(tick, targets, free, context, siblings)
        summary = _summary(counts, len(targets), [outcome for _, outcome in handled], found)
        return [*(one for one in handled if not _is_routine(one[1])), (tick, summary)]

    async def _free_places(self, tick: Event, context: DeliveryContext) -> float | Outcome:
        """How many more tasks RESTART_MAX_RUNNING lets wait or run in the project; infinite if it is not set."""
        if self._max_running is None:
            return math.inf
        active = await self._oms.count_active(tick.project_id, self._max_running, context)
        return active if isinstance(active, Outcome) else self._max_running - active

    def _in_order(self, tick: Event, targets: Targets, context: DeliveryContext) -> Iterator[tuple[Target, list[Task]]]:
        """The longest failed targets first; after half of the time, those that the list shows to be refused come last.

        Otherwise a task that can be started could wait for ever behind thousands that cannot.
        """
        half, last = context.remaining() / 2, []
        for target in targets.items():
            if context.remaining() < half and self._is_refused(tick, target[1]):
                last.append(target)
            else:
                yield target
        yield from last

    def _is_refused(self, tick: Event, tasks: list[Task]) -> bool:
        """Whether a rule refuses a target, judged by its first task in the list."""
        said = decide_task(Case(tick._replace(intent=Intent.FAILED), tasks[0], self._policy))
        return isinstance(said, Outcome) and said.kind is Kind.REFUSED

    async def _handle(
        self, tick: Event, targets: Targets, free: float, context: DeliveryContext, siblings: Siblings | None
    ) -> list[Handled]:
        """Handle the targets until the starts, the time or the places of RESTART_MAX_RUNNING are used up."""
        handled: list[Handled] = []
        identity = ("sweep", *(tick.identity or (secrets.token_hex(16),)))
        starts = taken = 0
        for target, tasks in self._in_order(tick, targets, context):
            if starts >= self._limit or taken >= free or context.remaining() < MIN_TIME_S:
                break
            event = _event(tick, target, tasks, identity)
            outcome = await self._restarter.restart(event, context, siblings)
            handled.append((event, outcome))
            if outcome.kind in MAY_HAVE_STARTED:
                starts += 1
                taken += len(tasks)
        return handled


def _for_the_list(context: DeliveryContext) -> DeliveryContext:
    """The context with an earlier deadline, which leaves time to start what the list shows."""
    kept_back = (1 - LIST_SHARE) * context.remaining()
    return context._replace(deadline=context.deadline - kept_back, ends_at=context.ends_at - kept_back)


def select(found: list[Task], oldest_ms: float, prefix: str) -> tuple[SweepCounts, Targets]:
    """Count the tasks and select the targets, the longest failed first. The members of a group are one target.

    Args:
        found: Failed tasks.
        oldest_ms: Earliest time of failure, milliseconds since 1970. If it is unknown, the start time counts; a task
            without either is kept.
        prefix: Tasks whose names do not begin with it are left out.
    """
    targets: Targets = {}
    too_old = not_ours = 0
    for task in found:
        if not (task.name or "").startswith(prefix):
            not_ours += 1
        elif task.ended_at_ms is not None and task.ended_at_ms < oldest_ms:
            too_old += 1
        else:
            targets.setdefault(_target(task), []).append(task)
    counts = SweepCounts(seen=len(found), too_old=too_old, not_ours=not_ours)
    return counts, dict(sorted(targets.items(), key=lambda target: _failed_at(target[1])))


def _failed_at(tasks: list[Task]) -> int:
    return min(NEVER_MS if task.ended_at_ms is None else task.ended_at_ms for task in tasks)


def _target(task: Task) -> Target:
    """The task's group if it has a usable id, else the task itself."""
    group_id = usable_group_id(task)
    return ("task_id", task.id) if group_id is None else ("group_id", group_id)


def request_for(target: Target, credentials: str, reason: str | None = None) -> RestartRequest:
    """The request for a listed target, not validated: OMS may list longer task ids than a caller may give."""
    name, value = target
    task_id, group_id = (value, None) if name == "task_id" else (None, value)
    return RestartRequest.model_construct(task_id=task_id, group_id=group_id, credentials=credentials, reason=reason)


def _event(tick: Event, target: Target, tasks: list[Task], identity: tuple[str, ...]) -> Event:
    """A failed event about a target. A redelivered tick makes the same event, so it starts nothing twice."""
    return tick._replace(
        request=request_for(target, tick.request.credentials, tick.request.reason),
        intent=Intent.FAILED,
        identity=(*identity, *target),
        occurred_at=None,
        from_sweep=True,
        notice=why_no_notice(tasks),
    )


def _is_routine(outcome: Outcome) -> bool:
    return outcome.reason in SUMMARY_ONLY or (outcome.reason is Reason.STORAGE_KEY and outcome.repeated)


def _is_incomplete(outcome: Outcome) -> bool:
    """Whether the sender must redeliver. If another delivery is in progress, its instance may have died."""
    return outcome.kind in INCOMPLETE or outcome.reason is Reason.IN_PROGRESS


def _summary(counts: SweepCounts, targets: int, outcomes: list[Outcome], found: TaskList) -> Outcome:
    """The outcome of the sweep: `swept`, or the first outcome for which the sender must redeliver."""
    started = sum(outcome.kind in (Kind.STARTED, Kind.WOULD_START) for outcome in outcomes)
    counts = counts._replace(started=started, held_back=len(outcomes) - started, left=targets - len(outcomes))
    incomplete = found.error or next(filter(_is_incomplete, outcomes), None)
    if incomplete is None:
        reason = Reason.MORE_PAGES if found.more_pages else None
        closed = next((outcome for outcome in outcomes if outcome.opens_at is not None), Outcome(Kind.SWEPT, reason))
        return Outcome(kind=Kind.SWEPT, reason=closed.reason, opens_at=closed.opens_at, counts=counts)
    kind = incomplete.kind if incomplete.kind in INCOMPLETE else Kind.UNAVAILABLE
    return Outcome(
        kind=kind,
        reason=Reason.LIST if incomplete.kind is Kind.NOT_FOUND else incomplete.reason,
        retry_after=incomplete.retry_after,
        counts=counts,
        oms_status=incomplete.oms_status,
        oms_error_code=incomplete.oms_error_code,
        oms_request_id=incomplete.oms_request_id,
    )
