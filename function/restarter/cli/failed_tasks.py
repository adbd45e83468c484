"""`failed`: the failed tasks and groups of a project, and what an event would do to each now.

The function's own code decides what an event would do: in a dry run, with the tasks as OMS listed them and a ledger
that is only read.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from restarter.decide.failure_reasons import explain_failure
from restarter.http.transport import Transport
from restarter.ledger import Ledger, Stores, open_ledger
from restarter.ledger.read_only import ReadOnlyLedger
from restarter.model.delivery import DeliveryContext, utc_now
from restarter.model.outcome import Kind, Outcome, SweepCounts
from restarter.model.request import Event, Intent
from restarter.model.task import Task, TaskGroup
from restarter.model.text import known
from restarter.oms.client import Oms
from restarter.oms.credentials import CredentialProvider
from restarter.oms.task_list import TaskList
from restarter.reporting import receipt
from restarter.reporting.notices import why_no_notice
from restarter.reporting.reasons import next_hour, rule_behind
from restarter.reporting.redaction import Mask
from restarter.restart import Restarter
from restarter.settings.model import Settings
from restarter.sweep import Target, request_for, select
from restarter.telemetry.observer import NO_OBSERVER

T = TypeVar("T")
LIST_TIMEOUT_S = 120.0  # for all pages of the list
AT_ONCE = 4  # reads or starts, because OMS throttles


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which failed tasks the operator asks for."""

    project_id: str
    prefix: str
    since_s: float
    """Seconds: only tasks that failed less than this long ago."""
    cause: str | None = None
    """A TRF code: only tasks that failed with it."""
    credentials: str = "default"


class FailedTarget(NamedTuple):
    """A failed task, or a group with its failed members, and what an event would do to it."""

    event: Event
    outcome: Outcome
    facts: Mapping[str, Any]
    """What is known about it, by the names of `--json`, without secrets; unknown members are left out."""

    @property
    def would_start(self) -> bool:
        """Whether an event would start it."""
        return self.outcome.kind is Kind.WOULD_START


class Found(NamedTuple):
    """The targets that were asked for, the longest failed first, and what is known about OMS's list of tasks."""

    rows: list[FailedTarget]
    counts: SweepCounts
    listed: TaskList


class OnceOms(Oms):
    """OMS at one moment: tasks that were listed, and other tasks and groups that were read, are not read again."""

    def remember(self, tasks: Iterable[Task]) -> None:
        """Start with the listed tasks. This must be called before any other method."""
        self._tasks: dict[str, Task | Outcome] = {task.id: task for task in tasks}
        self._groups: dict[str, TaskGroup | Outcome] = {}
        self._reading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def show(self, project_id: str, task_id: str, context: DeliveryContext) -> Task | Outcome:
        """The task as it was listed. One that was not listed is read once."""
        return await self._first_seen(self._tasks, task_id, lambda: Oms.show(self, project_id, task_id, context))

    async def show_group(self, project_id: str, group_id: str, context: DeliveryContext) -> TaskGroup | Outcome:
        """The group as it was read first."""
        return await self._first_seen(
            self._groups, group_id, lambda: Oms.show_group(self, project_id, group_id, context)
        )

    async def _first_seen(
        self, seen: dict[str, T | Outcome], name: str, read: Callable[[], Awaitable[T | Outcome]]
    ) -> T | Outcome:
        async with self._reading[name]:
            found = seen.get(name) or await read()
            if not isinstance(found, Outcome) or found.kind is Kind.NOT_FOUND:
                seen[name] = found
            return found


