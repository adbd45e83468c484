"""One delivery is one trace; without the extra's variable nothing of OpenTelemetry is imported."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from functions_framework.aio import create_asgi_app
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind
from pytest_httpx import HTTPXMock

from child_processes import child_environment
from example import BEARER, ENVIRONMENT, TASK, TASK_NAME, settings, shown
from function_client import SHOW, START, Function
from httpx_transport import HttpxTransport
from restarter.app import Application
from restarter.model.delivery import Delivery
from restarter.model.outcome import Kind
from restarter.reporting.reply import Reply
from restarter.telemetry.configured import configured_observer
from restarter.telemetry.observer import NO_OBSERVER
from restarter.telemetry.opentelemetry import FAILURES, METRICS, OpenTelemetry

ROOT = Path(__file__).parents[2]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def context_of(span: ReadableSpan) -> SpanContext:
    """Where a span belongs."""
    context = span.get_span_context()
    assert context is not None
    return context


class Watched:
    """The pipeline with telemetry that a test can look into."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.metrics = InMemoryMetricReader()
        telemetry = OpenTelemetry(SimpleSpanProcessor(self.spans), self.metrics)
        fixed = settings()
        self.application = Application(lambda: fixed, observer=telemetry)
        self.close = telemetry.close

    def post(self, document: Any, **headers: str) -> Reply:
        """One delivery."""
        given = {"authorization": f"Bearer {BEARER}", "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer() -> Reply:
            pipeline = self.application.pipeline()
            return await pipeline.handle(Delivery("POST", "/", given, json.dumps(document).encode()), pipeline.begin())

        return asyncio.run(answer())

    def names(self) -> list[str]:
        """Names of the spans, in the order in which they ended."""
        return [span.name for span in self.spans.get_finished_spans()]

    def points(self) -> dict[str, list[Any]]:
        """The data of each metric."""
        data = self.metrics.get_metrics_data()
        assert data is not None
        found = data.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: list(metric.data.data_points) for metric in found}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr("restarter.http.transport.connections", HttpxTransport)
    watched = Watched()
    yield watched
    watched.close()


def test_a_path_that_a_stranger_chose_is_cut(watched: Watched) -> None:
    """3,000 paths of 60 kB held 260 MB while the collector did not respond."""
    delivery = Delivery("POST", "/" + 60_000 * "x", {}, b"{}")

    async def answer() -> Reply:
        pipeline = watched.application.pipeline()
        return await pipeline.handle(delivery, pipeline.begin())

    assert asyncio.run(answer()).status == 401
    (span,) = watched.spans.get_finished_spans()
    assert len(str((span.attributes or {})["url.path"])) == 256


def test_one_delivery_is_one_trace_of_delivery_list_show_and_start(watched: Watched, httpx_mock: HTTPXMock) -> None:
    listing = re.compile(r".*/tasks\?.*")
    httpx_mock.add_response(url=listing, json={"tasks": [shown()], "count": 1})
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    assert watched.post({"task_name": TASK_NAME}, traceparent=PARENT).status == 200
    assert watched.names() == ["ListTasks", "ShowTask", "StartTask", "delivery"]
    *calls, delivery = watched.spans.get_finished_spans()
    assert {context_of(span).trace_id for span in (*calls, delivery)} == {int(TRACE, 16)}
    assert {span.parent.span_id for span in calls if span.parent} == {context_of(delivery).span_id}
    assert [span.kind for span in calls] == [SpanKind.CLIENT] * 3
    assert dict(delivery.attributes or {}) == {
        "faas.trigger": "http",
        "http.request.method": "POST",
        "url.path": "/",
        "http.response.status_code": 200,
        "restarter.failure_class": "transient",
        "restarter.failure_reason": "TRF.0001",
    }
    for span, request in zip(calls, httpx_mock.get_requests(), strict=True):
        assert request.headers["traceparent"] == f"00-{TRACE}-{context_of(span).span_id:016x}-01"
        assert "traceparent" not in request.headers["authorization"]


@pytest.mark.parametrize("mode", ["header", "binary", "structured", "none"])
def test_the_trace_is_the_senders_if_it_told_of_one(mode: str, watched: Watched, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "1", "data": {"task_id": TASK}}
    binary = {"ce_specversion": "1.0", "ce_type": "oms.task.failed", "ce_source": "/oms", "ce_id": "1"}
    structured = {"content_type": "application/cloudevents+json"}
    match mode:
        case "header":
            watched.post({"task_id": TASK}, traceparent=PARENT)
        case "binary":
            assert watched.post({"task_id": TASK}, ce_traceparent=PARENT, **binary).receipts[0]["trace_id"] == TRACE
        case "structured":
            watched.post(event | {"traceparent": PARENT}, **structured)
        case _:
            watched.post(event, **structured)
    (show, delivery) = watched.spans.get_finished_spans()
    assert (context_of(delivery).trace_id == int(TRACE, 16)) == (mode != "none")
    assert context_of(show).trace_id == context_of(delivery).trace_id


