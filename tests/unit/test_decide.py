"""The rules in their order, one test a row; and every combination ends in exactly one way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example import PROJECT, TASK
from restarter.decide.admission import admit, outside_hours
from restarter.decide.case import AskGroup, Case
from restarter.decide.failure_reasons import BY_CODE, FailureClass, classify_failure
from restarter.decide.policy import Policy
from restarter.decide.rules import decide_group, decide_task, limit
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event, Intent, RestartRequest
from restarter.model.task import Restart, Start, Task, TaskGroup
from restarter.reporting.reasons import next_hour
from restarter.settings.hours import parse_hours

NOW = datetime(2100, 11, 24, 3, 0, tzinfo=UTC)
EVENT = Event(request=RestartRequest(task_id=str(TASK)), dialect="cloudevent", intent=Intent.FAILED, project_id=PROJECT)
ASKED = EVENT._replace(intent=Intent.REQUESTED)
TASK_FAILED = Task(id=str(TASK), name=None, status=4, failure_reason="TRF.0001")
MEMBER = TASK_FAILED._replace(group_type="GROUP_TASK")
ARCHIVED = TASK_FAILED._replace(enable_restore=True)
OVERWRITES = TASK_FAILED._replace(overwrites_all=True)
LONG_AGO = range(10_000, 3600, -100)
POLICY = Policy()


Restarts = tuple[Restart, ...]


def ago(*seconds: float) -> Restarts:
    """Restarts by their ages in seconds, the longest ago first."""
    return tuple(Restart(age_s=age) for age in seconds)


def decide(event: Event, target: Task | TaskGroup, restarts: Restarts, policy: Policy) -> Start | Outcome | AskGroup:
    if isinstance(target, TaskGroup):
        return decide_group(Case(event, target, policy, restarts))
    return decide_task(Case(event, target, policy, restarts))


def said(decision: Start | Outcome | AskGroup) -> str:
    """A decision in a word or two."""
    match decision:
        case Start():
            return "start"
        case AskGroup():
            return f"ask {decision.group_id}"
        case _:
            return f"{decision.kind} {decision.reason or ''}".strip()


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
        stopped = admit(event._replace(occurred_at=occurred_at), POLICY, NOW)
        assert (stopped.reason if stopped else None) == reason


def test_the_kill_switch_comes_first() -> None:
    old = EVENT._replace(occurred_at=NOW - timedelta(days=9))
    for event in (EVENT, ASKED, old):
        stopped = admit(event, POLICY._replace(enabled=False), NOW)
        assert stopped == Outcome(kind=Kind.REFUSED, reason=Reason.DISABLED)


@pytest.mark.parametrize(
    ("hours", "at", "opens"),
    [
        (None, NOW, None),
        ("Wed 03:00-04:00 UTC", NOW, None),
        ("Wed 03:00-04:00 UTC", NOW + timedelta(hours=1), "2100-12-01 03:00 UTC"),
        ("10:00-11:00 Asia/Shanghai", NOW, "2100-11-25 10:00 Asia/Shanghai"),
    ],
)
def test_a_failed_event_outside_the_hours_waits_for_the_next(
    hours: str | None, at: datetime, opens: str | None
) -> None:
    policy = POLICY._replace(hours=parse_hours(hours) if hours else None)
    assert outside_hours(ASKED, policy, at) is None
    found = outside_hours(EVENT, policy, at)
    assert (found and (found.kind, found.reason)) == (opens and (Kind.REFUSED, Reason.OUTSIDE_HOURS))
    assert (next_hour(found, "en") if found else None) == (opens and f"; the next hour begins at {opens}")


ROWS: list[tuple[str, Task, Restarts, Policy, str, str]] = [
    ("waiting", TASK_FAILED._replace(status=1), (), POLICY, "already_running", "already_running"),
    ("running", TASK_FAILED._replace(status=2), (), POLICY, "already_running", "already_running"),
    ("retrying", TASK_FAILED._replace(status=6), (), POLICY, "already_running", "already_running"),
    ("succeeded", TASK_FAILED._replace(status=5), (), POLICY, "nothing_to_do", "nothing_to_do"),
    ("pausing", TASK_FAILED._replace(status=7), (), POLICY, "deferred pausing", "deferred pausing"),
    ("paused", TASK_FAILED._replace(status=3), (), POLICY, "refused paused", "start"),
    ("unknown", TASK_FAILED._replace(status=0), (), POLICY, "deferred unknown_status", "deferred unknown_status"),
    ("no status", TASK_FAILED._replace(status=None), (), POLICY, "deferred unknown_status", "deferred unknown_status"),
    (
        "group",
        MEMBER,
        (),
        POLICY,
        "refused group_unknown",
        "refused group_unknown",
    ),
    ("group id", TASK_FAILED._replace(group_id="g"), (), POLICY, "ask g", "ask g"),
    ("running member", MEMBER._replace(status=2), (), POLICY, "already_running", "already_running"),
    ("paused member", MEMBER._replace(status=3), (), POLICY, "refused paused", "refused group_unknown"),
    (
        *("sync with a group", TASK_FAILED._replace(group_type="SYNC_TASK", group_id="g"), (), POLICY),
        *("refused sync_task", "refused sync_task"),
    ),
    ("sync", TASK_FAILED._replace(group_type="SYNC_TASK"), (), POLICY, "refused sync_task", "refused sync_task"),
    ("archive", ARCHIVED, (), POLICY, "refused archive_restore", "refused archive_restore"),
    (
        "archive allowed",
        TASK_FAILED._replace(enable_restore=True),
        (),
        POLICY._replace(archived=True),
        "start",
        "start",
    ),
    ("overwrite", OVERWRITES, (), POLICY, "refused full_overwrite", "start"),
    ("overwrite allowed", OVERWRITES, (), POLICY._replace(full_overwrite=True), "start", "start"),
    ("overwrite, failed only", OVERWRITES._replace(failed_objects_listed=True), (), POLICY, "start", "start"),
    (
        *("overwrite, all configured", OVERWRITES._replace(failed_objects_listed=True), ()),
        *(POLICY._replace(migrate_failed_object="false"), "refused full_overwrite", "start"),
    ),
    (
        *("overwrite before permanent", OVERWRITES._replace(failure_reason="TRF.0055"), (), POLICY),
        *("refused full_overwrite", "start"),
    ),
    ("permanent", TASK_FAILED._replace(failure_reason="TRF.0055"), (), POLICY, "refused permanent_failure", "start"),
    ("keys", TASK_FAILED._replace(failure_reason="TRF.0151"), (), POLICY, "start", "start"),
    ("throttled", TASK_FAILED._replace(failure_reason="TRF.0159"), (), POLICY, "start", "start"),
    ("unknown reason", TASK_FAILED._replace(failure_reason="TRF.9999"), (), POLICY, "start", "start"),
    ("no reason", TASK_FAILED._replace(failure_reason=None), (), POLICY, "start", "start"),
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
        POLICY._replace(budget=99),
        "deferred backoff",
        "start",
    ),
    ("after cap", TASK_FAILED, ago(*LONG_AGO, 3600), POLICY._replace(budget=99), "start", "start"),
    ("no backoff", TASK_FAILED, ago(0), POLICY._replace(backoff=0.0), "start", "start"),
    ("paused before budget", TASK_FAILED._replace(status=3), ago(*[1] * 9), POLICY, "refused paused", "start"),
]


@pytest.mark.parametrize(("name", "task", "history", "policy", "failed", "asked"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_of_the_table(name: str, task: Task, history: Restarts, policy: Policy, failed: str, asked: str) -> None:
    assert said(decide(EVENT, task, history, policy)) == failed
    assert said(decide(ASKED, task, history, policy)) == asked


def test_the_wait_of_a_backoff_is_what_is_left_of_it() -> None:
    decision = decide(EVENT, TASK_FAILED, ago(20), POLICY)
    assert isinstance(decision, Outcome)
    assert decision.retry_after == 41


UNDER_WAY = Restart(age_s=4.0, under_way=True)
LATE = Restart(age_s=10.0, under_way=True)
OWN = Restart(age_s=1.0, own=True)


@pytest.mark.parametrize(
    ("restarts", "expected"),
    [
        ((*ago(9e4, 8e4, 7e4, 6e4), UNDER_WAY), "deferred in_progress"),
        ((*ago(9e4, 8e4, 7e4, 6e4), LATE), "refused budget_exhausted"),
        ((*ago(9e4, 8e4, 7e4, 6e4), OWN), "refused budget_exhausted"),
        ((*ago(9e4, 8e4), OWN), "start"),
        ((*ago(9e4, 30), OWN), "deferred backoff"),
        ((OWN,), "start"),
        ((UNDER_WAY,), "deferred backoff"),
    ],
)
def test_budget_counts_all_restarts_and_waits_for_those_under_way(restarts: Restarts, expected: str) -> None:
    """A restart that is under way may be taken back, and one's own attempts count but do not hold one back."""
    assert said(decide(EVENT, TASK_FAILED, restarts, POLICY)) == expected
    assert said(decide(ASKED, TASK_FAILED, restarts, POLICY)) == "start"
    forbidden = limit(Case(EVENT, TASK_FAILED, POLICY, restarts))
    assert (said(forbidden) if forbidden else "start") == expected


