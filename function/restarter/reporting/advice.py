"""What a person does next, in one sentence: for every outcome that is reported at ERROR. No I/O here.

The sentences are those of `reporting.reasons`; here their placeholders are filled.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from restarter.decide.failure_reasons import explain_failure
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import target_of
from restarter.model.text import Text
from restarter.reporting.reasons import REASONS
from restarter.settings.model import Settings, settings_prefix
from restarter.settings.types import in_words

ERROR_CODES = "https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html"
MALFORMED = Text(
    "Correct what the sender sends ({fault}), and test a saved delivery with: python -m restarter explain",
    "请更正事件源发送的内容（{fault}），并用此命令验证保存的投递：python -m restarter explain",
)
UNREADABLE = Text("it cannot be read", "无法解析")
PROJECT = Text("project {id}", "项目 {id} ")
THE_PROJECT = Text("the project", "该项目")
BY_HAND = Text(
    "start it by hand: with a direct call of {field} {value}, or in OMS's console",
    "手动启动：直接调用并指定 {field} {value}，或在 OMS 控制台操作",
)
BY_HAND_UNKNOWN = Text(
    "start the task by hand: with a direct call of its task_id, or in OMS's console",
    "手动启动该任务：直接调用并指定其 task_id，或在 OMS 控制台操作",
)
FIND_OUT = Text("Find out in OMS's console why it failed", "请在 OMS 控制台查明失败原因")
LISTED = Text("the failed objects are listed in the destination bucket in {key}", "失败对象列表位于目的端桶中的 {key}")
NOT_LISTED = Text("none are listed", "没有失败对象列表")
AGENCY = Text("the function's agency", "函数的委托")
NO_CODE = Text("its code is not known", "错误码未知")


class Case(NamedTuple):
    """What advice is given about. `facts` are those of the receipt, as far as they are known."""

    outcome: Outcome
    facts: Mapping[str, Any]
    settings: Settings

    def say(self, text: Text, **values: object) -> str:
        """The text in the language of the settings."""
        return text.in_(self.settings.restart_language).format(**values)


def advise(outcome: Outcome, facts: Mapping[str, Any], settings: Settings) -> str:
    """The advice for an outcome, in the language of the settings."""
    case = Case(outcome, facts, settings)
    if outcome.kind is Kind.MALFORMED:
        return case.say(MALFORMED, fault=outcome.fault or case.say(UNREADABLE))
    row = REASONS[outcome.reason] if outcome.reason else None
    advice = (row and row.advice) or REASONS[Reason.REFUSED_BY_OMS].advice
    assert advice is not None  # noqa: S101  # for mypy: that row has one
    text = advice.in_(settings.restart_language)
    return text.format(**{name: fill(case) for name, fill in PLACEHOLDERS.items() if f"{{{name}}}" in text})


def _measure(case: Case) -> str:
    """What is done about the failure; settings are named as those of the request's profile."""
    if case.outcome.failure_reason is None:
        return case.say(FIND_OUT)
    measure = case.say(explain_failure(case.outcome.failure_reason).measure)
    prefix = settings_prefix(case.facts.get("credentials", "default"))
    return measure.replace("OMS_SRC_", f"{prefix}SRC_").replace("OMS_DST_", f"{prefix}DST_")


def _by_hand(case: Case) -> str:
    """How a person starts what the facts are about."""
    field = next((name for name in ("group_id", "task_id") if case.facts.get(name)), None)
    return case.say(BY_HAND, field=field, value=case.facts[field]) if field else case.say(BY_HAND_UNKNOWN)


def _project(case: Case) -> str:
    project_id = case.facts.get("project_id")
    return case.say(PROJECT, id=project_id) if project_id else case.say(THE_PROJECT)


def _field(case: Case) -> str:
    """The field in which the sender named what OMS does not have."""
    field, _ = target_of(case.facts) or ("task_id", "")
    return field


def _listed(case: Case) -> str:
    key = case.facts.get("failed_objects_list")
    return case.say(LISTED, key=key) if key else case.say(NOT_LISTED)


def _key_settings(case: Case) -> str:
    """The settings that hold the key which OMS refused."""
    if case.settings.huaweicloud_sdk_ak:
        return case.say(Text("HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_AK 和 HUAWEICLOUD_SDK_SK"))
    if case.settings.oms_auth_token:
        return "OMS_AUTH_TOKEN"
    if case.settings.iam_user:
        return case.say(Text("IAM_USER and IAM_PASSWORD", "IAM_USER 和 IAM_PASSWORD"))
    return case.say(AGENCY)


PLACEHOLDERS: Mapping[str, Callable[[Case], str]] = {
    "measure": _measure,
    "by_hand": _by_hand,
    "project": _project,
    "field": _field,
    "listed": _listed,
    "key_settings": _key_settings,
    "restarts": lambda case: str(case.outcome.restarts or case.settings.restart_budget.count),
    "window": lambda case: in_words(case.settings.restart_budget.window_s),
    "task_id": lambda case: str(case.facts.get("task_id", "TASK_ID")),
    "code": lambda case: case.outcome.oms_error_code or case.say(NO_CODE),
    "error_codes": lambda _: ERROR_CODES,
}
