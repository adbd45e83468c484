"""Rows of text as a table: by rich on a terminal where it is installed, else in plain aligned columns."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from restarter.cli.terminal import plain

COLUMNS = ("task or group", "name", "failed since", "why it failed", "objects", "notice", "an event now")
RATIOS = (5, None, 3, None, None, 4)
"""How columns share a terminal, where the name stands below the task; None is as wide as it has to be."""
NOTICE = {True: "sent", False: "not sent", None: "?"}
GAP = "  "


def cells(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of one row of `failed`, without control characters."""
    why = f"{facts['failure_reason']} ({facts['failure_class']}): {facts['failure']}" if "failure" in facts else "?"
    others = len(facts.get("failed_tasks", ())) - 1
    words = (
        f"group {facts['group_id']}" if "group_id" in facts else facts["task_id"],
        facts.get("task_name", "?") + (f" and {others} more" if others > 0 else ""),
        _since(facts.get("failed_at", "")),
        why,
        str(facts.get("failed_objects", "?")),
        NOTICE[facts.get("notice_sent")],
        event_in_words(facts),
    )
    return tuple(map(plain, words))


def _since(failed_at: str) -> str:
    """Date and minute, UTC."""
    return f"{failed_at[:10]} {failed_at[11:16]}Z" if failed_at else "?"


def event_in_words(facts: Mapping[str, Any]) -> str:
    """What an event would do, and why."""
    if facts["outcome"] == "would_start":
        return "starts it, failed objects only" if facts.get("migrate_failed_object") else "starts it, all objects"
    words = " ".join(filter(None, [facts["outcome"], facts.get("reason")]))
    words += f", again in {facts['retry_after']} s" if "retry_after" in facts else ""
    return words + (f": {facts['rule']}" if "rule" in facts else "")


def show(rows: Sequence[tuple[str, ...]]) -> None:
    """Print the rows below their head: as wide as the terminal by rich, or as wide as their text in plain columns."""
    if sys.stdout.isatty() and _show_by_rich(rows):
        return
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows):
        click.echo(GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _show_by_rich(rows: Sequence[tuple[str, ...]]) -> bool:
    """Whether rich is installed, and printed the rows. Cells are Text: they may look like rich's markup."""
    try:
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415  # an extra of the operator's machine
        from rich.console import Console  # noqa: PLC0415  # the same
        from rich.table import Table  # noqa: PLC0415  # the same
        from rich.text import Text  # noqa: PLC0415  # the same
    except ImportError:
        return False
    table = Table(box=SIMPLE_HEAD, expand=True, leading=1)
    for column, ratio in zip((COLUMNS[0], *COLUMNS[2:]), RATIOS, strict=True):
        table.add_column(column, ratio=ratio)
    for task, name, *others in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in (f"{task}\n{name}", *others)))
    Console().print(table)
    return True