def test_a_budget_under_way_says_when_its_claim_ends() -> None:
    decision = decide(EVENT, TASK_FAILED, (*ago(9e4, 8e4, 7e4, 6e4), UNDER_WAY), POLICY)
    assert isinstance(decision, Outcome)
    assert decision.retry_after == 6  # a claim lasts 9.5 s


@pytest.mark.parametrize(
    ("vendor_time", "started_s", "status", "expected"),
    [
        (True, 1.0, 4, "duplicate started_since"),
        (True, 0.999, 4, "start"),
        (True, 0.0, 4, "start"),
        (True, -1.0, 4, "start"),
        (True, None, 4, "start"),
        (False, 60.0, 4, "start"),
        (True, 60.0, 2, "already_running"),
    ],
)
def test_a_task_that_was_started_since_the_notice_is_a_duplicate(
    vendor_time: bool,  # noqa: FBT001
    started_s: float | None,
    status: int,
    expected: str,
) -> None:
    """By whole seconds, and only where the event's time is SMN's own."""
    event = EVENT._replace(occurred_at=NOW, vendor_time=vendor_time)
    started_at_ms = None if started_s is None else round(1000 * (NOW.timestamp() + started_s))
    task = TASK_FAILED._replace(status=status, started_at_ms=started_at_ms)
    assert said(decide(event, task, (), POLICY)) == expected
    asked = said(decide(event._replace(intent=Intent.REQUESTED), task, (), POLICY))
    assert asked == ("start" if status == 4 else expected)


