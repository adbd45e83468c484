"""What nights come to: from the runs that the simulator tells, and the function's receipts. No I/O here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

from night_kinds import HOURS, LASTS, Kind, hour_of

TEBIBYTE = 2**40
RUNNING, FAILED, SUCCEEDED = 2, 4, 5
Run = Mapping[str, Any]


@dataclass(frozen=True)
class Figures:
    """Of one night, or of several."""

    starts: int = 0
    vain: int = 0
    """Starts whose runs moved nothing and failed."""
    done: int = 0
    """Tasks that had succeeded by the morning."""
    messages: int = 0
    """Receipts at ERROR."""
    stood_h: float = 0.0
    """For how many hours tasks stood failed, all together."""
    outside: int = 0
    """Starts outside the hours, where there are any."""
    again: float = 0.0
    """Tebibytes that were copied although they had been."""

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


class Played(NamedTuple):
    """A night with one function: `runs` of its tasks, with times in hours after 20:00, and its receipts."""

    kind: Kind
    runs: Sequence[Run]
    receipts: Sequence[Mapping[str, Any]]

    def figures(self) -> Figures:
        """What it comes to."""
        started = [run for run in self.runs if run["start"] > 0]
        ended = [run for run in started if run["ended"] is not None]
        return Figures(
            starts=len(started),
            vain=sum(run["status"] == FAILED and not run["moved"] for run in ended),
            done=len(done_at(self.runs)),
            messages=sum(receipt["severity"] == "ERROR" for receipt in self.receipts),
            stood_h=sum(map(stood, by_task(self.runs).values())),
            outside=sum(not HOURS[0] <= run["began"] < HOURS[1] for run in started) if self.kind.has_hours else 0,
            again=sum(run["again_size"] for run in started) / TEBIBYTE,
        )


def within(runs: Iterable[Run]) -> list[Run]:
    """The runs of a night, from times in seconds since 1970; what is later than the night's end has not happened."""
    found: list[Run] = []
    for run in runs:
        began = hour_of(run["began"])
        ended = None if run["ended"] is None or hour_of(run["ended"]) > LASTS else hour_of(run["ended"])
        if began < LASTS:
            found.append({**run, "began": began, "ended": ended, "status": RUNNING if ended is None else run["status"]})
    return found


def done_at(runs: Iterable[Run]) -> dict[int, float]:
    """The hour at which tasks succeeded."""
    return {run["task_id"]: run["ended"] for run in runs if run["status"] == SUCCEEDED}


def by_task(runs: Iterable[Run]) -> dict[int, list[Run]]:
    """The runs of each task in their order."""
    found: dict[int, list[Run]] = {}
    for run in sorted(runs, key=lambda run: float(run["began"])):
        found.setdefault(run["task_id"], []).append(run)
    return found


def stood(runs: Sequence[Run]) -> float:
    """For how many hours a task stood failed between its runs, and after them."""
    begins = [run["began"] for run in runs[1:]] + [LASTS]
    pairs = zip(runs, begins, strict=True)
    return sum(float(begin - run["ended"]) for run, begin in pairs if run["status"] == FAILED)


HEAD = (
    "nights",
    "function",
    "starts",
    "in vain",
    "done in the morning",
    "messages",
    "hours that tasks stood failed",
    "starts outside the hours",
    "TiB copied again",
)


def table(nights: Mapping[str, Sequence[Played]]) -> str:
    """A table in Markdown: of each kind of night a row for each function, and in total."""
    names = list(dict.fromkeys(played.kind.name for one in nights.values() for played in one))
    lines = [_line(HEAD), _line(["---", "---", *["--:"] * (len(HEAD) - 2)])]
    for kind in [*names, None]:
        for name, played in nights.items():
            of_kind = [one for one in played if kind in (one.kind.name, None)]
            total = sum((one.figures() for one in of_kind), Figures())
            tasks = sum(len(by_task(one.runs)) for one in of_kind)
            lines.append(_line([f"{len(of_kind)} x {kind or 'all'}", name, *_cells(total, tasks)]))
    return "\n".join(lines) + "\n"


def _cells(figures: Figures, tasks: int) -> list[str]:
    counts = [f"{figures.starts:,}", f"{figures.vain:,}", f"{figures.done:,} of {tasks:,}", f"{figures.messages:,}"]
    return [*counts, f"{figures.stood_h:,.0f}", f"{figures.outside:,}", f"{figures.again:,.1f}"]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
