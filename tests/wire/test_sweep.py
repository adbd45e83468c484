"""A sweep finds failed tasks whose notice was lost, and restarts each as a failed event would, within its limits."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from pytest_httpx import HTTPXMock

from example import BEARER, PROJECT, settings, shown
from httpx_transport import HttpxTransport
from restarter.app import Application
from restarter.ledger.memory import MemoryLedger
from restarter.model.delivery import Delivery
from restarter.reporting.reply import Reply

NOW = datetime(2126, 11, 25, 3, tzinfo=UTC)
REDIS = "redis://127.0.0.1:9/0"


def ms(ago: timedelta) -> int:
    """A time before NOW in milliseconds since 1970."""
    return int((NOW - ago).timestamp() * 1000)


def task(number: int, *, hours: float = 1, status: int = 4, **changes: Any) -> dict[str, Any]:
    """A task as OMS lists it; `hours`: how long ago it was started."""
    started = {"start_time": ms(timedelta(hours=hours)), "total_time": 1000}
    return shown(status, **{"id": number, "name": f"photos-photos-2026102721163778{number}_1"} | started | changes)


class World:
    """The pipeline with a clock and an OMS of the test's own."""

    def __init__(self, httpx_mock: HTTPXMock, **changes: Any) -> None:
        self.now = NOW
        self.start_takes = timedelta()
        self.tasks: dict[int, dict[str, Any]] = {}
        self.rows: list[Any] | None = None
        self.totals = True
        """Each page of a list says how many tasks there are."""
        self.look_s = 0.0
        """How long each look takes."""
        self.answers: dict[str, httpx.Response] = {}
        self.calls: list[str] = []
        self.settings = settings(**{"restart_ledger": REDIS, "restart_sweep": "on"} | changes)
        self.written: list[dict[str, Any]] = []
        self.application = Application(lambda: self.settings, now=lambda: self.now, write=self._write)
        httpx_mock.add_callback(self._oms, is_reusable=True, is_optional=True)

    def _write(self, lines: Sequence[bytes]) -> None:
        self.written += map(json.loads, lines)

    def _oms(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(f"/v2/{PROJECT}/").removeprefix("tasks")
        number = path.strip("/").partition("/")[0]  # of a group the word taskgroups
        asked = dict(request.url.params)
        listed = "list" if asked.get("status") == "4" else f"list {asked.get('status')}"
        self.calls.append(f"{request.method} {number}" if number else listed)
        if self.calls[-1] in self.answers:
            return self.answers[self.calls[-1]]
        if not number:
            return self._page(int(asked["status"]), int(asked["offset"]), int(asked["limit"]))
        if request.method == "POST":
            self.tasks[int(number)]["status"] = 2
            self.now += self.start_takes
            return httpx.Response(200)
        time.sleep(self.look_s)
        return httpx.Response(200, json=self.tasks[int(number)])

    def _page(self, status: int, offset: int, limit: int) -> httpx.Response:
        rows = [one for one in self.tasks.values() if one["status"] == status]
        rows = rows if self.rows is None or status != 4 else self.rows
        total = {"count": len(rows)} if self.totals else {}
        return httpx.Response(200, json={"tasks": rows[offset : offset + limit]} | total)

    def sweep(self, tick: str | None = None, **fields: Any) -> Reply:
        """One sweep by a direct call; `tick`: its Idempotency-Key."""
        self.written.clear()
        self.calls.clear()
        return self.call(tick, sweep=True, **fields)

    def call(self, event_id: str | None, **fields: Any) -> Reply:
        """A direct call with these fields; `event_id`: its Idempotency-Key."""
        headers = {"authorization": f"Bearer {BEARER}"} | ({"idempotency-key": event_id} if event_id else {})

        async def handle() -> Reply:
            pipeline = self.application.pipeline()
            return await pipeline.handle(Delivery("POST", "/", headers, json.dumps(fields).encode()), pipeline.begin())

        return asyncio.run(handle())

    @property
    def summary(self) -> dict[str, Any]:
        """The last receipt, which is the sweep's own."""
        return self.written[-1]

    def counts(self) -> tuple[int, ...]:
        """What the summary counts."""
        return tuple(self.summary[name] for name in ("seen", "too_old", "not_ours", "started", "held_back", "left"))

    def started(self) -> list[str]:
        """Ids of the tasks for which a start was called, in order."""
        return [call.removeprefix("POST ") for call in self.calls if call.startswith("POST")]


@pytest.fixture
def make_world(httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """A world whose ledger is in memory, where a real one would be shared."""
    monkeypatch.setattr("restarter.http.transport.connections", HttpxTransport)
    monkeypatch.setattr("restarter.app.open_ledger", lambda _address, clock, _stores: MemoryLedger(clock))
    return lambda **changes: World(httpx_mock, **changes)


def test_failed_tasks_are_started_the_longest_failed_first(make_world: Callable[..., World]) -> None:
    """Each has a receipt, and the sweep a summary."""
    world = make_world()
    world.tasks = {n: task(n, hours=n) for n in (1, 3, 2)} | {4: task(4, status=2)}
    reply = world.sweep("tick")
    assert reply.status == 200
    assert json.loads(reply.body)["outcome"] == "swept"
    assert world.started() == ["3", "2", "1"]
    assert [(one["outcome"], one.get("task_id"), one["intent"]) for one in world.written[:-1]] == [
        ("started", "3", "failed"),
        ("started", "2", "failed"),
        ("started", "1", "failed"),
    ]
    assert world.counts() == (3, 0, 0, 3, 0, 0)
    assert world.summary["severity"] == "INFO"


def test_the_limit_of_starts_leaves_the_rest_for_the_next_sweep(make_world: Callable[..., World]) -> None:
    world = make_world(restart_sweep_limit=2)
    world.tasks = {n: task(n) for n in range(1, 6)}
    world.sweep("a")
    assert world.counts() == (5, 0, 0, 2, 0, 3)
    world.sweep("b")
    assert world.counts() == (3, 0, 0, 2, 0, 1)


def test_old_tasks_and_those_of_others_are_counted_and_left_alone(make_world: Callable[..., World]) -> None:
    world = make_world(restart_sweep_age="2h", restart_sweep_prefix="photos-")
    world.tasks = {
        1: task(1, hours=3),
        2: task(2, name="films-films-21261027211637782_1"),
        3: task(3),
        4: task(4, start_time=None, total_time=None),
        5: task(5, name=None),
    }
    world.sweep("tick")
    assert world.counts() == (5, 1, 2, 2, 0, 0)
    assert world.started() == ["3", "4"]


def test_a_tick_that_comes_again_starts_nothing_again(make_world: Callable[..., World]) -> None:
    """Another tick keeps the backoff."""
    world = make_world()
    world.tasks = {1: task(1)}
    world.sweep("tick")
    world.tasks[1]["status"] = 4
    world.sweep("tick")
    assert (world.started(), world.counts()) == ([], (1, 0, 0, 0, 1, 0))
    assert [one["outcome"] for one in world.written] == ["duplicate", "swept"]
    world.now += timedelta(seconds=59)
    world.sweep("another")
    assert (world.started(), world.counts()) == ([], (1, 0, 0, 0, 1, 0))
    assert [one["outcome"] for one in world.written] == ["swept"]
    world.now += timedelta(seconds=2)
    world.sweep()
    assert (world.started(), world.written[0]["attempt"]) == (["1"], 2)


def test_the_budget_holds_for_sweeps_without_an_id_too(make_world: Callable[..., World]) -> None:
    world = make_world(restart_budget="2/24h", restart_backoff=0.0)
    world.tasks = {1: task(1)}
    for _ in range(3):
        world.tasks[1]["status"] = 4
        world.sweep()
    assert (world.started(), world.counts()) == ([], (1, 0, 0, 0, 1, 0))
    assert [one["outcome"] for one in world.written] == ["swept"]


def test_a_sweep_leaves_the_error_of_a_used_budget_to_an_event(make_world: Callable[..., World]) -> None:
    """It counts such a task in its summary only, so it must not use up the one error of the window."""
    world = make_world(restart_budget="1/24h", restart_backoff=0.0)
    world.tasks = {1: task(1)}
    for _ in range(2):
        world.tasks[1]["status"] = 4
        world.sweep()
    world.call("e-1", task_id=1, intent="failed")
    assert [(one.get("reason"), one["severity"]) for one in world.written] == [
        (None, "INFO"),
        ("budget_exhausted", "ERROR"),
    ]


def test_one_expired_key_is_one_incident_until_there_is_a_new_one(make_world: Callable[..., World]) -> None:
    """Canaries at the pace of the backoff, then one ERROR; a new key restarts all."""
    refused = {"error_code": "TRF.0151", "error_msg": ""}
    world = make_world(restart_budget="3/24h", restart_sweep_limit=100)
    world.tasks = {n: task(n, error_reason=refused) for n in range(1, 21)}
    started, errors = [], []
    for minute in range(10):
        world.sweep(f"tick {minute}")
        started.append(len(world.started()))
        errors += [one for one in world.written if one["severity"] == "ERROR"]
        for number in world.started():
            world.tasks[int(number)]["status"] = 4
        world.now += timedelta(seconds=61)
    assert started == [1, 1, 0, 1, 0, 0, 0, 0, 0, 0]
    assert [error["reason"] for error in errors] == ["storage_key"]
    assert errors[0]["advice"] == (
        "Set a valid key in OMS_SRC_AK and OMS_SRC_SK (3 restarts of tasks with this key within 24h did not help); "
        f"test it with: python -m restarter check --keys {errors[0]['task_id']}; "
        "the next event or sweep then restarts the tasks"
    )
    assert [one["outcome"] for one in world.written] == ["swept"]
    world.settings = world.settings.model_copy(update={"oms_src_sk": SecretStr("a new key")})
    world.sweep("new key")
    assert world.started() == ["1"]


def test_a_task_that_can_be_started_does_not_wait_behind_those_that_cannot(make_world: Callable[..., World]) -> None:
    """With thousands of those before it no sweep would get there."""
    world = make_world(restart_deadline=2.5)
    full: dict[str, Any] = {"error_reason": {"error_code": "TRF.0055", "error_msg": ""}}
    world.tasks = {n: task(n, hours=40 - n, **full) for n in range(1, 30)} | {30: task(30, hours=1)}
    world.look_s = 0.1
    world.sweep()
    assert [one.get("task_id") for one in world.written][:3] == ["1", "2", "3"]
    assert world.started() == ["30"]
    assert world.summary["left"] > 1


def test_a_dry_run_leaves_the_first_error_to_a_real_one(make_world: Callable[..., World]) -> None:
    world = make_world(restart_dry_run=True)
    world.tasks = {1: task(1, error_reason={"error_code": "TRF.0055", "error_msg": ""})}
    severities = []
    for dry_run in (True, False, False):
        world.settings = world.settings.model_copy(update={"restart_dry_run": dry_run})
        world.sweep()
        severities.append(world.written[0]["severity"])
    assert severities == ["ERROR", "ERROR", "INFO"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"error_reason": {"error_code": "TRF.0055", "error_msg": ""}}, "permanent_failure"),
        ({"object_overwrite_mode": "FULL_OVERWRITE"}, "full_overwrite"),
    ],
)
def test_what_needs_a_person_is_an_error_in_the_first_sweep_alone(
    changes: dict[str, Any], reason: str, make_world: Callable[..., World]
) -> None:
    """Within a window of the budget."""
    world = make_world(restart_budget="5/1h")
    world.tasks = {1: task(1, **changes)}
    severities = []
    for _ in range(3):
        world.sweep()
        assert [one.get("reason") for one in world.written] == [reason, None]
        severities.append(world.written[0]["severity"])
        world.now += timedelta(minutes=31)
    assert severities == ["ERROR", "INFO", "ERROR"]


