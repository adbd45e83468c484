"""Why a task failed, and whether a restart can help: one table, read by one function. No I/O here.

Source: https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html, TRF.*, by the measure that it recommends.
"""

from enum import StrEnum


class FailureClass(StrEnum):
    """What kind of failure it was; receipts show the word as `failure_class`."""

    TRANSIENT = "transient"
    """It may pass by itself, or Huawei's measure says «click Restart»."""
    CREDENTIALS = "credentials"
    """The storage keys were refused. Each start brings keys anew, so a restart can help."""
    PERMANENT = "permanent"
    """A setting, a list, a balance or a bucket is wrong: only a person can change that."""
    UNKNOWN = "unknown"
    """The code is not in the table. The task is restarted within the budget."""


FAILURE_CLASSES: dict[FailureClass, tuple[str, ...]] = {
    FailureClass.TRANSIENT: (
        *("TRF.0001", "TRF.0002", "TRF.0003", "TRF.0004", "TRF.0024", "TRF.0025", "TRF.0026", "TRF.0027"),
        *("TRF.0028", "TRF.0029", "TRF.0030", "TRF.0031", "TRF.0061", "TRF.0062", "TRF.0157", "TRF.0159"),
    ),
    FailureClass.CREDENTIALS: ("TRF.0051", "TRF.0054", "TRF.0057", "TRF.0151", "TRF.0152", "TRF.0153", "TRF.0154"),
    FailureClass.PERMANENT: (
        *("TRF.0012", "TRF.0013", "TRF.0014", "TRF.0015", "TRF.0016", "TRF.0017", "TRF.0018", "TRF.0019"),
        *("TRF.0052", "TRF.0053", "TRF.0055", "TRF.0056", "TRF.0058", "TRF.0059", "TRF.0060", "TRF.0063"),
        *("TRF.0155", "TRF.0156", "TRF.0158", "TRF.0160", "TRF.0201", "TRF.0202", "TRF.0301"),
    ),
}
BY_CODE = {code: failure_class for failure_class, codes in FAILURE_CLASSES.items() for code in codes}


def classify_failure(failure_reason: str | None) -> FailureClass:
    """The class of a TRF code; UNKNOWN for any other, and for none."""
    return BY_CODE.get(failure_reason or "", FailureClass.UNKNOWN)
