"""Replies, receipts and their table, as the contract of README has it."""

import json

import pytest

from restarter.model.outcome import Kind, Outcome, Reason
from restarter.reporting.outcomes import OUTCOMES
from restarter.reporting.reasons import severity_of
from restarter.reporting.reply import Entry, reply_to, status_of
from restarter.telemetry.trace_context import trace_id_of

TABLE = {
    Kind.STARTED: (200, 204, "INFO"),
    Kind.WOULD_START: (200, 204, "INFO"),
    Kind.ALREADY_RUNNING: (200, 204, "INFO"),
    Kind.NOTHING_TO_DO: (200, 204, "INFO"),
    Kind.DUPLICATE: (200, 204, "INFO"),
    Kind.IGNORED: (200, 204, "INFO"),
    Kind.SWEPT: (200, 204, "INFO"),
    Kind.REFUSED: (409, 204, "WARNING"),
    Kind.MALFORMED: (400, 400, "WARNING"),
    Kind.UNAUTHENTICATED: (401, 401, "WARNING"),
    Kind.CONTENT_TOO_LARGE: (413, 413, "WARNING"),
    Kind.UNSUPPORTED_MEDIA_TYPE: (415, 415, "WARNING"),
    Kind.METHOD_NOT_ALLOWED: (405, 405, "WARNING"),
    Kind.NOT_FOUND: (404, 422, "ERROR"),
    Kind.REJECTED: (422, 422, "ERROR"),
    Kind.DEFERRED: (503, 503, "WARNING"),
    Kind.UNAVAILABLE: (503, 503, "WARNING"),
    Kind.UNCONFIRMED: (503, 503, "WARNING"),
}


def entry(outcome: Outcome) -> Entry:
    """The result of an event."""
    return Entry(outcome, {"message": "m"}, b"{}", is_direct=False)


@pytest.mark.parametrize("kind", Kind)
def test_each_outcome_has_its_statuses_severity_and_sentence(kind: Kind) -> None:
    """One status is for a direct call, one for an event."""
    direct, event, severity = TABLE[kind]
    outcome = Outcome(kind=kind)
    assert status_of(outcome, direct=True) == direct
    assert status_of(outcome, direct=False) == event
    assert severity_of(outcome, is_event=False) == severity
    assert severity_of(outcome, is_event=True) == ("ERROR" if kind is Kind.MALFORMED else severity)


def test_what_settles_an_event_and_what_counts_in_the_budget() -> None:
    settles = {kind for kind, row in OUTCOMES.items() if row.settles}
    assert settles == {Kind.STARTED, Kind.ALREADY_RUNNING, Kind.NOTHING_TO_DO, Kind.DUPLICATE}
    assert {kind for kind, row in OUTCOMES.items() if row.counts} == {Kind.STARTED, Kind.UNCONFIRMED}


def test_an_event_never_gets_a_status_that_makes_knative_repeat_what_is_hopeless() -> None:
    assert not {status_of(Outcome(kind=kind), direct=False) for kind in Kind} & {404, 408, 409, 429}


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([Kind.STARTED, Kind.IGNORED], 204),
        ([Kind.STARTED, Kind.REFUSED], 204),
        ([Kind.STARTED, Kind.REJECTED], 422),
        ([Kind.NOT_FOUND, Kind.STARTED], 422),
        ([Kind.MALFORMED, Kind.STARTED], 422),
        ([Kind.MALFORMED, Kind.MALFORMED], 422),
        ([Kind.MALFORMED], 400),
        ([Kind.UNAVAILABLE, Kind.REJECTED, Kind.STARTED], 503),
        ([Kind.REJECTED, Kind.DEFERRED], 503),
    ],
)
def test_of_several_outcomes_the_one_that_most_needs_the_sender_decides(kinds: list[Kind], status: int) -> None:
    reply = reply_to([entry(Outcome(kind=kind)) for kind in kinds])
    assert reply.status == status
    assert (reply.body == b"") == (status == 204)


def test_retry_after_is_the_outcomes_own_where_it_has_one() -> None:
    own = reply_to([entry(Outcome(kind=Kind.DEFERRED, retry_after=77))])
    other = reply_to([entry(Outcome(kind=Kind.UNAVAILABLE))])
    assert (own.headers["Retry-After"], other.headers["Retry-After"]) == ("77", "5")


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", None),
        ("", None),
    ],
)
def test_a_trace_is_taken_from_a_well_formed_traceparent_alone(traceparent: str, trace_id: str | None) -> None:
    assert trace_id_of(traceparent) == trace_id


def test_the_result_of_a_sweep_answers_and_not_those_of_its_tasks() -> None:
    found = entry(Outcome(kind=Kind.UNAVAILABLE))._replace(answers_sender=False)
    assert reply_to([found, entry(Outcome(kind=Kind.SWEPT))]).status == 204


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (Outcome(kind=Kind.NOT_FOUND, reason=Reason.NO_SUCH_TASK), "no_such_task"),
        (Outcome(kind=Kind.MALFORMED, fault="task_id: must be 1 to 15 digits"), "task_id: must be 1 to 15 digits"),
        (Outcome(kind=Kind.REJECTED), None),
    ],
)
def test_a_problem_says_the_reason_and_never_the_note_of_the_caller(outcome: Outcome, shown: str | None) -> None:
    receipt = {"message": "m", "reason": shown or "nightly run"}
    reply = reply_to([Entry(outcome, receipt, b"{}", is_direct=True)])
    assert json.loads(reply.body).get("reason") == shown