def test_a_new_key_that_works_restarts_all_tasks(make_world: Callable[..., World]) -> None:
    """Once the first of them moves, or is done: none of them fails again, so nothing else would say so."""
    refused = {"error_code": "TRF.0151", "error_msg": ""}
    world = make_world(restart_sweep_limit=8)
    world.tasks = {n: task(n, error_reason=refused, successful_num=0) for n in range(1, 21)}
    started = []
    for minute in range(6):
        world.sweep(f"tick {minute}")
        started.append(len(world.started()))
        if minute == 2:
            world.tasks[1]["status"] = 5
        for one in world.tasks.values() if minute > 2 else ():
            one["successful_num"] += one["status"] == 2
        world.now += timedelta(minutes=1)
    assert started == [1, 1, 0, 8, 8, 2]


def test_a_canary_that_cannot_be_read_proves_nothing(make_world: Callable[..., World]) -> None:
    refused = {"error_code": "TRF.0151", "error_msg": ""}
    world = make_world()
    world.tasks = {n: task(n, error_reason=refused) for n in (1, 2)}
    world.sweep("a")
    world.answers["GET 1"] = httpx.Response(503)
    world.sweep("b")
    assert (world.started(), world.counts()[4]) == ([], 1)


def test_a_task_that_moved_with_a_key_clears_it(make_world: Callable[..., World]) -> None:
    """Whatever it fails of now."""
    refused = {"error_code": "TRF.0151", "error_msg": ""}
    world = make_world(restart_budget="2/24h", restart_sweep_limit=100)
    world.tasks = {n: task(n, error_reason=refused, successful_num=0, complete_size=0) for n in (1, 2, 3)}
    for hour in range(3):
        world.sweep(f"hour {hour}")
        for number in world.started():
            world.tasks[int(number)]["status"] = 4
        world.now += timedelta(hours=1)
    assert world.counts()[3:5] == (0, 3)
    world.tasks[1] |= {"successful_num": 5, "error_reason": {"error_code": "TRF.0001", "error_msg": ""}}
    world.sweep("moved")
    assert world.started() == ["1", "2", "3"]


