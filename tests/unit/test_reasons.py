"""Why a task failed and what a person does about it: every code of Huawei's list, hostile ones, and every ERROR."""

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from example import ENVIRONMENT, PROJECT, TASK, settings, shown
from restarter.decide.failure_reasons import BY_CODE, UNKNOWN, FailureClass, classify_failure, explain_failure
from restarter.http.call import Answer
from restarter.model.delivery import DeliveryContext
from restarter.model.errors import Malformed
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event, Intent, RestartRequest
from restarter.model.task import Task
from restarter.model.text import Text
from restarter.oms import tasks
from restarter.reporting.advice import PLACEHOLDERS as PLACEHOLDERS_OF_ADVICE
from restarter.reporting.notices import BY_CODE as NOTICES
from restarter.reporting.notices import NO_TOPIC, NOT_SENT
from restarter.reporting.outcomes import OUTCOMES, Severity
from restarter.reporting.phrases import PHRASES
from restarter.reporting.reasons import REASONS, severity_of
from restarter.reporting.receipt import build
from restarter.reporting.reply import Entry, reply_to
from restarter.settings.model import Settings

# Huawei's list, by the measures it recommends; made without a look at the table in the function.
LINES = (Path(__file__).parent / "failure_reasons.tsv").read_text("utf-8").splitlines()
ROWS = list(csv.DictReader(LINES, delimiter="\t"))
CONTEXT = DeliveryContext(datetime(2100, 11, 24, tzinfo=UTC), 0.0, 1.0)
REQUEST = RestartRequest(task_id=str(TASK))
EVENT = Event(request=REQUEST, dialect="cloudevent", intent=Intent.FAILED, project_id=PROJECT, event_id="1")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PLACEHOLDERS = re.compile(r"[{}<>%]|\bNone\b|\bTODO\b|…|\.\.\.|\b(FILE|NAME)\b")


def expected_class(row: dict[str, str]) -> FailureClass:
    if row["restart_helps"] in ("yes", "later/maybe"):
        return FailureClass.TRANSIENT
    return FailureClass.CREDENTIALS if row["new_keys_may_cure"] == "yes" else FailureClass.PERMANENT


def receipt_of(outcome: Outcome, event: Event = EVENT, known: Settings | None = None) -> dict[str, Any]:
    return build(outcome, event, CONTEXT, known or settings(), None)


@pytest.mark.parametrize("row", ROWS, ids=[row["code"] for row in ROWS])
def test_every_code_has_its_class_a_clause_a_measure_and_a_source(row: dict[str, str]) -> None:
    reason = explain_failure(row["code"])
    assert reason.failure_class is classify_failure(row["code"]) is expected_class(row)
    assert re.fullmatch(r"(?:[a-z]|OMS)[^.]+[a-z0-9)]", reason.clause.en)
    assert re.fullmatch(r"[A-Z][^{}]+[^. ]", reason.measure.en)
    assert CHINESE.search(reason.clause.zh)
    assert CHINESE.search(reason.measure.zh)
    assert reason.source.startswith("https://")


def test_the_table_has_exactly_the_codes_of_the_list() -> None:
    assert set(BY_CODE) == {row["code"] for row in ROWS}
    assert len(BY_CODE) == 46
    for code in (None, "", "TRF.9999", "S3M.0001"):
        assert explain_failure(code) is UNKNOWN
    assert UNKNOWN.failure_class is FailureClass.UNKNOWN


@pytest.mark.parametrize("code", [row["code"] for row in ROWS if expected_class(row) is FailureClass.PERMANENT])
def test_a_permanent_failure_is_named_in_words_of_ours_with_what_to_do(code: str) -> None:
    outcome = Outcome(kind=Kind.REFUSED, reason=Reason.PERMANENT_FAILURE, task_id=str(TASK), failure_reason=code)
    receipt = receipt_of(outcome)
    reason = BY_CODE[code]
    assert receipt["message"] == f"Did not start task {TASK}: {code}, {reason.clause.en}"
    assert (receipt["reason"], receipt["failure_reason"]) == ("permanent_failure", code)
    assert (receipt["failure_class"], receipt["severity"]) == ("permanent", "ERROR")
    assert receipt["advice"] == (
        f"{reason.measure.en}, then start it by hand: with a direct call of task_id {TASK}, or in OMS's console"
    )


