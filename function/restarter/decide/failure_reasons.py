"""Why a task or a task group failed, and what follows: one table, read by one function. No I/O here.

OMS's own text is never shown: it may hold names of buckets and objects. The class follows the measure that Huawei
recommends: «click Restart», «try again later», or a change that only a person can make.
"""

from enum import StrEnum
from typing import NamedTuple

from restarter.model.text import Text


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
    """One row: what happened, as a clause, and what a person does about it, as the beginning of a sentence."""

    failure_class: FailureClass
    clause: Text
    measure: Text
    source: str


_T, _C, _P = FailureClass.TRANSIENT, FailureClass.CREDENTIALS, FailureClass.PERMANENT
_2020 = "https://github.com/huaweicloudDocs/oms/tree/2e904ab"
_CODES = "https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html"
_METADATA = "https://support.huaweicloud.com/oms_faq/oms_faq_errorcode_0006.md"
_LISTING = "https://support.huaweicloud.com/oms_faq/oms_faq__errorcode_0000.html"

_NO_METADATA = Text(
    "the metadata of a file or folder of the source could not be read", "无法读取源端某个文件或文件夹的元数据"
)
_CHECK_PATH = Text(
    "Check that the path exists and that the source key may list and read it",
    "请确认该路径存在，且源端密钥有权列举和读取",
)
_NOT_LISTED = Text("the objects of the source could not be listed", "无法列举源端对象")
_CHECK_LISTING = Text(
    "Check that the source bucket exists and that the source key may list it", "请确认源端桶存在，且源端密钥有权列举"
)
_DST_REFUSED = Text("the key may not access the destination bucket", "密钥无权访问目的端桶")
_DST_KEY = Text(
    "Give the destination key read and write access to the bucket, or set another in OMS_DST_AK and OMS_DST_SK",
    "请为目的端密钥授予该桶的读写权限，或在 OMS_DST_AK 和 OMS_DST_SK 中设置其他密钥",
)
_SRC_REFUSED = Text("the key may not access the source bucket", "密钥无权访问源端桶")
_SRC_KEY = Text(
    "Give the source key read access to the bucket, or set another in OMS_SRC_AK and OMS_SRC_SK",
    "请为源端密钥授予该桶的读取权限，或在 OMS_SRC_AK 和 OMS_SRC_SK 中设置其他密钥",
)

