"""Replies, receipts and their table, as the contract of README has it."""

import json

import pytest

from restarter.model.outcome import Kind, Outcome
from restarter.reporting.receipt import SENTENCES, severity_of
from restarter.reporting.reply import reply_to, status_of
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


@pytest.mark.parametrize("kind", Kind)
def test_each_outcome_has_its_status_for_a_direct_call_and_for_an_event_its_severity_and_its_sentence(
    kind: Kind,
) -> None:
    direct, event, severity = TABLE[kind]
    assert status_of(kind, direct=True) == direct
    assert status_of(kind, direct=False) == event
    assert severity_of(Outcome(kind=kind)) == severity_of(Outcome(kind=kind), "direct") == severity
    assert severity_of(Outcome(kind=kind), "smn") == ("ERROR" if kind is Kind.MALFORMED else severity)
    assert SENTENCES[kind]


def test_an_event_never_gets_a_status_that_makes_knative_repeat_what_is_hopeless() -> None:
    assert not {status_of(kind, direct=False) for kind in Kind} & {404, 408, 409, 429}


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
    outcomes = [Outcome(kind=kind) for kind in kinds]
    reply = reply_to(outcomes, [{"message": "m"}] * len(kinds), [b"{}"] * len(kinds), direct=False)
    assert reply.status == status
    assert (reply.body == b"") == (status == 204)


def test_retry_after_is_the_outcomes_own_where_it_has_one() -> None:
    own = reply_to([Outcome(kind=Kind.DEFERRED, retry_after=77)], [{"message": "m"}], [b"{}"], direct=False)
    other = reply_to([Outcome(kind=Kind.UNAVAILABLE)], [{"message": "m"}], [b"{}"], direct=False)
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


@pytest.mark.parametrize(("receipt", "reason"), [({}, "no_such_task"), ({"group_id": "g"}, "no_such_group")])
def test_what_oms_does_not_have_is_a_reason(receipt: dict[str, str], reason: str) -> None:
    reply = reply_to([Outcome(kind=Kind.NOT_FOUND)], [{"message": "", **receipt}], [b"{}"], direct=True)
    assert json.loads(reply.body)["reason"] == reason