def test_the_sentence_of_a_bucket_without_space() -> None:
    outcome = Outcome(kind=Kind.REFUSED, reason=Reason.PERMANENT_FAILURE, task_id="123", failure_reason="TRF.0055")
    assert receipt_of(outcome)["message"] == "Did not start task 123: TRF.0055, the destination bucket has no space"


HOSTILE = ["TRF.0001" + "x" * 10_240, "TRF.0001\n", "TRF.\u06f0\u06f0\u06f0\u06f1", "\x1b[31mTRF.0001", "TRF.00001"]
HOSTILE += [*ENVIRONMENT.values(), "{task}", ""]


def seen(**changes: Any) -> Task:
    """What is read of ShowTask's answer."""
    found = tasks.interpret_show(Answer(200, json.dumps(shown(**changes)).encode()), str(TASK))
    assert isinstance(found, Task)
    return found


@pytest.mark.parametrize("code", [*HOSTILE, None, 5, ["TRF.0001"], {"a": 1}])
def test_a_code_of_another_shape_is_not_taken_and_the_text_never(code: Any) -> None:
    """The text may hold names of objects, and echo what was sent."""
    task = seen(error_reason={"error_code": code, "error_msg": ENVIRONMENT["OMS_SRC_SK"]})
    assert task.failure_reason is None
    for error_reason in (code, [code], {"error_code": {"error_code": code}}):
        assert seen(error_reason=error_reason).failure_reason is None
    outcome = Outcome(kind=Kind.REFUSED, reason=Reason.BUDGET_EXHAUSTED, failure_reason=task.failure_reason)
    assert not {"failure_reason", "failure_class"} & set(receipt_of(outcome))


def test_a_code_that_is_not_in_the_table_is_unknown_and_shown() -> None:
    task = seen(error_reason={"error_code": "TRF.4711", "error_msg": "x" * 10_240})
    receipt = receipt_of(Outcome(kind=Kind.STARTED, failure_reason=task.failure_reason))
    assert (receipt["failure_reason"], receipt["failure_class"]) == ("TRF.4711", "unknown")
    assert len(json.dumps(receipt)) < 500


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("oms/task/a-b_1/failed_object_lists/1.txt", True),
        ("oms/失败.txt", True),
        ("a" * 1024, True),
        ("a" * 1025, False),
        ("a" * 10_240, False),
        ("oms/a\nb", False),
        ("oms/\u202eb", False),
        ("\x00", False),
        ("", False),
        (5, False),
        (None, False),
    ],
)
def test_the_list_of_failed_objects_is_shown_where_it_can_be_shown_whole(key: Any, kept: bool) -> None:  # noqa: FBT001
    assert seen(failed_object_record={"list_file_key": key}).failed_objects_list == (key if kept else None)


@pytest.mark.parametrize(
    ("number", "kept"), [(0, 0), (12, 12), (-1, None), (10**20, None), (True, None), ("3", None), (1.5, None)]
)
def test_the_number_of_failed_objects_is_shown_where_it_is_one(number: Any, kept: int | None) -> None:
    assert seen(failed_num=number).failed_objects == kept


GROUP_EVENT = EVENT._replace(request=RestartRequest(group_id="g-1"))
NAME_EVENT = EVENT._replace(request=RestartRequest(task_name="a-b-1_2"))
PROFILE_EVENT = EVENT._replace(request=RestartRequest(task_id="1", credentials="archive"))


def without_key(**changes: Any) -> Settings:
    """Settings whose key for OMS is another, or is lent by the platform."""
    return settings().model_copy(update={"huaweicloud_sdk_ak": None, "huaweicloud_sdk_sk": None, **changes})


