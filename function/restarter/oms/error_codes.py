"""What OMS's error codes mean for the start of a task: one table, read by one function. No I/O here.

Sources: https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html for OMS.*,
https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-errorcode.html for APIGW.*.
"""

from restarter.http.call import Answer
from restarter.model.outcome import Kind, Outcome, Reason

# OMS says 400 for nearly everything, so the code decides before the status does.
BY_CODE: dict[str, tuple[Kind, Reason | None]] = {
    "OMS.0065": (Kind.ALREADY_RUNNING, None),
    "OMS.0070": (Kind.NOTHING_TO_DO, None),
    **dict.fromkeys(("OMS.1009", "OMS.0054"), (Kind.NOT_FOUND, Reason.NO_SUCH_TASK)),
    **dict.fromkeys(("OMS.0068", "OMS.1005", "OMS.0072", "OMS.0206"), (Kind.REJECTED, Reason.OMS_KEY)),
    "APIGW.0308": (Kind.UNAVAILABLE, Reason.THROTTLED),
    **dict.fromkeys(("OMS.1001", "OMS.0062", "OMS.2004"), (Kind.UNAVAILABLE, Reason.OMS_ERROR)),
}
BY_STATUS: dict[int, tuple[Kind, Reason | None]] = {
    401: (Kind.REJECTED, Reason.OMS_KEY),
    403: (Kind.REJECTED, Reason.OMS_KEY),
    404: (Kind.NOT_FOUND, Reason.NO_SUCH_TASK),
    429: (Kind.UNAVAILABLE, Reason.THROTTLED),
}
# Except 0308, which is in the table: the request was throttled.
GATEWAY_CODES_ABOUT_KEYS = "APIGW.030"
# Seconds after which a redelivery of a throttled request makes sense. Huawei says 2 to 5 for one caller; when thousands
# wait, each attempt uses up quota of the others.
THROTTLED_FOR = 10


def read_error(answer: Answer) -> Outcome:
    """The outcome of a response that is not a success."""
    kind, reason = _meaning(answer)
    return Outcome(
        kind=kind,
        reason=reason,
        retry_after=THROTTLED_FOR if reason == Reason.THROTTLED else None,
        oms_status=answer.status,
        oms_error_code=answer.error_code,
        oms_request_id=answer.request_id,
    )


def is_of_gateway(answer: Answer) -> bool:
    """Whether it is a 5xx from a gateway that may have forwarded the request, so nobody knows what OMS did.

    After a 500 or 503, from OMS or from in front of it, nothing was done.
    """
    says = answer.status < 500 or answer.status in (500, 503)
    return not says and not (answer.error_code or "").startswith("OMS.")


def unreadable(answer: Answer, reason: Reason = Reason.UNREADABLE) -> Outcome:
    """The outcome of a 2xx whose body lacks the requested data: unavailable."""
    return Outcome(kind=Kind.UNAVAILABLE, reason=reason, oms_status=answer.status, oms_request_id=answer.request_id)


def _meaning(answer: Answer) -> tuple[Kind, Reason | None]:
    code = answer.error_code or ""
    if code in BY_CODE:
        return BY_CODE[code]
    if code.startswith(GATEWAY_CODES_ABOUT_KEYS):
        return Kind.REJECTED, Reason.OMS_KEY
    if answer.status in BY_STATUS:
        return BY_STATUS[answer.status]
    if answer.status >= 500:
        return Kind.UNAVAILABLE, Reason.OMS_ERROR
    return Kind.REJECTED, Reason.REDIRECT if 300 <= answer.status < 400 else Reason.REFUSED_BY_OMS


def refuses_key(answer: Answer) -> bool:
    """Whether OMS, its gateway or IAM refused the key or token itself, and not just this use of it."""
    if answer.status < 300:
        return False
    code = answer.error_code or ""
    return answer.status == 401 or (code.startswith(GATEWAY_CODES_ABOUT_KEYS) and code not in BY_CODE)