def test_starts_that_a_working_key_leaves_free_are_not_recorded_under_it(make_world: Callable[..., World]) -> None:
    """A ledger in a bucket reads each record of a key by itself, and a key that works starts any number of tasks."""
    refused = {"error_code": "TRF.0151", "error_msg": ""}
    world = make_world(restart_sweep_limit=100)
    world.tasks = {1: task(1, error_reason=refused)}
    world.sweep("first")
    world.tasks[1]["status"] = 5
    world.tasks |= {n: task(n, error_reason=refused) for n in range(2, 52)}
    world.now += timedelta(seconds=30)
    notes, reserve = [], world.application.ledger.reserve

    async def noted(*arguments: Any) -> bool:
        notes.append(arguments[-1])
        return await reserve(*arguments)

    world.application.ledger.reserve = noted  # type: ignore[method-assign,assignment]
    world.sweep("second")
    assert len(world.started()) == 50
    assert [note for note in notes if "+" in note] == ["moved+t2;,,,"]


@pytest.mark.parametrize("status", [429, 503])
def test_while_a_canary_cannot_be_read_nobody_knows_that_the_key_fails(
    status: int, make_world: Callable[..., World]
) -> None:
    """The budget of the key is used up, and OMS does not say whether a task moved with it."""
    refused = {"error_code": "TRF.0151", "error_msg": ""}
    world = make_world(restart_budget="1/24h")
    world.tasks = {1: task(1, error_reason=refused)}
    world.sweep("a")
    world.tasks[2] = task(2, error_reason=refused)
    world.now += timedelta(hours=1)
    world.answers["GET 1"] = httpx.Response(status)
    world.sweep("b")
    assert (world.started(), [one["outcome"] for one in world.written]) == ([], ["swept"])
    world.answers["GET 1"] = httpx.Response(404, json={"error_code": "OMS.1009"})
    world.sweep("c")
    assert [one.get("reason") for one in world.written] == ["storage_key", None]