class Operator:
    """Lists failed tasks, or starts them: each instance for one of both, because that closes its connections."""

    def __init__(self, settings: Settings, wanted: Wanted) -> None:
        self._settings = settings
        self._wanted = wanted
        self._transport = Transport()
        stores = Stores.of(settings, settings.access_key)
        self._ledger: Ledger = open_ledger(settings.restart_ledger, time.time, stores)
        self._credentials = CredentialProvider(self._transport, utc_now)
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._mask = Mask(settings)

    async def failed(self) -> Found:
        """The failed targets on all pages, and what an event would do to each."""
        wanted = self._wanted
        oms = OnceOms(self._settings, self._transport, self._credentials, utc_now)
        dry = self._settings.model_copy(update={"restart_dry_run": True})
        restarter = Restarter(dry, oms, ReadOnlyLedger(self._ledger), utc_now, NO_OBSERVER)
        async with aclosing(self):
            listed = await oms.failed(wanted.project_id, DeliveryContext.lasting(LIST_TIMEOUT_S))
            oms.remember(listed.tasks)
            counts, targets = select(listed.tasks, 1000 * (time.time() - wanted.since_s), wanted.prefix)
            rows = await asyncio.gather(*(self._row(restarter, target, tasks) for target, tasks in targets.items()))
        rows = [row for row in rows if wanted.cause in (None, row.facts.get("failure_reason"))]
        return Found(rows, counts, listed)

    async def start(self, rows: Iterable[FailedTarget], note: Callable[[Mapping[str, Any]], None]) -> None:
        """Request a start of each row, several at a time, like direct calls. `note`: called with each receipt."""
        oms = Oms(self._settings, self._transport, self._credentials, utc_now)
        restarter = Restarter(self._settings, oms, self._ledger, utc_now, NO_OBSERVER)
        async with aclosing(self):
            for started in asyncio.as_completed([self._start(restarter, row) for row in rows]):
                note(await started)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.close()
        await self._ledger.close()

    async def _start(self, restarter: Restarter, row: FailedTarget) -> dict[str, Any]:
        event = row.event._replace(intent=Intent.REQUESTED, identity=None)
        outcome, context = await self._restart(restarter, event)
        return self._mask.receipt(receipt.build(outcome, event, context, self._settings, None))

    async def _row(self, restarter: Restarter, target: Target, tasks: list[Task]) -> FailedTarget:
        """What an event would do to a target. The event has an id, because budget and backoff need one."""
        event = Event(
            request=request_for(target, self._wanted.credentials),
            dialect="direct",
            intent=Intent.FAILED,
            project_id=self._wanted.project_id,
            identity=("operator", *target),
        )
        outcome, _ = await self._restart(restarter, event)
        return FailedTarget(event, outcome, self._mask.receipt(known(_facts(event, tasks, outcome))))

    async def _restart(self, restarter: Restarter, event: Event) -> tuple[Outcome, DeliveryContext]:
        async with self._at_once:
            context = DeliveryContext.lasting(self._settings.restart_deadline)
            return await restarter.restart(event, context), context


def _facts(event: Event, tasks: list[Task], outcome: Outcome) -> dict[str, Any]:
    """The facts by their names in `--json`; None if unknown. A group's own reason and objects, if it was read."""
    request, first = event.request, tasks[0]
    rule = rule_behind(outcome.kind, outcome.reason)
    reason = outcome.failure_reason or first.failure_reason
    failure = explain_failure(reason) if reason else None
    failed_objects = None if request.group_id else first.failed_objects
    sizes = [task.total_bytes for task in tasks if task.total_bytes is not None]
    return {
        "project_id": event.project_id,
        "task_id": request.task_id,
        "group_id": request.group_id,
        "failed_tasks": [task.id for task in tasks] if request.group_id else None,
        "task_name": first.name,
        "failed_at": _iso(min((task.ended_at_ms for task in tasks if task.ended_at_ms), default=None)),
        "failure_reason": reason,
        "failure_class": failure and str(failure.failure_class),
        "failure": failure and failure.clause.en,
        "failed_objects": failed_objects if outcome.failed_objects is None else outcome.failed_objects,
        # What a restart copies or compares, unless it takes failed objects only.
        "total_size": sum(sizes) if sizes and not outcome.migrate_failed_object else None,
        "failed_objects_list": outcome.failed_objects_list,
        **_of_notices(tasks),
        "outcome": str(outcome.kind),
        "reason": outcome.reason,
        "rule": rule and rule.en + next_hour(outcome, "en"),
        "migrate_failed_object": outcome.migrate_failed_object,
        "retry_after": outcome.retry_after,
    }


def _of_notices(tasks: list[Task]) -> dict[str, Any]:
    """Whether OMS sent its notice for every task for which that is known, and why not, by the first that shows it."""
    sent = [task.notice_sent for task in tasks if isinstance(task.notice_sent, bool)]
    why = why_no_notice(tasks)
    return {
        "notice_sent": all(sent) if sent else None,
        "notice_error": next((task.notice_error for task in tasks if task.notice_error), None),
        "notice": why and why.en,
    }


def _iso(milliseconds: int | None) -> str | None:
    """A time in ISO 8601, UTC; None if it is unknown or out of range."""
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None
