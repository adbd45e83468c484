"""The simulator keeps the documented rules of OMS for tasks. In-process."""

import httpx
import pytest
from huaweicloudsdkoms.v2.model.show_task_response import ShowTaskResponse

from simulator import Simulator
from simulator_calls import BODY, BROKEN, FAILED, ID, NOON, PROJECT, START, TASKS, Clock, ask, code, start

DST = {"dst_ak": "c", "dst_sk": "d"}
LIST = {"result": True, "list_file_key": "oms/list.txt"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return Simulator({"tasks": [FAILED]}, clock)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", START), ("PUT", TASKS), ("GET", f"/v1/{PROJECT}/tasks"), ("POST", f"{START}/x"), ("GET", "/")],
)
def test_other_calls_are_no_api(sim: Simulator, method: str, path: str) -> None:
    response = ask(sim, method, path)
    assert (response.status_code, code(response)) == (404, "APIGW.0101")


def test_a_body_of_more_than_twelve_megabytes_is_refused(sim: Simulator) -> None:
    response = ask(sim, "POST", START, content=b" " * (12 * 1024 * 1024 + 1))
    assert (response.status_code, code(response)) == (413, "APIGW.0201")


@pytest.mark.parametrize("status", [3, 4])
def test_a_paused_or_failed_task_starts_once(sim: Simulator, status: int) -> None:
    sim.set_tasks([FAILED | {"status": status}])
    response = start(sim)
    assert (response.status_code, response.content) == (200, b"")
    assert (sim.task(ID)["status"], sim.task(ID)["error_reason"], sim.starts(ID)) == (2, None, 1)
    assert code(start(sim)) == "OMS.0065"
    assert sim.starts(ID) == 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [(1, "OMS.0065"), (2, "OMS.0065"), (5, "OMS.0070"), (6, "OMS.0065"), (7, "OMS.0065")],
)
def test_no_other_task_starts(sim: Simulator, status: int, expected: str) -> None:
    sim.set_tasks([FAILED | {"status": status}])
    response = start(sim)
    assert (response.status_code, code(response)) == (400, expected)
    assert (sim.starts(ID), sim.task(ID)["status"]) == (0, status)


def stop(sim: Simulator, task_id: object = ID) -> httpx.Response:
    return ask(sim, "POST", f"{TASKS}/{task_id}/stop")


@pytest.mark.parametrize("status", [1, 2, 6])
def test_a_task_in_progress_is_pausing_and_then_paused(sim: Simulator, clock: Clock, status: int) -> None:
    sim.set_tasks([FAILED | {"status": status, "pause_seconds": 5}])
    response = stop(sim)
    assert (response.status_code, response.content, sim.task(ID)["status"]) == (200, b"", 7)
    assert (code(stop(sim)), code(start(sim))) == ("OMS.0066", "OMS.0065")
    clock.now += 5
    assert sim.task(ID)["status"] == 3
    assert start(sim).status_code == 200


def test_a_stop_calls_off_the_end_of_a_started_task(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([FAILED | {"after_start": 4, "after_seconds": 10}])
    start(sim)
    clock.now += 5
    stop(sim)
    clock.now += 60
    assert sim.task(ID)["status"] == 3


@pytest.mark.parametrize(("status", "expected"), [(3, "OMS.0066"), (4, "OMS.0066"), (5, "OMS.0070"), (7, "OMS.0066")])
def test_no_other_task_stops(sim: Simulator, status: int, expected: str) -> None:
    sim.set_tasks([FAILED | {"status": status}])
    assert (code(stop(sim)), sim.task(ID)["status"]) == (expected, status)


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 6, 7])
def test_a_task_in_progress_cannot_be_deleted(sim: Simulator, status: int) -> None:
    sim.set_tasks([FAILED | {"status": status}])
    response = ask(sim, "DELETE", f"{TASKS}/{ID}")
    if status in {3, 4, 5}:
        assert (response.status_code, sim.tasks()) == (200, [])
        assert code(ask(sim, "GET", f"{TASKS}/{ID}")) == "OMS.1009"
    else:
        assert (code(response), len(sim.tasks())) == ("OMS.0063", 1)