def test_the_newest_canary_shows_that_a_key_works_too(make_world: Callable[..., World]) -> None:
    """The first one fails for reasons of its own, as where its bucket is closed to the key."""
    refused = {"error_code": "TRF.0151", "error_msg": ""}
    world = make_world(restart_budget="3/24h", restart_sweep_limit=1)
    started = []
    for number in range(1, 6):
        world.tasks[number] = task(number, error_reason=refused)
        world.sweep(f"tick {number}")
        started += world.started()
        world.tasks[number]["status"] = 3 if number == 1 else 5
        world.now += timedelta(hours=1)
    assert started == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("number", [10**15, 10**19 - 1])
def test_a_task_with_a_longer_id_than_a_caller_may_give_is_started(
    number: int, make_world: Callable[..., World]
) -> None:
    """OMS's ids are integers of 64 bits."""
    world = make_world()
    world.tasks = {number: task(1, id=number), 2: task(2)}
    assert world.sweep("tick").status == 200
    assert sorted(world.started()) == sorted([str(number), "2"])


@pytest.mark.parametrize(("status", "outcome"), [(3, "refused"), (5, "nothing_to_do"), (2, "already_running")])
def test_a_task_that_changes_between_list_and_look_is_left_alone(
    status: int, outcome: str, make_world: Callable[..., World]
) -> None:
    world = make_world()
    world.tasks, world.rows = {1: task(1, status=status)}, [task(1)]
    world.sweep("tick")
    assert world.started() == []
    assert [one["outcome"] for one in world.written] == [outcome, "swept"]
    assert world.counts() == (1, 0, 0, 0, 1, 0)


