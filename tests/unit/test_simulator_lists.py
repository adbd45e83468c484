"""The simulator's lists of tasks: pages, their order, what changes between them, and thousands of tasks."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from simulator import Simulator
from simulator_calls import BODY, BROKEN, NOON, TASKS, Clock, ask

FAILED = {"status": 4, "error_reason": BROKEN}


@pytest.fixture
def sim() -> Simulator:
    """Six failed tasks, of which the last was started first."""
    tasks = [FAILED | {"id": n, "name": f"task-{n}", "started_ago": 100 * n} for n in range(1, 7)]
    return Simulator({"tasks": tasks}, Clock())


def page(sim: Simulator, offset: int, limit: int = 2, query: str = "status=4") -> httpx.Response:
    return ask(sim, "GET", f"{TASKS}?limit={limit}&offset={offset}&{query}")


def pages(sim: Simulator, limit: int = 2) -> Iterator[list[Any]]:
    """Page after page until one is not full."""
    for offset in range(0, 1000, limit):
        rows = page(sim, offset, limit).json()["tasks"]
        yield [row["id"] if isinstance(row, dict) else row for row in rows]
        if len(rows) < limit:
            return


def test_pages_hold_each_task_once(sim: Simulator) -> None:
    assert list(pages(sim, 4)) == [[1, 2, 3, 4], [5, 6]]


def test_a_row_says_whether_the_notice_of_oms_went_out(sim: Simulator) -> None:
    smn = {"notify_result": False, "notify_error_message": "SMN.0001", "topic_name": "oms-failed"}
    sim.set_tasks([FAILED | {"id": 1, "smn_info": smn}, FAILED | {"id": 2, "smn_info": None}])
    assert [row["smn_info"] for row in page(sim, 0).json()["tasks"]] == [smn, None]


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"order": "newest"}, [6, 5, 4, 3, 2, 1]),
        ({"order": "start_time"}, [6, 5, 4, 3, 2, 1]),
    ],
)
def test_the_order_of_rows_can_be_chosen(sim: Simulator, listing: dict[str, Any], expected: list[int]) -> None:
    sim.set_listing(listing)
    assert list(pages(sim, 100)) == [expected]


def test_rows_can_be_shuffled_the_same_way_for_the_same_seed(sim: Simulator) -> None:
    def order(seed: int) -> list[int]:
        sim.set_listing({"order": "shuffled", "seed": seed})
        return [task_id for rows in pages(sim) for task_id in rows]

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2)) == [1, 2, 3, 4, 5, 6]


def test_a_task_that_changes_between_pages_is_missed_by_a_status_filter(sim: Simulator) -> None:
    sim.set_listing({"changes": [{"after_lists": 1, "task_id": 1, "status": 2}]})
    assert list(pages(sim)) == [[1, 2], [4, 5], [6]]


def test_a_row_that_moves_to_the_front_between_pages_makes_another_come_twice(sim: Simulator) -> None:
    changes = [{"after_lists": 1, "task_id": 6, "front": True}, {"after_lists": 2, "task_id": 5, "front": True}]
    sim.set_listing({"changes": changes})
    assert list(pages(sim)) == [[1, 2], [2, 3], [3, 4], []]
    assert next(pages(sim, 100)) == [5, 6, 1, 2, 3, 4]


def test_a_task_can_be_gone_between_pages(sim: Simulator) -> None:
    sim.set_listing({"changes": [{"after_lists": 1, "task_id": 1, "delete": True}]})
    assert list(pages(sim)) == [[1, 2], [4, 5], [6]]
    assert len(sim.tasks()) == 5


def test_a_change_calls_off_what_was_to_come(sim: Simulator) -> None:
    sim.set_tasks([FAILED | {"id": 1, "after_start": 4, "after_seconds": 10}])
    assert ask(sim, "POST", f"{TASKS}/1/start", json=BODY).status_code == 200
    sim.set_listing({"changes": [{"after_lists": 1, "task_id": 1, "status": 5}]})
    page(sim, 0)
    sim.set_clock({"forward": 60})
    assert sim.task(1)["status"] == 5


def test_changes_are_counted_from_when_they_were_set(sim: Simulator) -> None:
    page(sim, 0)
    sim.set_listing({"changes": [{"after_lists": 1, "task_id": 1, "status": 5}]})
    assert sim.task(1)["status"] == 4
    page(sim, 0)
    assert sim.task(1)["status"] == 5


def test_a_reset_brings_the_order_back(sim: Simulator) -> None:
    sim.set_listing({"order": "newest"})
    sim.reset()
    assert list(pages(sim, 100)) == [[1, 2, 3, 4, 5, 6]]


def test_rows_of_garbage_stand_in_the_page_that_is_named(sim: Simulator) -> None:
    garbage: list[Any] = [None, 7, "x", [], {}, {"id": "no number"}]
    sim.set_listing({"raw_rows": [{"page": 2, "rows": garbage, "at": 1}]})
    rows = [page(sim, offset).json()["tasks"] for offset in (0, 2, 4)]
    assert [len(row) for row in rows] == [2, 8, 2]
    assert rows[1][1:7] == garbage


def test_one_page_can_fail_and_the_others_not(sim: Simulator) -> None:
    sim.set_rules([{"operation": "list", "page": 2, "action": {"answer": "unavailable"}}])
    assert [page(sim, offset).status_code for offset in (0, 2, 4)] == [200, 503, 200]
    assert page(sim, 4, 4).status_code == 503
    assert ask(sim, "GET", TASKS).status_code == 200


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "offset=x", "limit=%D9%A1"])
def test_a_list_of_no_page_is_answered_by_its_own_code(sim: Simulator, query: str) -> None:
    sim.set_rules([{"operation": "list", "page": 1, "action": {"answer": "unavailable"}}])
    assert ask(sim, "GET", f"{TASKS}?{query}").status_code == 400


def test_many_tasks_come_from_one_template(sim: Simulator) -> None:
    template = FAILED | {"id": 1000, "name": "bulk-{n}", "start_time": 5000}
    generated = {"count": 3, "template": template, "step_ms": 10}
    assert ask(sim, "POST", "/_sim/generate", json=generated).status_code == 204
    told = [(task["id"], task["name"], task["start_time"]) for task in sim.tasks()[6:]]
    assert told == [(1000, "bulk-1", 5000), (1001, "bulk-2", 5010), (1002, "bulk-3", 5020)]
    assert ask(sim, "POST", "/_sim/generate", json=generated).json()["field"] == "tasks[0].id"


def test_generated_tasks_can_have_been_started_some_time_ago() -> None:
    template = FAILED | {"id": 1, "started_ago": 60}
    sim = Simulator({"generate": [{"count": 2, "template": template, "step_ms": 1000}]}, Clock())
    assert [task["start_time"] for task in sim.tasks()] == [int(NOON - 60) * 1000, int(NOON - 59) * 1000]


def test_tasks_that_no_time_is_given_for_were_started_twenty_days_ago() -> None:
    """Relative to now, so that nothing of the world grows old."""
    template, long_ago = FAILED | {"id": 1}, int(NOON - 20 * 86_400) * 1000
    world = {"generate": [{"count": 2, "template": template, "step_ms": 1000}], "groups": [{"group_id": "g"}]}
    sim = Simulator({"tasks": [FAILED | {"id": 7}], **world}, Clock())
    assert [task["start_time"] for task in sim.tasks()] == [long_ago, long_ago, long_ago + 1000]
    assert sim.group("g")["start_time"] == long_ago


def test_ten_thousand_tasks_are_made_and_listed_fast() -> None:
    """Measured: 0.12 s for the world and 3 to 8 ms for a page; the bounds leave room for a busy machine."""
    begun = time.perf_counter()
    running = {"count": 9_800, "template": {"id": 1_000_000, "status": 2, "name": "run-{n}"}}
    failed = {"count": 200, "template": FAILED | {"id": 1, "name": "fail-{n}"}}
    sim = Simulator({"generate": [running, failed], "listing": {"order": "shuffled"}})
    made = time.perf_counter() - begun
    begun = time.perf_counter()
    ids = {task["id"] for offset in (0, 100) for task in page(sim, offset, 100).json()["tasks"]}
    assert ids == set(range(1, 201))
    assert page(sim, 0, 100, "task_name=run-").json()["count"] == 9_800
    listed = time.perf_counter() - begun
    assert made < 20
    assert listed < 10


def test_only_the_tasks_that_were_started_are_told_with_their_starts(sim: Simulator) -> None:
    sim.set_tasks([FAILED | {"id": 1, "after_start": 4}, FAILED | {"id": 2}])
    for _ in range(2):
        assert ask(sim, "POST", f"{TASKS}/1/start", json=BODY).status_code == 200
    assert ask(sim, "GET", "/_sim/starts").json() == {"1": 2}
