"""The whole flow on one screen: proved, decoded, looked at, decided, started, answered."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from restarter import callers, dialects, receipt
from restarter.decide import Policy, decide, start_of
from restarter.errors import Rejected
from restarter.model import Delivery, Event, Ignored, Kind, Outcome, Task
from restarter.oms.service import Oms
from restarter.oms.transport import Transport
from restarter.reply import Reply, reply_to
from restarter.settings import Settings


def utc_now() -> datetime:
    """The clock of the wall."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Visit:
    """One delivery in time: when it came, and by when it must be answered (monotonic seconds)."""

    came_at: datetime
    began: float
    ends: float

    def left(self) -> float:
        """Seconds until the answer must be out."""
        return self.ends - time.monotonic()


class Pipeline:
    """What lives as long as the process: settings, ways in, policy, and the client behind `Oms`."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = utc_now) -> None:
        self._settings = settings
        self._now = now
        self._ways = callers.configured(settings)
        self._configured = dialects.Configured.by(settings)
        self._policy = Policy(migrate_failed_object=settings.oms_migrate_failed_object)
        self._oms = Oms(settings, Transport(now))

    def visit(self) -> Visit:
        """The clock of a delivery starts."""
        began = time.monotonic()
        return Visit(self._now(), began, began + self._settings.restart_deadline)

    async def deliver(self, delivery: Delivery, visit: Visit) -> Reply:
        """Delivery -> proved -> events -> outcomes -> receipts and reply. Raises Rejected."""
        proved = await callers.prove(delivery, self._ways)
        parts = dialects.decode(proved, self._configured)
        outcomes = await asyncio.gather(*(self._outcome(part, visit) for part in parts))
        return self._answer(parts, outcomes, visit, delivery.headers)

    def turn_away(self, error: Rejected, visit: Visit, headers: Mapping[str, str]) -> Reply:
        """The receipt and reply of a delivery that never became a request."""
        return self._answer([error], [_outcome_of(error)], visit, headers)

    async def _outcome(self, part: dialects.Part, visit: Visit) -> Outcome:
        match part:
            case Event():
                return await self._restart(part, visit)
            case Ignored():
                return Outcome(kind=Kind.IGNORED, reason=part.reason)
            case _:
                return _outcome_of(part)

    async def _restart(self, event: Event, visit: Visit) -> Outcome:
        task = await self._look(event, visit)
        if isinstance(task, Outcome):
            return task
        looked = self._settings.restart_look_first
        decision = decide(event, task, self._policy) if looked else start_of(event, task, self._policy)
        outcome = decision if isinstance(decision, Outcome) else await self._oms.start(event, decision, visit.left)
        return replace(outcome, task_id=task.id, task_name=task.name)

    async def _look(self, event: Event, visit: Visit) -> Task | Outcome:
        """The task that the event means: a name is always resolved, its state is read where the operator wants it."""
        request, project_id = event.request, event.project_id
        if request.task_id is not None:
            task: Task | Outcome = Task(id=request.task_id, name=request.task_name, status=None)
        else:
            task = await self._oms.find(project_id, request.task_name or "", visit.left)
        if isinstance(task, Outcome) or not self._settings.restart_look_first:
            return task
        return await self._oms.show(project_id, task.id, visit.left)

    def _answer(
        self,
        abouts: Sequence[Event | Ignored | Rejected],
        outcomes: Sequence[Outcome],
        visit: Visit,
        headers: Mapping[str, str],
    ) -> Reply:
        """Write a receipt for each outcome, and answer the sender for all of them."""
        trace_id = receipt.trace_id_of(headers.get("traceparent", ""))
        receipts = []
        for about, outcome in zip(abouts, outcomes, strict=True):
            facts = receipt.receipt_of(outcome, about) | {"duration_ms": round(1000 * (time.monotonic() - visit.began))}
            if isinstance(about, Event):
                facts |= self._facts_of(about, visit)
            receipts.append(facts | ({"trace_id": trace_id} if trace_id else {}))
            receipt.write(receipts[-1])
        return reply_to(outcomes, receipts, direct=all(dialects.is_direct(about.dialect) for about in abouts))

    def _facts_of(self, event: Event, visit: Visit) -> dict[str, str | int]:
        """What the receipt says of the event that only the settings and the clock know."""
        facts: dict[str, str | int] = {}
        region = self._settings.region_of(event.project_id)
        if region is not None:
            facts["region"] = region
        if event.occurred_at is not None:
            facts["event_age_s"] = round((visit.came_at - event.occurred_at).total_seconds())
        return facts


def _outcome_of(error: Rejected) -> Outcome:
    return Outcome(kind=error.kind, reason=error.reason)
