"""What `failed` prints: a summary by cause, then the tasks; as text, JSON or CSV. No I/O here."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click

from restarter.cli.failed_tasks import FailedTarget
from restarter.cli.output import Column, columns, grouped, number, plain, terminal_width, with_to_do
from restarter.decide.failure_reasons import explain_failure
from restarter.model.outcome import Kind, Reason
from restarter.model.text import known, size_in_words

TABLE = (
    Column("task or group", 0),
    Column("failed since", 2),
    Column("objects", 3),
    Column("notice", 4),
    Column("an event now", 1, is_whole=False),
    Column("name", 5, is_whole=False),
)
# The cells of `--csv`: the members of a line of `--json`, in this order.
MEMBERS = (
    *("project_id", "task_id", "group_id", "failed_tasks", "task_name", "failed_at"),
    *("failure_reason", "failure_class", "failure", "failed_objects", "total_size", "failed_objects_list"),
    *("notice_sent", "notice_error", "notice", "outcome", "reason", "rule", "migrate_failed_object", "retry_after"),
)
NO_CAUSE = "no cause known"
FORMULA = ("=", "+", "-", "@")  # a spreadsheet takes cells that begin with these as formulas


class Cause(NamedTuple):
    """The targets that failed for one reason, and the facts in its line of `--json`, as far as they are known."""

    facts: dict[str, Any]
    rows: list[FailedTarget]


def by_cause(rows: Sequence[FailedTarget]) -> list[Cause]:
    """The rows by cause, the most frequent first. Within a cause, their order is kept."""
    by_name = sorted(rows, key=lambda row: row.facts.get("failure_reason", "~"))
    return [Cause(_summed(*item), item[1]) for item in grouped(by_name, lambda row: row.facts.get("failure_reason"))]


def _summed(failure_reason: str | None, rows: Sequence[FailedTarget]) -> dict[str, Any]:
    explained = explain_failure(failure_reason) if failure_reason else None
    facts = {
        "failure_reason": failure_reason,
        "failure": explained and explained.clause.en,
        "tasks": len(rows),
        "failed_objects": sum(row.facts.get("failed_objects", 0) for row in rows),
        "total_size": sum(row.facts.get("total_size", 0) for row in rows) or None,
        "outcomes": Counter(row.facts["outcome"] for row in rows),
        "to_do": explained and explained.measure.en,
    }
    return known(facts)


def as_text(causes: Sequence[Cause], *, is_long: bool) -> Iterator[str]:
    """The summary, then the tasks of each cause; with `is_long` a block with all facts of each."""
    every = [row.facts for cause in causes for row in cause.rows]
    for cause in causes:
        yield from _wrapped(_summary(cause.facts))
    for why, count in Counter(facts["notice"] for facts in every if "notice" in facts).most_common():
        yield from _wrapped(f"Notices: {why} ({number(count, 'task')}).")
    if is_long:
        for facts in every:
            yield ""
            yield from _block(facts)
        return
    yield ""
    head, *lines = columns(TABLE, [_cells(facts) for facts in every])
    yield head
    for cause in causes:
        yield click.style(cause.facts.get("failure_reason", NO_CAUSE), bold=True)
        yield from lines[: len(cause.rows)]
        lines = lines[len(cause.rows) :]


def _summary(facts: Mapping[str, Any]) -> str:
    """How many tasks a cause has, what an event would do, why they failed, and what a person should do."""
    about = [number(facts["tasks"], "task")]
    about += [number(facts["failed_objects"], "failed object")] if facts["failed_objects"] else []
    about += [f"{size_in_words(facts['total_size'])} in all objects"] if "total_size" in facts else []
    does = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in facts["outcomes"].most_common())
    text = f"{facts.get('failure_reason', NO_CAUSE)}: {', '.join(about)}; an event now: {does}."
    if "failure" not in facts:
        return text
    failure = facts["failure"]
    return f"{text} {with_to_do(failure[:1].upper() + failure[1:], facts['to_do'])}."


def _wrapped(text: str) -> list[str]:
    return click.wrap_text(text, terminal_width(), subsequent_indent="    ").splitlines()


def _block(facts: Mapping[str, Any]) -> Iterator[str]:
    for name in MEMBERS:
        if name in facts:
            yield f"{name.replace('_', ' ')}: {plain(_as_cell(facts[name]))}"


def _cells(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of one row, without control characters."""
    others = len(facts.get("failed_tasks", ())) - 1
    failed_at = facts.get("failed_at", "")
    words = (
        facts.get("group_id") or facts["task_id"],
        f"{failed_at[5:10]} {failed_at[11:16]}Z" if failed_at else "?",
        str(facts.get("failed_objects", "?")),
        _notice(facts),
        _event(facts),
        facts.get("task_name", "?") + (f" and {others} more" if others > 0 else ""),
    )
    return tuple(map(plain, words))


def _notice(facts: Mapping[str, Any]) -> str:
    """Whether OMS sent its notice: a word or, if not, the code, which the summary explains."""
    sent = "sent" if facts.get("notice_sent") else "?"
    return str(facts.get("notice_error") or facts.get("notice", sent).partition(":")[0])


def _event(facts: Mapping[str, Any]) -> str:
    """What an event would do, in the words of receipts, and the size that a start of all objects would handle."""
    size = f" ({size_in_words(facts['total_size'])})" if facts.get("total_size") else ""
    if facts["outcome"] == Kind.WOULD_START:
        return "starts it, failed only" if facts.get("migrate_failed_object") else f"starts it, all objects{size}"
    words = " ".join(filter(None, [facts["outcome"], facts.get("reason")]))
    if facts.get("reason") == Reason.FULL_OVERWRITE:
        return words + size
    return words + (f", {facts['retry_after']} s" if "retry_after" in facts else "")


def as_csv(facts: Sequence[Mapping[str, Any]]) -> str:
    """A table for a spreadsheet, in which no cell is a formula."""
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(MEMBERS)
    table.writerows([_safe(_as_cell(row.get(name, ""))) for name in MEMBERS] for row in facts)
    return written.getvalue().removesuffix("\n")


def _as_cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else str(value)


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else plain(cell)


def question(rows: Sequence[FailedTarget], chosen: int) -> str:
    """The question before a start: how many are started, and why the others are not."""
    others = Counter(_held_back(row) for row in rows if not row.would_start)
    if chosen == len(rows):
        return f"Start {chosen} of {len(rows)}?"
    reasons = ", ".join(f"{count} {one if count == 1 else many}" for (one, many), count in others.most_common())
    return f"Start {chosen} of {len(rows)}? {reasons} (--all starts them, too)"


def _held_back(row: FailedTarget) -> tuple[str, str]:
    """Why an event would not start a row: the words for one, and for several."""
    match row.outcome.kind, row.outcome.reason:
        case _, Reason.PAUSED | Reason.PAUSED_GROUP:
            return "is paused", "are paused"
        case (Kind.DEFERRED | Kind.UNAVAILABLE | Kind.UNCONFIRMED, _) | (_, Reason.OUTSIDE_HOURS):
            return "waits", "wait"
        case Kind.ALREADY_RUNNING | Kind.NOTHING_TO_DO, _:
            return "is running or done", "are running or done"
        case _:
            return "needs a person first", "need a person first"
