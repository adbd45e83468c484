"""A night as one self-contained SVG: readable in print, in grey, on dark and on light. No I/O here."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from restarter.cli.night import Mark, Night, State, TaskNight, What
from restarter.cli.output import grouped, plain

WIDTH, LEFT, RIGHT, ROW, HEAD, FOOT = 1180, 160, 20, 21, 34, 30
SPAN = WIDTH - LEFT - RIGHT
BAR = (3, 15)  # upper edge and height in its row
MOST_ROWS = 40  # of single tasks; if there are more, they are grouped by the cause of their failure
COLUMNS = 120  # into which a group's row is divided
NO_XML = re.compile("[\ufffe\uffff]")  # all else that XML 1.0 excludes is control characters
LETTER, SMALL_LETTER = 6.4, 5.9  # their widths at these sizes, on average
MOST_ADVICE = 84  # characters
STEPS = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 720, 1440, 10080)]
STYLE = Path(__file__).with_suffix(".css").read_text("utf-8")
STRIPES = (
    '<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" style="fill:var(--stripe)"/><rect width="3" height="6" style="fill:var(--failed)"/>'
    "</pattern></defs>"
)
LEGEND = (
    "light bar: the task runs · striped bar: it stands failed · | notice · ▶ restarted by the function · "
    "□ refused · ! a person is needed · ✓ succeeded · times in UTC"
)
# Each mark, drawn from the upper left corner of its moment in its row.
SHAPES = {
    What.NOTICE: '<path class="notice" d="M0,1 v19"/>',
    What.START: '<path class="start" d="M0,5 l9,5.5 l-9,5.5 z"/>',
    What.REFUSAL: '<rect class="refusal" y="6" width="9" height="9"/>',
    What.PERSON: '<circle class="person" cy="10.5" r="8"/><text class="bang" y="15" text-anchor="middle">!</text>',
    What.DONE: '<text class="done" x="3" y="15">✓</text>',
}


def draw(panels: Sequence[tuple[str, Night]], note: str = "") -> str:
    """One SVG document with each night, below its title; `note` follows the legend."""
    parts, top = [], 0
    for title, night in panels:
        lines, height = _panel(title, night, top)
        parts += lines
        top += height
    parts += [_text(LEFT, top + 8, LEGEND, "faint"), _text(LEFT, top + 26, note, "faint")]
    size = f'viewBox="0 0 {WIDTH} {top + 36}" width="{WIDTH}" height="{top + 36}"'
    spoken = _safe("; ".join(f"{title}: {numbers(night)}" for title, night in panels))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{spoken}</title>'
    return "\n".join([f"{head}<style>\n{STYLE}</style>{STRIPES}", *parts, "</svg>\n"])


def numbers(night: Night) -> str:
    """The two numbers: how long tasks were failed, and how many still are."""
    count, standing = len(night.tasks), len(night.standing)
    told = sum(task.advice is not None for task in night.standing)
    words = [f"{_duration(night.stood)} lost"]
    words += [f"{count - standing} of {count} run or are done"] if standing < count or not count else []
    words += [f"{standing - told} of {count} stand failed at the end"] if standing > told else []
    words += [f"{told} wait for a person, with advice"] if told else []
    return " · ".join(words)


def _duration(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds < 120:
        return "1 second" if round(seconds) == 1 else f"{seconds:.0f} seconds"
    hours = seconds / 3600
    return f"{seconds / 60:.0f} minutes" if hours < 2 else f"{hours:.1f} hours" if hours < 20 else f"{hours:.0f} hours"


def _x(night: Night, at: datetime) -> float:
    """The position of a moment, in units of the picture."""
    return LEFT + SPAN * night.share(at)


def _panel(title: str, night: Night, top: int) -> tuple[list[str], int]:
    """The elements of a night's panel, and its height."""
    lines = [_text(LEFT, top + 20, title, "head"), _text(WIDTH - RIGHT, top + 20, numbers(night), "numbers", "end")]
    rows = [list(_row(task, night)) for task in night.tasks]
    if len(rows) > MOST_ROWS:
        causes = grouped(night.tasks, lambda task: task.cause)[:MOST_ROWS]
        rows = [list(_cause(cause, tasks, night)) for cause, tasks in causes]
    lines += _hours(night, top + HEAD, top + HEAD + ROW * len(rows))
    for number, (kind, name, *row) in enumerate(rows):
        label = f"<title>{_safe(name)}</title>{_text(LEFT - 8, 14, _short(name), '', 'end')}"
        place = f'class="{kind}" transform="translate(0,{top + HEAD + ROW * number})"'
        lines += [f"<g {place}>{label}", *row, "</g>"]
    return lines, HEAD + ROW * len(rows) + FOOT


