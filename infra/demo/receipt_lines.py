"""A receipt as one line that a person reads. What a caller wrote is shown, and never acted on by the terminal."""

import json
from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

DONE = ("started", "would_start", "swept")
COLOURS = {"INFO": "cyan", "WARNING": "yellow", "ERROR": "bold red"}
NARROW = 80
# Columns, in cells of the terminal: least and most. What a wider terminal has besides goes to them in this order.
TIME, SENDER, OUTCOME, TASK, GAP = 8, (17, 17), (15, 22), (15, 36), 2


def readable(line: str, at: datetime, width: int = NARROW) -> Text:
    """Time, sender, outcome in colour, task and reason of the receipt in `line`, which was read `at`.

    It is at most `width` cells wide, or 80 where that is less. A line that is no receipt is shown as it is.
    """
    receipt = _receipt(line)
    if receipt is None:
        return Text(printable(line.rstrip("\n")), "dim")
    outcome = str(receipt.get("outcome", ""))
    task = receipt.get("task_id") or receipt.get("group_id") or receipt.get("task_name") or "-"
    sender_width, outcome_width, task_width, reason_width = _widths(max(width, NARROW))
    return Text(" " * GAP).join(
        [
            Text(f"{at:%H:%M:%S}", "dim"),
            _column(receipt.get("dialect", "-"), sender_width),
            _column(outcome, outcome_width, _colour(outcome, receipt)),
            _column(task, task_width),
            _column(_reason(receipt, reason_width), reason_width),
        ]
    )


def _reason(receipt: dict[str, Any], width: int) -> str:
    """The reason, and the failure's code where both fit."""
    words = [str(receipt[name]) for name in ("reason", "failure_reason") if receipt.get(name)]
    together = " ".join(words)
    return together if cell_len(printable(together)) <= width or len(words) < 2 else words[0]


def _widths(width: int) -> tuple[int, int, int, int]:
    """The columns after the time; the reason gets the rest."""
    rest = width - TIME - 4 * GAP - sum(least for least, _ in (SENDER, OUTCOME, TASK)) - 17
    widths = []
    for least, most in (SENDER, OUTCOME, TASK):
        more = min(most - least, rest // 2)
        widths.append(least + more)
        rest -= more
    return widths[0], widths[1], widths[2], 17 + rest


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
