"""Sentences in both languages of the function, and the tables that hold them; read once, at import."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

Language = Literal["en", "zh-cn"]


class Text(NamedTuple):
    """The same sentence in English and in simplified Chinese. Placeholders like `{target}` are the same in both."""

    en: str
    zh: str

    def in_(self, language: Language) -> str:
        """The sentence in one language."""
        return self.en if language == "en" else self.zh


def known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts without those that are None."""
    return {name: value for name, value in facts.items() if value is not None}


def size_in_words(count: int) -> str:
    """A number of bytes in decimal units: 999 B, 1.2 TB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated table, each by the column names in its first line."""
    names, *rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    return [dict(zip(names, row, strict=True)) for row in rows]