@pytest.mark.parametrize(("method", "action"), [("POST", "/stop"), ("DELETE", "")])
def test_a_stop_or_delete_needs_a_task_of_its_own(sim: Simulator, method: str, action: str) -> None:
    sim.add_tasks([{"id": 1, "status": 2, "group_id": "g"}])
    told = [code(ask(sim, method, f"{TASKS}/{task_id}{action}")) for task_id in ("x", 5, 1)]
    assert told == ["OMS.0054", "OMS.1009", "OMS.1036"]


NEW = {"src_node": {"bucket": "photos"}, "dst_node": {"ak": "c", "sk": "d", "bucket": "backup"}}


def test_a_new_task_has_a_name_of_oms_and_runs(sim: Simulator) -> None:
    answer = ask(sim, "POST", TASKS, json=NEW | {"enable_restore": True}).json()
    assert answer == {"id": ID + 1, "task_name": "photos-backup-21261124120000000_873"}
    shown = ask(sim, "GET", f"{TASKS}/{ID + 1}").json()
    assert (shown["status"], shown["enable_restore"], shown["start_time"]) == (2, True, int(NOON * 1000))
    assert "sk" not in shown["dst_node"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], "OMS.0067"),
        ({}, "OMS.1004"),
        (NEW | {"name": "mine"}, "OMS.0074"),
        (NEW | {"task_type": "folder"}, "OMS.0064"),
        (NEW | {"dst_node": {"ak": "c", "bucket": "b"}}, "OMS.1004"),
        (NEW | {"dst_node": {"ak": "", "sk": "d", "bucket": "b"}}, "OMS.0064"),
    ],
)
def test_the_body_of_a_new_task_is_checked(sim: Simulator, body: object, expected: str) -> None:
    assert code(ask(sim, "POST", TASKS, json=body)) == expected
    assert len(sim.tasks()) == 1


def test_refusals_carry_the_documented_words(sim: Simulator) -> None:
    start(sim)
    assert start(sim).json() == {"error_code": "OMS.0065", "error_msg": "The task has already started."}


def test_a_task_can_fail_again_for_the_same_reason(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([FAILED | {"after_start": 4, "after_seconds": 10}])
    assert start(sim).status_code == 200
    clock.now += 9
    assert (sim.task(ID)["status"], code(start(sim))) == (2, "OMS.0065")
    clock.now += 1
    assert (sim.task(ID)["status"], sim.task(ID)["error_reason"]) == (4, BROKEN)
    assert start(sim).status_code == 200
    assert sim.starts(ID) == 2


def test_a_task_can_succeed_after_its_start(sim: Simulator) -> None:
    sim.set_tasks([FAILED | {"after_start": 5, "total_num": 9, "failed_num": 2}])
    start(sim)
    shown = ask(sim, "GET", f"{TASKS}/{ID}").json()
    told = [shown[name] for name in ("status", "successful_num", "failed_num", "error_reason")]
    assert told == [5, 9, 0, None]


@pytest.mark.parametrize(
    ("task_id", "expected"),
    [
        ("1", "OMS.1009"),
        ("0", "OMS.1009"),
        ("999999999999999", "OMS.1009"),
        ("1000000000000000", "OMS.0054"),
        ("-1", "OMS.0054"),
        ("1.5", "OMS.0054"),
        ("%20", "OMS.0054"),
        ("..%2F..%2Fx", "OMS.0054"),
        ("%D9%A1%D9%A2", "OMS.0054"),
        ("191297407830872%0A", "OMS.0054"),
    ],
)
def test_an_id_is_one_to_fifteen_digits_and_must_exist(sim: Simulator, task_id: str, expected: str) -> None:
    response = start(sim, task_id)
    assert (response.status_code, code(response)) == (400, expected)
    shown = ask(sim, "GET", f"{TASKS}/{task_id}")
    assert (shown.status_code, code(shown)) == (400, expected)


def test_another_projects_task_does_not_exist(sim: Simulator) -> None:
    path = f"/v2/{'0' * 32}/tasks/{ID}"
    assert code(ask(sim, "POST", f"{path}/start", json=BODY)) == "OMS.1009"
    assert code(ask(sim, "GET", path)) == "OMS.1009"
    assert ask(sim, "GET", f"/v2/{'0' * 32}/tasks").json() == {"tasks": [], "count": 0}


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe\xff", b"[" * 100_000, b"1" * 5000, b"dst_ak=a"]
)
def test_a_body_that_is_no_json_object_is_refused(sim: Simulator, raw: bytes) -> None:
    response = ask(sim, "POST", START, content=raw)
    assert (response.status_code, code(response)) == (400, "OMS.0067")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dst_ak": None}, "OMS.1004"),
        ({"dst_sk": None}, "OMS.1004"),
        ({"dst_ak": ""}, "OMS.0064"),
        ({"dst_sk": "x" * 101}, "OMS.0064"),
        ({"dst_ak": 1}, "OMS.0064"),
        ({"src_ak": ""}, "OMS.0064"),
        ({"src_sk": None}, "OMS.0064"),
        ({"connection_string": "x" * 2049}, "OMS.0064"),
        ({"json_auth_file": "x" * 65536}, "OMS.0064"),
        ({"src_security_token": "x" * 16385}, "OMS.0064"),
        ({"dst_security_token": "x" * 16385}, "OMS.0064"),
        ({"source_cdn_authentication_key": "x" * 256}, "OMS.0064"),
        ({"migrate_failed_object": "true"}, "OMS.0064"),
        ({"migrate_failed_object": 1}, "OMS.0064"),
        ({"dst_crypto_type": "AES"}, "OMS.0064"),
        ({"dst_kms_key_id": "short"}, "OMS.0064"),
        ({"operation": "start"}, "OMS.0074"),
        ({"task_id": str(ID)}, "OMS.0074"),
        ({"src_cdn_authentication_key": "x"}, "OMS.0074"),
    ],
)
def test_fields_are_known_present_and_within_bounds(sim: Simulator, change: dict[str, object], expected: str) -> None:
    response = start(sim, body=BODY | change)
    assert (response.status_code, code(response)) == (400, expected)


