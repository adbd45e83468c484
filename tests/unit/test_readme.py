"""README names what exists, and all of it."""

import re
from pathlib import Path

from pydantic import SecretStr

from restarter.model import Kind, RestartRequest
from restarter.settings.model import Settings

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    section = README.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in rows[0].splitlines()[2:]]


def named(cell: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]+)`", cell)


def written(default: object) -> str:
    """A default as somebody would write it into the environment."""
    match default:
        case None:
            return ""
        case SecretStr():
            return default.get_secret_value()
        case bool():
            return str(default).lower()
        case tuple():
            return ",".join(default)
        case _:
            return str(default)


def test_the_settings_table_has_every_setting_once_and_its_default() -> None:
    rows = {name: row for row in table("## Settings") for name in named(row[0])}
    assert sorted(rows) == sorted(name.upper() for name in Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        stated = rows[name.upper()][1]
        assert (
            "required" in stated
            if field.is_required()
            else "required" in stated or stated.strip("`") == written(default)
        ), name


def test_the_table_of_replies_has_every_outcome_once() -> None:
    assert sorted(name for row in table("## Replies") for name in named(row[0])) == sorted(Kind)


def test_the_table_of_the_request_has_every_field_once() -> None:
    assert [named(row[0])[0] for row in table("### The request")] == list(RestartRequest.model_fields)
