"""When a person is needed, a person is told: every alarm's expression against receipts of every kind.

Prometheus' expressions are read by a parser of its language and evaluated here. Loki's, Cloud Logging's and Log Tank
Service's have no checker in a package: the part of each language that infra/ uses is read here, and anything else is an
error. What this does not show is whether those services read the expressions in the same way.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hcl2
import promql_parser as promql
import pytest
import yaml
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_core import to_json

from example import PROJECT, settings
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason, SweepCounts
from restarter.model.request import Event, Intent, RestartRequest
from restarter.reporting import reasons, receipt
from restarter.reporting.outcomes import Severity
from restarter.telemetry.opentelemetry import OpenTelemetry

INFRA = Path(__file__).parents[2] / "infra"
Receipt = dict[str, Any]
Labels = dict[str, str]

# Reasons that receipts have beside their outcome: of refusals all that need a person, so a new one needs its alarm.
URGENT = [reason.value for reason, row in reasons.REASONS.items() if row.severity is Severity.ERROR]
REASONS: dict[Kind, tuple[str | None, ...]] = {
    Kind.REFUSED: (*URGENT, "paused", "stale_event", "temporary_keys"),
    Kind.REJECTED: ("credentials", "group_permission", "refused_by_oms", "ambiguous_task_name"),
    Kind.DEFERRED: ("backoff", "in_progress", "credentials", "group_running"),
    Kind.UNAVAILABLE: ("oms_error", "busy", "ledger"),
    Kind.MALFORMED: ("task_id: must be 1 to 15 digits",),
    Kind.IGNORED: ("task_succeeded", "sweep_off"),
}


def made(kind: Kind, reason: str | None, **facts: Any) -> Receipt:
    """The receipt of an event, as the function writes it, with an advice where it is at ERROR."""
    request = RestartRequest(sweep=True) if kind is Kind.SWEPT else RestartRequest(task_id="191297407830872")
    event = Event(
        request=request, dialect="functiongraph_timer", intent=Intent.FAILED, project_id=PROJECT, event_id="1"
    )
    context = DeliveryContext(datetime(2126, 11, 25, tzinfo=UTC), 0.0, 4.5)
    why: dict[str, Any] = {"fault": reason} if kind is Kind.MALFORMED else {"reason": reason and Reason(reason)}
    line = receipt.build(Outcome(kind=kind, **why, **facts), event, context, settings(), None)
    return {"advice": "Do this & that.", **line} if line["severity"] == "ERROR" else line


RECEIPTS = [made(kind, reason) for kind in Kind for reason in REASONS.get(kind, (None,))]
RECEIPTS += [
    made(Kind.REFUSED, "budget_exhausted", repeated=True),
    made(Kind.STARTED, None, start_called=True),
    made(Kind.SWEPT, None, counts=SweepCounts(seen=3, held_back=3)),
]
SWEPT = made(Kind.SWEPT, None, counts=SweepCounts(seen=5, started=2, held_back=1, left=2))
ERRORS = [line for line in RECEIPTS if line["severity"] == "ERROR"]
OTHERS = [line for line in RECEIPTS if line["severity"] != "ERROR"]
FAULT = {"severity": "ERROR", "message": "a delivery was not handled", "exception": "Traceback …"}


def named(line: Receipt) -> str:
    return f"{line['severity']} {line['outcome']} {line.get('reason', '')}"


def test_there_are_receipts_of_every_outcome_and_of_every_severity() -> None:
    assert {line["outcome"] for line in RECEIPTS} == set(Kind)
    assert {line["severity"] for line in RECEIPTS} == {"INFO", "WARNING", "ERROR"}
    assert len(ERRORS) >= 6


# ---- Prometheus


@dataclass
class Series:
    """A counter: values by the seconds since its window began to matter; it is scraped once a minute."""

    labels: Labels
    values: dict[float, float]


NOW = 100_000.0
Vector = list[tuple[Labels, float]]


def emitted(line: Receipt) -> list[Labels]:
    """The counters that one receipt moves, with the names that a collector's Prometheus exporter gives them."""
    reader = InMemoryMetricReader()
    telemetry = OpenTelemetry(SimpleSpanProcessor(InMemorySpanExporter()), reader)
    telemetry.replied(200, [line], 0.1)
    data: Any = reader.get_metrics_data()
    telemetry.close()
    metrics = [one for resource in data.resource_metrics for scope in resource.scope_metrics for one in scope.metrics]
    return [
        {"__name__": f"{metric.name.replace('.', '_')}_total", **point.attributes}
        for metric in metrics
        if metric.unit != "s"
        for point in metric.data.data_points
    ]


