"""One row for each reason: the sentence that receipts and `explain` say, how urgent it is, and what a person does.

Sentences are clauses: they stand behind a colon. function/README.md, «Deciding», has the rules as a table. No I/O here.
"""

from collections.abc import Mapping
from typing import NamedTuple

from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.text import Text
from restarter.reporting.outcomes import OUTCOMES, Severity

CHECK = "python -m restarter check"


class ReasonRow(NamedTuple):
    """What is said of a reason."""

    sentence: Text
    advice: Text | None = None
    """What a person does next, where one is needed. `reporting.advice` has the placeholders."""
    severity: Severity | None = None
    """In place of the outcome's own."""


REASONS: Mapping[Reason, ReasonRow] = {
    Reason.DISABLED: ReasonRow(Text("RESTART_ENABLED is false", "RESTART_ENABLED 为 false")),
    Reason.STALE_EVENT: ReasonRow(
        Text(
            "the event is older than RESTART_MAX_EVENT_AGE, or over 5 minutes in the future",
            "事件早于 RESTART_MAX_EVENT_AGE，或超前 5 分钟以上",
        )
    ),
    Reason.IN_PROGRESS: ReasonRow(
        Text("another delivery about it is in progress", "对同一事件或任务的另一次投递正在处理中")
    ),
    Reason.PAUSING: ReasonRow(Text("the task is being paused", "任务正在暂停")),
    Reason.UNKNOWN_STATUS: ReasonRow(Text("OMS documents no such status", "OMS 文档中没有该状态")),
    Reason.PAUSED: ReasonRow(
        Text("somebody paused it, and an event does not undo that", "任务已被人工暂停，事件不会撤销暂停")
    ),
    Reason.SYNC_TASK: ReasonRow(
        Text("a synchronization task has a start call of its own", "同步任务使用另外的启动接口")
    ),
    Reason.GROUP_UNKNOWN: ReasonRow(
        Text(
            "a member of a group is retried with its group, and OMS gives no usable id of it",
            "任务组成员须随任务组一起重试，而 OMS 未给出可用的任务组 ID",
        )
    ),
    Reason.STARTED_SINCE: ReasonRow(
        Text(
            "the task was started after the failure that the event reports", "在该事件所报告的失败之后，任务已被启动过"
        )
    ),
    Reason.ARCHIVE_RESTORE: ReasonRow(
        Text(
            "each restart pays for the retrieval again, and RESTART_ARCHIVED is false",
            "每次重启都会再次产生取回费用，而 RESTART_ARCHIVED 为 false",
        )
    ),
    Reason.PERMANENT_FAILURE: ReasonRow(
        Text("only a person can fix what made it fail", "失败原因须人工处理"),
        Text("{measure}, then {by_hand}", "{measure}，然后{by_hand}"),
        Severity.ERROR,
    ),
    Reason.BUDGET_EXHAUSTED: ReasonRow(
        Text("it was restarted as often as RESTART_BUDGET allows", "重启次数已达 RESTART_BUDGET 上限"),
        Text(
            "{measure} ({restarts} restarts within {window} did not help; {listed}), then {by_hand}",
            "{measure}（{window} 内重启 {restarts} 次未能解决；{listed}），然后{by_hand}",
        ),
        Severity.ERROR,
    ),
    Reason.BACKOFF: ReasonRow(
        Text(
            "it was restarted a short while ago; the pause of RESTART_BACKOFF doubles with each restart",
            "距上次重启时间过短；RESTART_BACKOFF 的间隔随每次重启加倍",
        )
    ),
    Reason.GROUP_RUNNING: ReasonRow(
        Text(
            "the group has not failed yet; its failed members are retried once it has",
            "任务组尚未失败；失败的成员会在任务组失败后重试",
        )
    ),
    Reason.PAUSED_GROUP: ReasonRow(
        Text(
            "somebody paused the group; resume it in OMS's console, for only a failed group can be retried",
            "任务组已被人工暂停；请在 OMS 控制台恢复，只有失败的任务组可以重试",
        )
    ),
    Reason.TEMPORARY_KEYS: ReasonRow(
        Text(
            "RetryTaskGroup takes no security tokens, and this profile has one",
            "RetryTaskGroup 不接受安全令牌，而该组存储密钥带有安全令牌",
        )
    ),
    Reason.NO_SUCH_TASK: ReasonRow(
        Text("it does not exist, or it was deleted", "不存在，或已被删除"),
        Text(
            "Check {field} and project_id at the sender: {project} has no such task, or it was deleted",
            "请检查事件源中的 {field} 和 project_id：{project}中没有该任务，或已被删除",
        ),
    ),
    Reason.NO_SUCH_GROUP: ReasonRow(
        Text("the group does not exist, or it was deleted", "任务组不存在，或已被删除"),
        Text(
            "Check {field} and project_id at the sender: {project} has no such task group, or it was deleted",
            "请检查事件源中的 {field} 和 project_id：{project}中没有该任务组，或已被删除",
        ),
    ),
    Reason.AMBIGUOUS_TASK_NAME: ReasonRow(
        Text("several tasks have exactly this name", "有多个任务同名"),
        Text(
            "Send task_id instead of task_name: several tasks have exactly this name",
            "有多个任务同名，请用 task_id 代替 task_name",
        ),
    ),
    Reason.WRONG_TASK: ReasonRow(Text("OMS answered about another task", "OMS 返回的是另一个任务")),
    Reason.OMS_KEY: ReasonRow(
        Text("OMS refused the key that calls it", "OMS 拒绝了调用密钥"),
        Text(
            "Replace the key in {key_settings}, or grant it oms:task:update in {project}, and test it with: " + CHECK,
            "请更换 {key_settings} 中的密钥，或在{project}中授予 oms:task:update 权限，并用此命令验证：" + CHECK,
        ),
    ),
    Reason.GROUP_PERMISSION: ReasonRow(
        Text("the key may not read or retry task groups", "该密钥无权读取或重试任务组"),
        Text(
            "Grant the key's user oms:taskgroup:get and oms:taskgroup:update in {project}, then {by_hand}",
            "请在{project}中为密钥所属用户授予 oms:taskgroup:get 和 oms:taskgroup:update 权限，然后{by_hand}",
        ),
    ),
    Reason.REFUSED_BY_OMS: ReasonRow(
        Text("OMS refused the call", "OMS 拒绝了该请求"),
        Text(
            "Find out why OMS refused the call ({code}; {error_codes} lists the codes), then {by_hand}",
            "请查明 OMS 拒绝请求的原因（{code}；错误码见 {error_codes}），然后{by_hand}",
        ),
    ),
    Reason.REDIRECT: ReasonRow(
        Text("the address redirects, and redirects are not followed", "该地址返回重定向，而重定向不会被跟随"),
        Text(
            "Correct OMS_ENDPOINT or OMS_REGION, because redirects are not followed; test it with: " + CHECK,
            "请更正 OMS_ENDPOINT 或 OMS_REGION（不会跟随重定向），并用此命令验证：" + CHECK,
        ),
    ),
    Reason.THROTTLED: ReasonRow(Text("OMS throttles requests", "OMS 正在限流")),
    Reason.OMS_ERROR: ReasonRow(Text("OMS had an error", "OMS 出现错误")),
    Reason.UNREADABLE: ReasonRow(Text("OMS's response cannot be read", "无法解析 OMS 的响应")),
    Reason.TOKEN_REFUSED: ReasonRow(
        Text(
            "OMS refused the token; the next delivery asks IAM for another",
            "OMS 拒绝了令牌；下一次投递会向 IAM 重新获取",
        )
    ),
    Reason.NO_KEY_FOR_OMS: ReasonRow(
        Text("no key for OMS is configured, and the platform provides none", "未配置 OMS 密钥，平台也未提供"),
        Text(
            "Set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK; the key of an agency comes with deliveries only",
            "请设置 HUAWEICLOUD_SDK_AK 和 HUAWEICLOUD_SDK_SK；委托的密钥只随投递提供",
        ),
    ),
    Reason.IAM: ReasonRow(
        Text("IAM gives no token", "IAM 未返回令牌"),
        Text(
            "Correct IAM_ENDPOINT, IAM_DOMAIN, IAM_USER and IAM_PASSWORD, and test them with: " + CHECK,
            "请更正 IAM_ENDPOINT、IAM_DOMAIN、IAM_USER 和 IAM_PASSWORD，并用此命令验证：" + CHECK,
        ),
    ),
    Reason.NO_CONNECTION: ReasonRow(
        Text("there is no connection to OMS", "无法连接 OMS"),
        Text(
            "Let the function reach this address, and check OMS_REGION, OMS_PROJECTS and OMS_ENDPOINT",
            "请确认函数可以访问该地址，并检查 OMS_REGION、OMS_PROJECTS 和 OMS_ENDPOINT",
        ),
    ),
    Reason.TIMEOUT: ReasonRow(Text("OMS did not respond in time", "OMS 未及时响应")),
    Reason.CONNECTION_LOST: ReasonRow(Text("the connection to OMS was lost", "与 OMS 的连接中断")),
    Reason.DEADLINE: ReasonRow(Text("too little time was left before the deadline", "距截止时间过短")),
    Reason.OFFLINE: ReasonRow(
        Text(
            "OMS is not asked; give the task with --task FILE, and its group with --group FILE",
            "未查询 OMS；请用 --task FILE 提供任务，用 --group FILE 提供任务组",
        )
    ),
    Reason.LEDGER: ReasonRow(
        Text("the ledger does not respond, and nothing is started without it", "状态记录无响应，此时不会启动任何任务")
    ),
    Reason.BUSY: ReasonRow(Text("too many requests are in flight", "正在处理的请求过多")),
    Reason.ANOTHER_TASK: ReasonRow(
        Text("its sender used the id of this event for another task before", "事件源曾将同一事件 ID 用于另一个任务")
    ),
    Reason.CREDENTIALS_CHANGED: ReasonRow(
        Text("OMS refused the key, and the settings have changed since", "OMS 拒绝了密钥，其后配置已更改")
    ),
    Reason.SWEEP_OFF: ReasonRow(Text("RESTART_SWEEP is off", "RESTART_SWEEP 为 off")),
    Reason.MORE_PAGES: ReasonRow(Text("OMS lists more failed tasks than were read", "失败任务多于已读取的数量")),
    Reason.LIST: ReasonRow(Text("the list of failed tasks could not be read", "无法读取失败任务列表")),
    Reason.SUBSCRIPTION: ReasonRow(
        Text("SMN did not accept the confirmation of the subscription", "SMN 未接受订阅确认"),
        Text(
            "Have SMN request the confirmation of its subscription again, because this one was not accepted",
            "本次订阅确认未被接受，请让 SMN 重新请求确认",
        ),
    ),
    Reason.SUBSCRIPTION_CONFIRMED: ReasonRow(Text("the subscription was confirmed", "订阅已确认")),
    Reason.TASK_SUCCEEDED: ReasonRow(Text("the sender says that the task succeeded", "事件源表明任务已成功")),
    Reason.EVENT_TYPE: ReasonRow(Text("events of this type are not ours", "不处理该类型的事件")),
    Reason.DEAD_LETTER: ReasonRow(Text("a dead letter reports no new failure", "死信不代表新的失败")),
    Reason.EMPTY_BATCH: ReasonRow(Text("the batch is empty", "批次为空")),
    Reason.ALERT_RESOLVED: ReasonRow(Text("the alert is resolved", "告警已恢复")),
    Reason.ALERT_WITHOUT_TASK: ReasonRow(
        Text(
            "no label names a task: task_id, task_name or group_id", "没有标签指明任务：task_id、task_name 或 group_id"
        )
    ),
    Reason.SMN_TYPE: ReasonRow(Text("SMN messages of this type report no failure", "该类型的 SMN 消息不报告失败")),
    Reason.SUBSCRIPTION_NOT_SIGNED: ReasonRow(
        Text("only a confirmation that SMN signed is followed", "只处理由 SMN 签名的订阅确认")
    ),
    Reason.TIMER: ReasonRow(Text("the timer's user_event names no task", "定时器的 user_event 未指明任务")),
    Reason.CTS_TRACE: ReasonRow(Text("an audited call reports no failure", "审计事件不报告失败")),
    Reason.OBS_OBJECT: ReasonRow(Text("an event about an object reports no failure", "对象事件不报告失败")),
    Reason.FUNCTION_RESULT: ReasonRow(Text("the result of a function reports no failure", "函数执行结果不报告失败")),
}


def severity_of(outcome: Outcome, *, is_event: bool) -> Severity:
    """INFO for what is settled, WARNING for what was not done, ERROR where a person is needed.

    `is_event`: nobody hears that an event is malformed; a direct caller does.
    """
    if outcome.kind is Kind.MALFORMED and is_event:
        return Severity.ERROR
    severity = (REASONS[outcome.reason].severity if outcome.reason else None) or OUTCOMES[outcome.kind].severity
    return Severity.INFO if outcome.repeated else severity


def rule_behind(outcome: str, reason: str | None) -> Text | None:
    """The sentence of an outcome's reason, or of the outcome where it has none; both by their words.

    None where there is none, as for a reason that is the caller's own text.
    """
    if reason is None:
        return OUTCOMES[Kind(outcome)].rule
    return next((row.sentence for word, row in REASONS.items() if word == reason), None)
