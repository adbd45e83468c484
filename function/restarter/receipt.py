"""The receipt: one line of JSON for each request, with what was done and why, and without a secret."""

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, assert_never

from pythonjsonlogger.json import JsonFormatter

from restarter.dialects import Part
from restarter.errors import Rejected
from restarter.model import Event, Kind, Outcome

RECEIPTS = logging.getLogger("restarter.receipt")

# Refusals that stay until somebody does something.
FOR_A_PERSON = ("permanent_failure", "budget_exhausted")
LEVELS = logging.getLevelNamesMapping()
NOT_SHOWN = {"kind", "retry_after", "repeated"}

# What a person reads; {task} is the id or name.
SENTENCES = {
    Kind.STARTED: "Started task {task}",
    Kind.WOULD_START: "Dry run: would have started task {task}",
    Kind.ALREADY_RUNNING: "Task {task} is already on its way; nothing was started",
    Kind.NOTHING_TO_DO: "Task {task} has finished; there is nothing to start",
    Kind.DUPLICATE: "This event id was settled before; nothing was started for task {task}",
    Kind.IGNORED: "Not a request for a restart; ignored",
    Kind.REFUSED: "Did not start task {task}",
    Kind.MALFORMED: "The delivery breaks the rules",
    Kind.CALLER_NOT_PROVED: "The caller was not proved",
    Kind.TOO_LARGE: "The delivery is too large",
    Kind.NOT_UNDERSTOOD: "The delivery is in a format that is not spoken here",
    Kind.WRONG_METHOD: "Deliveries come by POST",
    Kind.NOT_FOUND: "OMS has no task {task}",
    Kind.REJECTED: "OMS did not accept the call about task {task}",
    Kind.DEFERRED: "Task {task} cannot be started now",
    Kind.UNAVAILABLE: "Could not deal with task {task}; nothing was started",
    Kind.UNCONFIRMED: "A start of task {task} was sent and not confirmed",
}


def open_log(level: str) -> None:
    """Send receipts, and nothing else, to stdout, whatever the level; what else there is to say goes to stderr."""
    lines, other = logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonFormatter())
    other.setFormatter(JsonFormatter("%(levelname)s %(message)s", rename_fields={"levelname": "severity"}))
    logging.getLogger("restarter").handlers = [other]
    logging.getLogger("restarter").setLevel(level)
    RECEIPTS.handlers = [lines]
    RECEIPTS.setLevel(logging.INFO)
    RECEIPTS.propagate = False


def write(receipt: Mapping[str, Any]) -> None:
    """One line on stdout; the record is made here, for nobody needs to know from which line of code it comes."""
    RECEIPTS.handle(logging.LogRecord(RECEIPTS.name, LEVELS[receipt["severity"]], "", 0, receipt, (), None))


def severity_of(outcome: Outcome) -> str:
    """INFO for what is settled, WARNING for what was not done, ERROR where a person is needed."""
    match outcome.kind:
        case Kind.NOT_FOUND | Kind.REJECTED:
            return "ERROR"
        case Kind.REFUSED if outcome.reason in FOR_A_PERSON:
            return "INFO" if outcome.repeated else "ERROR"
        case (
            Kind.REFUSED
            | Kind.DEFERRED
            | Kind.UNAVAILABLE
            | Kind.UNCONFIRMED
            | Kind.MALFORMED
            | Kind.CALLER_NOT_PROVED
            | Kind.TOO_LARGE
            | Kind.NOT_UNDERSTOOD
            | Kind.WRONG_METHOD
        ):
            return "WARNING"
        case (
            Kind.STARTED | Kind.WOULD_START | Kind.ALREADY_RUNNING | Kind.NOTHING_TO_DO | Kind.DUPLICATE | Kind.IGNORED
        ):
            return "INFO"
        case _:  # pragma: no cover
            assert_never(outcome.kind)


def receipt_of(outcome: Outcome, about: Part | Rejected) -> dict[str, Any]:
    """What one request asked for and how it ended; what is not known is left out.

    The caller adds what only it knows: `event_age_s`, `region`, `duration_ms`, `trace_id`.
    """
    asked: dict[str, Any] = {"dialect": about.dialect, "event_id": about.event_id}
    if isinstance(about, Event):
        request = about.request
        asked |= {"intent": about.intent, "project_id": about.project_id, "credentials": request.credentials}
        asked |= {"task_id": request.task_id, "task_name": request.task_name}
        asked |= {"reason": request.reason}  # the caller's own words, where the outcome has none
    ended = {field.name: getattr(outcome, field.name) for field in fields(outcome) if field.name not in NOT_SHOWN}
    ended["outcome"] = outcome.kind
    facts = asked | {name: value for name, value in ended.items() if value is not None}
    receipt = {"severity": severity_of(outcome), "message": _sentence(outcome, facts)} | facts
    return {name: value for name, value in receipt.items() if value is not None}


def _sentence(outcome: Outcome, facts: Mapping[str, Any]) -> str:
    """One line that says what became of the request, and why."""
    task = facts.get("task_id") or facts.get("task_name") or ""
    sentence = SENTENCES[outcome.kind].format(task=task).rstrip()
    if outcome.migrate_failed_object is not None:
        sentence += " (failed objects only)" if outcome.migrate_failed_object else " (all objects)"
    return f"{sentence}: {outcome.reason}" if outcome.reason else sentence


def trace_id_of(traceparent: str) -> str | None:
    """The trace that a delivery belongs to (W3C Trace Context, 3.2)."""
    match = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", traceparent)
    return match[1] if match and int(match[1], 16) else None