def newborn(line: Receipt) -> list[Series]:
    """As an instance that was started for this event has them: no value before, then 1."""
    return [Series(labels, {NOW - 60: 1.0, NOW: 1.0}) for labels in emitted(line)]


def grown(line: Receipt, last: float) -> list[Series]:
    """As an instance has them that has run for two days: 7, and `last` since half a minute."""
    minutes = {NOW - 60.0 * minute: 7.0 for minute in range(1, 2880)}
    return [Series(labels, {**minutes, NOW - 30: last, NOW: last}) for labels in emitted(line)]


def evaluate(expression: Any, series: list[Series], at: float = NOW) -> Any:
    """A value, or a vector, of the part of PromQL that the rules use."""
    match type(expression).__name__:
        case "ParenExpr":
            return evaluate(expression.expr, series, at)
        case "NumberLiteral":
            return expression.val
        case "VectorSelector":
            moment = at - (expression.offset.total_seconds() if expression.offset else 0)
            found = [(one.labels, _within(one, moment - 300, moment)) for one in _selected(expression, series)]
            return [(labels, values[-1]) for labels, values in found if values]
        case "Call":
            return _called(expression, series, at)
        case "AggregateExpr":
            return _summed(expression, evaluate(expression.expr, series, at))
        case "BinaryExpr":
            return _combined(expression, evaluate(expression.lhs, series, at), evaluate(expression.rhs, series, at))
    raise AssertionError(f"not read here: {expression}")


def _within(one: Series, begin: float, end: float) -> list[float]:
    return [value for moment, value in sorted(one.values.items()) if begin < moment <= end]


def _selected(selector: Any, series: list[Series]) -> list[Series]:
    def fits(labels: Labels) -> bool:
        return all(MATCHES[str(one.op)](labels.get(one.name, ""), one.value) for one in selector.matchers.matchers)

    return [one for one in series if one.labels["__name__"] == selector.name and fits(one.labels)]


MATCHES: dict[str, Callable[[str, str], bool]] = {
    "MatchOp.Equal": lambda value, wanted: value == wanted,
    "MatchOp.NotEqual": lambda value, wanted: value != wanted,
    "MatchOp.Re": lambda value, wanted: re.fullmatch(wanted, value) is not None,
    "MatchOp.NotRe": lambda value, wanted: re.fullmatch(wanted, value) is None,
}


def _called(call: Any, series: list[Series], at: float) -> Vector:
    """Functions over a window. `increase` sees no more than the values in it: none in a series that begins at 1."""
    window = call.args[0]
    begin = at - window.range.total_seconds()
    found = [(one.labels, _within(one, begin, at)) for one in _selected(window.vector_selector, series)]
    found = [(labels, values) for labels, values in found if values]
    match call.func.name:
        case "max_over_time":
            return [(_unnamed(labels), max(values)) for labels, values in found]
        case "increase":
            return [(_unnamed(labels), values[-1] - values[0]) for labels, values in found if len(values) > 1]
        case "absent_over_time":
            return [] if found else [({}, 1.0)]
    raise AssertionError(f"not read here: {call.func.name}")


def _unnamed(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if name != "__name__"}


def _summed(aggregate: Any, vector: Vector) -> Vector:
    assert str(aggregate.op) == "sum"
    kept = aggregate.modifier.labels if aggregate.modifier else []
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for labels, value in vector:
        key = tuple((name, labels[name]) for name in kept if name in labels)
        sums[key] = sums.get(key, 0) + value
    return [(dict(key), value) for key, value in sums.items()]


def _combined(binary: Any, left: Vector, right: Any) -> Vector:
    """`or` and `unless` by labels without the name; `>` with a number."""
    keys = [_unnamed(labels) for labels, _ in right] if isinstance(right, list) else []
    match str(binary.op):
        case ">":
            return [(labels, value) for labels, value in left if value > right]
        case "unless":
            return [(labels, value) for labels, value in left if _unnamed(labels) not in keys]
        case "or":
            there = [_unnamed(labels) for labels, _ in left]
            return [*left, *((labels, value) for labels, value in right if _unnamed(labels) not in there)]
    raise AssertionError(f"not read here: {binary.op}")


