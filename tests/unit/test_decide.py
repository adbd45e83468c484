"""Every combination of status, kind, intent and policy ends in exactly one way; rows are in tests/wire."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from example import PROJECT, TASK
from restarter.decide import Policy, decide, start_of
from restarter.model import Event, Intent, Kind, Outcome, RestartRequest, Start, Task

events = st.builds(
    Event,
    request=st.builds(
        RestartRequest,
        task_id=st.just(str(TASK)),
        task_name=st.none(),
        project_id=st.none(),
        task_status=st.none(),
        migrate_failed_object=st.sampled_from([None, True, False]),
        credentials=st.just("default"),
        reason=st.none(),
    ),
    dialect=st.just("direct"),
    intent=st.sampled_from(Intent),
    project_id=st.just(PROJECT),
)
tasks = st.builds(
    Task,
    id=st.just(str(TASK)),
    name=st.none(),
    status=st.sampled_from([None, *range(9)]),
    group_type=st.sampled_from([None, "NORMAL_TASK", "SYNC_TASK", "GROUP_TASK", "NEW_KIND"]),
    group_id=st.sampled_from([None, "g"]),
    task_type=st.sampled_from([None, "list", "url_list", "object", "prefix"]),
    failed_objects_listed=st.booleans(),
)
policies = st.builds(Policy, migrate_failed_object=st.sampled_from(["auto", "true", "false"]))


@given(events, tasks, policies)
def test_a_task_is_started_only_if_it_failed_or_somebody_asked_for_a_paused_one(
    event: Event, task: Task, policy: Policy
) -> None:
    decision = decide(event, task, policy)
    if isinstance(decision, Start):
        assert task.status == 4 or (task.status == 3 and event.intent is Intent.REQUESTED)
        assert task.group_type not in ("SYNC_TASK", "GROUP_TASK")
        assert task.group_id is None
        assert decision == start_of(event, task, policy)
    else:
        assert decision.kind in (Kind.ALREADY_RUNNING, Kind.NOTHING_TO_DO, Kind.DEFERRED, Kind.REFUSED)
        assert (decision.retry_after is not None) == (decision.kind is Kind.DEFERRED)


@given(events, tasks, policies)
def test_the_same_question_gets_the_same_answer_and_the_word_of_the_request_wins(
    event: Event, task: Task, policy: Policy
) -> None:
    assert decide(event, task, policy) == decide(event, replace(task), policy)
    start = start_of(event, task, policy)
    asked = event.request.migrate_failed_object
    assert asked is None or start.migrate_failed_object is asked
    assert start.source_keys is (task.task_type != "url_list")


def test_outcomes_hold_what_receipts_show() -> None:
    assert Outcome(kind=Kind.STARTED).start_called is False
