"""A night as one self-contained SVG: readable in print, in grey, on dark and on light. No I/O here."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import assert_never

from restarter.cli.night import Mark, Night, Span, State, TaskNight, What
from restarter.cli.output import grouped, plain

WIDTH, LEFT, RIGHT, ROW, HEAD, FOOT = 1180, 160, 20, 21, 34, 30
MOST_ROWS = 40  # of single tasks; more are grouped by the cause of their failure
COLUMNS = 120  # into which a group's row is divided
NO_XML = re.compile("[\ufffe\uffff]")  # the rest of what XML 1.0 excludes are controls
LETTER, SMALL_LETTER = 6.4, 5.9  # their widths at these sizes, on average
MOST_ADVICE = 84  # characters
STEPS = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 720, 1440, 10080)]
# Dark stripes or a light bar: told apart without their colours, too.
STYLE = """
svg { font: 12px system-ui, "DejaVu Sans", sans-serif; --ink: #1a1a1a; --paper: #fff; --faint: #666; --ran: #9fd8bf;
  --failed: #b3261e; --stripe: #d9675f; --person: #ffc83d; background: var(--paper) }
@media (prefers-color-scheme: dark) { svg { --ink: #e8e8e8; --paper: #0d1117; --faint: #9aa0a6; --ran: #2f7d5d;
  --failed: #ff8a80; --stripe: #b8554d; --person: #ffc83d } }
text { fill: var(--ink) } .faint { fill: var(--faint) } .head { font-size: 15px; font-weight: bold }
.numbers { font-size: 14px }
.ran { fill: var(--ran) } .failed { fill: url(#stripes); stroke: var(--failed); stroke-width: .8 }
.cause .failed { stroke: none }
.grid { stroke: var(--faint); stroke-width: .4 } .notice { stroke: var(--ink); stroke-width: 1.4 }
.start, .done { fill: var(--ink) } .refusal { fill: var(--paper); stroke: var(--ink); stroke-width: 1.4 }
.person { fill: var(--person); stroke: #1a1a1a } .bang { fill: #1a1a1a; font-weight: bold }
.advice { font-size: 11px } .box { fill: var(--paper); stroke: var(--ink); stroke-width: .5 }
"""
STRIPES = (
    '<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" style="fill:var(--stripe)"/><rect width="3" height="6" style="fill:var(--failed)"/>'
    "</pattern></defs>"
)
LEGEND = (
    "light bar: the task runs · striped bar: it stands failed · | notice · ▶ restarted by the function · "
    "□ refused · ! a person is needed · ✓ succeeded · times in UTC"
)


def draw(panels: Sequence[tuple[str, Night]], note: str = "") -> str:
    """One SVG document with each night, below its title; `note` follows the legend."""
    parts, top = [], 0.0
    for title, night in panels:
        lines, height = _panel(title, night, top)
        parts += lines
        top += height
    parts += [_text(LEFT, top + 8, LEGEND, "faint"), _text(LEFT, top + 26, note, "faint")]
    size = f'viewBox="0 0 {WIDTH} {top + 36:.0f}" width="{WIDTH}" height="{top + 36:.0f}"'
    spoken = _safe("; ".join(f"{title}: {numbers(night)}" for title, night in panels))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{spoken}</title>'
    return "\n".join([f"{head}<style>{STYLE}</style>{STRIPES}", *parts, "</svg>\n"])


def numbers(night: Night) -> str:
    """The two numbers: for how long tasks stood failed, and how many still do."""
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


class _Scale:
    """Where a moment lies, in units of the picture."""

    def __init__(self, night: Night) -> None:
        self._begins, self._length = night.begins, max(night.ends - night.begins, timedelta(seconds=1))

    def x(self, at: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((at - self._begins) / self._length)


def _panel(title: str, night: Night, top: float) -> tuple[list[str], float]:
    """Its elements and its height."""
    scale = _Scale(night)
    lines = [_text(LEFT, top + 20, title, "head"), _text(WIDTH - RIGHT, top + 20, numbers(night), "numbers", "end")]
    rows = [[task] for task in night.tasks]
    if len(rows) > MOST_ROWS:
        rows = [tasks for _, tasks in grouped(night.tasks, lambda task: task.cause)[:MOST_ROWS]]
    bottom = top + HEAD + ROW * len(rows)
    lines += _hours(night, scale, top + HEAD, bottom)
    for number, tasks in enumerate(rows):
        y = top + HEAD + ROW * number
        lines += _row(tasks[0], scale, y) if len(rows) == len(night.tasks) else _group(tasks, night, scale, y)
    return lines, HEAD + ROW * len(rows) + FOOT


def _hours(night: Night, scale: _Scale, top: float, bottom: float) -> Iterator[str]:
    """A line at each full step of time, and its time."""
    length = night.ends - night.begins
    step = next((one for one in STEPS if length / one <= 14), STEPS[-1])
    midnight = night.begins.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + step * -((midnight - night.begins) // step)
    while at <= night.ends:
        x = scale.x(at)
        yield f'<line class="grid" x1="{x:.1f}" y1="{top:.0f}" x2="{x:.1f}" y2="{bottom:.0f}"/>'
        yield _text(x, bottom + 13, f"{at:%m-%d}" if step.days else f"{at:%H:%M}", "faint", "middle")
        at += step


def _row(task: TaskNight, scale: _Scale, y: float) -> Iterator[str]:
    yield f'<g class="task"><title>{_safe(task.name)}</title>{_text(LEFT - 8, y + 14, _short(task.name), "", "end")}'
    for span in task.spans:
        yield _bar(span, scale, y)
    for mark in task.marks:
        yield _mark(mark, scale.x(mark.at), y)
    if task.state is State.FAILED and task.advice:
        yield _advice(task.advice, scale.x(task.marks[-1].at) + 12, y)
    yield "</g>"


def _bar(span: Span, scale: _Scale, y: float) -> str:
    left, right = scale.x(span.begins), scale.x(span.ends)
    times = f"{span.state} {span.begins:%H:%M:%S} to {span.ends:%H:%M:%S}"
    box = f'x="{left:.1f}" y="{y + 3:.1f}" width="{max(right - left, 1):.1f}" height="15"'
    return f'<rect class="{span.state}" {box}><title>{times}</title></rect>'


def _mark(mark: Mark, x: float, y: float) -> str:
    match mark.what:
        case What.NOTICE:
            shape = f'<path class="notice" d="M{x:.1f},{y + 1:.1f} v19"/>'
        case What.START:
            shape = f'<path class="start" d="M{x:.1f},{y + 5:.1f} l9,5.5 l-9,5.5 z"/>'
        case What.REFUSAL:
            shape = f'<rect class="refusal" x="{x:.1f}" y="{y + 6:.1f}" width="9" height="9"/>'
        case What.PERSON:
            shape = f'<circle class="person" cx="{x:.1f}" cy="{y + 10.5:.1f}" r="8"/>'
            shape += _text(x, y + 15, "!", "bang", "middle")
        case What.DONE:
            shape = _text(x + 3, y + 15, "✓", "done")
        case _:  # pragma: no cover
            assert_never(mark.what)
    return f'<g class="mark">{shape}<title>{mark.at:%H:%M:%S} {_safe(mark.text)}</title></g>'


def _advice(text: str, x: float, y: float) -> str:
    """What to do, beside its mark; where there is no room, on its left."""
    fits = int((WIDTH - RIGHT - x - 8) / SMALL_LETTER)
    if fits >= MOST_ADVICE // 2:
        return _boxed(_cut(text, min(fits, MOST_ADVICE)), x, y)
    text = _cut(text, min(int((x - 32 - LEFT) / SMALL_LETTER), MOST_ADVICE))
    return _boxed(text, x - 32 - SMALL_LETTER * len(text), y)


def _boxed(text: str, x: float, y: float) -> str:
    box = f'x="{x:.1f}" y="{y + 3.5:.1f}" width="{SMALL_LETTER * len(text) + 8:.1f}" height="14" rx="2"'
    return f'<rect class="box" {box}/>' + _text(x + 4, y + 14.5, text, "advice")


def _group(tasks: Sequence[TaskNight], night: Night, scale: _Scale, y: float) -> Iterator[str]:
    """The share of a cause's tasks that stand failed, column by column, and how many were started or need a person."""
    starts = sum(mark.what is What.START for task in tasks for mark in task.marks)
    told = [task.advice for task in tasks if task.advice]
    words = f"{tasks[0].cause}: {len(tasks)} tasks"
    yield f'<g class="cause"><title>{_safe(words)}</title>{_text(LEFT - 8, y + 14, _short(words), "", "end")}'
    step = (night.ends - night.begins) / COLUMNS
    for number in range(COLUMNS):
        middle = night.begins + step * (number + 0.5)
        left, width = scale.x(middle - step / 2), (WIDTH - LEFT - RIGHT) / COLUMNS
        failed, ran = (_share(tasks, middle, state) for state in (State.FAILED, State.RAN))
        for state, share, bottom in ((State.FAILED, failed, 18.0), (State.RAN, ran, 18 - 15 * failed)):
            if share:
                box = f'x="{left:.1f}" y="{y + bottom - 15 * share:.1f}" width="{width:.1f}" height="{15 * share:.1f}"'
                yield f'<rect class="{state}" shape-rendering="crispEdges" {box}/>'
    note = f"▶ {starts}" + (f" · ! {len(told)}: {told[0]}" if told else "")
    yield _boxed(_cut(note, MOST_ADVICE), LEFT + 6, y) + "</g>"


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
    """Text that is text, whatever it holds."""
    return escape(NO_XML.sub("?", plain(text)))


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{_safe(text)}</text>'
