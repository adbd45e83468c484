"""Why a task or a task group failed, and what follows: one table, read by one function. No I/O here.

OMS's own text is never shown: it may hold names of buckets and objects. The class follows the measure that Huawei
recommends: «click Restart», «try again later», or a change that only a person can make.
"""

from enum import StrEnum
from typing import NamedTuple


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


class FailureReason(NamedTuple):
    """One row: what happened, as a clause, and what a person does about it, as the begin of a sentence."""

    failure_class: FailureClass
    clause: str
    measure: str
    source: str


_T, _C, _P = FailureClass.TRANSIENT, FailureClass.CREDENTIALS, FailureClass.PERMANENT
_2020 = "https://github.com/huaweicloudDocs/oms/tree/2e904ab"
_CODES = "https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html"
_METADATA = "https://support.huaweicloud.com/oms_faq/oms_faq_errorcode_0006.md"
_LISTING = "https://support.huaweicloud.com/oms_faq/oms_faq__errorcode_0000.html"

_SEE_OBJECTS = "Look into the list of failed objects for their causes, and remove those"
_CHECK_LIST = "Correct the list file"
_CHECK_PATH = "Check that the path exists and that the source key may list and read it"
_CHECK_LISTING = "Check that the source bucket exists and that the source key may list it"
_DST_KEY = "Give the destination key read and write access to the bucket, or set another in OMS_DST_AK and OMS_DST_SK"
_SRC_KEY = "Give the source key read access to the bucket, or set another in OMS_SRC_AK and OMS_SRC_SK"
_WAIT_DESTINATION = "Wait until the destination's storage service is well again"
_WAIT_SOURCE = "Wait until the source's storage service is well again"
_NO_METADATA = "the metadata of a file or folder of the source could not be read"

