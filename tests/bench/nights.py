"""Ten nights of 200 tasks each, with every clock running fast: how one release gets through them, and another.

    python tests/bench/nights.py [--function NAME=FOLDER] [--speed 600] [--pictures FOLDER]

Each night has its own simulator of OMS, Valkey and function, and ends by itself. `--function` names the folder of a
function and may come several times: all of them play the same nights at the same time, so they share what the machine
does meanwhile. A setting that one of them does not know is left out there. Five kinds of nights come twice
(night_kinds.py); in each, one notice in twenty is lost, and a sweep comes every quarter of an hour. The table is
printed, and a picture of all nights is drawn for each function. All on loopback.

At 600 times the speed a second of the machine is ten minutes of the night: on a busy machine tasks wait longer.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT / "infra" / "demo")]
sys.path[:0] = [str(ROOT / "infra" / "simulator"), str(ROOT / "function")]

from night_figures import Played, done_at, table, within  # noqa: E402  # run as a program, it finds them only now
from night_kinds import BEGINS, ENDS, KINDS, LASTS, MIDNIGHT, NEW_KEY, OLD_KEY, SIX, Kind, at, tasks_of  # noqa: E402
from night_sender import Sender  # noqa: E402
from night_stage import Release, Stage, stages  # noqa: E402

from noticed_tasks import smn  # noqa: E402
from processes import EXAMPLE, FUNCTION  # noqa: E402
from restarter.cli.night import night_of  # noqa: E402
from restarter.cli.night_picture import draw  # noqa: E402

FIRST_ID = 191297407900001
SWEEP_EVERY = 0.25  # hours
SPEED = 600.0
Nights = dict[str, list[Played]]
Change = tuple[float, Callable[[], None]]


def changes(kind: Kind, stage: Stage, sender: Sender) -> list[Change]:
    """What happens beside the tasks, and at which hour, in its order."""
    ticks = [n * SWEEP_EVERY for n in range(1, int(LASTS / SWEEP_EVERY))]
    found: list[Change] = [(hour, partial(sender.take, {"sweep": True}, f"tick-{hour}")) for hour in ticks]
    if kind.key_expires:
        found += [(MIDNIGHT, stage.open_with), (SIX, stage.replace_key)]
    return [*sorted(found, key=lambda change: change[0]), (LASTS, stage.collect)]


async def play_on(stage: Stage, kind: Kind, tasks: list[dict[str, Any]], speed: float) -> Played:
    """The night on one stage."""
    sender = Sender(stage.target.url, EXAMPLE["CALLER_BEARER_TOKENS"], speed)
    with sender.serving() as subscriber:
        stage.open_with(OLD_KEY, NEW_KEY)
        stage.oms.control("PUT", "/_sim/smn", smn(subscriber))
        stage.oms.control("PUT", "/_sim/tasks", tasks)
        for hour, change in changes(kind, stage, sender):
            while stage.now() < at(hour):
                await asyncio.sleep(0.02)
                stage.collect()
            change()
        await sender.close()
        runs = await asyncio.to_thread(stage.oms.control, "GET", "/_sim/runs")
    return Played(kind, within(runs), stage.receipts)


async def play(kind: Kind, tasks: list[dict[str, Any]], releases: Sequence[Release], speed: float) -> list[Played]:
    """A night with each of the functions, at the same time."""
    with stages(releases, kind, speed) as made:
        return await asyncio.gather(*(play_on(stage, kind, tasks, speed) for stage in made))


def play_all(kinds: Sequence[Kind], count: int, releases: Sequence[Release], speed: float) -> Nights:
    """Nights of these kinds with `count` tasks each, one after the other."""
    nights: Nights = {release.name: [] for release in releases}
    for n, kind in enumerate(kinds):
        began = time.monotonic()
        tasks = tasks_of(kind, count, FIRST_ID + n * count, seed=n)
        for release, played in zip(releases, asyncio.run(play(kind, tasks, releases, speed)), strict=True):
            nights[release.name].append(played)
        sys.stderr.write(f"night {n + 1}, {kind.name}: {time.monotonic() - began:.0f} s\n")
    return nights


def picture(name: str, nights: Sequence[Played], speed: float) -> str:
    """All nights of a release as one: they have the same hours."""
    receipts = [receipt for night in nights for receipt in night.receipts]
    done = {str(task): at(hour) for night in nights for task, hour in done_at(night.runs).items()}
    note = (
        f"{len(nights)} nights one upon the other; the real function, a simulated OMS, clocks {speed:g} times as fast"
    )
    return draw([(name, night_of(receipts, BEGINS, ENDS, done))], note)


def _release(text: str) -> Release:
    name, _, folder = text.rpartition("=")
    return Release(name or folder, Path(folder).resolve())


def main(arguments: list[str] | None = None) -> int:
    """0 when the nights were played."""
    parser = argparse.ArgumentParser(description="Ten nights with a fast clock, measured for one release or several.")
    parser.add_argument("--function", type=_release, action="append", metavar="NAME=FOLDER")
    parser.add_argument("--speed", type=float, default=SPEED, help="how many times as fast the clocks run")
    parser.add_argument("--tasks", type=int, default=200, help="of a night")
    parser.add_argument("--times", type=int, default=2, help="how often each kind of night comes")
    parser.add_argument("--pictures", type=Path, help="a folder")
    given = parser.parse_args(arguments)
    releases = given.function or [Release("this release", FUNCTION)]
    nights = play_all([kind for kind in KINDS for _ in range(given.times)], given.tasks, releases, given.speed)
    sys.stdout.write(table(nights))
    for name, played in nights.items() if given.pictures else ():
        file = given.pictures / f"nights-{name.replace(' ', '-')}.svg"
        file.write_text(picture(name, played, given.speed), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
