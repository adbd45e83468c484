"""One row for each outcome: how callers are answered, how people are told, what the ledger keeps. No I/O here."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import NamedTuple

from restarter.model.outcome import Kind
from restarter.model.text import Text


class Severity(StrEnum):
    """How urgent a receipt is."""

    INFO = "INFO"
    WARNING = "WARNING"
    """It was not done, and nobody has to act."""
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


OK, NO_CONTENT = HTTPStatus.OK, HTTPStatus.NO_CONTENT
CONFLICT, UNPROCESSABLE = HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY
RETRY = HTTPStatus.SERVICE_UNAVAILABLE
INFO, WARNING, ERROR = Severity

OUTCOMES: Mapping[Kind, OutcomeRow] = {
    Kind.STARTED: OutcomeRow(
        OK, NO_CONTENT, INFO, Text("Started {target}", "已启动{target}"), settles=True, counts=True
    ),
    Kind.WOULD_START: OutcomeRow(
        OK, NO_CONTENT, INFO, Text("Dry run: would have started {target}", "演练：本应启动{target}")
    ),
    Kind.ALREADY_RUNNING: OutcomeRow(
        *(OK, NO_CONTENT, INFO),
        Text("Nothing was started: {target} is already running", "未启动：{target}已在运行"),
        Text("the task is waiting, running or retrying", "任务正在等待、运行或重试"),
        settles=True,
    ),
    Kind.NOTHING_TO_DO: OutcomeRow(
        *(OK, NO_CONTENT, INFO),
        Text("Nothing was started: {target} has succeeded", "未启动：{target}已成功"),
        Text("the task has succeeded", "任务已成功"),
        settles=True,
    ),
    Kind.DUPLICATE: OutcomeRow(
        *(OK, NO_CONTENT, INFO),
        Text("Nothing was started for {target}: this event was settled before", "未启动{target}：该事件此前已处理完毕"),
        Text("the event was settled before", "该事件此前已处理完毕"),
        settles=True,
    ),
    Kind.IGNORED: OutcomeRow(
        OK, NO_CONTENT, INFO, Text("Ignored: not a request for a restart", "已忽略：不是重启请求")
    ),
    Kind.SWEPT: OutcomeRow(OK, NO_CONTENT, INFO, Text("Looked for failed tasks", "已扫描失败的任务")),
    Kind.REFUSED: OutcomeRow(CONFLICT, NO_CONTENT, WARNING, Text("Did not start {target}", "未启动{target}")),
    Kind.MALFORMED: OutcomeRow(
        *(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST, WARNING), Text("The delivery is malformed", "投递内容有误")
    ),
    Kind.UNAUTHENTICATED: OutcomeRow(
        *(HTTPStatus.UNAUTHORIZED, HTTPStatus.UNAUTHORIZED, WARNING),
        Text("The caller was not authenticated", "调用方未通过认证"),
    ),
    Kind.CONTENT_TOO_LARGE: OutcomeRow(
        *(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, WARNING),
        Text("The delivery is too large", "投递内容过大"),
    ),
    Kind.UNSUPPORTED_MEDIA_TYPE: OutcomeRow(
        *(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, WARNING),
        Text("The delivery has a format that is not supported", "不支持该投递格式"),
    ),
    Kind.METHOD_NOT_ALLOWED: OutcomeRow(
        *(HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.METHOD_NOT_ALLOWED, WARNING),
        Text("The method is not allowed; deliveries are sent by POST", "不允许该方法；请用 POST 投递"),
    ),
    Kind.NOT_FOUND: OutcomeRow(
        *(HTTPStatus.NOT_FOUND, UNPROCESSABLE, ERROR),
        Text("OMS has no {target}", "OMS 中没有{target}"),
        Text("OMS has no such task or group, or it was deleted", "OMS 中没有该任务或任务组，或已被删除"),
    ),
    Kind.REJECTED: OutcomeRow(
        UNPROCESSABLE, UNPROCESSABLE, ERROR, Text("Rejected: {target} was not started", "被拒绝：{target}未启动")
    ),
    Kind.DEFERRED: OutcomeRow(RETRY, RETRY, WARNING, Text("Cannot start {target} now", "暂时不能启动{target}")),
    Kind.UNAVAILABLE: OutcomeRow(
        RETRY, RETRY, WARNING, Text("Could not handle {target}; nothing was started", "无法处理{target}；未启动")
    ),
    Kind.UNCONFIRMED: OutcomeRow(
        *(RETRY, RETRY, WARNING),
        Text("A start of {target} was sent and not confirmed", "已发送启动{target}的请求，但未得到确认"),
        counts=True,
    ),
}