BY_CODE: dict[str, FailureReason] = {
    code: FailureReason(*row)
    for code, row in {
        "TRF.0001": (_T, "OMS had an internal error", "Ask Huawei's support for the cause", _2020),
        "TRF.0002": (
            _T,
            "OMS knows no reason",
            "Look into the list of failed objects, or ask Huawei's support",
            _CODES,
        ),
        "TRF.0003": (_T, "the task waited too long to be run", "Wait until fewer tasks run", _2020),
        "TRF.0004": (_T, "some objects were not migrated", _SEE_OBJECTS, _CODES),
        "TRF.0012": (_P, "there are no objects to migrate", "Make sure that the objects to migrate exist", _2020),
        "TRF.0013": (
            _P,
            "the list file cannot be read",
            "Make sure that the list file exists and is accessible",
            _2020,
        ),
        "TRF.0014": (_P, "the list file has a wrong format", f"{_CHECK_LIST}: .txt and at most 100 MB", _2020),
        "TRF.0015": (_P, "the source account has no Blob service", "Use another source account", _2020),
        "TRF.0016": (_P, "the URL list has a wrong format", "Correct the lines of the URL list", _2020),
        "TRF.0017": (_P, "the list file is empty", f"{_CHECK_LIST}: it has to name objects", _2020),
        "TRF.0018": (_P, "a line of the list file is too long", f"{_CHECK_LIST}: no line over 65535 characters", _2020),
        "TRF.0019": (
            _P,
            "the list file has wrong metadata",
            "Give the list file the content type text/plain and no content encoding",
            _2020,
        ),
        "TRF.0024": (_T, _NO_METADATA, _CHECK_PATH, _METADATA),
        "TRF.0025": (_T, _NO_METADATA, _CHECK_PATH, _METADATA),
        "TRF.0026": (_T, _NO_METADATA, _CHECK_PATH, _METADATA),
        "TRF.0027": (_T, "the objects of the source could not be listed", _CHECK_LISTING, _LISTING),
        "TRF.0028": (_T, _NO_METADATA, _CHECK_PATH, _METADATA),
        "TRF.0029": (_T, _NO_METADATA, _CHECK_PATH, _METADATA),
        "TRF.0030": (_T, _NO_METADATA, _CHECK_PATH, _METADATA),
        "TRF.0031": (_T, "the objects of the source could not be listed", _CHECK_LISTING, _LISTING),
        "TRF.0051": (_C, "the key may not access the destination bucket", _DST_KEY, _2020),
        "TRF.0052": (
            _P,
            "the key may not access the destination bucket or its objects",
            "Check the policies and CORS rules of the destination bucket, and the rights of the destination key",
            _2020,
        ),
        "TRF.0053": (_P, "the account has expired or is frozen", "Settle the account's state with Huawei", _2020),
        "TRF.0054": (_C, "the key may not access the destination bucket", _DST_KEY, _2020),
        "TRF.0055": (
            _P,
            "the destination bucket has no space",
            "Make room in the destination bucket, or raise its quota",
            _2020,
        ),
        "TRF.0056": (_P, "the migration account is frozen", "Have the account unfrozen", _2020),
        "TRF.0057": (
            _C,
            "the destination key is not valid",
            "Set a valid key in OMS_DST_AK and OMS_DST_SK",
            _2020,
        ),
        "TRF.0058": (_P, "the destination bucket does not exist", "Create the destination bucket again", _2020),
        "TRF.0059": (
            _P,
            "an object of the destination does not exist",
            "Check the names of the destination bucket and its objects, and leave them alone while the task runs",
            _2020,
        ),
        "TRF.0060": (_P, "the path of an object is too long", "Shorten the names of the objects", _2020),
        "TRF.0061": (_T, "the destination's storage service is out of order", _WAIT_DESTINATION, _2020),
        "TRF.0062": (
            _T,
            "some objects could not be uploaded",
            "Make sure that no other task migrates objects of the same name",
            _2020,
        ),
        "TRF.0063": (_P, "the account's balance is too low for uploads", "Top up the account", _2020),
        "TRF.0151": (_C, "the source key is not valid", "Set a valid key in OMS_SRC_AK and OMS_SRC_SK", _2020),
        "TRF.0152": (_C, "the key may not access the source bucket", _SRC_KEY, _2020),
        "TRF.0153": (_C, "the key may not access the source bucket", _SRC_KEY, _2020),
        "TRF.0154": (_C, "the key may not access the source bucket", _SRC_KEY, _2020),
        "TRF.0155": (_P, "the source bucket does not exist", "Create the source bucket again", _2020),
        "TRF.0156": (
            _P,
            "an object of the source does not exist",
            "Check the names of the source bucket and its objects, and leave them alone while the task runs",
            _2020,
        ),
        "TRF.0157": (_T, "the source's storage service is out of order", _WAIT_SOURCE, _2020),
        "TRF.0158": (
            _P,
            "the objects of the destination are not encrypted as they should be",
            "Check that the destination's region supports encryption by KMS",
            _2020,
        ),
        "TRF.0159": (
            _T,
            "the source throttles requests",
            "Raise the source's limit of requests, or lower the task's bandwidth",
            _2020,
        ),
        "TRF.0160": (_P, "archived objects cannot be read", "Restore the archived objects at the source", _2020),
        "TRF.0201": (_P, "archived objects could not be restored", "Restore them at the source by hand", _2020),
        "TRF.0202": (_P, "some archived objects are not restored", "Restore them at the source", _2020),
        "TRF.0301": (_P, "the list file itself is archived", "Restore the list file by hand", _2020),
    }.items()
}
UNKNOWN = FailureReason(
    FailureClass.UNKNOWN, "a reason that is not known here", "Look the code up in OMS's list of error codes", _CODES
)


def explain_failure(failure_reason: str | None) -> FailureReason:
    """The row of a TRF code; UNKNOWN's for any other, and for none."""
    return BY_CODE.get(failure_reason or "", UNKNOWN)


def classify_failure(failure_reason: str | None) -> FailureClass:
    """The class of a TRF code."""
    return explain_failure(failure_reason).failure_class
