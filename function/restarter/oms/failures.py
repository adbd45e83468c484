"""Why a task failed, and whether a restart can help: one table, read by one function. No I/O here.

Source: https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html, TRF.*, by the measure that it recommends.
"""

from enum import StrEnum


class Cure(StrEnum):
    """What a failure needs."""

    RESTART = "restart"
    """«Click Restart», or a fault that passes by itself."""
    WAIT = "wait"
    """Perhaps it passes: a service in trouble, a source that throttles, objects that failed one by one."""
    CREDENTIALS = "credentials"
    """The keys were refused. Each start brings keys anew, and ours may be better than those that failed."""
    PERSON = "person"
    """A setting, a list, a balance, a bucket: nothing changes before somebody changes it."""


CURES: dict[Cure, tuple[str, ...]] = {
    Cure.RESTART: ("TRF.0001", "TRF.0003"),
    Cure.WAIT: (
        *("TRF.0002", "TRF.0004", "TRF.0024", "TRF.0025", "TRF.0026", "TRF.0027", "TRF.0028", "TRF.0029"),
        *("TRF.0030", "TRF.0031", "TRF.0061", "TRF.0062", "TRF.0157", "TRF.0159"),
    ),
    Cure.CREDENTIALS: ("TRF.0051", "TRF.0054", "TRF.0057", "TRF.0151", "TRF.0152", "TRF.0153", "TRF.0154"),
    Cure.PERSON: (
        *("TRF.0012", "TRF.0013", "TRF.0014", "TRF.0015", "TRF.0016", "TRF.0017", "TRF.0018", "TRF.0019"),
        *("TRF.0052", "TRF.0053", "TRF.0055", "TRF.0056", "TRF.0058", "TRF.0059", "TRF.0060", "TRF.0063"),
        *("TRF.0155", "TRF.0156", "TRF.0158", "TRF.0160", "TRF.0201", "TRF.0202", "TRF.0301"),
    ),
}
BY_CODE = {code: cure for cure, codes in CURES.items() for code in codes}


def cure_of(failure_reason: str | None) -> Cure:
    """What the failure needs; a reason that is not known, or none, is worth a restart: the budget ends it."""
    return BY_CODE.get(failure_reason or "", Cure.RESTART)
