"""The shape of the house: small functions, a promise in each module, one I/O module, and doors that nobody imports."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2] / "function"
# What sends calls; everything else describes them and reads their answers.
TRANSPORT = ("transport.py", "connections.py", "connection.py")
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