def test_a_task_that_is_deleted_between_list_and_look_is_left_alone(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.rows, world.answers = [task(1)], {"GET 1": httpx.Response(400, json={"error_code": "OMS.1009"})}
    assert world.sweep("tick").status == 200
    assert [one["outcome"] for one in world.written] == ["not_found", "swept"]


def test_a_row_that_stands_on_two_pages_counts_once(make_world: Callable[..., World]) -> None:
    """Garbage is passed over."""
    world = make_world()
    world.tasks = {1: task(1)}
    garbage: list[Any] = [None, 7, [], {}, {"id": "x"}, {"id": True}, {"id": 9, "start_time": "soon", "name": 5}]
    world.tasks[9] = task(9, status=3)
    world.rows = [task(1)] * 100 + [*garbage, task(1)]
    world.sweep("tick")
    assert world.calls.count("list") == 2
    assert world.started() == ["1"]
    assert world.counts() == (2, 0, 0, 1, 1, 0)


@pytest.mark.usefixtures("unmeasured")
def test_a_list_of_more_than_ten_thousand_is_said(make_world: Callable[..., World]) -> None:
    world = make_world(restart_sweep_limit=1, restart_deadline=60.0)
    world.tasks = {n: task(n) for n in range(1, 10_002)}
    assert world.sweep("tick").status == 200
    assert world.calls.count("list") == 100
    assert (world.summary["outcome"], world.summary["reason"]) == ("swept", "more_pages")
    assert world.counts() == (10_000, 0, 0, 1, 0, 9999)


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (httpx.Response(503), "unavailable", "oms_error"),
        (httpx.Response(200, text="<html>"), "unavailable", "unreadable_answer"),
        (httpx.Response(401, json={"error_code": "APIGW.0301"}), "unavailable", "credentials"),
        (httpx.Response(404), "unavailable", "list"),
    ],
)
def test_a_list_that_cannot_be_read_is_answered_503(
    answer: httpx.Response, outcome: str, reason: str, make_world: Callable[..., World]
) -> None:
    world = make_world()
    world.tasks, world.answers = {1: task(1)}, {"list": answer}
    reply = world.sweep("tick")
    assert (reply.status, world.started()) == (503, [])
    assert (world.summary["outcome"], world.summary["reason"]) == (outcome, reason)
    assert world.counts() == (0, 0, 0, 0, 0, 0)


def test_after_a_task_that_is_unavailable_the_rest_goes_on(make_world: Callable[..., World]) -> None:
    """The reply is 503."""
    world = make_world()
    world.tasks = {n: task(n, hours=9 - n) for n in (1, 2)}
    world.answers = {"GET 1": httpx.Response(503)}
    assert world.sweep("tick").status == 503
    assert world.started() == ["2"]
    assert (world.summary["outcome"], world.summary["reason"]) == ("unavailable", "oms_error")
    assert world.counts() == (2, 0, 0, 1, 1, 0)