BY_CODE: dict[str, FailureReason] = {
    "TRF.0001": FailureReason(
        _T,
        Text("OMS had an internal error", "OMS 内部错误"),
        Text("Ask Huawei's support for the cause", "请向华为云技术支持咨询原因"),
        _2020,
    ),
    "TRF.0002": FailureReason(
        _T,
        Text("OMS knows no reason", "OMS 未给出原因"),
        Text(
            "Look into the list of failed objects, or ask Huawei's support", "请查看失败对象列表，或咨询华为云技术支持"
        ),
        _CODES,
    ),
    "TRF.0003": FailureReason(
        _T,
        Text("the task waited too long to be run", "任务等待执行超时"),
        Text("Wait until fewer tasks run", "请等待运行中的任务减少"),
        _2020,
    ),
    "TRF.0004": FailureReason(
        _T,
        Text("some objects were not migrated", "部分对象未迁移"),
        Text(
            "Look into the list of failed objects for their causes, and remove those",
            "请在失败对象列表中查看各对象的失败原因并处理",
        ),
        _CODES,
    ),
    "TRF.0012": FailureReason(
        _P,
        Text("there are no objects to migrate", "没有需要迁移的对象"),
        Text("Make sure that the objects to migrate exist", "请确认待迁移的对象存在"),
        _2020,
    ),
    "TRF.0013": FailureReason(
        _P,
        Text("the list file cannot be read", "无法读取对象列表文件"),
        Text("Make sure that the list file exists and is accessible", "请确认对象列表文件存在且可访问"),
        _2020,
    ),
    "TRF.0014": FailureReason(
        _P,
        Text("the list file has a wrong format", "对象列表文件格式错误"),
        Text("Correct the list file: .txt and at most 100 MB", "请更正对象列表文件：须为 .txt 且不超过 100 MB"),
        _2020,
    ),
    "TRF.0015": FailureReason(
        _P,
        Text("the source account has no Blob service", "源端账号没有 Blob 服务"),
        Text("Use another source account", "请使用其他源端账号"),
        _2020,
    ),
    "TRF.0016": FailureReason(
        _P,
        Text("the URL list has a wrong format", "URL 列表格式错误"),
        Text("Correct the lines of the URL list", "请更正 URL 列表中的行"),
        _2020,
    ),
    "TRF.0017": FailureReason(
        _P,
        Text("the list file is empty", "对象列表文件为空"),
        Text("Correct the list file: it has to name objects", "请更正对象列表文件：须列出对象"),
        _2020,
    ),
    "TRF.0018": FailureReason(
        _P,
        Text("a line of the list file is too long", "对象列表文件中有过长的行"),
        Text("Correct the list file: no line over 65535 characters", "请更正对象列表文件：每行不超过 65535 个字符"),
        _2020,
    ),
    "TRF.0019": FailureReason(
        _P,
        Text("the list file has wrong metadata", "对象列表文件的元数据错误"),
        Text(
            "Give the list file the content type text/plain and no content encoding",
            "请将对象列表文件的内容类型设为 text/plain，且不设内容编码",
        ),
        _2020,
    ),
    "TRF.0024": FailureReason(_T, _NO_METADATA, _CHECK_PATH, _METADATA),
    "TRF.0025": FailureReason(_T, _NO_METADATA, _CHECK_PATH, _METADATA),
    "TRF.0026": FailureReason(_T, _NO_METADATA, _CHECK_PATH, _METADATA),
    "TRF.0027": FailureReason(_T, _NOT_LISTED, _CHECK_LISTING, _LISTING),
    "TRF.0028": FailureReason(_T, _NO_METADATA, _CHECK_PATH, _METADATA),
    "TRF.0029": FailureReason(_T, _NO_METADATA, _CHECK_PATH, _METADATA),
    "TRF.0030": FailureReason(_T, _NO_METADATA, _CHECK_PATH, _METADATA),
    "TRF.0031": FailureReason(_T, _NOT_LISTED, _CHECK_LISTING, _LISTING),
    "TRF.0051": FailureReason(_C, _DST_REFUSED, _DST_KEY, _2020),
    "TRF.0052": FailureReason(
        _P,
        Text("the key may not access the destination bucket or its objects", "密钥无权访问目的端桶或其中的对象"),
        Text(
            "Check the policies and CORS rules of the destination bucket, and the rights of the destination key",
            "请检查目的端桶的策略和 CORS 规则，以及目的端密钥的权限",
        ),
        _2020,
    ),
    "TRF.0053": FailureReason(
        _P,
        Text("the account has expired or is frozen", "账号已过期或被冻结"),
        Text("Settle the account's state with Huawei", "请与华为云处理账号状态"),
        _2020,
    ),
    "TRF.0054": FailureReason(_C, _DST_REFUSED, _DST_KEY, _2020),
    "TRF.0055": FailureReason(
        _P,
        Text("the destination bucket has no space", "目的端桶空间不足"),
        Text("Make room in the destination bucket, or raise its quota", "请在目的端桶中腾出空间，或提高其配额"),
        _2020,
    ),
    "TRF.0056": FailureReason(
        _P,
        Text("the migration account is frozen", "迁移账号已被冻结"),
        Text("Have the account unfrozen", "请解冻该账号"),
        _2020,
    ),
    "TRF.0057": FailureReason(
        _C,
        Text("the destination key is not valid", "目的端密钥无效"),
        Text("Set a valid key in OMS_DST_AK and OMS_DST_SK", "请在 OMS_DST_AK 和 OMS_DST_SK 中设置有效密钥"),
        _2020,
    ),
    "TRF.0058": FailureReason(
        _P,
        Text("the destination bucket does not exist", "目的端桶不存在"),
        Text("Create the destination bucket again", "请重新创建目的端桶"),
        _2020,
    ),
    "TRF.0059": FailureReason(
        _P,
        Text("an object of the destination does not exist", "目的端的某个对象不存在"),
        Text(
            "Check the names of the destination bucket and its objects, and leave them alone while the task runs",
            "请检查目的端桶和对象的名称，并且在任务运行期间不要改动它们",
        ),
        _2020,
    ),
    "TRF.0060": FailureReason(
        _P,
        Text("the path of an object is too long", "对象路径过长"),
        Text("Shorten the names of the objects", "请缩短对象名称"),
        _2020,
    ),
    "TRF.0061": FailureReason(
        _T,
        Text("the destination's storage service is out of order", "目的端存储服务异常"),
        Text("Wait until the destination's storage service is healthy again", "请等待目的端存储服务恢复"),
        _2020,
    ),
    "TRF.0062": FailureReason(
        _T,
        Text("some objects could not be uploaded", "部分对象上传失败"),
        Text("Make sure that no other task migrates objects of the same name", "请确认没有其他任务迁移同名对象"),
        _2020,
    ),
    "TRF.0063": FailureReason(
        _P,
        Text("the account's balance is too low for uploads", "账号余额不足，无法上传"),
        Text("Top up the account", "请为账号充值"),
        _2020,
    ),
    "TRF.0151": FailureReason(
        _C,
        Text("the source key is not valid", "源端密钥无效"),
        Text("Set a valid key in OMS_SRC_AK and OMS_SRC_SK", "请在 OMS_SRC_AK 和 OMS_SRC_SK 中设置有效密钥"),
        _2020,
    ),
    "TRF.0152": FailureReason(_C, _SRC_REFUSED, _SRC_KEY, _2020),
    "TRF.0153": FailureReason(_C, _SRC_REFUSED, _SRC_KEY, _2020),
    "TRF.0154": FailureReason(_C, _SRC_REFUSED, _SRC_KEY, _2020),
    "TRF.0155": FailureReason(
        _P,
        Text("the source bucket does not exist", "源端桶不存在"),
        Text("Create the source bucket again", "请重新创建源端桶"),
        _2020,
    ),
    "TRF.0156": FailureReason(
        _P,
        Text("an object of the source does not exist", "源端的某个对象不存在"),
        Text(
            "Check the names of the source bucket and its objects, and leave them alone while the task runs",
            "请检查源端桶和对象的名称，并且在任务运行期间不要改动它们",
        ),
        _2020,
    ),
    "TRF.0157": FailureReason(
        _T,
        Text("the source's storage service is out of order", "源端存储服务异常"),
        Text("Wait until the source's storage service is healthy again", "请等待源端存储服务恢复"),
        _2020,
    ),
    "TRF.0158": FailureReason(
        _P,
        Text("the objects of the destination are not encrypted as they should be", "目的端对象未按要求加密"),
        Text("Check that the destination's region supports encryption by KMS", "请确认目的端区域支持 KMS 加密"),
        _2020,
    ),
    "TRF.0159": FailureReason(
        _T,
        Text("the source throttles requests", "源端限流"),
        Text(
            "Raise the source's limit of requests, or lower the task's bandwidth",
            "请提高源端的请求限额，或降低任务带宽",
        ),
        _2020,
    ),
    "TRF.0160": FailureReason(
        _P,
        Text("archived objects cannot be read", "归档对象无法读取"),
        Text("Restore the archived objects at the source", "请在源端恢复归档对象"),
        _2020,
    ),
    "TRF.0201": FailureReason(
        _P,
        Text("archived objects could not be restored", "归档对象恢复失败"),
        Text("Restore them at the source by hand", "请在源端手动恢复这些对象"),
        _2020,
    ),
    "TRF.0202": FailureReason(
        _P,
        Text("some archived objects are not restored", "部分归档对象尚未恢复"),
        Text("Restore them at the source", "请在源端恢复这些对象"),
        _2020,
    ),
    "TRF.0301": FailureReason(
        _P,
        Text("the list file itself is archived", "对象列表文件本身已归档"),
        Text("Restore the list file by hand", "请手动恢复对象列表文件"),
        _2020,
    ),
}
UNKNOWN = FailureReason(
    FailureClass.UNKNOWN,
    Text("a reason that is not known here", "未知原因"),
    Text("Look the code up in OMS's list of error codes", "请在 OMS 错误码列表中查询该错误码"),
    _CODES,
)


def explain_failure(failure_reason: str | None) -> FailureReason:
    """The row of a TRF code; UNKNOWN's for any other, and for none."""
    return BY_CODE.get(failure_reason or "", UNKNOWN)


def classify_failure(failure_reason: str | None) -> FailureClass:
    """The class of a TRF code."""
    return explain_failure(failure_reason).failure_class
