"""The simulator's task groups are a state machine with the documented codes of OMS. In-process."""

import json
from typing import Any

import httpx
import pytest
from huaweicloudsdkoms.v2.model.retry_task_group_req import RetryTaskGroupReq
from huaweicloudsdkoms.v2.model.show_task_group_response import ShowTaskGroupResponse
from huaweicloudsdkoms.v2.model.start_task_group_req import StartTaskGroupReq

from oms_simulator import storage_keys
from simulator import Simulator
from simulator_calls import BODY, BROKEN, GROUPS, NOON, PROJECT, TASKS, Clock, ask, code

GROUP = "8a1f6f0e-3c0b-4f55-9f0e-2b6a4f1c7d11"
MEMBER = {"group_id": GROUP, "group_type": "GROUP_TASK", "total_num": 10}
FAILED = MEMBER | {"status": 4, "error_reason": BROKEN, "failed_num": 2, "successful_num": 8}
MEMBERS = [
    FAILED | {"id": 1, "after_start": 5, "after_seconds": 10},
    FAILED | {"id": 2, "after_start": 5, "after_seconds": 20},
    MEMBER | {"id": 3, "status": 5, "successful_num": 10},
    MEMBER | {"id": 4, "status": 3},
]
FAILED_GROUP = {"group_id": GROUP, "status": 5, "error_reason": BROKEN}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return Simulator({"groups": [FAILED_GROUP], "tasks": MEMBERS}, clock)


def act(sim: Simulator, action: str, body: object = BODY, group_id: str = GROUP, **options: Any) -> httpx.Response:
    return ask(sim, "PUT", f"{GROUPS}/{group_id}/{action}", json=body, **options)


def show(sim: Simulator) -> dict[str, Any]:
    shown: dict[str, Any] = ask(sim, "GET", f"{GROUPS}/{GROUP}").json()
    return shown


def statuses(sim: Simulator) -> list[int]:
    return [task["status"] for task in sim.tasks()]


def test_a_group_shows_the_documented_fields_and_no_other(sim: Simulator) -> None:
    assert set(show(sim)) == set(ShowTaskGroupResponse.attribute_map)
    assert len(show(sim)) == 38


def test_the_bodies_are_those_of_the_official_sdk() -> None:
    assert set(storage_keys.RETRY_GROUP.fields) == set(RetryTaskGroupReq.attribute_map)
    assert set(storage_keys.START_GROUP.fields) == set(StartTaskGroupReq.attribute_map)
    assert len(storage_keys.RETRY_GROUP.fields) == 14


def test_a_group_counts_its_members(sim: Simulator) -> None:
    shown = show(sim)
    names = ("total_task_num", "failed_task_num", "complete_task_num", "paused_task_num", "executing_task_num")
    assert [shown[name] for name in names] == [4, 2, 1, 1, 0]
    assert [shown[name] for name in ("total_num", "success_num", "fail_num")] == [40, 26, 4]


def test_counts_that_are_given_stay_until_the_group_is_retried(sim: Simulator) -> None:
    sim.set_groups([FAILED_GROUP | {"fail_num": 99}])
    assert show(sim)["fail_num"] == 99
    assert act(sim, "retry").status_code == 200
    assert show(sim)["fail_num"] == 4


def test_a_retry_restarts_the_failed_members_and_no_other(sim: Simulator, clock: Clock) -> None:
    response = act(sim, "retry")
    assert (response.status_code, response.content) == (200, b"")
    assert statuses(sim) == [2, 2, 5, 3]
    assert [task["starts"] for task in sim.tasks()] == [1, 1, 0, 0]
    assert (show(sim)["status"], show(sim)["error_reason"], sim.group(GROUP)["retries"]) == (2, None, 1)


