"""What a person does next, in one sentence: for every outcome that is reported at ERROR. No I/O here."""

from collections.abc import Callable, Mapping
from typing import Any

from restarter.decide.failure_reasons import explain_failure
from restarter.model.outcome import Kind, Outcome
from restarter.settings.model import Settings
from restarter.settings.types import in_words

CHECK = "python -m restarter check"
ERROR_CODES = "https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html"
Facts = Mapping[str, Any]


def advise(outcome: Outcome, facts: Facts, settings: Settings) -> str:
    """The advice for an outcome. `facts` are those of its receipt, as far as they are known."""
    if outcome.kind is Kind.MALFORMED:
        fault = outcome.reason or "it cannot be read"
        return f"Correct what the sender sends ({fault}), and test a saved delivery with: python -m restarter explain"
    if outcome.kind is Kind.NOT_FOUND:
        return _not_found(facts)
    return BY_REASON.get(outcome.reason or "", _refused_by_oms)(outcome, facts, settings)


def _not_found(facts: Facts) -> str:
    field = next((name for name in ("group_id", "task_id", "task_name") if facts.get(name)), "task_id")
    kind = "task group" if field == "group_id" else "task"
    return f"Check {field} and project_id at the sender: {_project(facts)} has no such {kind}, or it was deleted"


def _permanent(outcome: Outcome, facts: Facts, settings: Settings) -> str:
    return f"{_measure(outcome, facts)}, then {_by_hand(facts)}"


def _exhausted(outcome: Outcome, facts: Facts, settings: Settings) -> str:
    """How often it was tried, where the failed objects are listed, and how to go on."""
    budget = settings.restart_budget
    where = facts.get("failed_objects_list")
    listed = f"the failed objects are listed in the destination bucket in {where}" if where else "none are listed"
    tried = f"{outcome.restarts or budget.count} restarts within {in_words(budget.window_s)} did not help; {listed}"
    return f"{_measure(outcome, facts)} ({tried}), then {_by_hand(facts)}"


def _credentials(outcome: Outcome, facts: Facts, settings: Settings) -> str:
    """The setting that holds the refused key."""
    if settings.huaweicloud_sdk_ak:
        names = "HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"
    elif settings.oms_auth_token:
        names = "OMS_AUTH_TOKEN"
    elif settings.iam_user:
        names = "IAM_USER and IAM_PASSWORD"
    else:
        names = "the function's agency"
    return f"Replace the key in {names}, or grant it oms:task:update in {_project(facts)}, and prove it with: {CHECK}"


def _group_permission(outcome: Outcome, facts: Facts, settings: Settings) -> str:
    actions = "oms:taskgroup:get and oms:taskgroup:update"
    return f"Grant the user of the key the IAM actions {actions} in {_project(facts)}, then {_by_hand(facts)}"


def _refused_by_oms(outcome: Outcome, facts: Facts, settings: Settings) -> str:
    code = outcome.oms_error_code or "its code is not known"
    return f"Remove what OMS refused the call for ({code}; {ERROR_CODES} lists the codes), then {_by_hand(facts)}"


BY_REASON: Mapping[str, Callable[[Outcome, Facts, Settings], str]] = {
    "permanent_failure": _permanent,
    "budget_exhausted": _exhausted,
    "credentials": _credentials,
    "group_permission": _group_permission,
    "refused_by_oms": _refused_by_oms,
    "iam": lambda *_: f"Correct IAM_ENDPOINT, IAM_DOMAIN, IAM_USER and IAM_PASSWORD, and prove them with: {CHECK}",
    "ambiguous_task_name": lambda *_: "Send task_id in place of task_name: several tasks have exactly this name",
    "redirect": lambda *_: (
        f"Correct OMS_ENDPOINT or OMS_REGION, for redirects are not followed; prove it with: {CHECK}"
    ),
    "subscription": lambda *_: "Let SMN request the confirmation of its subscription again: this one was not accepted",
}


def _measure(outcome: Outcome, facts: Facts) -> str:
    """What is done about the failure; settings are named as those of the request's profile."""
    if outcome.failure_reason is None:
        return "Find out in OMS's console why it failed"
    measure, profile = explain_failure(outcome.failure_reason).measure, facts.get("credentials", "default")
    if profile == "default":
        return measure
    prefix = f"OMS_PROFILES__{profile.upper()}__"
    return measure.replace("OMS_SRC_", f"{prefix}SRC_").replace("OMS_DST_", f"{prefix}DST_")


def _project(facts: Facts) -> str:
    return f"project {facts['project_id']}" if facts.get("project_id") else "the project"


def _by_hand(facts: Facts) -> str:
    """How a person starts what the facts are about."""
    for name in ("group_id", "task_id"):
        if facts.get(name):
            return f"start it by hand: with a direct call of {name} {facts[name]}, or in OMS's console"
    return "start the task by hand: with a direct call of its task_id, or in OMS's console"