ERRORS: list[tuple[Outcome, Event, Settings, list[str]]] = [
    (Outcome(kind=Kind.NOT_FOUND, reason=Reason.NO_SUCH_TASK), EVENT, settings(), ["task_id", f"project {PROJECT}"]),
    (Outcome(kind=Kind.NOT_FOUND, reason=Reason.NO_SUCH_TASK), NAME_EVENT, settings(), ["task_name"]),
    (
        Outcome(kind=Kind.NOT_FOUND, reason=Reason.NO_SUCH_GROUP, group_id="g-1"),
        EVENT,
        settings(),
        ["group_id", "task group"],
    ),
    (Outcome(kind=Kind.NOT_FOUND, reason=Reason.NO_SUCH_GROUP), GROUP_EVENT, settings(), ["group_id", "task group"]),
    (Outcome(kind=Kind.REJECTED, reason=Reason.AMBIGUOUS_TASK_NAME), NAME_EVENT, settings(), ["task_id", "task_name"]),
    (Outcome(kind=Kind.REJECTED, reason=Reason.OMS_KEY), EVENT, settings(), ["HUAWEICLOUD_SDK_AK", "restarter check"]),
    (
        *(Outcome(kind=Kind.REJECTED, reason=Reason.OMS_KEY), EVENT, without_key(oms_auth_token="t")),
        ["OMS_AUTH_TOKEN", "restarter check"],
    ),
    (
        *(Outcome(kind=Kind.REJECTED, reason=Reason.OMS_KEY), EVENT, without_key(iam_user="u")),
        ["IAM_USER and IAM_PASSWORD", "restarter check"],
    ),
    (Outcome(kind=Kind.REJECTED, reason=Reason.OMS_KEY), EVENT, without_key(), ["agency", "restarter check"]),
    (Outcome(kind=Kind.REJECTED, reason=Reason.IAM), EVENT, settings(), ["IAM_ENDPOINT", "restarter check"]),
    (
        Outcome(kind=Kind.REJECTED, reason=Reason.GROUP_PERMISSION),
        GROUP_EVENT,
        settings(),
        ["oms:taskgroup:update", "g-1"],
    ),
    (Outcome(kind=Kind.REJECTED, reason=Reason.REDIRECT), EVENT, settings(), ["OMS_ENDPOINT"]),
    (Outcome(kind=Kind.REJECTED, reason=Reason.SUBSCRIPTION), EVENT, settings(), ["SMN"]),
    (
        *(Outcome(kind=Kind.REJECTED, reason=Reason.REFUSED_BY_OMS, oms_error_code="OMS.0064"), EVENT, settings()),
        ["OMS.0064", f"task_id {TASK}"],
    ),
    (Outcome(kind=Kind.REJECTED, reason=Reason.REFUSED_BY_OMS), NAME_EVENT, settings(), ["direct call"]),
    (Outcome(kind=Kind.REJECTED), EVENT, settings(), ["direct call"]),
    (
        *(Outcome(kind=Kind.REFUSED, reason=Reason.BUDGET_EXHAUSTED, restarts=3), EVENT, settings()),
        ["Find out", "3 restarts within 24h", "none are listed", f"task_id {TASK}"],
    ),
    (
        Outcome(
            kind=Kind.REFUSED,
            reason=Reason.BUDGET_EXHAUSTED,
            failure_reason="TRF.0057",
            failed_objects_list="oms/list.txt",
        ),
        PROFILE_EVENT,
        settings(restart_budget="4/2h"),
        ["4 restarts within 2h", "oms/list.txt", "OMS_PROFILES__ARCHIVE__DST_AK and OMS_PROFILES__ARCHIVE__DST_SK"],
    ),
    (Outcome(kind=Kind.REFUSED, reason=Reason.PERMANENT_FAILURE), EVENT, settings(), [f"task_id {TASK}"]),
]


@pytest.mark.parametrize(("outcome", "event", "known", "words"), ERRORS)
def test_every_error_says_what_to_do_next_without_a_placeholder(
    outcome: Outcome, event: Event, known: Settings, words: list[str]
) -> None:
    receipt = receipt_of(outcome, event, known)
    advice = receipt["advice"]
    assert receipt["severity"] == "ERROR"
    assert [word for word in words if word not in advice] == []
    assert not PLACEHOLDERS.search(advice)
    assert 20 < len(advice) < 400
    direct = reply_to([Entry(outcome, receipt, b"{}", is_direct=True)])
    assert json.loads(direct.body)["advice"] == advice


@pytest.mark.parametrize(("dialect", "severity"), [("cloudevent", "ERROR"), ("direct", "WARNING"), (None, "WARNING")])
def test_a_malformed_event_needs_an_operator(dialect: str | None, severity: str) -> None:
    """A direct caller learns of it from the reply."""
    error = Malformed("task_id: must be 1 to 15 digits", dialect=dialect)
    receipt = build(Outcome(kind=Kind.MALFORMED, fault=error.fault), error, CONTEXT, settings(), None)
    assert receipt["severity"] == severity
    assert receipt.get("advice") == (
        "Correct what the sender sends (task_id: must be 1 to 15 digits), and test a saved delivery with: "
        "python -m restarter explain"
        if severity == "ERROR"
        else None
    )


