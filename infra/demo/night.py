"""A night of twelve tasks through the real function and the simulator, with the clock of both running fast.

    python infra/demo/night.py [FILE.svg] [--speed 900]

It writes README's picture: the night by hand, where nobody is there until the morning, and the same failures with the
function.
"""

import argparse
import json
import queue
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import paths
from example_settings import EXAMPLE
from noticed_tasks import running, smn
from oms_simulator import fast_clock
from processes import Running, function, simulator
from restarter.cli.night import Night, by_hand, night_of
from restarter.cli.night_picture import draw

PICTURE = Path(__file__).parents[2] / ".github" / "night.svg"
BEGINS, LASTS = timedelta(hours=20), timedelta(hours=12, minutes=30)
SPEED = 900.0
SUCCEEDED, FAILED = 5, 4
SOURCE = Path(__file__).with_name("watched_main.py")
FIRST_ID = 191297407831001
BY_HAND, WITH = "By hand: somebody looks at 08:30", "With oms-task-restarter"


class Plan(NamedTuple):
    """What happens to a task of its own accord; times in hours."""

    name: str
    fails_at: float
    """After the beginning of the night."""
    cause: str
    then: int = SUCCEEDED
    after: float = 1.0
    """How long after each start it ends as `then`."""


PLANS = (
    Plan("photos", 1.52, "TRF.0001", after=2.3),
    Plan("invoices", 2.18, "TRF.0151", after=1.0),
    Plan("raw-video-1", 2.34, "TRF.0159", FAILED, after=0.37),
    Plan("raw-video-2", 2.41, "TRF.0159", after=3.3),
    Plan("backups", 3.35, "TRF.0157", after=1.5),
    Plan("logs-old", 4.0, "TRF.0055"),
    Plan("logs-new", 4.12, "TRF.0001", after=2.0),
    Plan("maps", 5.18, "TRF.0157", after=1.2),
    Plan("genomes", 5.5, "TRF.0003", after=4.1),
    Plan("mail-archive", 6.34, "TRF.0004", after=0.7),
    Plan("sensor", 7.35, "TRF.0001", after=1.8),
    Plan("thumbs", 8.68, "TRF.0157", after=0.8),
)


class Played(NamedTuple):
    """A night that was played: the receipts that the function wrote, and when OMS said that tasks succeeded."""

    begins: datetime
    receipts: list[dict[str, Any]]
    done: Mapping[str, datetime]

    def night(self) -> Night:
        """The night that the receipts tell."""
        return night_of(self.receipts, self.begins, self.begins + LASTS, self.done)

    def picture(self, speed: float) -> str:
        """Both nights, one above the other."""
        night = self.night()
        note = f"the real function, a simulated OMS, both clocks {speed:g} times as fast"
        return draw([(BY_HAND, by_hand(night)), (WITH, night)], note)


def play(speed: float = SPEED) -> Played:
    """Play the night; it takes 12.5 hours divided by `speed`.

    Raises:
        RuntimeError: A process did not start.
    """
    begins = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + BEGINS
    with TemporaryDirectory() as folder:
        clock = {fast_clock.NAME: str(Path(folder, "clock"))}
        with simulator(0, clock) as oms:
            settings = EXAMPLE | clock | paths.PYTHONPATH | {"OMS_ENDPOINT": oms.url}
            with function(settings, source=SOURCE, stderr=queue.Queue()) as target:
                fast_clock.begin(Path(folder, "clock"), begins.timestamp(), speed)
                _let_them_fail(oms, target, begins, fast_clock.clock(clock))
                return Played(begins, _receipts(target), _done(oms))


def _let_them_fail(oms: Running, target: Running, begins: datetime, now: Callable[[], float]) -> None:
    """Let each task fail when its time comes; all else follows by itself."""
    tasks = [
        running(FIRST_ID + number, plan.name, after_start=plan.then, after_seconds=plan.after * 3600)
        for number, plan in enumerate(PLANS)
    ]
    oms.control("PUT", "/_sim/tasks", tasks)
    oms.control("PUT", "/_sim/smn", smn(f"{target.url}/invoke"))
    moments = [(plan.fails_at, number, plan.cause) for number, plan in enumerate(PLANS)]
    for hours, number, cause in [*sorted(moments), (LASTS / timedelta(hours=1), -1, "")]:
        while now() < (begins + timedelta(hours=hours)).timestamp():
            time.sleep(0.01)
        if number >= 0:
            oms.control("POST", "/_sim/fail", {"task_id": FIRST_ID + number, "error_code": cause})


def _receipts(target: Running) -> list[dict[str, Any]]:
    found = []
    while not target.lines.empty():
        found.append(json.loads(target.lines.get()))
    return found


def _done(oms: Running) -> dict[str, datetime]:
    """When OMS told that a task succeeded, by its name."""
    told = [notice for notice in oms.control("GET", "/_sim/notices") if notice["event"]]
    return {
        notice["task_name"]: datetime.fromtimestamp(notice["time"], UTC)
        for notice in told
        if '"SUCCESS"' in notice["event"]["record"][0]["smn"]["message"]
    }


def main() -> int:
    """0 when the picture was written."""
    parser = argparse.ArgumentParser(description="Play a night of twelve tasks, and draw it.")
    parser.add_argument("file", type=Path, nargs="?", default=PICTURE)
    parser.add_argument("--speed", type=float, default=SPEED, help="how many times as fast the clocks run")
    arguments = parser.parse_args()
    played = play(arguments.speed)
    arguments.file.write_text(played.picture(arguments.speed), "utf-8")
    print(f"{arguments.file}: {len(played.receipts)} receipts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
