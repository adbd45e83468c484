"""Why a task or a task group failed, and what follows: one table (failure_reasons.tsv), read by one function.

OMS's own text is never shown: it may contain names of buckets and objects. The class follows the measure that Huawei
recommends: «click Restart», «try again later», or a change that only a person can make.
"""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from restarter.model.text import Text, read_table


class FailureClass(StrEnum):
    """What kind of failure it was; receipts show the word as `failure_class`."""

    TRANSIENT = "transient"
    """It may pass by itself, or Huawei's measure says «click Restart»."""
    CREDENTIALS = "credentials"
    """The storage keys were refused. Each start sends the keys again, so a restart can help."""
    PERMANENT = "permanent"
    """A setting, a list, a balance or a bucket is wrong: only a person can change that."""
    UNKNOWN = "unknown"
    """The code is not in the table. The task is restarted within the budget."""


class FailureReason(NamedTuple):
    """One row: what happened, as a clause, and what a person should do, as the beginning of a sentence."""

    failure_class: FailureClass
    clause: Text
    measure: Text
    source: str


BY_CODE: dict[str, FailureReason] = {
    row["code"]: FailureReason(
        FailureClass(row["class"]),
        Text(row["clause_en"], row["clause_zh"]),
        Text(row["measure_en"], row["measure_zh"]),
        row["source"],
    )
    for row in read_table(Path(__file__).with_suffix(".tsv"))
}
UNKNOWN = FailureReason(
    FailureClass.UNKNOWN,
    Text("a reason that is not known here", "未知原因"),
    Text("Look the code up in OMS's list of error codes", "请在 OMS 错误码列表中查询该错误码"),
    "https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html",
)


def explain_failure(failure_reason: str | None) -> FailureReason:
    """The row of a TRF code; UNKNOWN if the code is None or not in the table."""
    return BY_CODE.get(failure_reason or "", UNKNOWN)


def classify_failure(failure_reason: str | None) -> FailureClass:
    """The class of a TRF code."""
    return explain_failure(failure_reason).failure_class
