"""One row for each outcome (outcomes.tsv): the reply to callers, what people are told, what the ledger keeps."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from restarter.model.outcome import Kind
from restarter.model.text import Text, read_table


class Severity(StrEnum):
    """How urgent a receipt is."""

    INFO = "INFO"
    WARNING = "WARNING"
    """Nothing was done, and nobody has to act."""
    ERROR = "ERROR"
    """A person is needed."""


class OutcomeRow(NamedTuple):
    """What follows from an outcome."""

    direct: HTTPStatus
    """The status for a direct call."""
    event: HTTPStatus
    """The status for an event: never one that makes Knative redeliver it in vain (404, 408, 409, 429)."""
    severity: Severity
    sentence: Text
    """`{target}` is a task by id or name, a task group, or the delivery."""
    rule: Text | None = None
    """What it means, for an outcome that has no reason."""
    settles: bool = False
    """A redelivery of the event has nothing left to do."""
    counts: bool = False
    """The task may have been restarted, so the restart counts in the budget."""


def _row(cells: Mapping[str, str]) -> OutcomeRow:
    rule = Text(cells["rule_en"], cells["rule_zh"]) if cells["rule_en"] else None
    direct, event = (HTTPStatus(int(cells[name])) for name in ("direct", "event"))
    sentence = Text(cells["sentence_en"], cells["sentence_zh"])
    return OutcomeRow(
        direct, event, Severity(cells["severity"]), sentence, rule, bool(cells["settles"]), bool(cells["counts"])
    )


OUTCOMES: Mapping[Kind, OutcomeRow] = {
    Kind(cells["outcome"]): _row(cells) for cells in read_table(Path(__file__).with_suffix(".tsv"))
}
