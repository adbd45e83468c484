"""What runs of the simulator's tasks move, why they fail, with which keys, and how many run at a time. In-process."""

from typing import Any

import pytest

from simulator import Simulator
from simulator_calls import BODY, BROKEN, GROUPS, ID, START, TASKS, Clock, ask, start

TERABYTES = 10 * 2**40
HOUR = 3600.0
LONG = {"id": ID, "name": "genomes", "status": 4, "error_reason": BROKEN, "total_num": 1000, "total_size": TERABYTES}
KEYS = {"a": "b", "c": "d"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return Simulator({"tasks": [LONG]}, clock)


def shown(sim: Simulator, task_id: int = ID) -> dict[str, Any]:
    """What ShowTask answers."""
    found: dict[str, Any] = ask(sim, "GET", f"{TASKS}/{task_id}").json()
    return found


def counters(sim: Simulator) -> tuple[int, float, int, int]:
    task = shown(sim)
    return task["status"], task["progress"], task["successful_num"], task["complete_size"]


def test_a_task_that_breaks_every_three_hours_moves_each_time_and_gets_done(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([LONG | {"runs": [{"seconds": 3 * HOUR, "moves": 0.25}]}])
    for run in range(3):
        start(sim)
        clock.now += HOUR
        assert counters(sim)[1] == pytest.approx(run / 4 + 1 / 12)
        clock.now += 2 * HOUR
        assert counters(sim) == (4, (run + 1) / 4, 250 * (run + 1), TERABYTES * (run + 1) // 4)
        assert shown(sim)["error_reason"] == BROKEN
    start(sim)
    clock.now += 3 * HOUR
    assert counters(sim) == (5, 1.0, 1000, TERABYTES)
    assert shown(sim)["total_time"] == clock.now * 1000 - shown(sim)["start_time"]
    runs = sim.runs()
    assert [(run["start"], run["ended"] - run["began"], run["status"]) for run in runs] == [
        (n, 3 * HOUR, status) for n, status in enumerate((4, 4, 4, 5), 1)
    ]
    assert {(run["moved"], run["moved_size"], run["again_size"]) for run in runs} == {(0.25, TERABYTES // 4, 0)}


def test_a_run_ends_when_nothing_is_left_to_move(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([LONG | {"progress": 0.75, "runs": [{"seconds": HOUR, "moves": 1.0}]}])
    start(sim)
    clock.now += HOUR / 4 - 1
    assert counters(sim)[0] == 2
    clock.now += 1
    assert counters(sim)[0] == 5


def test_a_run_may_fail_and_move_nothing(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([LONG | {"progress": 0.5, "successful_num": 499, "runs": [{"seconds": 60}]}])
    start(sim)
    clock.now += 60
    assert counters(sim) == (4, 0.5, 499, 0)
    assert [run["moved"] for run in sim.runs()] == [0.0]


def test_causes_come_in_their_order_and_the_last_one_again_and_again(sim: Simulator, clock: Clock) -> None:
    first = {"seconds": 60, "error_code": "TRF.0157", "error_msg": "Out of order."}
    second = {"seconds": 60, "moves": 0.1, "error_code": "TRF.0004", "failed_num": 3}
    sim.set_tasks([LONG | {"runs": [first, second]}])
    told = []
    for _ in range(3):
        start(sim)
        clock.now += 60
        told.append((shown(sim)["error_reason"]["error_code"], shown(sim)["failed_num"]))
    assert told == [("TRF.0157", 0), ("TRF.0004", 3), ("TRF.0004", 3)]
    assert shown(sim)["failed_object_record"]["result"] is True


def test_counters_may_begin_anew_at_a_restart(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([LONG | {"progress": 0.5, "runs": [{"seconds": 60, "moves": 0.25, "anew": True}]}])
    start(sim)
    assert counters(sim)[1:] == (0.0, 0, 0)
    clock.now += 60
    assert counters(sim)[1:] == (0.25, 250, TERABYTES // 4)
    assert [run["again_size"] for run in sim.runs()] == [TERABYTES // 4]


@pytest.mark.parametrize(("failed_only", "share"), [(False, 0.0), (True, 0.5)])
def test_full_overwrite_counts_anew_with_all_objects_alone(sim: Simulator, *, failed_only: bool, share: float) -> None:
    overwrites = {"object_overwrite_mode": "FULL_OVERWRITE", "progress": 0.5, "failed_num": 9}
    sim.set_tasks([LONG | overwrites | {"failed_object_record": {"result": True}, "runs": [{"seconds": 60}]}])
    assert shown(sim)["object_overwrite_mode"] == "FULL_OVERWRITE"
    assert start(sim, body=BODY | {"migrate_failed_object": failed_only}).status_code == 200
    assert shown(sim)["progress"] == share


def test_a_task_that_was_running_fails_after_its_first_run(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([LONG | {"status": 2, "runs": [{"seconds": 60, "moves": 0.5}]}])
    sim.add_tasks([LONG | {"id": 1, "status": 2, "runs": [{"seconds": 120}]}])
    clock.now += 60
    assert (counters(sim)[0], shown(sim, 1)["status"]) == (4, 2)
    clock.now += 60
    assert shown(sim, 1)["status"] == 4
    assert [(run["task_id"], run["start"]) for run in sim.runs()] == [(ID, 0), (1, 0)]


def test_a_stopped_or_failed_run_keeps_what_it_moved(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([LONG | {"id": n, "status": 2, "runs": [{"seconds": 100, "moves": 1.0}]} for n in (ID, 1)])
    clock.now += 50
    assert [(run["moved"], run["ended"]) for run in sim.runs()] == [(0.5, None)] * 2
    ask(sim, "POST", f"{TASKS}/{ID}/stop")
    sim.fail({"task_id": 1})
    clock.now += 50
    assert [(task["status"], task["progress"]) for task in sim.tasks()] == [(3, 0.5), (4, 0.5)]
    assert [(run["task_id"], run["moved"]) for run in sim.runs()] == [(ID, 0.5), (1, 0.5)]


def test_what_the_controls_show_of_a_plan_can_be_put_back(sim: Simulator) -> None:
    sim.set_tasks([LONG | {"runs": [{"seconds": 60, "moves": 0.5, "error_code": "TRF.0157"}], "keys": {"src_ak": "a"}}])
    before = sim.tasks()
    sim.set_tasks(before)
    assert sim.tasks() == before


def test_a_start_with_other_keys_fails_after_a_while(sim: Simulator, clock: Clock) -> None:
    sim.set_auth({"storage_keys": KEYS, "storage_key_seconds": 300})
    sim.set_tasks([LONG | {"runs": [{"seconds": 1000, "moves": 1.0}]}])
    for body, expected in ((BODY | {"src_sk": "x"}, "TRF.0151"), (BODY | {"dst_ak": "x"}, "TRF.0057")):
        assert start(sim, body=body).status_code == 200
        clock.now += 299
        assert counters(sim)[0] == 2
        clock.now += 1
        assert (counters(sim)[:2], shown(sim)["error_reason"]["error_code"]) == ((4, 0.0), expected)
    start(sim)
    clock.now += 1000
    assert counters(sim)[0] == 5


def test_a_key_expires_while_a_task_runs_with_it(sim: Simulator, clock: Clock) -> None:
    """What was moved until then is kept; another key helps at the next start."""
    sim.set_auth({"storage_keys": KEYS | {"new": "n"}, "storage_key_seconds": 10})
    planned = {"status": 2, "keys": BODY, "runs": [{"seconds": 100, "moves": 0.5}]}
    sim.set_tasks([LONG | planned, LONG | planned | {"id": 1, "keys": BODY | {"src_ak": "new", "src_sk": "n"}}])
    clock.now += 50
    sim.set_auth({"storage_keys": {"new": "n", "c": "d"}})
    clock.now += 5
    sim.set_auth({"storage_keys": {"new": "n", "c": "d"}})
    clock.now += 5
    assert (counters(sim)[:2], shown(sim)["error_reason"]["error_code"]) == ((4, 0.25), "TRF.0151")
    assert shown(sim, 1)["status"] == 2
    start(sim, body=BODY | {"src_ak": "new", "src_sk": "n"})
    clock.now += 100
    assert counters(sim)[:2] == (4, 0.75)


def test_a_run_that_ends_sooner_is_not_kept_from_it_by_its_key(sim: Simulator, clock: Clock) -> None:
    sim.set_tasks([LONG | {"status": 2, "keys": BODY, "runs": [{"seconds": 100, "moves": 1.0}]}])
    clock.now += 99
    sim.set_auth({"storage_keys": {"new": "n"}})
    clock.now += 1
    assert counters(sim)[0] == 5


def test_so_many_run_at_a_time_and_the_others_wait_for_their_turn(sim: Simulator, clock: Clock) -> None:
    sim.set_throttle({"running": 2})
    sim.set_tasks([LONG | {"id": n, "runs": [{"seconds": 60 * n, "moves": 1.0}]} for n in (1, 2, 3, 4)])
    for n in (1, 2, 3, 4):
        start(sim, n)

    def statuses() -> list[int]:
        return [task["status"] for task in sim.tasks()]

    def listed(status: int) -> list[int]:
        return [row["id"] for row in ask(sim, "GET", f"{TASKS}?status={status}").json()["tasks"]]

    assert (statuses(), listed(1), listed(2)) == ([2, 2, 1, 1], [3, 4], [1, 2])
    assert ask(sim, "POST", START.replace(str(ID), "3"), json=BODY).json()["error_code"] == "OMS.0065"
    clock.now += 60
    assert statuses() == [5, 2, 2, 1]
    ask(sim, "POST", f"{TASKS}/2/stop")
    assert statuses() == [5, 7, 2, 2]
    clock.now += 180
    assert statuses() == [5, 3, 5, 2]  # the third ran from 60 s on, the fourth for 240 s from there
    clock.now += 60
    assert statuses() == [5, 3, 5, 5]


def test_a_task_that_waits_can_be_stopped(sim: Simulator, clock: Clock) -> None:
    sim.set_throttle({"running": 1})
    sim.set_tasks([LONG | {"id": n} for n in (1, 2)])
    start(sim, 1)
    start(sim, 2)
    ask(sim, "POST", f"{TASKS}/2/stop")
    sim.fail({"task_id": 1})
    clock.now += 1
    assert [task["status"] for task in sim.tasks()] == [4, 3]


def test_a_group_moves_with_its_members(sim: Simulator, clock: Clock) -> None:
    """Of two failed members one gets done with each retry."""
    sim.set_groups([{"group_id": "g", "status": 5}])
    runs = ([{"seconds": 60, "moves": 1.0}], [{"seconds": 60, "moves": 0.5}])
    sim.set_tasks([LONG | {"id": n, "group_id": "g", "runs": plan} for n, plan in enumerate(runs)])
    told = []
    for _ in range(2):
        assert ask(sim, "PUT", f"{GROUPS}/g/retry", json={}).status_code == 200
        clock.now += 60
        group = ask(sim, "GET", f"{GROUPS}/g").json()
        told.append((group["status"], group["complete_task_num"], group["complete_size"] / TERABYTES))
    assert told == [(5, 1, 1.5), (6, 2, 2.0)]
