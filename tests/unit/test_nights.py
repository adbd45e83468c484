"""What the ten nights are made of, and what they come to: figures of runs that are known, and a sender's patience."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from night_figures import Figures, Played, stood, table, within
from night_kinds import BEGINS, KINDS, tasks_of
from night_sender import REDELIVERIES, Sender
from night_stage import Release

from oms_simulator.connection import Message, Patience, Receive, Send, read, say
from oms_simulator.messages import Answer
from oms_simulator.server import serving
from processes import FUNCTION

sys.path.remove(str(Path(__file__).parents[1] / "bench"))

HOURS_KIND = next(kind for kind in KINDS if kind.has_hours)


def told(task: int, start: int, began: float, ended: float | None, status: int, moved: float = 0.0) -> dict[str, Any]:
    """A run as the simulator tells it; hours after the beginning."""
    ended = None if ended is None else BEGINS.timestamp() + ended * 3600
    run = {"task_id": task, "start": start, "began": BEGINS.timestamp() + began * 3600, "ended": ended}
    return run | {"status": status, "moved": moved, "again_size": 2**39 if start else 0}


RUNS = [
    told(1, 0, 0.0, 1.0, 4, 0.5),
    told(1, 1, 1.5, 2.5, 4),
    told(1, 2, 3.0, 4.0, 5, 0.5),
    told(2, 0, 0.0, 12.0, 4),
    told(2, 1, 12.25, 13.0, 4),  # the morning comes before its end
    told(3, 0, 0.0, None, 2),
    told(3, 1, 12.75, None, 2),  # and before its beginning
]


def test_the_figures_are_those_of_the_runs_and_of_the_receipts() -> None:
    night = Played(HOURS_KIND, within(RUNS), [{"severity": "ERROR"}, {"severity": "INFO"}])
    assert night.figures() == Figures(
        starts=3, vain=1, done=1, messages=1, stood_h=0.5 + 0.5 + 0.25, outside=2, again=1.5
    )


def test_a_task_that_fails_and_is_not_started_stands_until_the_morning() -> None:
    assert stood(within([told(1, 0, 0.0, 2.0, 4)])) == pytest.approx(10.5)
    assert stood(within([told(1, 0, 0.0, 2.0, 5)])) == 0


def test_the_table_has_a_row_for_each_function_and_kind_and_the_sums() -> None:
    night = Played(HOURS_KIND, within(RUNS), [])
    lines = table({"old": [night, night], "new": [night]}).splitlines()
    assert [line.split(" | ")[:5] for line in lines[2:]] == [
        [f"| 2 x {HOURS_KIND.name}", "old", "6", "2", "2 of 6"],
        [f"| 1 x {HOURS_KIND.name}", "new", "3", "1", "1 of 3"],
        ["| 2 x all", "old", "6", "2", "2 of 6"],
        ["| 1 x all", "new", "3", "1", "1 of 3"],
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.make.__name__)
def test_each_function_plays_the_same_night(kind: Any) -> None:
    first, again, other = (tasks_of(kind, 50, 1000, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert [task["id"] for task in first] == list(range(1000, 1050))


def test_a_setting_that_a_release_does_not_know_is_left_out(tmp_path: Path) -> None:
    assert "RESTART_SWEEP" in Release("this", FUNCTION).settings(HOURS_KIND)
    (tmp_path / "restarter" / "settings").mkdir(parents=True)
    (tmp_path / "restarter" / "settings" / "model.py").write_text("restart_sweep_limit: int", "ascii")
    assert Release("old", tmp_path).settings(HOURS_KIND).keys() & {
        "RESTART_HOURS",
        "RESTART_SWEEP",
        "RESTART_SWEEP_LIMIT",
    } == {"RESTART_SWEEP_LIMIT"}


class Target:
    """Answers with these statuses in turn, and notes when it was asked."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.asked: list[float] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        assert await read(scope, receive)
        self.asked.append(time.monotonic())
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        await say(send, Answer(status, headers=(("retry-after", "600"),)), "")

    def deliver(self, *messages: str, speed: float) -> None:
        """Let a sender whose clock runs `speed` times as fast deliver a notice with each message."""

        async def deliver(url: str) -> None:
            sender = Sender(url, "token", speed)
            for message in messages:
                sender.take({"record": [{"smn": {"message": message}}]})
            await sender.finish()

        with serving(self, Patience()) as url:
            asyncio.run(deliver(url))


def test_a_notice_is_redelivered_after_a_5xx_and_not_before_retry_after() -> None:
    target = Target(503, 204)
    target.deliver("task", speed=6000)
    first, second = target.asked
    assert second - first >= 600 / 6000


@pytest.mark.parametrize(("status", "times"), [(204, 1), (422, 1), (503, 1 + REDELIVERIES)])
def test_it_is_redelivered_six_times_and_never_after_another_status(status: int, times: int) -> None:
    target = Target(status)
    target.deliver("task", speed=1e6)
    assert len(target.asked) == times


@pytest.mark.usefixtures("unmeasured")
def test_one_notice_in_twenty_is_lost() -> None:
    target = Target(204)
    target.deliver(*(f"task-{n}" for n in range(400)), speed=1e6)
    assert 365 <= len(target.asked) <= 395