def test_a_task_that_oms_rejects_does_not_change_the_reply(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.tasks = {1: task(1)}
    world.answers = {"POST 1": httpx.Response(400, json={"error_code": "OMS.0064"})}
    assert world.sweep("tick").status == 200
    assert [one["outcome"] for one in world.written] == ["rejected", "swept"]


def test_a_sweep_ends_while_a_second_is_left(make_world: Callable[..., World]) -> None:
    world = make_world(restart_deadline=1.000_001)
    world.tasks = {1: task(1), 2: task(2)}
    assert world.sweep("tick").status == 200
    assert world.calls == ["list"]
    assert world.counts() == (2, 0, 0, 0, 0, 2)


def test_a_dry_run_counts_what_it_would_start(make_world: Callable[..., World]) -> None:
    world = make_world(restart_dry_run=True)
    world.tasks = {1: task(1)}
    world.sweep("tick")
    assert (world.started(), world.counts()) == ([], (1, 0, 0, 1, 0, 0))
    assert [one["outcome"] for one in world.written] == ["would_start", "swept"]


@pytest.mark.parametrize(
    ("most", "active", "started"),
    [
        (5, [], ["1", "2", "3"]),
        (5, [1, 2, 2], ["1", "2"]),
        (5, [1, 2, 2, 1], ["1"]),
        (5, [2] * 5, []),
        (5, [1] * 9, []),
        (1, [3, 5, 6, 7], ["1"]),
        (250, [1] * 120 + [2] * 128, ["1", "2"]),
    ],
)
def test_only_places_that_are_free_are_taken(
    most: int, active: list[int], started: list[str], make_world: Callable[..., World]
) -> None:
    """What waits and what runs is counted, on all pages; the longest failed come first, and the rest is left."""
    world = make_world(restart_max_running=most)
    world.tasks = {n: task(n, hours=9 - n) for n in (1, 2, 3)}
    world.tasks |= {n: task(n, status=status) for n, status in enumerate(active, 10)}
    assert world.sweep("tick").status == 200
    assert world.started() == started
    assert world.counts() == (3, 0, 0, len(started), 0, 3 - len(started))
    assert ("reason" not in world.summary, world.summary["outcome"]) == (True, "swept")
    assert all(call.startswith("list") for call in world.calls[: 3 + 2 * (len(active) > 100)])


@pytest.mark.parametrize(
    ("most", "active", "counted"),
    [
        (5, [1] * 900, ["list 1"]),
        (5, [2] * 900, ["list 1", "list 2"]),
        (250, [1] * 249 + [2] * 900, ["list 1"] * 3 + ["list 2"]),
    ],
)
def test_what_shows_that_no_place_is_free_is_enough(
    most: int, active: list[int], counted: list[str], make_world: Callable[..., World]
) -> None:
    world = make_world(restart_max_running=most)
    world.tasks = {1: task(1)} | {n: task(n, status=status) for n, status in enumerate(active, 10)}
    assert world.sweep("tick").status == 200
    assert world.calls == ["list", *counted]


@pytest.mark.parametrize(("most", "started"), [(100, []), (101, ["1"])])
def test_a_full_page_without_a_total_may_be_the_last(
    most: int, started: list[str], make_world: Callable[..., World]
) -> None:
    """OMS need not say how many there are: then each row that was read counts, and none besides."""
    world = make_world(restart_max_running=most)
    world.tasks = {1: task(1)} | {n: task(n, status=2) for n in range(10, 110)}
    world.totals = False
    assert world.sweep("tick").status == 200
    assert world.started() == started


def test_a_task_that_begins_to_run_while_it_is_counted_counts_once(make_world: Callable[..., World]) -> None:
    world = make_world(restart_max_running=2)
    world.tasks = {1: task(1), 9: task(9, status=2)}
    world.answers = {"list 1": httpx.Response(200, json={"tasks": [task(9, status=1)], "count": 1})}
    world.sweep("tick")
    assert world.started() == ["1"]


def test_a_row_that_cannot_be_read_takes_a_place(make_world: Callable[..., World]) -> None:
    world = make_world(restart_max_running=2)
    world.tasks = {1: task(1)}
    world.answers = {"list 2": httpx.Response(200, json={"tasks": [{"id": "x"}, None], "count": 2})}
    world.sweep("tick")
    assert (world.started(), world.counts()) == ([], (1, 0, 0, 0, 0, 1))


def test_a_start_that_is_not_made_takes_no_place_and_one_that_is_unconfirmed_does(
    make_world: Callable[..., World],
) -> None:
    world = make_world(restart_max_running=2)
    world.tasks = {n: task(n, hours=9 - n) for n in range(1, 5)}
    world.tasks[1] |= {"error_reason": {"error_code": "TRF.0055"}}
    world.answers = {"POST 2": httpx.Response(502)}
    assert world.sweep("tick").status == 503
    assert world.started() == ["2", "3"]
    assert world.counts() == (4, 0, 0, 1, 2, 1)


def test_a_group_takes_a_place_for_each_failed_member_in_the_list(make_world: Callable[..., World]) -> None:
    """It is retried while one place is free."""
    world = make_world(restart_max_running=3)
    world.tasks = {n: task(n, hours=9 - n) for n in range(1, 6)}
    for member in (2, 3, 4):
        world.tasks[member] |= {"group_id": "g-1", "group_type": "GROUP_TASK"}
    world.answers = {
        "GET taskgroups": httpx.Response(200, json={"status": 5, "error_reason": {"error_code": "TRF.0061"}}),
        "PUT taskgroups": httpx.Response(200),
    }
    world.sweep("tick")
    assert [call for call in world.calls if call.startswith("P")] == ["POST 1", "PUT taskgroups"]
    assert world.counts() == (5, 0, 0, 2, 0, 1)


def test_a_dry_run_takes_places_as_well(make_world: Callable[..., World]) -> None:
    world = make_world(restart_max_running=2, restart_dry_run=True)
    world.tasks = {n: task(n) for n in range(1, 5)}
    world.sweep("tick")
    assert (world.started(), world.counts()) == ([], (4, 0, 0, 2, 0, 2))


@pytest.mark.parametrize("failing", ["list 1", "list 2"])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(503), "oms_error"),
        (httpx.Response(401, json={"error_code": "APIGW.0301"}), "credentials"),
        (httpx.Response(404), "list"),
    ],
    ids=["503", "401", "404"],
)
def test_a_count_that_cannot_be_read_is_answered_503(
    failing: str, answer: httpx.Response, reason: str, make_world: Callable[..., World]
) -> None:
    world = make_world(restart_max_running=5)
    world.tasks, world.answers = {1: task(1), 2: task(2)}, {failing: answer}
    assert (world.sweep("tick").status, world.started()) == (503, [])
    assert (world.summary["outcome"], world.summary["reason"]) == ("unavailable", reason)
    assert world.counts() == (2, 0, 0, 0, 0, 2)


