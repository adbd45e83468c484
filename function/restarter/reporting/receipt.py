"""The receipt: one line of JSON for each request, with what was done and why, and without a secret."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, assert_never

from restarter.decide.failure_reasons import classify_failure, explain_failure
from restarter.dialects import Decoded, is_direct
from restarter.model.delivery import DeliveryContext
from restarter.model.errors import DeliveryError
from restarter.model.outcome import Kind, Outcome, SweepCounts
from restarter.model.request import Event
from restarter.reporting.advice import advise
from restarter.settings.model import Settings

# Refusals that last until a person acts.
NEEDS_A_PERSON = ("permanent_failure", "budget_exhausted")
SWEEP_FIELDS = tuple(field.name for field in fields(SweepCounts))
MAX_NAME_IN_SENTENCE = 256
# Every field that a receipt may have, in this order.
FIELDS = (
    *("severity", "message", "outcome", "reason", "dialect", "intent", "event_id", "event_age_s"),
    *("task_id", "task_name", "group_id", "project_id", "region", "credentials", "migrate_failed_object"),
    *("failure_reason", "failure_class", "failed_objects", "failed_objects_list", "advice"),
    *("start_called", "oms_status", "oms_error_code", "oms_request_id", "attempt"),
    *(*SWEEP_FIELDS, "duration_ms", "trace_id"),
)

OUTCOME_FIELDS = tuple(name for name in Outcome._fields if name in FIELDS)

# One sentence for each outcome; {target} is a task by id or name, or a task group.
SENTENCES = {
    Kind.STARTED: "Started {target}",
    Kind.WOULD_START: "Dry run: would have started {target}",
    Kind.ALREADY_RUNNING: "Nothing was started: {target} is already running",
    Kind.NOTHING_TO_DO: "Nothing was started: {target} has succeeded",
    Kind.DUPLICATE: "Nothing was started for {target}: this event id was settled before",
    Kind.IGNORED: "Ignored: not a request for a restart",
    Kind.SWEPT: "Looked for failed tasks",
    Kind.REFUSED: "Did not start {target}",
    Kind.MALFORMED: "The delivery is malformed",
    Kind.UNAUTHENTICATED: "The caller was not authenticated",
    Kind.CONTENT_TOO_LARGE: "The delivery is too large",
    Kind.UNSUPPORTED_MEDIA_TYPE: "The delivery has a format that is not supported",
    Kind.METHOD_NOT_ALLOWED: "The method is not allowed; deliveries are sent by POST",
    Kind.NOT_FOUND: "OMS has no {target}",
    Kind.REJECTED: "Rejected: {target} was not started",
    Kind.DEFERRED: "Cannot start {target} now",
    Kind.UNAVAILABLE: "Could not handle {target}; nothing was started",
    Kind.UNCONFIRMED: "A start of {target} was sent and not confirmed",
}


def write(lines: Sequence[bytes]) -> None:
    """Write the receipts of a delivery on stdout, all at once, each as one line of JSON."""
    sys.stdout.write(b"".join([line + b"\n" for line in lines]).decode())
    sys.stdout.flush()


def severity_of(outcome: Outcome, dialect: str | None = None) -> str:
    """INFO for what is settled, WARNING for what was not done, ERROR where a person is needed.

    `dialect`: of the delivery, where it is known. Nobody hears that an event is malformed, but a direct caller does.
    """
    match outcome.kind:
        case Kind.STARTED | Kind.WOULD_START | Kind.ALREADY_RUNNING | Kind.NOTHING_TO_DO:
            return "INFO"
        case Kind.DUPLICATE | Kind.IGNORED | Kind.SWEPT:
            return "INFO"
        case Kind.NOT_FOUND | Kind.REJECTED:
            return "ERROR"
        case Kind.MALFORMED if dialect is not None and not is_direct(dialect):
            return "ERROR"
        case Kind.REFUSED if outcome.reason in NEEDS_A_PERSON:
            return "INFO" if outcome.repeated else "ERROR"
        case Kind.REFUSED | Kind.DEFERRED | Kind.UNAVAILABLE | Kind.UNCONFIRMED | Kind.MALFORMED:
            return "WARNING"
        case Kind.UNAUTHENTICATED | Kind.CONTENT_TOO_LARGE | Kind.UNSUPPORTED_MEDIA_TYPE | Kind.METHOD_NOT_ALLOWED:
            return "WARNING"
        case _:  # pragma: no cover
            assert_never(outcome.kind)


def build(
    outcome: Outcome,
    subject: Decoded | DeliveryError,
    context: DeliveryContext,
    settings: Settings,
    trace_id: str | None,
) -> dict[str, Any]:
    """What one request asked for and what became of it; what is not known is left out."""
    facts: dict[str, Any] = {"dialect": subject.dialect, "event_id": subject.event_id}
    if isinstance(subject, Event):
        facts |= _facts_of_event(subject, context, settings)
    facts |= {name: value for name in OUTCOME_FIELDS if (value := getattr(outcome, name)) is not None}
    facts |= asdict(outcome.counts) if outcome.counts else {}
    facts["outcome"] = outcome.kind
    facts["duration_ms"] = round(1000 * context.elapsed())
    facts["trace_id"] = trace_id
    severity = severity_of(outcome, subject.dialect)
    facts |= {"severity": severity, "message": _sentence(outcome, facts)}
    if outcome.failure_reason is not None:
        facts["failure_class"] = classify_failure(outcome.failure_reason)
    if severity == "ERROR":
        facts["advice"] = advise(outcome, facts, settings)
    return {name: facts[name] for name in FIELDS if facts.get(name) is not None}


def _facts_of_event(event: Event, context: DeliveryContext, settings: Settings) -> dict[str, Any]:
    """What the event asks for; `reason` is the caller's text, which a rule's word replaces."""
    request = event.request
    age = None if event.occurred_at is None else round((context.received_at - event.occurred_at).total_seconds())
    return {
        "intent": event.intent,
        "event_age_s": age,
        "task_id": request.task_id,
        "task_name": request.task_name,
        "group_id": request.group_id,
        "project_id": event.project_id,
        "region": settings.region_of(event.project_id),
        "credentials": request.credentials,
        "reason": request.reason,
    }


def _sentence(outcome: Outcome, facts: Mapping[str, Any]) -> str:
    """One sentence that says what became of the request, and why: a failure by its code and in words of ours."""
    sentence = SENTENCES[outcome.kind].format(target=_target(facts))
    if outcome.counts is not None and outcome.kind is not Kind.SWEPT:
        sentence = "The sweep was not completed"
    if outcome.migrate_failed_object is not None:
        sentence += " (failed objects only)" if outcome.migrate_failed_object else " (all objects)"
    return ": ".join(filter(None, [sentence, _why(outcome)]))


def _target(facts: Mapping[str, Any]) -> str:
    """What the request is about: a group, a task, or, where that is not known, the delivery itself."""
    if facts.get("group_id"):
        return f"task group {facts['group_id']}"
    name = facts.get("task_id") or facts.get("task_name")
    return f"task {name[:MAX_NAME_IN_SENTENCE]}" if name else "the delivery"


def _why(outcome: Outcome) -> str | None:
    """The rule's word, and what failed where that is the rule's cause."""
    match outcome.reason:
        case "permanent_failure" if outcome.failure_reason:
            return _failure(outcome.failure_reason)
        case "budget_exhausted" if outcome.failure_reason:
            return f"{outcome.reason}; {_failure(outcome.failure_reason)}"
        case _:
            return outcome.reason


def _failure(failure_reason: str) -> str:
    return f"{failure_reason}, {explain_failure(failure_reason).clause}"