def test_fields_at_their_bounds_are_accepted(sim: Simulator) -> None:
    body = {
        **dict.fromkeys(BODY, "x" * 100),
        "connection_string": "x" * 2048,
        "json_auth_file": "",
        "src_security_token": "x" * 16384,
        "dst_security_token": "",
        "source_cdn_authentication_key": "x" * 255,
        "src_crypto_type": "KMS",
        "src_kms_key_id": "x" * 36,
        "migrate_failed_object": False,
    }
    assert start(sim, body=body).status_code == 200


@pytest.mark.parametrize("name", ["dst_ak", "dst_sk"])
def test_destination_keys_are_required(sim: Simulator, name: str) -> None:
    assert code(start(sim, body={k: v for k, v in BODY.items() if k != name})) == "OMS.1004"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, 400),
        ({"src_ak": "a"}, 400),
        ({"src_sk": "a"}, 400),
        ({"connection_string": ""}, 400),
        ({"src_ak": "a", "src_sk": "b"}, 200),
        ({"connection_string": "azure"}, 200),
        ({"json_auth_file": "{}"}, 200),
    ],
)
@pytest.mark.parametrize("task_type", ["list", "object", "prefix", ""])
def test_a_task_needs_one_way_into_its_source(
    sim: Simulator, task_type: str, source: dict[str, str], expected: int
) -> None:
    sim.set_tasks([FAILED | {"task_type": task_type}])
    response = start(sim, body=DST | source)
    assert response.status_code == expected
    assert expected == 200 or code(response) == "OMS.0057"


@pytest.mark.parametrize("name", ["src_ak", "src_sk", "connection_string", "json_auth_file", "src_security_token"])
def test_a_url_list_takes_no_source_key(sim: Simulator, name: str) -> None:
    sim.set_tasks([FAILED | {"task_type": "url_list"}])
    assert code(start(sim, body=DST | {name: "leak"})) == "OMS.0057"
    assert start(sim, body=DST).status_code == 200


@pytest.mark.parametrize(
    "task",
    [
        {"failed_num": 3},
        {"failed_num": 3, "failed_object_record": {"result": False}},
        {"failed_num": 3, "failed_object_record": LIST, "enable_failed_object_recording": False},
        {"failed_num": 0, "failed_object_record": LIST},
        {"failed_num": 3, "failed_object_record": None},
    ],
)
def test_failed_objects_alone_need_a_usable_list(sim: Simulator, task: dict[str, object]) -> None:
    sim.set_tasks([FAILED | task])
    assert code(start(sim, body=BODY | {"migrate_failed_object": True})) == "OMS.0167"
    assert start(sim, body=BODY | {"migrate_failed_object": False}).status_code == 200