def rules(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((INFRA / "observability" / name).read_text("utf-8"))["groups"][0][
        "rules"
    ]
    return found


PROMETHEUS = {rule["alert"]: promql.parse(rule["expr"]) for rule in rules("alerts.yaml")}


def alerting(series: list[Series]) -> set[str]:
    return {name for name, expression in PROMETHEUS.items() if evaluate(expression, series)}


@pytest.mark.parametrize("line", ERRORS, ids=named)
def test_prometheus_tells_a_person_of_every_receipt_at_error(line: Receipt) -> None:
    wanted = {"RestartGaveUp"} if line["outcome"] == "refused" else {"RestartLost"}
    if line.get("reason") in ("credentials", "group_permission"):
        wanted = {"RestartCredentials"}
    assert alerting(newborn(line)) == wanted
    assert alerting(grown(line, 8.0)) == wanted


@pytest.mark.parametrize("line", RECEIPTS, ids=named)
def test_prometheus_is_silent_about_what_was_counted_long_ago(line: Receipt) -> None:
    assert alerting(grown(line, 7.0)) == set()


def test_prometheus_alerts_when_nothing_is_heard() -> None:
    """It does not alert about what needs nobody."""
    # A counter does not tell the first budget_exhausted from later ones, which are at INFO.
    settled = [line for line in OTHERS if line["severity"] == "INFO" and line.get("reason") != "budget_exhausted"]
    assert settled
    for line in settled:
        assert alerting(newborn(line)) == set(), line
    assert alerting([]) == {"RestartNothingHeard"}
    assert alerting(newborn(made(Kind.UNAVAILABLE, "oms_error"))) == {"RestartUnavailable"}


def test_a_panel_shows_why_tasks_fail_by_class_and_code() -> None:
    """One failure of a new instance is enough."""
    panels = json.loads((INFRA / "observability" / "dashboard.json").read_text("utf-8"))["panels"]
    (query,) = [panel["targets"][0]["expr"] for panel in panels if panel["title"] == "Why tasks fail"]
    failed = made(Kind.REFUSED, "permanent_failure", failure_reason="TRF.0055")
    shown = evaluate(promql.parse(query), newborn(failed))
    assert shown == [({"failure_class": failed["failure_class"], "failure_reason": "TRF.0055"}, 1.0)]
    assert evaluate(promql.parse(query), grown(failed, 9.0))[0][1] == 2.0


def test_every_query_of_the_dashboard_is_one_of_its_source() -> None:
    panels = json.loads((INFRA / "observability" / "dashboard.json").read_text("utf-8"))["panels"]
    assert {"Why tasks fail", "Sweeps: started"} <= {panel["title"] for panel in panels}
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel["targets"]:
            if panel["datasource"]["type"] == "prometheus":
                promql.parse(target["expr"])
            else:
                assert logged(target["expr"], [SWEPT, *ERRORS])


# ---- Loki

STAGE = re.compile(
    r'\| (?:(?P<label>\w+)(?P<op>!=|=~|=)"(?P<value>[^"]*)"|json|unwrap (?P<unwrap>\w+)|line_format "[^"]*")'
)
STREAM = re.compile(r'\{service_name="oms-task-restarter"\}\s*(\|.*?)\s*(?:\[[\w$]+\]|$)')


def logged(expression: str, lines: list[Receipt]) -> Vector:
    """What a query finds: a series for each set of `by` labels, or each line where nothing is summed."""
    text = " ".join(expression.split())
    stream = STREAM.search(text)
    assert stream, text
    stages = list(STAGE.finditer(stream[1]))
    assert "".join(stage[0] for stage in stages).replace(" ", "") == stream[1].replace(" ", ""), (
        f"not read here: {stream[1]}"
    )
    found = [line for line in lines if all(_passes(line, stage) for stage in stages)]
    if not text.startswith("sum"):
        return [(_texts(line), 1.0) for line in found]
    shape = re.fullmatch(
        r"sum(?: by \((?P<by>[\w, ]+)\))? ?\( ?(?P<over>count|sum)_over_time\(.*\[[\w$]+\]\) ?\)(?: > (?P<least>\d+))?",
        text,
    )
    assert shape, f"not read here: {text}"
    unwrapped = [stage["unwrap"] for stage in stages if stage["unwrap"]]
    assert len(unwrapped) == (shape["over"] == "sum")
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for line in found:
        key = tuple((name, _texts(line).get(name, "")) for name in (shape["by"] or "").split(", ") if name)
        sums[key] = sums.get(key, 0) + (float(line[unwrapped[0]]) if unwrapped else 1)
    return [(dict(key), value) for key, value in sums.items() if value > float(shape["least"] or -1)]


def _texts(line: Receipt) -> Labels:
    """A line's members as labels, as the stage `json` makes them."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in line.items()}


def _passes(line: Receipt, stage: re.Match[str]) -> bool:
    if stage["unwrap"]:
        return stage["unwrap"] in line
    if not stage["label"]:
        return True
    operators = {"=": "MatchOp.Equal", "!=": "MatchOp.NotEqual", "=~": "MatchOp.Re"}
    return MATCHES[operators[stage["op"]]](_texts(line).get(stage["label"], ""), stage["value"])


LOKI = {rule["alert"]: rule for rule in rules("loki-rules.yaml")}


def told(lines: list[Receipt]) -> dict[str, Vector]:
    found = {name: logged(rule["expr"], lines) for name, rule in LOKI.items()}
    return {name: vector for name, vector in found.items() if vector}


@pytest.mark.parametrize("line", ERRORS, ids=named)
def test_loki_tells_a_person_the_advice_of_every_receipt_at_error(line: Receipt) -> None:
    found = told([*OTHERS, line])
    assert found.keys() == {"RestartNeedsAPerson"}
    (labels, count) = found["RestartNeedsAPerson"][0]
    annotations = LOKI["RestartNeedsAPerson"]["annotations"]
    said = {
        name: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda at: labels[at[1]], text) for name, text in annotations.items()
    }
    assert (said["description"], count) == (line["advice"], 1)
    assert line["task_id"] in said["summary"]
    assert line["outcome"] in said["summary"]


def test_loki_alerts_about_faults_and_sweeps_that_started() -> None:
    """It does not alert about any other line."""
    assert told(OTHERS) == {}
    assert told([FAULT])["RestartFault"] == [({"message": FAULT["message"]}, 1)]
    found = told([*OTHERS, SWEPT, SWEPT])
    assert found == {"RestartSweptAndStarted": [({}, 4)], "RestartSweepLeftBehind": [({}, 4)]}


@pytest.mark.parametrize("name", ["alerts.yaml", "loki-rules.yaml"])
def test_a_rule_says_what_happened_and_names_only_labels_that_it_keeps(name: str) -> None:
    for rule in rules(name):
        assert {"summary", "description"} == rule["annotations"].keys()
        assert rule["labels"].keys() == {"severity"}
        kept = re.search(r"by \(([\w, ]+)\)", rule["expr"])
        used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert used <= set(kept[1].split(", ") if kept else []), rule["alert"]


# ---- Google Cloud


def resources(folder: str, file: str, kind: str) -> dict[str, Any]:
    options = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True)
    tree: Any = hcl2.loads((INFRA / folder / file).read_text("utf-8"), serialization_options=options)
    return {
        name: body for one in tree["resource"] for name, body in one.get(kind, {}).items() if isinstance(body, dict)
    }


GOOGLE = resources("google", "alerts.tf", "google_monitoring_alert_policy")
SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")


def filtered(policy: str, entry: Mapping[str, Any]) -> bool:
    """Whether Cloud Logging's filter lets an entry through: lines that all must hold."""
    text = GOOGLE[policy]["conditions"][0]["condition_matched_log"][0]["filter"]
    lines = [line.strip() for line in str(text).splitlines() if " " in line.strip()]
    return all(_holds(line, entry) for line in lines)


def _holds(line: str, entry: Mapping[str, Any]) -> bool:
    found = re.fullmatch(r'([\w.]+) (=|:|>=|>) ("[^"]*"|\*|\d+)', line)
    assert found, f"not read here: {line}"
    value: Any = entry
    for name in found[1].split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    wanted = found[3].strip('"')
    match found[1], found[2]:
        case "resource.labels.service_name", "=":
            return bool(value)
        case "severity", ">=":
            return SEVERITIES.index(value) >= SEVERITIES.index(wanted)
        case _, ":":
            return value is not None
        case _, ">":
            return value is not None and value > int(wanted)
    return bool(value == wanted)


def entry(line: Receipt) -> dict[str, Any]:
    """A line of stdout as Cloud Run hands it to Cloud Logging: `severity` becomes the entry's own."""
    payload = {name: value for name, value in line.items() if name != "severity"}
    resource = {"type": "cloud_run_revision", "labels": {"service_name": "oms-task-restarter"}}
    return {"resource": resource, "severity": line["severity"], "jsonPayload": payload}


def mail(policy: str, line: Receipt) -> str:
    """The documentation of an alert, with what is extracted from the entry that raised it."""
    extractors = GOOGLE[policy]["conditions"][0]["condition_matched_log"][0]["label_extractors"]
    labels = {
        name: line.get(text.removeprefix("EXTRACT(jsonPayload.").rstrip(")"), "") for name, text in extractors.items()
    }
    documentation = GOOGLE[policy]["documentation"][0]
    text = f"{documentation.get('subject', '')}\n{documentation['content']}"
    return re.sub(r"\$\$\{log\.extracted_label\.(\w+)\}", lambda at: str(labels[at[1]]), text)


@pytest.mark.parametrize("line", ERRORS, ids=named)
def test_google_mails_the_advice_of_every_receipt_at_error(line: Receipt) -> None:
    assert filtered("error", entry(line))
    said = mail("error", line)
    assert line["advice"] in said
    assert line["task_id"] in said
    assert line["message"] in said


def test_google_is_silent_about_all_others_and_about_cloud_runs_own_lines() -> None:
    assert [named(line) for line in OTHERS if filtered("error", entry(line))] == []
    assert filtered("error", entry(FAULT))
    request = {**entry(FAULT), "jsonPayload": None, "httpRequest": {"status": 503}}
    assert not filtered("error", request)


def test_google_mails_of_a_sweep_that_started() -> None:
    assert [named(line) for line in RECEIPTS if filtered("swept", entry(line))] == []
    assert filtered("swept", entry(SWEPT))
    assert "started 2 tasks" in mail("swept", SWEPT)


# ---- Huawei Cloud

LTS = resources("huawei", "logs.tf", "huaweicloud_lts_keywords_alarm_rule")


LOCALS = INFRA / "huawei" / "locals.tf"


def has_keywords(rule: str, line: Receipt) -> bool:
    """Whether a line has all words of a rule. Log Tank Service cuts lines at blanks and punctuation, not at `_`."""
    words = set(re.findall(r"[^\s,'\";=()\[\]{}@&<>/:\\]+", to_json(line).decode()))
    keywords = LTS[rule]["keywords_requests"][0]["keywords"].split(" AND ")
    return words >= set(keywords)


@pytest.mark.parametrize("line", [*ERRORS, FAULT], ids=lambda line: named({"outcome": "fault", **line}))
def test_huawei_finds_every_line_at_error(line: Receipt) -> None:
    assert has_keywords("error", line)


def test_huawei_is_silent_about_all_others_and_finds_what_a_timer_started() -> None:
    assert [named(line) for line in OTHERS if has_keywords("error", line)] == []
    found = [line for line in [*RECEIPTS, SWEPT] if has_keywords("swept", line)]
    assert [(line["outcome"], line["start_called"]) for line in found] == [("started", True)]


def test_huawei_mails_the_lines_themselves_and_so_their_advice() -> None:
    templates = resources("huawei", "logs.tf", "huaweicloud_lts_notification_template")
    assert templates["receipts"]["templates"][0]["content"] == "${local.mail[var.locale]}"
    mails = re.findall(
        r"^    (en-us|zh-cn) = <<-EOT\n(.*?)^    EOT", LOCALS.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert [language for language, _ in mails] == ["en-us", "zh-cn"]
    for _, content in mails:
        assert "$event.annotations.results[0].raw_results;" in content
    for rule in LTS.values():
        assert "huaweicloud_lts_notification_template.receipts.name" in str(rule)