def test_a_retried_group_is_complete_when_all_its_members_are(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks(MEMBERS[:3])
    act(sim, "retry")
    clock.now += 19
    assert (statuses(sim), show(sim)["status"]) == ([5, 2, 5], 2)
    clock.now += 1
    assert (statuses(sim), show(sim)["status"]) == ([5, 5, 5], 6)
    assert (show(sim)["complete_task_num"], show(sim)["fail_num"]) == (3, 0)


def test_a_retried_group_fails_again_where_a_member_does(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([MEMBERS[0] | {"after_start": 4}, MEMBERS[1]])
    act(sim, "retry")
    clock.now += 15
    assert show(sim)["status"] == 2
    clock.now += 5
    assert (show(sim)["status"], show(sim)["error_reason"]) == (5, BROKEN)
    assert act(sim, "retry").status_code == 200
    assert sim.group(GROUP)["retries"] == 2


def test_a_paused_member_leaves_the_retried_group_paused(sim: Simulator, clock: Clock) -> None:
    act(sim, "retry")
    clock.now += 20
    assert show(sim)["status"] == 3


def test_the_end_of_a_retry_can_be_given_without_members(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([])
    sim.set_groups([FAILED_GROUP | {"after_start": 5, "after_seconds": 30}])
    act(sim, "retry")
    clock.now += 29
    assert show(sim)["status"] == 2
    clock.now += 1
    assert (show(sim)["status"], show(sim)["error_reason"]) == (5, BROKEN)


def test_a_group_whose_creation_failed_is_created_first(sim: Simulator, clock: Clock) -> None:
    sim.set_groups([FAILED_GROUP | {"status": 4, "create_seconds": 5}])
    act(sim, "retry")
    assert show(sim)["status"] == 1
    clock.now += 5
    assert show(sim)["status"] == 2


@pytest.mark.parametrize(
    ("action", "allowed", "expected"),
    [
        ("retry", {4, 5}, {0: 1036, 1: 1036, 2: 1040, 3: 1040, 6: 1040, 7: 1036, 8: 1036}),
        ("start", {3}, {0: 1036, 1: 1036, 2: 1039, 4: 1039, 5: 1039, 6: 1039, 7: 1036, 8: 1036}),
        ("stop", {2}, {0: 1036, 1: 1036, 3: 1038, 4: 1038, 5: 1038, 6: 1038, 7: 1036, 8: 1036}),
    ],
)
def test_an_action_is_allowed_from_its_own_statuses_only(
    sim: Simulator, action: str, allowed: set[int], expected: dict[int, int]
) -> None:
    assert allowed | expected.keys() == set(range(9))
    for status in range(9):
        sim.set_groups([FAILED_GROUP | {"status": status}])
        response = act(sim, action)
        if status in allowed:
            assert response.status_code == 200
        else:
            assert (response.status_code, code(response)) == (400, f"OMS.{expected[status]}")
            assert show(sim)["status"] == status


def test_refusals_carry_the_documented_words(sim: Simulator) -> None:
    sim.set_groups([FAILED_GROUP | {"status": 2}])
    assert act(sim, "retry").json() == {
        "error_code": "OMS.1040",
        "error_msg": "Only tasks in Creation failed or Failed state can be restarted.",
    }


def test_a_group_that_is_unknown_deleted_or_another_projects_is_a_404(sim: Simulator) -> None:
    sim.add_groups([{"group_id": "gone", "status": 9}, {"group_id": "other", "project_id": "0" * 32}])
    for group_id in ("unknown", "gone", "other"):
        for method, action in (("GET", ""), ("DELETE", ""), ("PUT", "/retry"), ("PUT", "/start"), ("PUT", "/stop")):
            response = ask(sim, method, f"{GROUPS}/{group_id}{action}", json=BODY)
            assert (response.status_code, code(response)) == (404, "OMS.1009")


@pytest.mark.parametrize("group_id", ["..%2F..%2Fx", "%20", "x" * 256, "%D9%A1", "a%0A"])
def test_an_id_that_can_be_none_is_refused(sim: Simulator, group_id: str) -> None:
    for response in (ask(sim, "GET", f"{GROUPS}/{group_id}"), act(sim, "retry", group_id=group_id)):
        assert (response.status_code, code(response)) == (400, "OMS.0064")


@pytest.mark.parametrize(
    ("action", "body", "expected"),
    [
        ("retry", {}, None),
        ("retry", {"dst_ak": "", "dst_sk": "", "src_ak": ""}, None),
        ("retry", BODY | {"migrate_failed_object": False}, None),
        ("retry", BODY | {"migrate_failed_object": True}, "OMS.0167"),
        ("retry", BODY | {"migrate_failed_object": "true"}, "OMS.0064"),
        ("retry", BODY | {"src_security_token": "t"}, "OMS.0074"),
        ("retry", BODY | {"dst_security_token": "t"}, "OMS.0074"),
        ("retry", BODY | {"dst_ak": "x" * 101}, "OMS.0064"),
        ("retry", BODY | {"connection_string": "x" * 2049}, "OMS.0064"),
        ("retry", BODY | {"dst_kms_key_id": "short"}, "OMS.0064"),
        ("retry", [], "OMS.0067"),
        ("start", BODY, None),
        ("start", {"src_ak": "a"}, "OMS.1004"),
        ("start", BODY | {"dst_ak": ""}, "OMS.0064"),
        ("start", BODY | {"migrate_failed_object": False}, "OMS.0074"),
        ("start", BODY | {"dst_security_token": "t"}, "OMS.0074"),
    ],
)
def test_a_body_is_checked_as_documented(sim: Simulator, action: str, body: object, expected: str | None) -> None:
    sim.set_groups([FAILED_GROUP | {"status": 5 if action == "retry" else 3}])
    response = act(sim, action, body)
    assert response.status_code == (200 if expected is None else 400)
    assert expected is None or code(response) == expected


def test_failed_objects_alone_can_be_retried_by_a_usable_list(sim: Simulator) -> None:
    sim.set_groups([FAILED_GROUP | {"failed_object_record": {"result": True, "list_file_key": "oms/list"}}])
    assert act(sim, "retry", BODY | {"migrate_failed_object": True}).status_code == 200


def test_a_group_of_url_lists_takes_no_source_key(sim: Simulator) -> None:
    sim.set_groups([FAILED_GROUP | {"task_type": "URL_LIST"}])
    assert code(act(sim, "retry")) == "OMS.0057"
    assert act(sim, "retry", {"dst_ak": "c", "dst_sk": "d"}).status_code == 200


def test_a_paused_group_is_resumed_with_its_paused_members(sim: Simulator) -> None:
    sim.set_groups([FAILED_GROUP | {"status": 3}])
    assert act(sim, "start").status_code == 200
    assert (statuses(sim), show(sim)["status"], sim.group(GROUP)["starts"]) == ([4, 4, 5, 2], 2, 1)


def test_a_stopped_group_is_pausing_and_then_paused_with_its_members(sim: Simulator, clock: Clock) -> None:
    sim.set_groups([FAILED_GROUP | {"status": 2, "pause_seconds": 3}])
    sim.set_tasks([MEMBER | {"id": 1, "status": 2}, MEMBER | {"id": 2, "status": 5}])
    assert act(sim, "stop", None).status_code == 200
    assert (statuses(sim), show(sim)["status"]) == ([7, 5], 7)
    clock.now += 3
    assert (statuses(sim), show(sim)["status"]) == ([3, 5], 3)


@pytest.mark.parametrize("member", [MEMBER, {"group_type": "GROUP_TASK"}, {"group_id": "of-no-group"}])
def test_a_start_of_a_member_is_refused_and_counted(sim: Simulator, member: dict[str, object]) -> None:
    sim.set_tasks([member | {"id": 1, "status": 4}])
    assert code(ask(sim, "POST", f"{TASKS}/1/start", json=BODY)) == "OMS.1036"
    assert (sim.task(1)["status"], sim.task(1)["starts"], sim.task(1)["starts_as_member"]) == (4, 0, 1)


def test_groups_are_listed_by_status_and_page(sim: Simulator) -> None:
    sim.add_groups([{"group_id": f"g{n}", "status": n % 10} for n in range(25)])
    sim.add_groups([{"group_id": "other", "project_id": "0" * 32}])
    page = ask(sim, "GET", f"{GROUPS}?limit=2&offset=1").json()
    assert ([group["group_id"] for group in page["taskgroups"]], page["count"]) == (["g0", "g1"], 26)
    assert len(ask(sim, "GET", GROUPS).json()["taskgroups"]) == 10
    failed = ask(sim, "GET", f"{GROUPS}?status=5").json()
    assert [group["group_id"] for group in failed["taskgroups"]] == [GROUP, "g5", "g15"]
    assert failed["taskgroups"][0]["failed_task_num"] == 2
    for query, expected in (("limit=101", "OMS.0064"), ("status=10", "OMS.0064"), ("group_id=x", "OMS.0074")):
        assert code(ask(sim, "GET", f"{GROUPS}?{query}")) == expected


def test_a_group_in_progress_cannot_be_deleted_and_another_goes_with_its_members(sim: Simulator) -> None:
    sim.set_groups([FAILED_GROUP | {"status": 2}])
    assert code(ask(sim, "DELETE", f"{GROUPS}/{GROUP}")) == "OMS.0063"
    sim.set_groups([FAILED_GROUP])
    assert ask(sim, "DELETE", f"{GROUPS}/{GROUP}").status_code == 200
    assert (sim.groups(), sim.tasks()) == ([], [])


def test_a_missing_right_is_a_403_by_a_rule_for_one_operation(sim: Simulator) -> None:
    sim.set_rules([{"operation": "retry_group", "group_id": GROUP, "action": {"answer": "forbidden"}}])
    response = act(sim, "retry")
    assert (response.status_code, code(response)) == (403, "OMS.0206")
    assert (show(sim)["status"], act(sim, "retry", group_id="unknown").status_code) == (5, 404)


def test_a_rule_can_begin_after_some_calls(sim: Simulator) -> None:
    rule = {"operation": "show_group", "skip": 2, "count": 1, "action": {"answer": "broken"}}
    sim.set_rules([rule])
    assert [ask(sim, "GET", f"{GROUPS}/{GROUP}").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_a_retry_whose_answer_is_lost_was_made(sim: Simulator) -> None:
    sim.set_rules([{"operation": "retry_group", "count": 1, "action": {"reset_after": "fin"}}])
    with pytest.raises(ConnectionResetError):
        act(sim, "retry")
    assert (show(sim)["status"], sim.group(GROUP)["retries"]) == (2, 1)


def test_calls_about_groups_are_remembered(sim: Simulator) -> None:
    act(sim, "retry")
    act(sim, "retry")
    show(sim)
    ask(sim, "GET", GROUPS)
    told = [(call["operation"], call["group_id"], call["error_code"], call["accepted"]) for call in sim.calls()]
    assert told == [
        ("retry_group", GROUP, None, True),
        ("retry_group", GROUP, "OMS.1040", False),
        ("show_group", GROUP, None, False),
        ("list_groups", None, None, False),
    ]
    assert sim.calls()[0]["body"] == BODY


def test_starts_and_retries_share_the_rate(sim: Simulator) -> None:
    sim.set_throttle({"starts_per_second": 1})
    assert [act(sim, "retry").status_code for _ in range(2)] == [200, 429]


def test_groups_can_be_set_read_and_put_back_over_http(sim: Simulator) -> None:
    assert ask(sim, "POST", "/_sim/groups", json=[{"group_id": "new", "started_ago": 60}]).status_code == 204
    groups = ask(sim, "GET", "/_sim/groups").json()
    assert [group["group_id"] for group in groups] == [GROUP, "new"]
    assert groups[1]["start_time"] == (NOON - 60) * 1000
    assert ask(sim, "PUT", "/_sim/groups", json=groups).status_code == 204
    assert sim.groups() == groups
    assert ask(sim, "POST", "/_sim/reset").status_code == 204
    assert [group["group_id"] for group in sim.groups()] == [GROUP]
    with pytest.raises(KeyError):
        sim.group("new")


def test_the_worlds_time_can_go_forward_over_http(sim: Simulator) -> None:
    act(sim, "retry")
    sim.set_tasks([])
    sim.set_groups([FAILED_GROUP | {"after_start": 6, "after_seconds": 3600}])
    act(sim, "retry")
    assert show(sim)["status"] == 2
    assert ask(sim, "POST", "/_sim/clock", json={"forward": 3600}).status_code == 204
    assert show(sim)["status"] == 6


def test_a_reset_brings_the_worlds_time_back(sim: Simulator) -> None:
    sim.set_clock({"forward": 3600})
    sim.reset()
    sim.add_groups([{"group_id": "new", "started_ago": 0}])
    assert sim.group("new")["start_time"] == NOON * 1000


@pytest.mark.parametrize(
    ("change", "expected"), [({}, None), ({"colour": 1}, "OMS.0074"), ({"src_node": None}, "OMS.0064")]
)
def test_a_new_group_has_one_member_and_runs(sim: Simulator, change: dict[str, object], expected: str | None) -> None:
    body = {"src_node": {"bucket": "a"}, "dst_node": {"ak": "c", "sk": "d", "bucket": "b"}} | change
    response = ask(sim, "POST", GROUPS, content=json.dumps(body))
    if expected is not None:
        assert code(response) == expected
        return
    group_id = response.json()["group_id"]
    assert (sim.group(group_id)["status"], sim.group(group_id)["project_id"]) == (2, PROJECT)
    assert [task["status"] for task in sim.tasks() if task["group_id"] == group_id] == [2]
