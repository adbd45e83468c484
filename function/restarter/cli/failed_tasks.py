"""`failed`: the failed tasks and groups of a project, and what an event would do to each now.

What an event would do is asked of the function's own code, in a dry run, with a ledger that is only read.
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
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Outcome
from restarter.model.request import Event, Intent, RestartRequest
from restarter.model.task import Task
from restarter.oms.client import MORE_PAGES, Oms
from restarter.oms.credentials import CredentialProvider
from restarter.reporting import receipt
from restarter.reporting.reasons import rule_behind
from restarter.reporting.redaction import Mask
from restarter.restart import Restarter
from restarter.settings.model import Settings
from restarter.settings.types import parse_duration
from restarter.sweep import Target, select
from restarter.telemetry.observer import NoObserver

LIST_TIMEOUT_S = 60.0  # for all pages of the list
LOOKS_AT_ONCE = 4  # OMS throttles


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which failed tasks a person asks for."""

    project_id: str
    prefix: str
    since: str
    """A duration: only tasks that OMS started within it."""
    credentials: str = "default"


@dataclass(frozen=True, slots=True)
class FailedTarget:
    """A failed task, or a group with its failed members, and what an event would do to it."""

    event: Event
    tasks: list[Task]
    outcome: Outcome

    def facts(self, mask: Mask) -> dict[str, Any]:
        """What is known of it, by the names that `--json` documents, without secrets; the unknown is left out."""
        request, first, outcome = self.event.request, self.tasks[0], self.outcome
        rule = rule_behind(outcome.kind, outcome.reason)
        reason = outcome.failure_reason or first.failure_reason
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
            "failed_objects": _known(outcome.failed_objects, None if request.group_id else first.failed_objects),
            "failed_objects_list": outcome.failed_objects_list,
            "notice_sent": _notice_sent(self.tasks),
            "outcome": str(outcome.kind),
            "reason": outcome.reason,
            "rule": rule.en if rule else None,
            "migrate_failed_object": outcome.migrate_failed_object,
            "retry_after": outcome.retry_after,
        }
        return mask.receipt({name: value for name, value in facts.items() if value is not None})


class Operator:
    """What a person may ask about failed tasks, and start. Used as an asynchronous context manager."""

    def __init__(self, settings: Settings, wanted: Wanted) -> None:
        self._settings = settings
        self._wanted = wanted
        self._transport = Transport()
        stores = Stores.of(settings, settings.access_key)
        self._ledger: Ledger = open_ledger(settings.restart_ledger.get_secret_value(), time.time, stores)
        self._oms = Oms(settings, self._transport, CredentialProvider(self._transport, _now), _now)
        self._stack = AsyncExitStack()
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        dry = settings.model_copy(update={"restart_dry_run": True})
        self._dry_restarter = Restarter(dry, self._oms, ReadOnlyLedger(self._ledger), _now, NoObserver())
        self._restarter = Restarter(settings, self._oms, self._ledger, _now, NoObserver())
        self.mask = Mask(settings)
        self.messages: list[str] = []
        """What a person should know about the list."""

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._ledger.close)
        self._stack.push_async_callback(self._transport.close)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def failed(self) -> tuple[list[FailedTarget], Outcome | None]:
        """The failed targets, the longest failed first, and what ended the list early, if anything."""
        found, interruption = await self._oms.failed(self._wanted.project_id, _context(LIST_TIMEOUT_S))
        oldest_ms = 1000 * (time.time() - parse_duration(self._wanted.since))
        counts, targets = select(found, oldest_ms, self._wanted.prefix)
        if counts.too_old:
            self.messages.append(
                f"Left out: {counts.too_old} started before the last {self._wanted.since}; --since 31d lists more."
            )
        if counts.not_ours:
            self.messages.append(f"Left out: {counts.not_ours} whose names do not begin with {self._wanted.prefix}.")
        if interruption is MORE_PAGES:
            self.messages.append(f"Left out: what OMS lists after the first {len(found)} failed tasks.")
            interruption = None
        rows = await asyncio.gather(*(self._row(target, tasks) for target, tasks in targets.items()))
        return list(rows), interruption

    async def start(self, rows: Iterable[FailedTarget]) -> AsyncIterator[dict[str, Any]]:
        """Request a start of each, one after the other, as a direct call does; gives the receipt of each."""
        for row in rows:
            event = _event(self._wanted, _target_of(row), Intent.REQUESTED)
            context = _context(self._settings.restart_deadline)
            outcome = await self._restarter.restart(event, context)
            yield self.mask.receipt(receipt.build(outcome, event, context, self._settings, None))

    async def _row(self, target: Target, tasks: list[Task]) -> FailedTarget:
        event = _event(self._wanted, target, Intent.FAILED)
        async with self._looks:
            outcome = await self._dry_restarter.restart(event, _context(self._settings.restart_deadline))
        return FailedTarget(event, tasks, outcome)


def _event(wanted: Wanted, target: Target, intent: Intent) -> Event:
    """A request of the operator; a failed event has an id, because budget and backoff need one."""
    name, value = target
    return Event(
        request=RestartRequest.model_validate({name: value, "credentials": wanted.credentials}),
        dialect="direct",
        intent=intent,
        project_id=wanted.project_id,
        identity=("operator", name, value) if intent is Intent.FAILED else None,
    )


def _target_of(row: FailedTarget) -> Target:
    request = row.event.request
    return ("group_id", request.group_id) if request.group_id else ("task_id", request.task_id or "")


def _now() -> datetime:
    return datetime.now(UTC)


def _context(seconds: float) -> DeliveryContext:
    started_at = time.monotonic()
    return DeliveryContext(_now(), started_at, started_at + seconds)


def _iso(milliseconds: int | None) -> str | None:
    """A time in ISO 8601, UTC; None where no calendar has it."""
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def _known(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _notice_sent(tasks: list[Task]) -> bool | None:
    """Whether OMS's notice went out for every task of which OMS says so."""
    said = [task.notice_sent for task in tasks if isinstance(task.notice_sent, bool)]
    return all(said) if said else None
