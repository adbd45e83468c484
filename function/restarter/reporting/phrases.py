"""Parts of sentences and messages in each language: one table (phrases.tsv), read by one function."""

from pathlib import Path

from restarter.model.text import Language, Text, read_table

PHRASES = {row["phrase"]: Text(row["en"], row["zh"]) for row in read_table(Path(__file__).with_suffix(".tsv"))}


def say(phrase: str, language: Language, **values: object) -> str:
    """The phrase with its placeholders filled."""
    return PHRASES[phrase].in_(language).format(**values)