def test_failed_objects_alone_can_be_sent_again(sim: Simulator) -> None:
    sim.set_tasks([FAILED | {"failed_num": 3, "failed_object_record": LIST}])
    assert start(sim, body=BODY | {"migrate_failed_object": True}).status_code == 200


def test_a_task_shows_the_documented_fields_and_no_other(sim: Simulator) -> None:
    shown = ask(sim, "GET", f"{TASKS}/{ID}").json()
    assert set(shown) == set(ShowTaskResponse.attribute_map)
    assert len(shown) == 39


def test_fields_can_be_empty_or_left_out(sim: Simulator) -> None:
    sim.set_tasks([FAILED | {"error_reason": "", "omit": ["failed_object_record"]}])
    shown = ask(sim, "GET", f"{TASKS}/{ID}").json()
    assert shown["error_reason"] == ""
    assert "failed_object_record" not in shown


def names(sim: Simulator, query: str) -> list[str]:
    return [task["name"] for task in ask(sim, "GET", f"{TASKS}?{query}").json()["tasks"]]


def test_a_name_matches_wherever_it_occurs(sim: Simulator) -> None:
    sim.set_tasks([{"id": n, "name": name} for n, name in enumerate(("a-b_1", "a-b_12", "x-a-b_1", "c"))])
    assert names(sim, "task_name=a-b_1") == ["a-b_1", "a-b_12", "x-a-b_1"]
    assert names(sim, "task_name=A-B_1") == []
    assert len(names(sim, "task_name=")) == 4


def test_tasks_are_found_by_status_and_group(sim: Simulator) -> None:
    sim.set_tasks([FAILED, {"id": 1, "name": "one", "status": 2, "group_id": "g"}])
    assert names(sim, "status=4") == ["photos"]
    assert names(sim, "group_id=g") == ["one"]
    assert names(sim, "group_id=g&status=4") == []


def test_a_page_holds_ten_tasks_and_the_count_all(sim: Simulator) -> None:
    sim.set_tasks([{"id": n, "name": f"task-{n}"} for n in range(120)])
    page = ask(sim, "GET", TASKS).json()
    assert (len(page["tasks"]), page["count"]) == (10, 120)
    assert names(sim, "offset=118&limit=100") == ["task-118", "task-119"]
    assert len(names(sim, "limit=100")) == 100


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=101", "OMS.0064"),
        ("limit=0", "OMS.0064"),
        ("limit=x", "OMS.0064"),
        ("offset=-1", "OMS.0064"),
        ("status=6", "OMS.0064"),
        ("status=failed", "OMS.0064"),
        ("task_name=a%3Cb", "OMS.0064"),
        (f"task_name={'x' * 256}", "OMS.0064"),
        ("name=x", "OMS.0074"),
    ],
)
def test_a_list_query_is_checked(sim: Simulator, query: str, expected: str) -> None:
    response = ask(sim, "GET", f"{TASKS}?{query}")
    assert (response.status_code, code(response)) == (400, expected)


def test_starts_beyond_the_rate_are_throttled_and_nothing_else(sim: Simulator, clock: Clock) -> None:
    sim.set_throttle({"starts_per_second": 2})
    sim.set_tasks([FAILED | {"after_start": 4}])
    statuses = [start(sim).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    response = start(sim)
    assert code(response) == "APIGW.0308"
    assert response.json()["error_msg"] == "policy user over ratelimit,limit:2,time:1 second"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "retry-after" not in response.headers
    assert ask(sim, "GET", TASKS).status_code == 200
    clock.now += 0.5
    assert [start(sim).status_code for _ in range(2)] == [200, 429]


def test_a_throttle_can_be_lifted(sim: Simulator) -> None:
    sim.set_throttle({"starts_per_second": 1, "burst": 0})
    assert start(sim).status_code == 429
    sim.set_throttle({})
    assert start(sim).status_code == 200
