"""One row for each reason (reasons.tsv): the sentence, how urgent it is, and what a person should do.

Sentences are clauses that follow a colon. function/README.md has them as a table.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.text import Language, Text, read_table
from restarter.reporting.outcomes import OUTCOMES, Severity
from restarter.reporting.phrases import say


class ReasonRow(NamedTuple):
    """What people are told about a reason."""

    sentence: Text
    advice: Text | None = None
    """What a person should do next, if one is needed. `reporting.advice` has the placeholders."""
    severity: Severity | None = None
    """Replaces the outcome's own severity."""


def _row(cells: Mapping[str, str]) -> ReasonRow:
    advice = Text(cells["advice_en"], cells["advice_zh"]) if cells["advice_en"] else None
    severity = Severity(cells["severity"]) if cells["severity"] else None
    return ReasonRow(Text(cells["sentence_en"], cells["sentence_zh"]), advice, severity)


REASONS: Mapping[Reason, ReasonRow] = {
    Reason(cells["reason"]): _row(cells) for cells in read_table(Path(__file__).with_suffix(".tsv"))
}


def severity_of(outcome: Outcome, *, is_event: bool) -> Severity:
    """INFO if nothing is left to do, WARNING if nothing was done, ERROR if a person is needed.

    `is_event`: a malformed event is an ERROR, because nobody reads the reply; a direct caller does.
    """
    if outcome.kind is Kind.MALFORMED and is_event:
        return Severity.ERROR
    severity = (REASONS[outcome.reason].severity if outcome.reason else None) or OUTCOMES[outcome.kind].severity
    return Severity.INFO if outcome.repeated else severity


def next_hour(outcome: Outcome, language: Language) -> str:
    """What follows the reason's sentence outside RESTART_HOURS: when the next ones begin. Empty within them."""
    return say("next_hour", language, at=outcome.opens_at) if outcome.opens_at else ""


def rule_behind(outcome: str, reason: str | None) -> Text | None:
    """The sentence of an outcome's reason, or of the outcome if it has none; both are given as in a receipt.

    None if there is no sentence, for example for a reason that is the caller's own text.
    """
    if reason is None:
        return OUTCOMES[Kind(outcome)].rule
    return next((row.sentence for word, row in REASONS.items() if word == reason), None)