def test_every_other_outcome_has_no_advice() -> None:
    for kind in set(Kind) - {Kind.NOT_FOUND, Kind.REJECTED, Kind.MALFORMED}:
        assert "advice" not in receipt_of(Outcome(kind=kind))
    assert "advice" not in receipt_of(Outcome(kind=Kind.REFUSED, reason=Reason.BUDGET_EXHAUSTED, repeated=True))


def test_an_exhausted_budget_names_the_rule_and_the_failure() -> None:
    outcome = Outcome(kind=Kind.REFUSED, reason=Reason.BUDGET_EXHAUSTED, failure_reason="TRF.0003")
    assert receipt_of(outcome)["message"] == (
        f"Did not start task {TASK}: it was restarted as often as RESTART_BUDGET allows; "
        "TRF.0003, the task waited too long to be run"
    )


ROWS_OF_REASONS = [
    pytest.param(text, id=f"{word} {name}")
    for word, name, text in [
        *((word, "sentence", row.sentence) for word, row in REASONS.items()),
        *((word, "advice", row.advice) for word, row in REASONS.items() if row.advice),
        *((kind, "sentence", row.sentence) for kind, row in OUTCOMES.items()),
        *((kind, "rule", row.rule) for kind, row in OUTCOMES.items() if row.rule),
        *((code, "notice", text) for code, text in NOTICES.items()),
        *(("notice", text.en, text) for text in (NO_TOPIC, NOT_SENT)),
    ]
]


def test_each_reason_and_each_outcome_has_one_row() -> None:
    assert list(REASONS) == list(Reason)
    assert list(OUTCOMES) == list(Kind)


@pytest.mark.parametrize("text", ROWS_OF_REASONS)
def test_each_sentence_exists_in_both_languages(text: Text) -> None:
    """With the same placeholders, each of which can be filled; a clause ends without a full stop."""
    placeholders = [sorted(re.findall(r"{(\w+)}", each)) for each in text]
    assert placeholders[0] == placeholders[1]
    assert set(placeholders[0]) <= {*PLACEHOLDERS_OF_ADVICE, "target"}
    assert text.en.isascii()
    assert CHINESE.search(text.zh)
    assert not text.en.endswith(".")
    assert not text.zh.endswith("。")


@pytest.mark.parametrize("text", [pytest.param(text, id=phrase) for phrase, text in PHRASES.items()])
def test_each_phrase_exists_in_both_languages(text: Text) -> None:
    """With the same placeholders, and the punctuation of its language."""
    en, zh = ([part[1] for part in Formatter().parse(each) if part[1]] for each in text)
    assert sorted(en) == sorted(zh)
    assert text.en.isascii()
    assert not re.search(r"[,;!?]|: ", re.sub(r"{[^}]*}", "", text.zh))


def test_a_chinese_sentence_names_the_failure_with_chinese_punctuation() -> None:
    known = settings(restart_language="zh-cn")
    for reason in (Reason.PERMANENT_FAILURE, Reason.BUDGET_EXHAUSTED):
        outcome = Outcome(kind=Kind.REFUSED, reason=reason, failure_reason="TRF.0003")
        assert not re.search("[,;]", receipt_of(outcome, known=known)["message"])


@pytest.mark.parametrize(("outcome", "event", "known", "words"), ERRORS)
def test_every_error_says_what_to_do_in_chinese(
    outcome: Outcome, event: Event, known: Settings, words: list[str]
) -> None:
    receipt = receipt_of(outcome, event, known.model_copy(update={"restart_language": "zh-cn"}))
    for text in (receipt["message"], receipt["advice"]):
        assert CHINESE.search(text)
        assert not PLACEHOLDERS.search(text)


def test_an_outcome_that_needs_a_person_says_so_once() -> None:
    """A reason that makes an outcome urgent is an error the first time, and an information when it is repeated."""
    urgent = [reason for reason, row in REASONS.items() if row.severity is Severity.ERROR]
    assert Reason.BUDGET_EXHAUSTED in urgent
    for reason in urgent:
        outcome = Outcome(kind=Kind.REFUSED, reason=reason)
        assert severity_of(outcome, is_event=True) is Severity.ERROR
        assert severity_of(outcome._replace(repeated=True), is_event=True) is Severity.INFO
