"""The rules in their order, one test a row; and every combination ends in exactly one way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example import PROJECT, TASK
from restarter.decide.failure_reasons import BY_CODE, FAILURE_CLASSES, FailureClass, classify_failure
from restarter.decide.policy import Policy
from restarter.decide.rules import admit, decide, decide_unseen
from restarter.model import Event, Intent, Kind, Outcome, RestartRequest, Start, Task

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
EVENT = Event(request=RestartRequest(task_id=str(TASK)), dialect="cloudevent", intent=Intent.FAILED, project_id=PROJECT)
ASKED = replace(EVENT, intent=Intent.REQUESTED)
TASK_FAILED = Task(id=str(TASK), name=None, status=4, failure_reason="TRF.0001")
MEMBER = replace(TASK_FAILED, group_type="GROUP_TASK")
ARCHIVED = replace(TASK_FAILED, enable_restore=True)
LONG_AGO = range(10_000, 3600, -100)
POLICY = Policy()


def ago(*seconds: float) -> tuple[float, ...]:
    """Seconds since each restart, the longest first."""
    return seconds


def said(decision: Start | Outcome) -> str:
    """A decision in a word or two."""
    return "start" if isinstance(decision, Start) else f"{decision.kind} {decision.reason or ''}".strip()


@pytest.mark.parametrize(
    ("age", "failed", "asked"),
    [
        (None, None, None),
        (0, None, None),
        (86400, None, None),
        (86401, "stale_event", "stale_event"),
        (-300, None, None),
        (-301, "stale_event", "stale_event"),
    ],
)
def test_an_event_that_is_old_or_of_the_future_is_stale(age: int | None, failed: str | None, asked: str | None) -> None:
    occurred_at = None if age is None else NOW - timedelta(seconds=age)
    for event, reason in [(EVENT, failed), (ASKED, asked)]:
        stopped = admit(replace(event, occurred_at=occurred_at), POLICY, NOW)
        assert (stopped.reason if stopped else None) == reason


def test_the_kill_switch_comes_first() -> None:
    old = replace(EVENT, occurred_at=NOW - timedelta(days=9))
    for event in (EVENT, ASKED, old):
        stopped = admit(event, replace(POLICY, enabled=False), NOW)
        assert stopped == Outcome(kind=Kind.REFUSED, reason="disabled")


ROWS: list[tuple[str, Task, tuple[float, ...], Policy, str, str]] = [
    ("waiting", replace(TASK_FAILED, status=1), (), POLICY, "already_running", "already_running"),
    ("running", replace(TASK_FAILED, status=2), (), POLICY, "already_running", "already_running"),
    ("retrying", replace(TASK_FAILED, status=6), (), POLICY, "already_running", "already_running"),
    ("succeeded", replace(TASK_FAILED, status=5), (), POLICY, "nothing_to_do", "nothing_to_do"),
    ("pausing", replace(TASK_FAILED, status=7), (), POLICY, "deferred pausing", "deferred pausing"),
    ("paused", replace(TASK_FAILED, status=3), (), POLICY, "refused paused", "start"),
    ("unknown", replace(TASK_FAILED, status=0), (), POLICY, "deferred unknown_status", "deferred unknown_status"),
    ("no status", replace(TASK_FAILED, status=None), (), POLICY, "deferred unknown_status", "deferred unknown_status"),
    (
        "group",
        MEMBER,
        (),
        POLICY,
        "refused group_member",
        "refused group_member",
    ),
    ("group id", replace(TASK_FAILED, group_id="g"), (), POLICY, "refused group_member", "refused group_member"),
    ("sync", replace(TASK_FAILED, group_type="SYNC_TASK"), (), POLICY, "refused sync_task", "refused sync_task"),
    ("archive", ARCHIVED, (), POLICY, "refused archive_restore", "refused archive_restore"),
    (
        "archive allowed",
        replace(TASK_FAILED, enable_restore=True),
        (),
        replace(POLICY, archived=True),
        "start",
        "start",
    ),
    ("permanent", replace(TASK_FAILED, failure_reason="TRF.0055"), (), POLICY, "refused permanent_failure", "start"),
    ("keys", replace(TASK_FAILED, failure_reason="TRF.0151"), (), POLICY, "start", "start"),
    ("throttled", replace(TASK_FAILED, failure_reason="TRF.0159"), (), POLICY, "start", "start"),
    ("unknown reason", replace(TASK_FAILED, failure_reason="TRF.9999"), (), POLICY, "start", "start"),
    ("no reason", replace(TASK_FAILED, failure_reason=None), (), POLICY, "start", "start"),
    ("budget", TASK_FAILED, ago(9e4, 8e4, 7e4, 6e4, 5e4), POLICY, "refused budget_exhausted", "start"),
    ("one left", TASK_FAILED, ago(8e4, 7e4, 6e4, 5e4), POLICY, "start", "start"),
    ("backoff", TASK_FAILED, ago(59), POLICY, "deferred backoff", "start"),
    ("after backoff", TASK_FAILED, ago(60), POLICY, "start", "start"),
    ("backoff doubled", TASK_FAILED, ago(400, 119), POLICY, "deferred backoff", "start"),
    ("after doubled", TASK_FAILED, ago(400, 120), POLICY, "start", "start"),
    (
        "capped",
        TASK_FAILED,
        ago(*LONG_AGO, 3599),
        replace(POLICY, budget=99),
        "deferred backoff",
        "start",
    ),
    ("after cap", TASK_FAILED, ago(*LONG_AGO, 3600), replace(POLICY, budget=99), "start", "start"),
    ("no backoff", TASK_FAILED, ago(0), replace(POLICY, backoff=0.0), "start", "start"),
    ("paused before budget", replace(TASK_FAILED, status=3), ago(*[1] * 9), POLICY, "refused paused", "start"),
]


@pytest.mark.parametrize(("name", "task", "history", "policy", "failed", "asked"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_of_the_table(
    name: str, task: Task, history: tuple[float, ...], policy: Policy, failed: str, asked: str
) -> None:
    assert said(decide(EVENT, task, history, policy)) == failed
    assert said(decide(ASKED, task, history, policy)) == asked


def test_the_wait_of_a_backoff_is_what_is_left_of_it() -> None:
    decision = decide(EVENT, TASK_FAILED, ago(20), POLICY)
    assert isinstance(decision, Outcome)
    assert decision.retry_after == 41


def test_without_a_look_only_budget_and_backoff_apply() -> None:
    blind = Task(id=str(TASK), name=None, status=None)
    assert said(decide_unseen(EVENT, blind, (), POLICY)) == "start"
    assert said(decide_unseen(EVENT, blind, ago(1), POLICY)) == "deferred backoff"
    assert said(decide_unseen(EVENT, blind, ago(*[9e3] * 5), POLICY)) == "refused budget_exhausted"
    assert said(decide_unseen(ASKED, blind, ago(*[1] * 5), POLICY)) == "start"


def test_every_failure_reason_has_one_cure_and_an_unknown_one_is_worth_a_restart() -> None:
    assert sum(map(len, FAILURE_CLASSES.values())) == len(BY_CODE) == 46
    assert classify_failure("TRF.0003") is FailureClass.TRANSIENT
    assert classify_failure("TRF.0055") is FailureClass.PERMANENT
    assert classify_failure(None) is classify_failure("") is classify_failure("S3M.0001") is FailureClass.UNKNOWN


events = st.builds(
    replace,
    st.just(EVENT),
    intent=st.sampled_from(Intent),
    request=st.builds(
        EVENT.request.model_copy,
        update=st.fixed_dictionaries({"migrate_failed_object": st.sampled_from([None, True, False])}),
    ),
)
tasks = st.builds(
    Task,
    id=st.just(str(TASK)),
    name=st.none(),
    status=st.sampled_from([None, *range(9)]),
    group_type=st.sampled_from([None, "NORMAL_TASK", "SYNC_TASK", "GROUP_TASK", "NEW_KIND"]),
    group_id=st.sampled_from([None, "g"]),
    task_type=st.sampled_from([None, "list", "url_list", "object", "prefix"]),
    failure_reason=st.sampled_from([None, *sorted(BY_CODE), "TRF.9999"]),
    enable_restore=st.booleans(),
    failed_objects_listed=st.booleans(),
)
policies = st.builds(
    Policy,
    archived=st.booleans(),
    budget=st.integers(1, 6),
    backoff=st.sampled_from([0.0, 60.0, 3600.0]),
    migrate_failed_object=st.sampled_from(["auto", "true", "false"]),
)
histories = st.lists(st.floats(0, 86400), max_size=3000 // 100).map(lambda ages: ago(*sorted(ages, reverse=True)))


@given(events, tasks, histories, policies)
def test_every_combination_ends_in_exactly_one_way_and_a_start_is_one_that_the_rules_allow(
    event: Event, task: Task, history: tuple[float, ...], policy: Policy
) -> None:
    decision = decide(event, task, history, policy)
    assert decision == decide(event, replace(task), history, policy)
    if isinstance(decision, Outcome):
        assert decision.kind in (Kind.ALREADY_RUNNING, Kind.NOTHING_TO_DO, Kind.DEFERRED, Kind.REFUSED)
        assert (decision.reason is not None) == (decision.kind in (Kind.DEFERRED, Kind.REFUSED))
        assert (decision.retry_after is not None) == (decision.kind is Kind.DEFERRED)
        return
    failed = event.intent is Intent.FAILED
    assert task.status == 4 or (task.status == 3 and not failed)
    assert task.group_type not in ("SYNC_TASK", "GROUP_TASK")
    assert task.group_id is None
    assert policy.archived or not task.enable_restore
    assert not failed or (
        classify_failure(task.failure_reason) is not FailureClass.PERMANENT and len(history) < policy.budget
    )
    asked = event.request.migrate_failed_object
    assert asked is None or decision.migrate_failed_object is asked
    assert decision.source_keys is (task.task_type != "url_list")
