"""SMN in the simulator: a topic lets OMS publish or does not; a subscriber hears of a failed task. Loopback only."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from huaweicloudsdkoms.v2.model.show_task_response import ShowTaskResponse

from oms_simulator.documents import InvalidDocument
from simulator import Simulator
from simulator_calls import ID, PROJECT, START, TASKS, Clock, ask, start, wait_until

URN = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
NAME = "photos-photos-20991027211637786_544"
CONFIG = {"topic_urn": URN, "trigger_conditions": ["FAILURE"]}
TASK = {"id": ID, "name": NAME, "status": 2, "smn_config": CONFIG}
OPEN = {"topic_urn": URN, "publishers": ["oms"]}
SENT = {"notify_result": True, "notify_error_message": "", "topic_name": ""}


def not_sent(code: str) -> dict[str, object]:
    """What `smn_info` holds where nothing left OMS."""
    return {"notify_result": False, "notify_error_message": code, "topic_name": "oms-failed"}


@pytest.fixture
def sim() -> Simulator:
    return Simulator({"tasks": [TASK], "smn": {"topics": [OPEN]}}, Clock())


@contextmanager
def subscriber(*statuses: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers with these statuses, one after the other, and the events and headers that it got."""
    got: list[dict[str, Any]] = []
    left = list(statuses)

    class Trigger(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append({"path": self.path, "token": self.headers["Authorization"], "event": json.loads(body)})
            self.send_response(left.pop(0) if left else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Trigger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/invoke", got
        server.shutdown()


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        ([OPEN], SENT),
        ([OPEN | {"publishers": ["obs", "oms"]}], SENT),
        ([OPEN | {"publishers": []}], not_sent("OMS.0158")),
        ([OPEN | {"publishers": ["obs"]}], not_sent("OMS.0158")),
        ([OPEN | {"topic_urn": URN + "-2"}], not_sent("OMS.0157")),
        ([], not_sent("OMS.0157")),
    ],
)
def test_the_topic_decides_whether_the_notice_leaves(
    sim: Simulator, topics: object, expected: dict[str, object]
) -> None:
    sim.set_smn({"topics": topics})
    sim.fail({"task_id": ID})
    assert ShowTaskResponse(**ask(sim, "GET", f"{TASKS}/{ID}").json()).smn_info == expected
    (notice,) = sim.notices()
    assert (notice["error"], notice["event"] is None) == (expected["notify_error_message"] or None, expected != SENT)


def test_a_topic_of_another_region_gets_no_notice(sim: Simulator) -> None:
    sim.set_tasks([TASK | {"dst_node": {"bucket": "b", "region": "cn-east-3"}}])
    sim.fail({"task_id": ID})
    assert sim.task(ID)["smn_info"] == not_sent("OMS.0168")


def test_a_task_without_a_topic_fails_without_a_notice(sim: Simulator) -> None:
    sim.set_tasks([TASK | {"smn_config": None, "smn_info": None}])
    sim.fail({"task_id": ID})
    assert (sim.task(ID)["status"], sim.task(ID)["smn_info"], sim.notices()) == (4, None, [])


def test_a_condition_that_was_not_asked_for_is_not_told(sim: Simulator) -> None:
    sim.set_tasks([TASK | {"smn_config": CONFIG | {"trigger_conditions": ["SUCCESS"]}}])
    sim.fail({"task_id": ID})
    assert sim.notices() == []


def test_a_task_that_fails_by_itself_and_one_that_succeeds_are_told(sim: Simulator) -> None:
    clock = Clock()
    both = CONFIG | {"trigger_conditions": ["FAILURE", "SUCCESS"]}
    ended = {"status": 4, "smn_config": both, "after_seconds": 9}
    tasks = [TASK | ended | {"after_start": 4}, TASK | ended | {"id": 2, "after_start": 5}]
    sim = Simulator({"tasks": tasks, "smn": {"topics": [OPEN]}}, clock)
    assert (start(sim).status_code, start(sim, 2).status_code, sim.notices()) == (200, 200, [])
    clock.now += 9
    texts = [notice["event"]["record"][0]["smn"]["message"] for notice in sim.notices()]
    assert texts == [f"Migration task {NAME}: SUCCESS.", f"Migration task {NAME}: FAILURE."]
    assert [notice["time"] for notice in sim.notices()] == [clock.now, clock.now]


@pytest.mark.parametrize(
    ("failure", "field"),
    [({"task_id": 1}, "task_id"), ({"task_id": ID, "error_code": "x"}, "error_code"), ({}, "task_id")],
)
def test_what_cannot_fail_is_named(sim: Simulator, failure: object, field: str) -> None:
    with pytest.raises(InvalidDocument) as invalid:
        sim.fail(failure)
    assert invalid.value.field == f"fail.{field}"
    assert sim.task(ID)["status"] == 2


