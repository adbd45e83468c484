"""Every pattern of the function that meets input needs time in proportion to the input's length, whatever that is.

Those that pydantic checks are linear by their engine (Rust's regex, without backtracking).
"""

import ast
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from restarter.dialects.faults import shown
from restarter.dialects.payload import refuse_secrets
from restarter.dialects.smn import task_names

pytestmark = pytest.mark.usefixtures("unmeasured")
FUNCTION = Path(__file__).parents[2] / "function"
CALLS = {f"re.{name}" for name in ("compile", "fullmatch", "match", "search", "sub", "finditer", "findall", "split")}
SIZE = 32 * 1024  # a sixteenth of the longest body
SHORT = 50
# A linear pattern takes some 2 ms, also on a slow machine less than this; a quadratic one takes seconds.
LIMIT_S = 0.025
# What is repeated, and the sign after it that makes a match fail late.
BEGINNINGS = [
    "",
    "-12345678901234567_",
    '"traceparent"',
    "https://",
    "urn:smn:a:b:",
    "2126-11-24T00:00:00.",
    '"',
    "00-",
]
UNITS = [
    "a",
    "A",
    "1",
    "-",
    "_",
    ".",
    " ",
    "\\",
    "a-",
    "a1",
    "Aa",
    "1.",
    "a.",
    "\\a",
    "\r\n",
    "-12345678901234567_1",
    "é",
]
ENDS = ["!", "\x00", "\n", '"']


class Pattern(NamedTuple):
    """A pattern; what is filled in when it is used counts as a word. Some are only ever compared with a whole text."""

    text: str | bytes
    searches: bool


def patterns() -> Iterator[tuple[str, Pattern]]:
    """Where each pattern stands, and the pattern."""
    for file in sorted(FUNCTION.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
        whole = {node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr == "fullmatch"}
        # A setting's pattern is compared with the whole value, too.
        whole |= {node.args[0] for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "_matches"}
        for node in nodes:
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in CALLS or not node.args:
                continue
            searches = ast.unparse(node.func) != "re.fullmatch" and node not in whole
            yield f"{file.relative_to(FUNCTION)}:{node.lineno}", Pattern(literal(node.args[0]), searches)


def literal(node: ast.expr) -> str | bytes:
    """The text of a string in the source."""
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, str | bytes)
        return node.value
    assert isinstance(node, ast.JoinedStr), ast.dump(node)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "word" for part in node.values)


PATTERNS = dict(patterns())


def near_misses() -> Iterator[str]:
    """Short ones first: a bad pattern is slow with them already, and would not come back from the long ones."""
    for size in (SHORT, SIZE):
        for beginning, unit in product(BEGINNINGS, UNITS):
            text = beginning + unit * (size // len(unit))
            yield from (text + end for end in ENDS[: 1 if beginning else None])


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds, so that a busy machine does not count; the better of two."""
    found = []
    for _ in range(2):
        begun = time.thread_time()
        work()
        found.append(time.thread_time() - begun)
        if found[-1] < LIMIT_S:
            break
    return min(found)


def test_the_patterns_are_found() -> None:
    assert len(PATTERNS) >= 15
    assert {"restarter/dialects", "restarter/settings"} <= {place.rpartition("/")[0] for place in PATTERNS}


@pytest.mark.parametrize("place", PATTERNS)
def test_a_pattern_gives_up_on_a_long_near_miss_in_time(place: str) -> None:
    pattern = PATTERNS[place]
    compiled = re.compile(pattern.text)
    for text in near_misses():
        subject: Any = text if isinstance(pattern.text, str) else text.encode()
        assert seconds(partial(compiled.fullmatch, subject)) < LIMIT_S, (text[:40], text[-1])
        assert not pattern.searches or seconds(partial(compiled.search, subject)) < LIMIT_S, (text[:40], text[-1])


@pytest.mark.parametrize("work", [shown, task_names, lambda text: refuse_secrets({text: [text]})])
def test_what_reads_names_and_texts_is_done_with_a_long_near_miss_in_time(work: Callable[[str], object]) -> None:
    assert [text[:40] for text in near_misses() if seconds(partial(work, text)) > LIMIT_S] == []


def test_a_pattern_that_takes_exponential_time_would_be_seen() -> None:
    """The limit can be missed: this is the pattern that hung, over a name short enough to end."""
    bad = re.compile(r"[A-Za-z]+([_-]?[A-Za-z]+){0,5}")
    assert seconds(lambda: bad.fullmatch("a" * SHORT + "!")) > LIMIT_S


@pytest.mark.parametrize(
    ("name", "repeated"),
    [
        ("task_id", True),
        ("source-cdn-authentication-key", True),
        ("srcAk", True),
        ("a_b_c_d_e_f", True),
        ("a_b_c_d_e_f_g", False),
        ("a" * 40, True),
        ("a" * 41, False),
        ("a__b", False),
        ("_a", False),
        ("a_", False),
        ("AK1", False),
        ("", False),
    ],
)
def test_only_a_name_that_looks_like_a_fields_is_repeated(name: str, repeated: bool) -> None:  # noqa: FBT001
    assert shown(name) == (name if repeated else "a field")
