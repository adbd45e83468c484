"""The READMEs name what exists, and all of it; their links lead somewhere, and both languages say the same."""

import json
import re
import tomllib
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from pydantic import TypeAdapter

import schemas
from readmes import ROOT, Document
from restarter.cli.command import cli
from restarter.decide.admission import ADMISSION_RULES, outside_hours
from restarter.decide.rules import GROUP_RULES, TASK_RULES
from restarter.model.outcome import Kind
from restarter.reporting.reasons import REASONS
from restarter.settings.model import Settings

README = Document.read("README.md")
FUNCTION = Document.read("function/README.md")
# What a person reads. Samples have READMEs of their own, which are data of tests.
EVERY = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "function/*.md", "events/*.md", "infra/*.md", "infra/*/*.md", "tests/*.md", ".github/*.md")
    for path in ROOT.glob(pattern)
)


def rows(document: Document, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    return document.section(heading).tables[0][2:]


def named(cell: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]+)`", cell)


def test_the_settings_table_has_every_setting_once() -> None:
    stated = [name for row in rows(FUNCTION, "## Settings") for name in named(row[0])]
    assert sorted(stated) == sorted(name.upper() for name in Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_settings_table_has_the_default_of_each_setting(name: str) -> None:
    (stated,) = [row[1] for row in rows(FUNCTION, "## Settings") if name.upper() in named(row[0])]
    field, stated = Settings.model_fields[name], stated.strip("`")
    if name in Settings.REQUIRED:
        assert "required" in stated
    elif stated == "" or "required" in stated:
        assert not field.get_default(call_default_factory=True)
    else:
        read: Any = TypeAdapter(field.rebuild_annotation())
        means = read.validate_json(stated) if stated == "{}" else read.validate_python(stated)
        assert means == field.get_default(call_default_factory=True)


def test_the_table_of_replies_has_every_outcome_once() -> None:
    assert sorted(name for row in rows(FUNCTION, "## Replies") for name in named(row[0])) == sorted(Kind)


def test_the_table_of_the_request_has_every_field_once() -> None:
    document = json.loads((schemas.SCHEMAS / "restart_request.schema.json").read_text("utf-8"))
    assert [named(row[0])[0] for row in rows(FUNCTION, "## The request")] == list(document["properties"])


def test_the_table_of_receipts_has_every_field_once() -> None:
    document = json.loads((schemas.SCHEMAS / "openapi.json").read_text("utf-8"))
    stated = [name for row in rows(FUNCTION, "## Receipts") for name in named(row[0])]
    assert sorted(stated) == sorted(document["components"]["schemas"]["Receipt"]["properties"])


def row_of(rule: object) -> str:
    """The row that a rule names in the first line of its docstring."""
    return (rule.__doc__ or "").splitlines()[0].removesuffix(".")


# Rows between admission and look: the ledger, the hours, the key and OMS answer them on the way.
BETWEEN = [
    "the event id is settled",
    "another delivery of the event is in progress",
    row_of(outside_hours),
    "OMS refused the key less than `OMS_COOLDOWN` ago, and the key has not changed",
    "OMS has no task of that id or name",
    "several tasks have exactly that name",
]


def test_the_table_of_deciding_is_the_tuple_of_rules() -> None:
    """In its order, row by row: a rule that moves, goes or comes makes this red."""
    stated = [row[0] for row in rows(FUNCTION, "## Deciding")]
    expected = [*map(row_of, ADMISSION_RULES), *BETWEEN, *map(row_of, TASK_RULES), "otherwise (status 4)"]
    assert [cell.lower() for cell in stated] == [cell.lower() for cell in expected]


def test_the_table_of_groups_is_the_tuple_of_rules() -> None:
    """Its last row stands for the rules that a task has as well."""
    *stated, last = [row[0] for row in rows(FUNCTION, "### Groups")]
    shared = {*map(id, GROUP_RULES)} & {*map(id, TASK_RULES)}
    own = [rule for rule in GROUP_RULES if id(rule) not in shared]
    assert [cell.lower() for cell in stated] == [row_of(rule).lower() for rule in own]
    assert last.startswith("4, 5: it failed")
    both = [row_of(rule) for rule in TASK_RULES if id(rule) in shared]
    assert [row_of(rule) for rule in GROUP_RULES[len(own) :]] == both


def test_the_table_of_reasons_has_the_row_of_each() -> None:
    stated = [(named(row[0])[0], row[1]) for row in rows(FUNCTION, "### Reasons")]
    assert stated == [(word, row.sentence.en) for word, row in REASONS.items()]


def test_the_table_of_the_operators_command_has_every_subcommand_once() -> None:
    stated = [named(row[0])[0].split(" ")[0] for row in rows(FUNCTION, "## The operator's command")]
    assert sorted(stated) == sorted(cli.commands)


