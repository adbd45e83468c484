"""`failed`: the failed tasks and groups of a project, and what an event would do to each now.

What an event would do is asked of the function's own code, in a dry run, with the tasks as OMS listed them and a ledger
that is only read.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from restarter.decide.failure_reasons import explain_failure
from restarter.http.transport import Transport
from restarter.ledger import Ledger, Stores, open_ledger
from restarter.ledger.read_only import ReadOnlyLedger
from restarter.model.delivery import DeliveryContext, utc_now
from restarter.model.outcome import Kind, Outcome, SweepCounts
from restarter.model.request import Event, Intent
from restarter.model.task import Task
from restarter.model.text import Text
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
from restarter.telemetry.observer import NoObserver

LIST_TIMEOUT_S = 120.0  # for all pages of the list
AT_ONCE = 4  # reads or starts: OMS throttles


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which failed tasks a person asks for."""

    project_id: str
    prefix: str
    since_s: float
    """Seconds: only tasks that failed within them."""
    cause: str | None = None
    """A TRF code: only tasks that failed with it."""
    credentials: str = "default"


@dataclass(frozen=True, slots=True)
class FailedTarget:
    """A failed task, or a group with its failed members, and what an event would do to it."""

    event: Event
    tasks: list[Task]
    outcome: Outcome

    @property
    def failure_reason(self) -> str | None:
        """The TRF code: of a group its own, where it was read."""
        return self.outcome.failure_reason or self.tasks[0].failure_reason

    @property
    def failed_objects(self) -> int | None:
        """How many objects failed."""
        of_task = None if self.event.request.group_id else self.tasks[0].failed_objects
        return of_task if self.outcome.failed_objects is None else self.outcome.failed_objects

    @property
    def total_size(self) -> int | None:
        """Bytes of all objects, which a restart copies or compares unless it takes failed objects only."""
        sizes = [task.total_bytes for task in self.tasks if task.total_bytes is not None]
        return sum(sizes) if sizes and not self.outcome.migrate_failed_object else None

    @property
    def notice(self) -> Text | None:
        """Why OMS sent no notice of it, and what to do."""
        return why_no_notice(self.tasks)

    @property
    def would_start(self) -> bool:
        """Whether an event would start it."""
        return self.outcome.kind is Kind.WOULD_START

    def facts(self, mask: Mask) -> dict[str, Any]:
        """What is known of it, by the names that `--json` documents, without secrets; the unknown is left out."""
        request, first, outcome = self.event.request, self.tasks[0], self.outcome
        rule, reason = rule_behind(outcome.kind, outcome.reason), self.failure_reason
        facts = {
            "project_id": self.event.project_id,
            "task_id": request.task_id,
            "group_id": request.group_id,
            "failed_tasks": [task.id for task in self.tasks] if request.group_id else None,
            "task_name": first.name,
            "failed_at": _iso(min((task.ended_at_ms for task in self.tasks if task.ended_at_ms), default=None)),
            "failure_reason": reason,
            "failure_class": str(explain_failure(reason).failure_class) if reason else None,
            "failure": explain_failure(reason).clause.en if reason else None,
            "failed_objects": self.failed_objects,
            "total_size": self.total_size,
            "failed_objects_list": outcome.failed_objects_list,
            "notice_sent": _notice_sent(self.tasks),
            "notice_error": next((task.notice_error for task in self.tasks if task.notice_error), None),
            "notice": self.notice.en if self.notice else None,
            "outcome": str(outcome.kind),
            "reason": outcome.reason,
            "rule": rule.en + next_hour(outcome, "en") if rule else None,
            "migrate_failed_object": outcome.migrate_failed_object,
            "retry_after": outcome.retry_after,
        }
        return mask.receipt({name: value for name, value in facts.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Found:
    """What was asked for, the longest failed first, and what is known of the list that it was found in."""

    rows: list[FailedTarget]
    counts: SweepCounts
    listed: TaskList


class ListedOms(Oms):
    """OMS, but for the tasks that it has just listed: they need not be read again one by one."""

    listed: dict[str, Task]

    async def show(self, project_id: str, task_id: str, context: DeliveryContext) -> Task | Outcome:
        """The task as it was listed; one that is not listed has not failed, and is read."""
        return self.listed.get(task_id) or await super().show(project_id, task_id, context)


class Operator:
    """What a person may ask about failed tasks, and start. Used as an asynchronous context manager."""

    def __init__(self, settings: Settings, wanted: Wanted) -> None:
        self._settings = settings
        self._wanted = wanted
        self._transport = Transport()
        stores = Stores.of(settings, settings.access_key)
        self._ledger: Ledger = open_ledger(settings.restart_ledger, time.time, stores)
        self._credentials = CredentialProvider(self._transport, utc_now)
        self._stack = AsyncExitStack()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self.mask = Mask(settings)

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._ledger.close)
        self._stack.push_async_callback(self._transport.close)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def failed(self) -> Found:
        """The failed targets of all pages, and what an event would do to each."""
        oms = ListedOms(self._settings, self._transport, self._credentials, utc_now)
        listed = await oms.failed(self._wanted.project_id, DeliveryContext.lasting(LIST_TIMEOUT_S))
        oms.listed = {task.id: task for task in listed.tasks}
        counts, targets = select(listed.tasks, 1000 * (time.time() - self._wanted.since_s), self._wanted.prefix)
        dry = self._settings.model_copy(update={"restart_dry_run": True})
        restarter = Restarter(dry, oms, ReadOnlyLedger(self._ledger), utc_now, NoObserver())
        rows = await asyncio.gather(*(self._row(restarter, target, tasks) for target, tasks in targets.items()))
        cause = self._wanted.cause
        return Found([row for row in rows if cause in (None, row.failure_reason)], counts, listed)

    async def start(self, rows: Iterable[FailedTarget]) -> AsyncIterator[dict[str, Any]]:
        """Request a start of each, several at a time, as a direct call does; gives the receipt of each."""
        oms = Oms(self._settings, self._transport, self._credentials, utc_now)
        restarter = Restarter(self._settings, oms, self._ledger, utc_now, NoObserver())
        for started in asyncio.as_completed([self._start(restarter, row) for row in rows]):
            yield await started

    async def _start(self, restarter: Restarter, row: FailedTarget) -> dict[str, Any]:
        event = row.event._replace(intent=Intent.REQUESTED, identity=None)
        async with self._at_once:
            context = DeliveryContext.lasting(self._settings.restart_deadline)
            outcome = await restarter.restart(event, context)
        return self.mask.receipt(receipt.build(outcome, event, context, self._settings, None))

    async def _row(self, restarter: Restarter, target: Target, tasks: list[Task]) -> FailedTarget:
        """What an event would do to a target; it has an id, because budget and backoff need one."""
        event = Event(
            request=request_for(target, self._wanted.credentials),
            dialect="direct",
            intent=Intent.FAILED,
            project_id=self._wanted.project_id,
            identity=("operator", *target),
        )
        async with self._at_once:
            outcome = await restarter.restart(event, DeliveryContext.lasting(self._settings.restart_deadline))
        return FailedTarget(event, tasks, outcome)


def _iso(milliseconds: int | None) -> str | None:
    """A time in ISO 8601, UTC; None where no calendar has it."""
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def _notice_sent(tasks: list[Task]) -> bool | None:
    """Whether OMS's notice went out for every task of which OMS says so."""
    said = [task.notice_sent for task in tasks if isinstance(task.notice_sent, bool)]
    return all(said) if said else None
