"""The report as one self-contained page: the night, totals, causes, who has to do what. No I/O here."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from restarter.cli.night import Night
from restarter.cli.night_picture import draw
from restarter.cli.output import grouped, plain
from restarter.cli.report import Report, TaskReport

MOST_ROWS = 1000
HEAD = Path(__file__).with_suffix(".html").read_text("utf-8").rstrip()


def page(report: Report, night: Night, note: str) -> Iterator[str]:
    """The lines of the document. `note`: what the picture leaves out."""
    yield HEAD
    yield f"<p>{report.read}</p>"
    if night.tasks:
        yield draw([(f"{night.begins:%Y-%m-%d %H:%M} to {night.ends:%Y-%m-%d %H:%M}", night)], note)
    for title, counter in (("Outcomes", report.outcomes), ("Senders", report.senders)):
        yield from _table(title, (title[:-1], "receipts"), counter.most_common(MOST_ROWS))
    tasks = report.tasks()
    yield from _table("Causes", ("cause", "tasks", "starts", "failed for", "need a person"), _causes(tasks))
    told = [task for task in tasks if task.advice]
    rows = [(task.label, task.failure_reason or task.reason or task.outcome, task.advice) for task in told[:MOST_ROWS]]
    yield from _table("Who has to do what", ("task or group", "cause", "to do"), rows)
    if len(told) > MOST_ROWS:
        yield f"<p>Not shown: {len(told) - MOST_ROWS} tasks more; without --html all are listed.</p>"
    if report.tasks_not_kept:
        yield f"<p>{report.not_kept}.</p>"
    yield "</body></html>"


def _causes(tasks: Sequence[TaskReport]) -> list[tuple[str, int, int, str, int]]:
    """A row for each cause, the most frequent first."""
    return [
        (
            cause,
            len(of),
            sum(one.starts for one in of),
            f"{sum(one.stood_s or 0 for one in of):.0f} s",
            sum(one.advice is not None for one in of),
        )
        for cause, of in grouped(tasks, lambda task: task.failure_reason or "no reason given")[:MOST_ROWS]
    ]


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A heading and its table, or "none" if there are no rows."""
    lines = ["".join(f"<td>{escape(plain(str(cell)))}</td>" for cell in row) for row in rows]
    yield f"<h2>{escape(title)}</h2>"
    if not lines:
        yield "<p>none</p>"
        return
    yield f"<table><tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>"
    yield from (f"<tr>{line}</tr>" for line in lines)
    yield "</table>"
