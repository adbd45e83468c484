"""The check of `make check` for words that have a better term, and for the shape of the function's code."""

from pathlib import Path

import pytest

import house
from findings import Allowed

WORDS = [
    "# the door of the function",
    "def test_a_way_in_is_needed() -> None: ...",
    "Tell what became of it.",
    "answers whatever comes",
    "an upstream's silence",
    "That says nothing of the key.",
    '"""An event is news."""',
    "it was dealt with\n    elsewhere",
    "a key that a gateway refused is left alone",
    "parted by commas",
    "It does not spoil others.",
    "let_go = True",
    "# it stood\n# still",
    "It was Turned Away.",
    "the caller is not proved",
    "by the clock of the wall",
    "while it is on its way",
    "refused, for it may echo",
]
MODULES = {
    "x = 1\n": "the module has no docstring",
    '"""A."""\n\n\nclass Visit:\n    pass\n': "the name Visit was given up",
    '"""A."""\n\n\nasync def f():\n' + "    pass\n" * 30: "f has 31 lines, over 30",
    '"""A."""\nx = Outcome(kind, reason="paused")\n': "a bare reason, 'paused': use a member of Reason",
    '"""A."""\nx = x._replace(reason=y if z else "paused")\n': "a bare reason, 'paused': use a member of Reason",
    '"""A."""\nx = y.reason in ("paused", z)\n': "a bare reason, 'paused': use a member of Reason",
    '"""A."""\nx = Reason("paused")\n': "a bare reason, 'paused': use a member of Reason",
}
PLAIN = [
    "content_too_large, a proof, kept for a day, started at most once, a doorman, the ways in which it fails",
    "for row, under_way in rows: tasks of another prefix are left alone; in a newspaper",
]
FINE = (
    '''"""Start a task. No I/O here."""


def f(reason: Reason, word: str, cells: dict[str, str]) -> Outcome:
'''
    + "    pass\n" * 28
    + '    return Outcome(reason=reason if reason is Reason.PAUSED else Reason(cells["reason"]), name="paused")\n'
)


def faults(root: Path, name: str, text: str, *allowed: Allowed) -> list[str]:
    """What the check says of a repository with this one file."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return house.faults(root, allowed)


@pytest.mark.parametrize("text", WORDS)
def test_a_word_with_a_better_term_is_named_with_its_place(text: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "events/README.md", f"\n\n{text}\n")
    assert fault.startswith("events/README.md:3: «")
    assert ": say " in fault


@pytest.mark.parametrize("text", PLAIN)
def test_plain_words_are_not_found(text: str, tmp_path: Path) -> None:
    assert faults(tmp_path, "tests/test_it.py", text) == []


@pytest.mark.parametrize(("text", "fault"), MODULES.items(), ids=MODULES.values())
def test_a_fault_in_a_module_of_the_function_is_named(text: str, fault: str, tmp_path: Path) -> None:
    (found,) = faults(tmp_path, "function/restarter/decide/it.py", text)
    assert found.endswith(f": {fault}")
    assert faults(tmp_path / "another", "tests/it.py", text) == []


def test_a_sound_module_has_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, "function/main.py", FINE) == []


def test_only_what_a_row_covers_is_allowed_and_a_row_must_allow_something(tmp_path: Path) -> None:
    row = Allowed("infra/*.md", "Front Door", "a product of Azure")
    text = "Azure Front Door\nthe back door\n"
    assert faults(tmp_path, "infra/README.md", text, row) == ["infra/README.md:2: «door»: say entry point"]
    unused = Allowed("tests/*", row.text, row.reason)
    assert "ALLOWED: nothing is allowed by tests/* Front Door" in faults(tmp_path, "infra/README.md", text, unused)


def test_packages_of_node_and_files_of_programs_are_not_read(tmp_path: Path) -> None:
    assert faults(tmp_path, "tests/e2e/node/node_modules/it/README.md", "the door") == []
    assert faults(tmp_path, "tests/samples/it.json", "the door") == []