def test_the_house_has_a_row_for_each_part_in_the_order_of_imports() -> None:
    """As import-linter has it, but for rows beside each other."""
    (tree,) = [block for block in FUNCTION.section("## The house").code_blocks if "restarter/" in block]
    stated = [
        name.strip("/").removesuffix(".py") for name in re.findall(r"^ {8}([a-z_]+(?:\.py|/)) +\w", tree, re.MULTILINE)
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = [layer.split(" | ") for layer in reversed(project["tool"]["importlinter"]["contracts"][0]["layers"])]
    assert sorted(stated) == sorted(name for layer in layers for name in layer if name != "__main__")
    floor = {name: number for number, layer in enumerate(layers) for name in layer}
    assert [floor[name] for name in stated] == sorted(floor[name] for name in stated)


def test_the_badges_are_true() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (pythons,) = re.findall(r"badge/python-([^)]+)-blue", README.text)
    (licence,) = re.findall(r"badge/licence-([^)]+)-blue", README.text)
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    (tried,) = [
        job["strategy"]["matrix"]["python"] for job in ci["jobs"].values() if "python" in str(job.get("strategy"))
    ]
    assert unquote(pythons).split(" | ") == tried
    assert licence.replace("--", "-") == project["license"]


def test_readme_has_under_200_lines() -> None:
    assert README.text.count("\n") < 200


@pytest.mark.parametrize("name", EVERY)
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    document = Document.read(name)
    for link in document.links:
        if re.match(r"[a-z]+:", link):
            continue
        if page := re.fullmatch(r"\.\./\.\./actions/(workflows/[a-z]+\.yml)(/badge\.svg)?", link):  # GitHub's own page
            assert (ROOT / ".github" / page[1]).exists(), link
            continue
        target, _, anchor = link.partition("#")
        path = (document.path.parent / target).resolve() if target else document.path
        assert path.is_relative_to(ROOT), link
        assert path.exists(), link
        if anchor:
            assert anchor in Document.read(str(path.relative_to(ROOT))).anchors, link


def test_a_link_that_leads_nowhere_is_found() -> None:
    document = Document(ROOT / "x.md", "[a](there.md#b)\n\n    [no](code.md)\n\n`[no](code.md)` ![p](p.png)\n")
    assert document.links == ["there.md#b", "p.png"]
    assert Document(ROOT / "x.md", "# Pub/Sub, «push»\n\n## A b\n\n## A b\n").anchors == {"pubsub-push", "a-b", "a-b-1"}


def skeleton(block: str) -> str:
    """What a code block says in any language: commands without comments, diagrams without their words."""
    if block.startswith("```mermaid"):
        return re.sub(r'(\[|\{|\|)"?[^\[\]{}|]*"?(\]|\}|\|)', r"\1\2", block)
    if "└" in block:
        return " ".join(re.findall(r"->|└", block))
    return re.sub(r"(^|[^\S\n]+)#(?! \d{3}$).*", "", block, flags=re.MULTILINE)


@pytest.fixture(params=["README", "infra/huawei/README"])
def languages(request: pytest.FixtureRequest) -> tuple[Document, Document]:
    """A page in English and in Chinese."""
    return Document.read(f"{request.param}.md"), Document.read(f"{request.param}.zh-CN.md")


def test_both_languages_have_the_same_headings(languages: tuple[Document, Document]) -> None:
    english, chinese = languages
    assert [level for level, _ in chinese.headings] == [level for level, _ in english.headings]


def test_both_languages_have_the_same_tables(languages: tuple[Document, Document]) -> None:
    """They have the same shape, the same links and the same code."""

    def shapes(document: Document) -> list[list[int]]:
        return [[len(row) for row in table] for table in document.tables]

    def links(cell: str) -> list[str]:
        """Pages; of one that is there in both languages each may name its own, and call its headings as it likes."""
        found = [link.replace(".zh-CN.md", ".md").partition("#") for link in re.findall(r"\]\(([^)]+)\)", cell)]
        return ["".join(link) if link[0].startswith("http") else link[0] for link in found]

    def facts(document: Document) -> list[list[str]]:
        cells = ["".join(row) for table in document.tables for row in table]
        return [[*sorted(named(cell)), *links(cell)] for cell in cells]

    english, chinese = languages
    assert shapes(chinese) == shapes(english)
    assert facts(chinese) == facts(english)


def test_both_languages_have_the_same_commands(languages: tuple[Document, Document]) -> None:
    english, chinese = languages
    assert [skeleton(block) for block in chinese.code_blocks] == [skeleton(block) for block in english.code_blocks]


def test_a_command_that_differs_is_found_and_a_comment_that_differs_is_not() -> None:
    assert skeleton("make demo   # all of it") == skeleton("make demo   # 全部") != skeleton("make run")
    assert skeleton("curl x\n# 204") != skeleton("curl x\n# 200")
    assert skeleton('```mermaid\nA["one"] -->|yes| B{q}\n```') == skeleton('```mermaid\nA["一"] -->|是| B{问}\n```')
    assert skeleton('```mermaid\nA["one"] --> B{q}\n```') != skeleton('```mermaid\nA["one"] --> C{q}\n```')


def test_both_languages_name_the_same_settings_and_commands(languages: tuple[Document, Document]) -> None:
    def names(document: Document) -> list[str]:
        return sorted(set(re.findall(r"`([^`\n]+)`", document.prose)))

    english, chinese = languages
    assert names(chinese) == names(english)