@pytest.mark.parametrize(
    ("changes", "hours"),
    [({}, 100), ({"restart_hours": "12:00-13:00 Asia/Shanghai"}, 1), ({"restart_deadline": 1.000_001}, 1)],
    ids=["too old", "outside hours", "no time"],
)
def test_nothing_is_counted_when_there_is_nothing_to_start(
    changes: dict[str, Any], hours: float, make_world: Callable[..., World]
) -> None:
    world = make_world(restart_max_running=5, **changes)
    world.tasks = {1: task(1, hours=hours)}
    assert world.sweep("tick").status == 200
    assert world.calls == ["list"]


def test_outside_the_hours_all_that_it_saw_is_held_back(make_world: Callable[..., World]) -> None:
    """Nothing is looked at. The first sweep within the hours starts the tasks."""
    world = make_world(restart_hours="Sun-Mon 12:00-13:00 Asia/Shanghai", restart_sweep_age="7d")
    world.tasks = {1: task(1), 2: task(2), 3: task(3, hours=200)}
    assert world.sweep("a").status == 200
    assert (world.calls, world.counts()) == (["list"], (3, 1, 0, 0, 2, 0))
    (summary,) = world.written
    assert (summary["outcome"], summary["reason"], summary["severity"]) == ("swept", "outside_hours", "INFO")
    assert summary["message"] == (
        "Looked for failed tasks: outside RESTART_HOURS; the next hour begins at 2126-11-25 12:00 Asia/Shanghai"
    )
    world.now += timedelta(hours=1)
    world.sweep("b")
    assert (world.started(), world.counts()) == (["1", "2"], (3, 1, 0, 2, 0, 0))


