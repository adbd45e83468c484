"""One request and one answer as values, and the words OMS and its gateway use. No I/O here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

# OMS answers 400 to nearly everything; the code carries the meaning.
# https://support.huaweicloud.com/api-oms/ErrorCode.html
OMS_MESSAGES = {
    "OMS.0054": "Invalid task ID.",
    "OMS.0057": "Invalid values for source parameters.",
    "OMS.0063": "The task is in progress.",
    "OMS.0064": "Invalid request parameters.",
    "OMS.0065": "The task has already started.",
    "OMS.0066": "Failed to pause the task. The task is not in progress.",
    "OMS.0067": "The parameters are not in JSON format.",
    "OMS.0070": "The task is complete. You cannot start or stop it.",
    "OMS.0074": "The parameters must be the same as those in the Object Storage Migration Service API Reference.",
    "OMS.0155": "Failed to get bucket region.",
    "OMS.0167": "Failed to find the list of failed objects.",
    "OMS.0206": "Insufficient permissions. You do not have the OMS operation permissions.",
    "OMS.1004": "Some required parameters are missing.",
    "OMS.1009": "No resources found.",
    "OMS.1014": "Failed to obtain source bucket details.",
    "OMS.1036": "Operations cannot be performed on task groups in current state.",
    "OMS.1038": "Only tasks in Executing state can be paused.",
    "OMS.1039": "Only tasks in Paused state can be resumed.",
    "OMS.1040": "Only tasks in Creation failed or Failed state can be restarted.",
}

# https://support.huaweicloud.com/devg-apisign/api-sign-errorcode.html
GATEWAY_STATUS = {
    "APIGW.0101": 404,
    "APIGW.0201": 413,
    "APIGW.0301": 401,
    "APIGW.0303": 401,
    "APIGW.0307": 401,
    "APIGW.0308": 429,
    "APIGW.0310": 403,
}

JSON = ("content-type", "application/json;charset=utf-8")


@dataclass(frozen=True, slots=True)
class Request:
    """What came in. Header names are lower case; values hold the very bytes, UTF-8 or escaped."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out. `code` repeats the error code in the body, for the list of calls."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    code: str | None = None


def found(value: object) -> Answer:
    """OMS says yes, with a value."""
    return Answer(200, encode(value), (JSON,))


def refused(code: str, status: int = 400) -> Answer:
    """OMS itself says no."""
    return Answer(status, encode({"error_code": code, "error_msg": OMS_MESSAGES[code]}), (JSON,), code)


def gateway_error(code: str, message: str, request_id: str) -> Answer:
    """The gateway's error response to a request that OMS does not see."""
    body = {"error_msg": message, "error_code": code, "request_id": request_id}
    return Answer(GATEWAY_STATUS[code], encode(body), (JSON,), code)


def encode(value: object) -> bytes:
    """A JSON body."""
    return json.dumps(value).encode()


def decode(body: bytes) -> object:
    """The JSON value in a body; ValueError whatever is wrong with it."""
    try:
        return json.loads(body)
    except RecursionError as error:
        message = "nested too deeply"
        raise ValueError(message) from error