def test_requests_are_counted_by_outcome_dialect_and_reason(watched: Watched, httpx_mock: HTTPXMock) -> None:
    """Calls are timed."""
    httpx_mock.add_response(url=SHOW, json=shown(2))
    httpx_mock.add_response(url=SHOW, status_code=503)
    httpx_mock.add_exception(httpx.ConnectError("no"), url=SHOW)
    for document in ({"task_id": TASK}, {"task_id": TASK}, {"task_id": TASK}, {"task_id": True}):
        watched.post(document)
    points = watched.points()
    assert set(points) == set(METRICS) - {FAILURES}
    counted = {tuple(sorted(dict(point.attributes).items())): point.value for point in points["restarter.requests"]}
    direct = ("dialect", "direct")
    assert counted == {
        (direct, ("outcome", "already_running")): 1,
        (direct, ("outcome", "unavailable"), ("reason", "oms_error")): 1,
        (direct, ("outcome", "unavailable"), ("reason", "no_connection")): 1,
        (direct, ("outcome", "malformed")): 1,
    }
    assert sum(point.count for point in points["restarter.call.duration"]) == 3
    assert sum(point.count for point in points["restarter.delivery.duration"]) == 4
    failed = [span for span in watched.spans.get_finished_spans() if not span.status.is_ok and span.name == "ShowTask"]
    assert [
        dict(span.attributes or {}).get("error.type") for span in failed if "error.type" in (span.attributes or {})
    ] == ["no_connection"]


def test_failures_are_counted_by_their_class_and_by_codes_that_are_known(
    watched: Watched, httpx_mock: HTTPXMock
) -> None:
    """OMS chooses the codes, and no metric may grow with what somebody else chooses."""
    for code in ("TRF.0055", "TRF.0055", "TRF.9998", "TRF.9999", "sk"):
        httpx_mock.add_response(url=SHOW, json=shown(7, error_reason={"error_code": code}))
        watched.post({"task_id": TASK})
    found = watched.points()["restarter.failures"]
    counted = {tuple(sorted(dict(point.attributes).items())): point.value for point in found}
    assert counted == {
        (("failure_class", "permanent"), ("failure_reason", "TRF.0055")): 2,
        (("failure_class", "unknown"), ("failure_reason", "other")): 2,
    }


def test_a_watched_transport_closes_the_one_that_it_watches(watched: Watched, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SHOW, json=shown(2))
    watched.post({"task_id": TASK})
    inner = watched.application.transport._transport  # type: ignore[attr-defined]  # noqa: SLF001
    assert inner._connections is not None  # noqa: SLF001
    asyncio.run(watched.application.transport.close())
    assert inner._connections is None  # noqa: SLF001


def test_without_the_variable_nothing_is_exported(
    make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    """Nothing of it is imported either."""
    code = "import sys, main; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"

    def imported(**settings: str) -> int:
        environment = child_environment(**ENVIRONMENT, **settings)
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=ROOT / "function", env=environment, check=False).returncode  # noqa: S603

    assert imported() == 0
    assert imported(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == 1


def test_its_own_variable_turns_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("restarter.telemetry.opentelemetry.OpenTelemetry", lambda: "telemetry")
    assert configured_observer() == "telemetry"  # type: ignore[comparison-overlap]
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    assert configured_observer() is NO_OBSERVER


def test_without_its_package_the_program_does_not_start_and_says_why(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    environment.setitem(sys.modules, "restarter.telemetry.opentelemetry", None)
    with pytest.raises(SystemExit, match="OTEL_EXPORTER_OTLP_ENDPOINT: needs OpenTelemetry"):
        create_asgi_app("restart", "function/main.py", "http")


def test_each_instance_has_counters_of_its_own() -> None:
    names = []
    for _ in range(2):
        reader = InMemoryMetricReader()
        telemetry = OpenTelemetry(SimpleSpanProcessor(InMemorySpanExporter()), reader)
        telemetry.replied(200, [{"outcome": "started"}], 0.1)
        data: Any = reader.get_metrics_data()
        names += [one.resource.attributes["service.instance.id"] for one in data.resource_metrics]
        telemetry.close()
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("OTEL_BSP_SCHEDULE_DELAY", 2.0),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", None),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", None),
    ],
)
def test_an_export_takes_two_seconds_at_most(name: str, seconds: float | None, environment: pytest.MonkeyPatch) -> None:
    """Unless the environment says otherwise: then the exporter gets None, and reads the variable itself."""
    given: list[float | None] = []

    def exporter(*, timeout: float | None) -> InMemorySpanExporter:
        given.append(timeout)
        return InMemorySpanExporter()

    environment.setenv(name, "7")
    environment.setattr("restarter.telemetry.opentelemetry.OTLPSpanExporter", exporter)
    OpenTelemetry(metrics=InMemoryMetricReader()).close()
    assert given == [seconds]


def test_dashboard_and_rules_name_only_what_is_emitted_and_outcomes_that_exist() -> None:
    folder = ROOT / "infra" / "observability"
    dashboard = json.loads((folder / "dashboard.json").read_text("utf-8"))
    rules = yaml.safe_load((folder / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [rule["expr"] for rule in rules]
    emitted = {"restarter_requests_total", "restarter_delivery_duration_seconds_bucket"}
    emitted |= {"restarter_call_duration_seconds_bucket", "restarter_failures_total"}
    assert {name for query in queries for name in re.findall(r"restarter_\w+", query)} == emitted
    assert {name.replace(".", "_") for name in METRICS} == {
        re.sub(r"_(total|seconds_bucket)$", "", name) for name in emitted
    }
    outcomes = {
        word for query in queries for text in re.findall(r'outcome[=!~]+"([^"]*)"', query) for word in text.split("|")
    }
    assert outcomes <= set(Kind)
    assert {rule["alert"] for rule in rules} == {
        "RestartGaveUp",
        "RestartCredentials",
        "RestartLost",
        "RestartUnavailable",
        "RestartNothingHeard",
    }
    assert all(rule["labels"]["severity"] and rule["annotations"]["summary"] for rule in rules)