@pytest.mark.parametrize(
    ("task", "failed", "asked"),
    [
        (MEMBER._replace(group_id="g-1_A"), "g-1_A", "g-1_A"),
        (TASK_FAILED._replace(group_id="g"), "g", "g"),
        (MEMBER._replace(group_id="g", status=3), None, "g"),
        (MEMBER._replace(group_id="a" * 255), "a" * 255, "a" * 255),
        (MEMBER._replace(group_id="a" * 256), None, None),
        (MEMBER._replace(group_id="../tasks"), None, None),
        (MEMBER._replace(group_id="g\n"), None, None),
        (MEMBER._replace(group_id="é"), None, None),
        (MEMBER, None, None),
        (TASK_FAILED, None, None),
        (MEMBER._replace(group_id="g", status=1), None, None),
        (MEMBER._replace(group_id="g", status=5), None, None),
        (MEMBER._replace(group_id="g", status=None), None, None),
        (MEMBER._replace(group_id="g", group_type="SYNC_TASK"), None, None),
    ],
)
def test_only_a_group_id_that_is_safe_in_a_path_is_asked_about(
    task: Task, failed: str | None, asked: str | None
) -> None:
    """The group decides about its failed member."""
    for event, expected in ((EVENT, failed), (ASKED, asked)):
        decision = decide(event, task, (), POLICY)
        assert (decision.group_id if isinstance(decision, AskGroup) else None) == expected


def group(status: int | None, **changes: Any) -> TaskGroup:
    """A group that failed for a reason that passes."""
    return TaskGroup(id="g", status=status, failure_reason="TRF.0001")._replace(**changes)