@pytest.mark.parametrize("status", [3, 4, 5])
def test_only_a_task_in_progress_can_fail(sim: Simulator, status: int) -> None:
    sim.set_tasks([TASK | {"status": status}])
    with pytest.raises(InvalidDocument, match="is not in progress"):
        sim.fail({"task_id": ID})


def test_the_cause_and_the_list_of_failed_objects_are_as_asked(sim: Simulator) -> None:
    sim.fail({"task_id": ID, "error_code": "TRF.0004", "error_msg": "Some objects failed.", "failed_num": 3})
    task = sim.task(ID)
    assert task["error_reason"] == {"error_code": "TRF.0004", "error_msg": "Some objects failed."}
    assert (task["failed_num"], task["failed_object_record"]["result"]) == (3, True)
    assert start(sim, body={"dst_ak": "c", "dst_sk": "d", "src_ak": "a", "src_sk": "b"}).status_code == 200


def test_a_template_gives_the_text_and_no_variable_holds_the_id(sim: Simulator) -> None:
    template = (
        '{"task_name": "{Task_Name}", "task_status": "{Task_Status}", "to": "{Destination_Bucket}", "id": "{Id}"}'
    )
    sim.set_smn({"topics": [OPEN], "templates": {"named": template}})
    sim.set_tasks([TASK | {"smn_config": CONFIG | {"message_template_name": "named"}}])
    sim.fail({"task_id": ID})
    (notice,) = sim.notices()
    smn = notice["event"]["record"][0]["smn"]
    assert json.loads(smn["message"]) == {"task_name": NAME, "task_status": "FAILURE", "to": "photos", "id": "{Id}"}
    assert str(ID) not in json.dumps(notice["event"])


def test_a_subscriber_gets_the_event_of_the_trigger() -> None:
    with subscriber() as (url, got), Simulator({"tasks": [TASK]}).serving() as oms:
        listening = {"url": url, "headers": {"Authorization": "Bearer x"}}
        httpx.put(f"{oms}/_sim/smn", json={"topics": [OPEN | {"subscribers": [listening]}]}).raise_for_status()
        httpx.post(f"{oms}/_sim/fail", json={"task_id": ID}).raise_for_status()
        wait_until(lambda: bool(httpx.get(f"{oms}/_sim/notices").json()[0]["attempts"]))
        (notice,) = httpx.get(f"{oms}/_sim/notices").json()
    assert got == [{"path": "/invoke", "token": "Bearer x", "event": notice["event"]}]
    assert notice["attempts"] == [{"url": url, "status": 204}]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [((503, 500, 204), [503, 500, 204]), ((503, 503, 503), [503, 503]), ((400,), [400]), ((302,), [302])],
)
def test_a_delivery_is_repeated_after_an_error_of_the_server_alone(
    statuses: tuple[int, ...], expected: list[int]
) -> None:
    retries = 1 if statuses[-1] == 503 else 3
    with subscriber(*statuses) as (url, _), Simulator({"tasks": [TASK]}).serving() as oms:
        listening = {"url": url, "retries": retries, "pause_seconds": 0.01}
        httpx.put(f"{oms}/_sim/smn", json={"topics": [OPEN | {"subscribers": [listening]}]}).raise_for_status()
        httpx.post(f"{oms}/_sim/fail", json={"task_id": ID}).raise_for_status()

        def answered() -> list[int]:
            return [attempt["status"] for attempt in httpx.get(f"{oms}/_sim/notices").json()[0]["attempts"]]

        wait_until(lambda: len(answered()) >= len(expected))
        assert answered() == expected


def test_a_task_that_fails_later_is_told_though_nobody_asks_for_it() -> None:
    task = TASK | {"status": 4, "after_start": 4, "after_seconds": 0.1}
    with subscriber() as (url, got):
        world = {"tasks": [task], "smn": {"topics": [OPEN | {"subscribers": [{"url": url}]}]}}
        with Simulator(world).serving() as oms:
            body = {"src_ak": "a", "src_sk": "b", "dst_ak": "c", "dst_sk": "d"}
            headers = {"X-Auth-Token": "example-token"}
            httpx.post(f"{oms}{START}", json=body, headers=headers).raise_for_status()
            wait_until(lambda: bool(got))
    assert len(got) == 1


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "http://example.com/", "http://10.0.0.1/", "x"])
def test_no_subscriber_is_beyond_this_machine(sim: Simulator, url: str) -> None:
    with pytest.raises(InvalidDocument, match="loopback"):
        sim.set_smn({"topics": [OPEN | {"subscribers": [{"url": url}]}]})


def test_topics_can_be_read_put_back_and_reset(sim: Simulator) -> None:
    before = sim.smn()
    sim.set_smn(before)
    assert sim.smn() == before
    sim.set_smn({})
    sim.fail({"task_id": ID})
    sim.reset()
    assert (sim.smn(), sim.notices(), sim.task(ID)["smn_config"]["topic_urn"]) == (before, [], URN)
