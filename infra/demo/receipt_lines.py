"""A receipt as one line that a person reads. What a caller wrote is shown, and never acted on by the terminal."""

import json
from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

DONE = ("started", "would_start", "swept")
COLOURS = {"INFO": "cyan", "WARNING": "yellow", "ERROR": "bold red"}
# Columns, in cells of the terminal.
DIALECT, OUTCOME, TASK, REASON, MILLISECONDS = 17, 22, 20, 44, 6


def readable(line: str, at: datetime) -> Text:
    """Time, dialect, outcome in colour, task, reason and milliseconds of the receipt in `line`, which was read `at`.

    A line that is no receipt is shown as it is.
    """
    receipt = _receipt(line)
    if receipt is None:
        return Text(printable(line.rstrip("\n")), "dim")
    outcome = str(receipt.get("outcome", ""))
    task = receipt.get("task_id") or receipt.get("group_id") or receipt.get("task_name") or "-"
    return Text("  ").join(
        [
            Text(f"{at:%H:%M:%S}", "dim"),
            _column(receipt.get("dialect", "-"), DIALECT),
            _column(outcome, OUTCOME, _colour(outcome, receipt)),
            _column(task, TASK),
            _column(receipt.get("reason", ""), REASON),
            Text(f"{printable(str(receipt.get('duration_ms', '-'))):>{MILLISECONDS}} ms", "dim"),
        ]
    )


def printable(text: str) -> str:
    """The text with its control and formatting characters written as backslash escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def printable_json(line: str) -> str:
    """The same JSON, with the characters that a terminal acts on as escapes of JSON; they occur in strings alone."""
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1] for character in line
    )


def _receipt(line: str) -> dict[str, Any] | None:
    try:
        receipt = json.loads(line)
    except ValueError:
        return None
    return receipt if isinstance(receipt, dict) else None


def _column(value: object, width: int, style: str = "") -> Text:
    """Exactly so many cells wide. A Text does not read markup: square brackets stay square brackets."""
    text = printable(str(value))
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + "…"
    return Text(set_cell_size(text, width), style)


def _colour(outcome: str, receipt: dict[str, Any]) -> str:
    return "bold green" if outcome in DONE else COLOURS.get(str(receipt.get("severity")), "")