TEMPORARY = POLICY._replace(temporary_source_keys=frozenset({"default"}))
TEMPORARY_DESTINATION = POLICY._replace(temporary_destination_keys=frozenset({"default"}))
OTHERS_TEMPORARY = POLICY._replace(temporary_source_keys=frozenset({"b"}), temporary_destination_keys=frozenset({"b"}))
GROUP_ROWS: list[tuple[str, TaskGroup, Restarts, Policy, str, str]] = [
    ("waiting", group(0), (), POLICY, "deferred group_running", "deferred group_running"),
    ("creating", group(1), (), POLICY, "deferred group_running", "deferred group_running"),
    ("watching", group(2), (), POLICY, "deferred group_running", "deferred group_running"),
    ("paused", group(3), (), POLICY, "refused paused", "refused paused_group"),
    ("creation failed", group(4), (), POLICY, "start", "start"),
    ("failed", group(5), (), POLICY, "start", "start"),
    ("complete", group(6), (), POLICY, "nothing_to_do", "nothing_to_do"),
    ("pausing", group(7), (), POLICY, "deferred pausing", "deferred pausing"),
    ("to be deleted", group(8), (), POLICY, "not_found no_such_group", "not_found no_such_group"),
    ("deleted", group(9), (), POLICY, "not_found no_such_group", "not_found no_such_group"),
    ("unknown", group(10), (), POLICY, "deferred unknown_status", "deferred unknown_status"),
    ("no status", group(None), (), POLICY, "deferred unknown_status", "deferred unknown_status"),
    ("archive", group(5, enable_restore=True), (), POLICY, "refused archive_restore", "refused archive_restore"),
    ("overwrite", group(5, overwrites_all=True), (), POLICY, "refused full_overwrite", "start"),
    ("permanent", group(5, failure_reason="TRF.0055"), (), POLICY, "refused permanent_failure", "start"),
    ("budget", group(5), ago(9e4, 8e4, 7e4, 6e4, 5e4), POLICY, "refused budget_exhausted", "start"),
    ("backoff", group(4), ago(59), POLICY, "deferred backoff", "start"),
    ("temporary keys", group(5), (), TEMPORARY, "refused temporary_keys", "refused temporary_keys"),
    ("temporary keys", group(5), (), TEMPORARY_DESTINATION, "refused temporary_keys", "refused temporary_keys"),
    ("another profile's", group(5), (), OTHERS_TEMPORARY, "start", "start"),
    ("none sent", group(5, task_type="URL_LIST"), (), TEMPORARY, "start", "start"),
    (
        *("one sent", group(5, task_type="URL_LIST"), (), TEMPORARY_DESTINATION),
        *("refused temporary_keys", "refused temporary_keys"),
    ),
    ("status before keys", group(2), (), TEMPORARY, "deferred group_running", "deferred group_running"),
    (
        *("keys before archive", group(5, enable_restore=True), (), TEMPORARY),
        *("refused temporary_keys", "refused temporary_keys"),
    ),
]


@pytest.mark.parametrize(("name", "found", "history", "policy", "failed", "asked"), GROUP_ROWS)
def test_a_row_of_the_groups_table(
    name: str, found: TaskGroup, history: Restarts, policy: Policy, failed: str, asked: str
) -> None:
    for event, expected in ((EVENT, failed), (ASKED, asked)):
        decision = decide(event, found, history, policy)
        assert said(decision) == expected
        if isinstance(decision, Start):
            url_list = found.task_type == "URL_LIST"
            assert decision == Start("g", migrate_failed_object=False, source_keys=not url_list, of_group=True)


events = st.builds(
    EVENT._replace,
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
    overwrites_all=st.booleans(),
)
policies = st.builds(
    Policy,
    archived=st.booleans(),
    full_overwrite=st.booleans(),
    budget=st.integers(1, 6),
    backoff=st.sampled_from([0.0, 60.0, 3600.0]),
    migrate_failed_object=st.sampled_from(["auto", "true", "false"]),
)
histories = st.lists(st.floats(0, 86400), max_size=3000 // 100).map(lambda ages: ago(*sorted(ages, reverse=True)))


@pytest.mark.usefixtures("unmeasured")
@given(events, tasks, histories, policies)
def test_every_combination_has_one_outcome(event: Event, task: Task, history: Restarts, policy: Policy) -> None:
    """A start is one that the rules allow."""
    decision = decide(event, task, history, policy)
    assert decision == decide(event, task._replace(), history, policy)
    if isinstance(decision, Outcome):
        assert decision.kind in (Kind.ALREADY_RUNNING, Kind.NOTHING_TO_DO, Kind.DEFERRED, Kind.REFUSED)
        assert (decision.reason is not None) == (decision.kind in (Kind.DEFERRED, Kind.REFUSED))
        assert (decision.retry_after is not None) == (decision.kind is Kind.DEFERRED)
        return
    if isinstance(decision, AskGroup):
        assert decision.group_id == task.group_id
        return
    failed = event.intent is Intent.FAILED
    assert task.status == 4 or (task.status == 3 and not failed)
    assert task.group_type not in ("SYNC_TASK", "GROUP_TASK")
    assert task.group_id is None
    assert policy.archived or not task.enable_restore
    assert not failed or (
        classify_failure(task.failure_reason) is not FailureClass.PERMANENT and len(history) < policy.budget
    )
    assert not failed or policy.full_overwrite or not task.overwrites_all or decision.migrate_failed_object
    asked = event.request.migrate_failed_object
    assert asked is None or decision.migrate_failed_object is asked
    assert decision.source_keys is (task.task_type != "url_list")
