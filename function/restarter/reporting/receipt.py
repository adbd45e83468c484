"""The receipt: one line of JSON for each request, which says what was done and why, without a secret."""

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from restarter.decide.failure_reasons import classify_failure, explain_failure
from restarter.dialects import Decoded, is_direct
from restarter.model.delivery import DeliveryContext
from restarter.model.errors import DeliveryError
from restarter.model.outcome import Kind, Outcome, Reason, SweepCounts
from restarter.model.request import Event, target_of
from restarter.model.task import Counters
from restarter.model.text import Language, known, size_in_words
from restarter.reporting.advice import advise
from restarter.reporting.outcomes import OUTCOMES, Severity
from restarter.reporting.phrases import PHRASES, say
from restarter.reporting.reasons import REASONS, next_hour, severity_of
from restarter.settings.model import Settings

# Every field that a receipt may have, in this order.
FIELDS = (
    *("time", "severity", "message", "outcome", "reason", "dialect", "intent", "event_id", "event_age_s"),
    *("task_id", "task_name", "group_id", "project_id", "region", "credentials", "migrate_failed_object"),
    *("failure_reason", "failure_class", "failed_objects", "failed_objects_list", "advice"),
    *("start_called", "oms_status", "oms_error_code", "oms_request_id", "attempt", "progress"),
    *(*SweepCounts._fields, "duration_ms", "trace_id"),
)


def write(lines: Sequence[bytes]) -> None:
    """Write each receipt on stdout as one line of JSON.

    Each needs its own write: with LOG_EXECUTION_ID the framework makes one log entry of each write.
    """
    for line in lines:
        sys.stdout.write(line.decode() + "\n")
    sys.stdout.flush()


def build(
    outcome: Outcome,
    subject: Decoded | DeliveryError,
    context: DeliveryContext,
    settings: Settings,
    trace_id: str | None,
) -> dict[str, Any]:
    """The receipt of one request: what it asked for, and the result. Unknown fields are left out."""
    facts: dict[str, Any] = {"dialect": subject.dialect, "event_id": subject.event_id}
    if isinstance(subject, Event):
        facts |= _facts_of_event(subject, context, settings)
    facts |= known(outcome._asdict())
    facts |= outcome.counts._asdict() if outcome.counts else {}
    elapsed = context.elapsed()
    at = context.received_at + timedelta(seconds=elapsed)
    severity = severity_of(outcome, is_event=subject.dialect is not None and not is_direct(subject.dialect))
    facts |= {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "severity": severity,
        "message": _sentence(outcome, facts, settings.restart_language),
        "outcome": outcome.kind,
        "reason": outcome.reason or outcome.fault or facts.get("reason"),
        "failure_class": classify_failure(outcome.failure_reason) if outcome.failure_reason else None,
        "advice": advise(outcome, facts, settings) if severity is Severity.ERROR else None,
        "duration_ms": round(1000 * elapsed),
        "progress": known(outcome.progress._asdict()) if outcome.progress else None,
        "trace_id": trace_id,
    }
    return {name: facts[name] for name in FIELDS if facts.get(name) is not None}


def _facts_of_event(event: Event, context: DeliveryContext, settings: Settings) -> dict[str, Any]:
    """What the event asks for. `reason` is the caller's note, which the outcome's own reason replaces."""
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
        "notice": event.notice,
    }


def _sentence(outcome: Outcome, facts: Mapping[str, Any], language: Language) -> str:
    """One sentence that states the result, and why."""
    incomplete = outcome.counts is not None and outcome.kind is not Kind.SWEPT
    sentence = PHRASES["not_completed"] if incomplete else OUTCOMES[outcome.kind].sentence
    text = sentence.in_(language).format(target=_target(facts, language))
    if outcome.migrate_failed_object is not None:
        text += say("failed_only" if outcome.migrate_failed_object else "all_objects", language)
    why, notice = _why(outcome, language), facts.get("notice")
    text += "" if why is None else say("why", language, why=why)
    text += "" if outcome.progress is None else _progress(outcome.progress, language)
    return text if notice is None else text + say("notice", language, notice=notice.in_(language))


def _progress(moved: Counters, language: Language) -> str:
    """What moved since the last restart: bytes if OMS counts them, else objects, else tasks of a group."""
    if not any(moved):
        return say("not_moved", language)
    count, unit = (moved.objects, "object") if moved.objects else (moved.tasks, "task")
    amount = say(unit if count == 1 else f"{unit}s", language, count=count)
    return say("moved", language, moved=size_in_words(moved.bytes) if moved.bytes else amount)


def _target(facts: Mapping[str, Any], language: Language) -> str:
    """The target of the request: a group, a task or, if that is not known, the delivery itself."""
    kind, name = target_of(facts) or ("", "")
    phrase = {"": "of_delivery", "group_id": "of_group"}.get(kind, "of_task")
    return say(phrase, language, name=name)


def _why(outcome: Outcome, language: Language) -> str | None:
    """The reason's sentence. If the task's failure is the cause, it is added, or replaces the sentence."""
    if outcome.reason is None:
        return outcome.fault
    sentence = REASONS[outcome.reason].sentence.in_(language) + next_hour(outcome, language)
    if outcome.failure_reason is None or outcome.reason not in (Reason.PERMANENT_FAILURE, Reason.BUDGET_EXHAUSTED):
        return sentence
    clause = explain_failure(outcome.failure_reason).clause.in_(language)
    failure = say("failure", language, code=outcome.failure_reason, clause=clause)
    is_all = outcome.reason is Reason.PERMANENT_FAILURE
    return failure if is_all else say("and_failure", language, sentence=sentence, failure=failure)