def test_outside_the_hours_a_list_that_cannot_be_read_is_answered_503(make_world: Callable[..., World]) -> None:
    world = make_world(restart_hours="12:00-13:00 Asia/Shanghai")
    world.answers = {"list": httpx.Response(503)}
    assert world.sweep("tick").status == 503
    assert (world.summary["outcome"], world.summary["reason"]) == ("unavailable", "oms_error")


def test_hours_that_end_during_a_sweep_hold_the_rest_back(make_world: Callable[..., World]) -> None:
    world = make_world(restart_hours="11:00-11:01 Asia/Shanghai")
    world.tasks, world.start_takes = {1: task(1), 2: task(2), 3: task(3)}, timedelta(minutes=1)
    world.sweep("tick")
    assert (world.started(), world.counts()) == (["1"], (3, 0, 0, 1, 2, 0))
    assert [(one["outcome"], one.get("reason")) for one in world.written] == [
        ("started", None),
        ("swept", "outside_hours"),
    ]


@pytest.mark.parametrize(
    ("changes", "outcome", "reason", "status"),
    [
        ({"restart_sweep": "off"}, "ignored", "sweep_off", 200),
        ({"restart_sweep": "off", "restart_enabled": False}, "ignored", "sweep_off", 200),
        ({"restart_enabled": False}, "refused", "disabled", 409),
    ],
)
def test_a_sweep_that_is_off_asks_nobody(
    changes: dict[str, Any], outcome: str, reason: str, status: int, make_world: Callable[..., World]
) -> None:
    world = make_world(**changes)
    assert world.sweep("tick").status == status
    assert world.calls == []
    assert [(one["outcome"], one["reason"]) for one in world.written] == [(outcome, reason)]


@pytest.mark.parametrize(
    ("language", "refused", "notice", "started"),
    [
        (
            "en",
            "Did not start task 2: TRF.0055, the destination bucket has no space",
            "; notice: not sent: OMS.0158, OMS may not publish to the topic; open its policy for OMS",
            "Started task 3 (all objects); notice: no topic: found by a sweep only",
        ),
        (
            "zh-cn",
            "未启动任务 2：TRF.0055，目的端桶空间不足",
            "；通知：未发送：OMS.0158，OMS 无权向该主题发布消息；在主题策略中允许 OMS",
            "已启动任务 3（全部对象）；通知：未设置主题：只能由兜底扫描发现",
        ),
    ],
)
def test_a_receipt_says_why_no_notice_came(
    language: str, refused: str, notice: str, started: str, make_world: Callable[..., World]
) -> None:
    world = make_world(restart_language=language)
    closed = {"notify_result": False, "notify_error_message": "OMS.0158", "topic_name": "oms-failed"}
    world.tasks = {
        1: task(1, hours=3, smn_info={"notify_result": True, "notify_error_message": ""}),
        2: task(2, hours=2, smn_info=closed, error_reason={"error_code": "TRF.0055"}),
        3: task(3, smn_info=None),
    }
    world.sweep("tick")
    first, *others, summary = [one["message"] for one in world.written]
    assert others == [refused + notice, started]
    assert not {"; notice", "；通知"} & {first, summary}


def test_the_profile_and_the_reason_of_the_sweep_are_those_of_each_start(make_world: Callable[..., World]) -> None:
    world = make_world(oms_profiles={"aws": {"dst_ak": "ak", "dst_sk": "sk"}})
    world.tasks = {1: task(1)}
    world.sweep("tick", credentials="aws", reason="every quarter of an hour")
    assert {(one["credentials"], one["reason"]) for one in world.written} == {("aws", "every quarter of an hour")}


def test_sweeping_needs_a_shared_ledger(environment: pytest.MonkeyPatch) -> None:
    from restarter.settings.errors import SettingsError  # noqa: PLC0415  # only this test loads settings
    from restarter.settings.model import load  # noqa: PLC0415

    environment.setenv("RESTART_SWEEP", "on")
    with pytest.raises(SettingsError, match="RESTART_SWEEP: needs a shared ledger"):
        load()
    environment.setenv("RESTART_LEDGER", "memory://")
    with pytest.raises(SettingsError, match="RESTART_SWEEP: needs a shared ledger"):
        load()
