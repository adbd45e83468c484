"""The shape of the house: small functions, a promise in each module, one I/O module, and doors that nobody imports."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("unmeasured")
HOUSE = Path(__file__).parents[2] / "function"
# What sends calls; everything else describes them and reads their answers.
TRANSPORT = ("transport.py", "pool.py", "stream.py")
SOURCES = sorted(HOUSE.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_no_function_is_over_30_lines_and_every_module_says_what_it_is(source: Path) -> None:
    tree = ast.parse(source.read_text())
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 30, node.name


def imported(source: Path) -> set[str]:
    """Top-level names of what a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("source", sorted((HOUSE / "restarter").rglob("*.py")), ids=lambda path: path.name)
def test_only_the_doors_know_a_framework_and_only_the_transport_knows_httpx(source: Path) -> None:
    names = imported(source)
    assert not names & {"starlette", "functions_framework", "main", "functiongraph", "boto3", "huaweicloudsdkoms"}
    assert bool(names & {"httpx", "aiohttp", "httpx_aiohttp"}) == (source.name in TRANSPORT)


# What was replaced by the field's own terms: a reader who knows HTTP, CloudEvents, OAuth and OMS needs no glossary.
REPLACED = [
    r"\b(caller_not_proved|too_large|not_understood|wrong_method)\b",
    r"\b(Lasting|PLACES|came_at|left_now|turn_away|abouts|left_alone|user_of)\b",
    r"\b(log_in|read_shown|read_listed|read_token|first_refusal|cure_of|AllFaults)\b",
    r"\brestarter\.(surface|faults|rotation)\b",
    r"\bturn(?:s|ed|ing)? away\b",
    r"\bprov(?:e|es|ed|ing) the callers?\b",
    r"\bcallers? (?:is|are|was|were) (?:not )?proved\b",
    r"\bclock of the wall\b",
    r"\bwhatever comes\b",
    r"\bin silence\b",
    r"\bon (?:its|their) way\b",
]
# Names that only the function's own code gave to other things.
REPLACED_NAMES = [
    r"\b(Visit|Way|Proved|Configured|Part|Envelope|Standing|Identities|Known|Granted|Cure|Rotation|Watched)\b(?=[(:\]])",
    r"\b(KEPT|PATIENCE|LONGEST|SPARE|TOLD|EARLY)\b",
    r"\b_(made|asked|tried|in_time|once|counted)\b",
]
READ = ("*.py", "*.md", "*.toml", "*.yml", "*.yaml", "*.http", "*.tf", "Makefile", "Dockerfile")
# The list above, and the page that tells operators what the old names were.
NAME_OLD_WORDS = {"tests/unit/test_house.py", "CHANGELOG.md"}


def texts() -> list[Path]:
    """Every text that a person wrote, as git knows them or would."""
    root = HOUSE.parent
    folders = ("function", "events", "infra", "tests", ".github")
    found = {path for folder in folders for kind in READ for path in (root / folder).rglob(kind)}
    found |= {path for kind in READ for path in root.glob(kind)}
    return sorted(path for path in found if path.is_file() and path.relative_to(root).as_posix() not in NAME_OLD_WORDS)


def old_words(text: str, words: list[str]) -> list[str]:
    """Each word in a text that was replaced."""
    return [found[0] for word in words for found in re.finditer(word, text)]


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(HOUSE.parent)))
def test_no_text_has_a_word_that_was_replaced(path: Path) -> None:
    assert old_words(path.read_text("utf-8"), REPLACED) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_no_code_has_a_name_that_was_replaced(source: Path) -> None:
    assert old_words(source.read_text("utf-8"), REPLACED_NAMES) == []


@pytest.mark.parametrize("text", ["outcome: too_large", "class Visit:", "it was turned away", "KEPT = 5", "_once()"])
def test_a_word_that_was_replaced_is_found(text: str) -> None:
    assert old_words(text, REPLACED + REPLACED_NAMES)


@pytest.mark.parametrize("text", ["content_too_large", "a visit", "a proof", "kept for a day", "started at most once"])
def test_plain_words_are_not_found(text: str) -> None:
    assert old_words(text, REPLACED + REPLACED_NAMES) == []
