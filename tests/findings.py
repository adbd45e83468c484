"""What a check of `make check` finds in the repository's texts, and the places where it is allowed with a reason."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Folders of tools, and locks: their words are nobody's, and their digits are versions and hashes.
PASSED_OVER = (
    "*/node_modules/*",
    "*/__pycache__/*",
    "*/.terraform/*",
    "*/requirements*.txt",
    "*/package-lock.json",
    "*.pyc",
)


@dataclass(frozen=True)
class Allowed:
    """Texts in which something may stand that is a fault elsewhere: the files, the text, and why it is right there."""

    files: str
    text: str
    reason: str


Found = tuple[int, int, str]
"""Where in a text a fault begins and ends, and what to say of it."""


def texts(folders: Iterable[Path], root: Path) -> Iterator[tuple[str, str]]:
    """The name below `root` and the text of every file in these folders; a folder may be a file."""
    for folder in folders:
        for path in sorted([folder, *folder.rglob("*")]):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not any(fnmatch(f"/{name}", pattern) for pattern in PASSED_OVER):
                yield name, path.read_text("utf-8", errors="replace")


def faults(
    named: Iterable[tuple[str, str]], find: Callable[[str, str], Iterable[Found]], allowed: tuple[Allowed, ...]
) -> list[str]:
    """Each finding that no row allows, with its file and line, then each row that allows nothing."""
    found, used = [], set()
    for name, text in named:
        rows = [row for row in allowed if fnmatch(name, row.files)]
        spans = [(row, match.span()) for row in rows for match in re.finditer(row.text, text)]
        for start, end, what in find(name, text):
            covering = [row for row, (first, last) in spans if first <= start and end <= last]
            used.update(covering)
            if not covering:
                line = text.count("\n", 0, start) + 1
                found.append(f"{name}:{line}: {what}")
    return found + [f"ALLOWED: nothing is allowed by {row.files} {row.text}" for row in allowed if row not in used]


def report(found: list[str], advice: str) -> int:
    """Print the faults and what to do about them. Returns the exit status: 1 where there is one."""
    if found:
        sys.stderr.write("\n".join([*found, advice, ""]))
    return 1 if found else 0