def _hours(night: Night, top: int, bottom: int) -> Iterator[str]:
    """A line at each full step of time, and its label."""
    length = night.ends - night.begins
    step = next((one for one in STEPS if length / one <= 14), STEPS[-1])
    midnight = night.begins.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + step * -((midnight - night.begins) // step)
    while at <= night.ends:
        x = _x(night, at)
        yield f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>'
        yield _text(x, bottom + 13, f"{at:%m-%d}" if step.days else f"{at:%H:%M}", "faint", "middle")
        at += step


def _row(task: TaskNight, night: Night) -> Iterator[str]:
    """Class and name of a task's row, then its elements."""
    yield from ("task", task.name)
    for span in task.spans:
        left, right = _x(night, span.begins), _x(night, span.ends)
        times = f"{span.state} {span.begins:%H:%M:%S} to {span.ends:%H:%M:%S}"
        yield _box(span.state, left, max(right - left, 1), BAR, f"<title>{times}</title>")
    for mark in task.marks:
        yield _mark(mark, _x(night, mark.at))
    if task.state is State.FAILED and task.advice:
        yield _advice(task.advice, _x(night, task.marks[-1].at) + 12)


def _mark(mark: Mark, x: float) -> str:
    title = f"<title>{mark.at:%H:%M:%S} {_safe(mark.text)}</title>"
    return f'<g class="mark" transform="translate({x:.1f},0)">{SHAPES[mark.what]}{title}</g>'


def _advice(text: str, x: float) -> str:
    """What to do, on the right of its mark or, if there is no room, on the left."""
    fits = int((WIDTH - RIGHT - x - 8) / SMALL_LETTER)
    if fits >= MOST_ADVICE // 2:
        return _boxed(_cut(text, min(fits, MOST_ADVICE)), x)
    text = _cut(text, min(int((x - 32 - LEFT) / SMALL_LETTER), MOST_ADVICE))
    return _boxed(text, x - 32 - SMALL_LETTER * len(text))


def _boxed(text: str, x: float) -> str:
    return _box("box", x, SMALL_LETTER * len(text) + 8, (3.5, 14)) + _text(x + 4, 14.5, text, "advice")


def _cause(cause: str, tasks: Sequence[TaskNight], night: Night) -> Iterator[str]:
    """Class and name of a cause's row, then the shares of its tasks that are failed and that run, column by column."""
    yield from ("cause", f"{cause}: {len(tasks)} tasks")
    step = (night.ends - night.begins) / COLUMNS
    for number in range(COLUMNS):
        middle = night.begins + step * (number + 0.5)
        bottom = 18.0
        for state in (State.FAILED, State.RAN):
            height = 15 * _share(tasks, middle, state)
            bottom -= height
            if height:
                yield _box(state, LEFT + number * SPAN / COLUMNS, SPAN / COLUMNS, (bottom, height))
    starts = sum(mark.what is What.START for task in tasks for mark in task.marks)
    told = [task.advice for task in tasks if task.advice]
    note = f"▶ {starts}" + (f" · ! {len(told)}: {told[0]}" if told else "")
    yield _boxed(_cut(note, MOST_ADVICE), LEFT + 6)


def _share(tasks: Sequence[TaskNight], at: datetime, state: State) -> float:
    found = sum(any(span.state is state and span.begins <= at < span.ends for span in task.spans) for task in tasks)
    return found / len(tasks)


def _short(name: str) -> str:
    """A name that fits beside its row: its beginning and its end."""
    most = int((LEFT - 12) / LETTER)
    return name if len(name) <= most else f"{name[: most - 9]}…{name[-8:]}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _safe(text: str) -> str:
    """Any text, escaped for XML."""
    return escape(NO_XML.sub("?", plain(text)))


def _box(kind: str, x: float, width: float, rows: tuple[float, float], inside: str = "") -> str:
    """A rectangle. `rows`: its upper edge and its height."""
    y, height = rows
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">{inside}</rect>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{_safe(text)}</text>'
