"""A restart is judged by what it moved, and nobody pays for a copy unasked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from example import TASK
from simulated import Simulated

Make = Callable[..., Simulated]


def said(receipt: dict[str, Any]) -> str:
    return f"{receipt['outcome']} {receipt.get('reason', '')}".strip()


def fails_again(world: Simulated, name: str, hours: float = 3, **changes: Any) -> dict[str, Any]:
    """The receipt of the next failure, so many hours later."""
    world.now += timedelta(hours=hours)
    world.task |= changes
    return world.deliver(name)[1]


def test_a_task_that_moves_runs_to_its_end(make_simulated: Make) -> None:
    """It breaks every three hours, eight times a day, with a budget of five."""
    world = make_simulated()
    receipts = [
        fails_again(world, f"e{number}", successful_num=100 * number, complete_size=10**12 * number)
        for number in range(1, 17)
    ]
    assert {said(receipt) for receipt in receipts} == {"started"}
    assert {receipt["attempt"] for receipt in receipts} == {1}
    assert "progress" not in receipts[0]
    assert receipts[1]["progress"] == {"objects": 100, "bytes": 10**12}
    assert receipts[1]["message"] == f"Started task {TASK} (all objects); +1.0 TB since the last restart"


def test_a_task_that_fails_at_once_stops_after_five(make_simulated: Make) -> None:
    world = make_simulated(restart_backoff=0)
    receipts = [
        fails_again(world, f"e{number}", 0.1, successful_num=7, complete_size=0, total_size=5) for number in range(7)
    ]
    assert [said(receipt) for receipt in receipts] == ["started"] * 5 + ["refused budget_exhausted"] * 2
    assert [receipt.get("attempt") for receipt in receipts] == [1, 2, 3, 4, 5, None, None]
    assert receipts[5]["progress"] == {"objects": 0, "bytes": 0}
    assert "; nothing moved since the last restart" in receipts[1]["message"]
    assert [receipt["severity"] for receipt in receipts[5:]] == ["ERROR", "INFO"]


def test_the_ceiling_is_four_budgets(make_simulated: Make) -> None:
    world = make_simulated(restart_budget="2/24h", restart_backoff=0)
    receipts = [fails_again(world, f"e{number}", 0.1, successful_num=number, complete_size=0) for number in range(9)]
    assert [said(receipt) for receipt in receipts] == ["started"] * 8 + ["refused budget_exhausted"]
    assert "8 restarts within 24h" in receipts[8]["advice"]
    assert receipts[8]["message"].endswith("; +1 object since the last restart")


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "; +1.5 kB since the last restart"), ("zh-cn", "；自上次重启以来 +1.5 kB")],
)
def test_progress_is_told_in_the_language_of_the_settings(make_simulated: Make, language: str, words: str) -> None:
    world = make_simulated(restart_language=language)
    fails_again(world, "e", complete_size=500)
    assert fails_again(world, "f", complete_size=2000)["message"].endswith(words)


def test_full_overwrite_waits_for_a_person(make_simulated: Make) -> None:
    world = make_simulated()
    receipt = fails_again(world, "e", object_overwrite_mode="FULL_OVERWRITE")
    assert said(receipt) == "refused full_overwrite"
    assert receipt["severity"] == "ERROR"
    assert f"start it by hand: with a direct call of task_id {TASK}" in receipt["advice"]
    assert world.starts == []
    record = {"result": True, "list_file_key": "oms/list", "error_code": None}
    failed_only = fails_again(world, "f", failed_num=3, failed_object_record=record)
    assert (said(failed_only), failed_only["migrate_failed_object"]) == ("started", True)


def test_full_overwrite_may_be_allowed(make_simulated: Make) -> None:
    world = make_simulated(restart_full_overwrite=True)
    assert said(fails_again(world, "e", object_overwrite_mode="FULL_OVERWRITE")) == "started"
