"""Check how this repository is written: its words, and the shape of the function's code.

    python tests/house.py

The field's standard terms are used. A word of WORDS is printed with what to say instead, in every text that a person
wrote; so is a name of NAMES in the code of the function. There, a module begins with a docstring, a function has at
most 30 lines, and a reason is a member of `Reason`, never a string. What a row of ALLOWED gives a reason for is no
fault; a row that allows nothing is one. Exit status: 1 where there is a fault.
"""

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import findings
from findings import ROOT, Allowed, Found, report, texts

FOLDERS = ("function", "events", "infra", "tests", ".github", "Makefile", "pyproject.toml", "README.md", "CHANGELOG.md")
KINDS = re.compile(r"\.(py|md|toml|ya?ml|http|tf|js|html|tsv)$|(^|/)(Makefile|Dockerfile)$")
CODE = "function/*.py"
MAX_LINES = 30

# Patterns, whatever the case, and what to say instead. A space is any gap: also one in a name, or between two lines.
WORDS = {
    "doors?": "entry point",
    "(?<!under.)ways? in(?! which)": "entry point, authentication method, how",
    "what (has )?bec[ao]mes? of|what (comes|came) of": "the result, the outcome",
    "whatever comes": "any",
    "silence[sd]?|(falls?|keeps?|stays?|fell|kept) silent": "no response, a timeout",
    "(says|said) nothing": "sends no response, does not show",
    "news": "event, notice, change",
    "dealt with elsewhere|taken up": "in progress in another delivery",
    r"keys? rests?|keys?( \w+){0,9} left alone|cooling": "the breaker is open, not used until",
    "parted by": "separated by",
    "spoil(s|ed|t|ing)?": "fail",
    "let go": "close, return to the pool",
    "st(ood|ands?) still": "was frozen",
    "turn(s|ed|ing)? away": "reject",
    "prov(e|es|ed|ing) the callers?|callers? (is|are|was|were) (not )?proved": "authenticate",
    "clock of the wall": "wall clock",
    "on (its|their) way": "in flight",
    "of a person|by which|for it may": "what a native writer would",
}
# Names that only this code gave to other things, or that stood for two.
NAMES = (
    r"\b(Visit|Way|Proved|Configured|Part|Envelope|Standing|Identities|Known|Granted|Cure|Rotation|Watched)\b(?=[(:\]])"
    r"|\b(KEPT|PATIENCE|LONGEST|SPARE|TOLD|EARLY|PLACES|Lasting|AllFaults)\b|\b(Rejected|reject)\("
    r"|\b_(made|asked|tried|in_time|once|counted)\b|\b(came_at|left_now|left_alone|abouts|user_of|too_large)\b"
    r"|\b(log_in|read_shown|read_listed|read_token|first_refusal|cure_of)\b|\brestarter\.(surface|faults|rotation)\b"
)
ALLOWED = (
    Allowed("tests/house.py", r"(?s)WORDS = .+\nALLOWED", "this list"),
    Allowed("tests/unit/test_house.py", r"(?s)WORDS = .+", "each word as a fault"),
)


def words(text: str) -> Iterator[Found]:
    """Each word of WORDS in the text."""
    for pattern, instead in WORDS.items():
        spaced = pattern.replace(" ", r"(?:[ _]|\s*\n[\s#>*/-]*)")
        for match in re.finditer(rf"(?<![a-z0-9])(?:{spaced})(?![a-z0-9])", text, re.IGNORECASE):
            yield *match.span(), f"«{match[0]}»: say {instead}"


def shape(text: str) -> Iterator[Found]:
    """What is wrong with the text of a module of the function."""
    tree = ast.parse(text)
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    if not ast.get_docstring(tree):
        yield 0, 0, "the module has no docstring"
    for match in re.finditer(NAMES, text):
        yield *match.span(), f"the name {match[0]} was given up"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start, count = lines[node.lineno - 1], (node.end_lineno or 0) - node.lineno + 1
            if count > MAX_LINES:
                yield start, start, f"{node.name} has {count} lines, over {MAX_LINES}"
        for word in _bare_reasons(node):
            start = lines[word.lineno - 1]
            yield start, start, f"a bare reason, {word.value!r}: use a member of Reason"


def _bare_reasons(node: ast.AST) -> Iterator[ast.Constant]:
    """Strings that are given as a reason, compared with one, or made one."""
    values: list[ast.expr] = []
    if isinstance(node, ast.Call):
        values = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
        values += node.args if isinstance(node.func, ast.Name) and node.func.id == "Reason" else []
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        values = sides if any(isinstance(one, ast.Attribute) and one.attr == "reason" for one in sides) else []
    while values:
        match values.pop():
            case ast.Constant(value=str()) as word:
                yield word
            case ast.IfExp(body=one, orelse=other):
                values += [one, other]
            case ast.BoolOp(values=several) | ast.Tuple(elts=several) | ast.Set(elts=several) | ast.List(elts=several):
                values += several


def find(name: str, text: str) -> Iterator[Found]:
    """Each fault in a file of this name."""
    yield from words(text)
    if fnmatch(name, CODE):
        yield from shape(text)


def faults(root: Path = ROOT, allowed: tuple[Allowed, ...] = ALLOWED) -> list[str]:
    """Each fault of the repository that no row allows, then each row that allows nothing."""
    named = texts((root / folder for folder in FOLDERS), root)
    read = ((name, text) for name, text in named if KINDS.search(name))
    return findings.faults(read, find, allowed)


if __name__ == "__main__":
    sys.exit(report(faults(), "Say it in the field's terms, or give a reason in ALLOWED of tests/house.py"))
