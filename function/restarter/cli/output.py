"""What the operator's command prints: findings, columns that fit, and a message if the command is interrupted."""

import json
import os
import shutil
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeVar

import click

T = TypeVar("T")
K = TypeVar("K")
NOT_PRINTED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # controls, bidirectional overrides, separators
INTERRUPTED = 130
GAP = "  "
MIN_WIDTH = 12  # of a column that is cut


def plain(text: str) -> str:
    """The text with each character that could control a terminal replaced by `?`."""
    return "".join("?" if unicodedata.category(character) in NOT_PRINTED else character for character in text)


def number(count: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def grouped(items: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Each key with its items, the most frequent first."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return sorted(found.items(), key=lambda pair: -len(pair[1]))


def with_to_do(text: str, to_do: str | None) -> str:
    """A sentence, given without its full stop, followed by what a person should do."""
    end = "" if text.endswith("?") else "."
    return f"{text}{end} To do: {to_do}" if to_do else text


class Finding(NamedTuple):
    """What was checked, whether it is well, and what to do if it is not."""

    check: str
    found: str
    ok: bool = True
    to_do: str | None = None

    def as_line(self) -> str:
        """One line, with the verdict in colour."""
        verdict = click.style("ok    ", fg="green") if self.ok else click.style("FAILED", fg="red")
        return f"{verdict} {plain(self.check)}: {plain(with_to_do(self.found, self.to_do))}"

    def as_json(self) -> str:
        """The same facts as one object."""
        facts = {"kind": "check", "check": self.check, "ok": self.ok, "found": self.found, "to_do": self.to_do}
        return json.dumps({name: value for name, value in facts.items() if value is not None})


def judged(check: str, found: str, to_do: str, *, ok: bool) -> Finding:
    """A finding that says what to do only if something is not well."""
    return Finding(check, found, ok, None if ok else to_do)


class Column(NamedTuple):
    """A column of a table. `is_whole`: never cut. `rank`: if space is short, the highest rank is left out first."""

    head: str
    rank: int
    is_whole: bool = True


def columns(table: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """The head and each row as one line that fits the terminal. `width`: of the terminal, in cells."""
    left = terminal_width() if width is None else width
    widths: dict[int, int] = {}
    for index in sorted(range(len(table)), key=lambda index: table[index].rank):
        needed = max(cells(text) for text in (table[index].head, *(row[index] for row in rows)))
        if needed > left and (table[index].is_whole or left < MIN_WIDTH):
            continue
        widths[index] = min(needed, left)
        left -= widths[index] + len(GAP)
    for row in ([column.head for column in table], *rows):
        yield GAP.join(_fitted(row[index], widths[index]) for index in sorted(widths)).rstrip()


def terminal_width() -> int:
    """The width of the terminal, or what COLUMNS says; 80 if there is neither."""
    return shutil.get_terminal_size((80, 24)).columns


def cells(text: str) -> int:
    """How many cells of a terminal a text takes: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _fitted(text: str, width: int) -> str:
    """The text in exactly `width` cells: padded, or cut with an ellipsis."""
    if cells(text) > width:
        while cells(text) >= width:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cells(text))


@contextmanager
def interruptible(done_so_far: Callable[[], str] = lambda: "Interrupted.") -> Iterator[None]:
    """A block in which Ctrl-C prints what was done, and ends the process at once with status 130.

    The handler itself ends the process, because some waits cannot be cancelled, for example for a host's address.
    """

    def end(_signal: int, _frame: object) -> None:
        with suppress(RuntimeError, OSError):  # Ctrl-C may interrupt another write
            sys.stdout.flush()
        restored = "\x1b[?25h" if sys.stderr.isatty() else ""  # the cursor, which a progress bar hides
        os.write(2, f"{restored}\n{done_so_far()}\n".encode())
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
