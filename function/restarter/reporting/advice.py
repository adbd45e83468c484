"""What a person should do next, in one sentence, for every outcome that is reported at ERROR. No I/O here.

The sentences are those of `reporting.reasons`; here their placeholders are filled.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from restarter.decide.failure_reasons import explain_failure
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import target_of
from restarter.reporting.phrases import say
from restarter.reporting.reasons import REASONS
from restarter.settings.model import Settings, settings_prefix
from restarter.settings.types import in_words

ERROR_CODES = "https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html"


class Case(NamedTuple):
    """An outcome that needs advice. `facts` are those of the receipt, as far as they are known."""

    outcome: Outcome
    facts: Mapping[str, Any]
    settings: Settings

    def say(self, phrase: str, **values: object) -> str:
        """The phrase in the language of the settings."""
        return say(phrase, self.settings.restart_language, **values)


def advise(outcome: Outcome, facts: Mapping[str, Any], settings: Settings) -> str:
    """The advice for an outcome, in the language of the settings."""
    case = Case(outcome, facts, settings)
    if outcome.kind is Kind.MALFORMED:
        return case.say("malformed", fault=outcome.fault or case.say("unreadable"))
    row = REASONS[outcome.reason] if outcome.reason else None
    advice = (row and row.advice) or REASONS[Reason.REFUSED_BY_OMS].advice
    assert advice is not None  # noqa: S101  # for mypy: that row has one
    text = advice.in_(settings.restart_language)
    return text.format(**{name: fill(case) for name, fill in PLACEHOLDERS.items() if f"{{{name}}}" in text})


def _measure(case: Case) -> str:
    """What to do about the failure. Settings are named with the prefix of the request's profile."""
    if case.outcome.failure_reason is None:
        return case.say("find_out")
    measure = explain_failure(case.outcome.failure_reason).measure.in_(case.settings.restart_language)
    prefix = settings_prefix(case.facts.get("credentials", "default"))
    return measure.replace("OMS_SRC_", f"{prefix}SRC_").replace("OMS_DST_", f"{prefix}DST_")


def _by_hand(case: Case) -> str:
    """How a person starts the target of the facts by hand."""
    field = next((name for name in ("group_id", "task_id") if case.facts.get(name)), None)
    return case.say("by_hand", field=field, value=case.facts[field]) if field else case.say("by_hand_unknown")


def _key_settings(case: Case) -> str:
    """The settings that hold the key which OMS refused."""
    if case.settings.huaweicloud_sdk_ak:
        return case.say("key_pair")
    if case.settings.oms_auth_token:
        return "OMS_AUTH_TOKEN"
    return case.say("login" if case.settings.iam_user else "agency")


def _either(fact: str, known: str, unknown: str) -> Callable[[Case], str]:
    """The phrase `known` if the receipt has the fact, else the phrase `unknown`."""
    return lambda case: case.say(known if case.facts.get(fact) else unknown, value=case.facts.get(fact))


PLACEHOLDERS: Mapping[str, Callable[[Case], str]] = {
    "measure": _measure,
    "by_hand": _by_hand,
    "project": _either("project_id", "project", "the_project"),
    "field": lambda case: (target_of(case.facts) or ("task_id", ""))[0],  # that names what OMS does not have
    "listed": _either("failed_objects_list", "listed", "not_listed"),
    "key_settings": _key_settings,
    "restarts": lambda case: str(case.outcome.restarts or case.settings.restart_budget.count),
    "window": lambda case: in_words(case.settings.restart_budget.window_s),
    "task_id": lambda case: str(case.facts.get("task_id", "TASK_ID")),
    "code": lambda case: case.outcome.oms_error_code or case.say("no_code"),
    "error_codes": lambda _: ERROR_CODES,
}
