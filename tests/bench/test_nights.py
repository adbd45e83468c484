"""A night of each kind on a small scale, all at the same time; the rules show in what it comes to."""

import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from any_day import compiled_library

NIGHTS = runpy.run_path(str(Path(__file__).with_name("nights.py")))
TASKS, SPEED = 12, 1500.0
BUDGET = 5
SUCCEEDED = 5

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(compiled_library() is None, reason="libfaketime has no library for this machine"),
]


@pytest.fixture(scope="module")
def played() -> dict[str, Any]:
    """Each kind of night with this function, by the name of what its tasks do."""

    def play(kind: Any) -> Any:
        (night,) = NIGHTS["play_all"]([kind], TASKS, [NIGHTS["Release"]("this", NIGHTS["FUNCTION"])], SPEED)["this"]
        return night

    kinds = NIGHTS["KINDS"]
    with ThreadPoolExecutor(len(kinds)) as pool:
        return {kind.make.__name__: night for kind, night in zip(kinds, pool.map(play, kinds), strict=True)}


def test_a_task_that_moves_is_restarted_until_it_is_done(played: dict[str, Any]) -> None:
    """Each of the long ones needs more restarts than the budget has."""
    assert played["moving"].figures().done >= TASKS * 3 // 4
    assert max(starts(played["moving"]).values()) > BUDGET


def test_a_task_that_moves_nothing_is_stopped_by_the_budget(played: dict[str, Any]) -> None:
    assert max(starts(played["stuck"]).values()) <= BUDGET
    assert played["stuck"].figures().messages > 0


def test_one_expired_key_makes_few_starts_and_a_new_one_makes_all_go_on(played: dict[str, Any]) -> None:
    night = played["keyed"]
    assert 0 < night.figures().vain <= TASKS * BUDGET // 2  # of each task's budget; at such a speed a pause is short
    go_on = {run["task_id"] for run in night.runs if run["status"] == SUCCEEDED or run["began"] >= NIGHTS["SIX"]}
    assert len(go_on) >= TASKS * 3 // 4


def test_nothing_is_restarted_outside_the_hours(played: dict[str, Any]) -> None:
    figures = played["ordinary"].figures()
    assert (figures.outside, figures.starts > 0) == (0, True)


def test_nothing_is_copied_once_more_by_an_event(played: dict[str, Any]) -> None:
    figures = played["overwriting"].figures()
    assert (figures.again, figures.starts > 0) == (0.0, True)


def test_a_person_is_told_of_a_task_once_and_not_at_each_sweep(played: dict[str, Any]) -> None:
    assert {kind: night.figures().messages > TASKS for kind, night in played.items()} == dict.fromkeys(played, False)


def starts(night: Any) -> dict[int, int]:
    """How many starts of each task were accepted."""
    return {run["task_id"]: run["start"] for run in sorted(night.runs, key=lambda run: float(run["began"]))}
