"""OpenTelemetry as an observer: spans with the conventions for HTTP and FaaS, sent by OTLP over HTTP in the background.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/, https://opentelemetry.io/docs/specs/semconv/faas/
"""

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from restarter import __version__
from restarter.decide.failure_reasons import BY_CODE
from restarter.http.call import Answer, Call, NoAnswer
from restarter.model.delivery import Delivery
from restarter.telemetry.observer import CallSpan, Observer
from restarter.telemetry.trace_context import traceparent_of

REQUESTS = "restarter.requests"
FAILURES = "restarter.failures"
DELIVERY_SECONDS = "restarter.delivery.duration"
CALL_SECONDS = "restarter.call.duration"
METRICS = {REQUESTS: "{request}", FAILURES: "{failure}", DELIVERY_SECONDS: "s", CALL_SECONDS: "s"}
MAX_ATTRIBUTE_LENGTH = 256  # anybody can choose the path, for example, and up to 2,048 spans wait for the collector
# The outcomes whose reason is one of our own texts, and not the caller's note.
RULED = ("refused", "deferred", "unavailable", "rejected", "ignored")
EXPORT_TIMEOUT_S = 2.0  # traces and metrics each wait that long at the end, and platforms give 10 s for everything


class Span(CallSpan):
    """One request in flight."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        headers: dict[str, str] = {}
        propagate.inject(headers)
        self.headers = headers

    def end(self, answer: Answer | NoAnswer) -> None:
        """Record the status or the kind of failure; never a body, a header or a query."""
        if isinstance(answer, Answer):
            self._span.set_attribute("http.response.status_code", answer.status)
            failed = answer.status >= 400
        else:
            self._span.set_attribute("error.type", answer.reason)
            failed = True
        if failed:
            self._span.set_status(StatusCode.ERROR)


class OpenTelemetry(Observer):
    """Spans and metrics of this process; the variables OTEL_* say where they go.

    Steps are not recorded: the receipt's facts are in the counters.
    """

    def __init__(self, spans: SpanProcessor | None = None, metrics: MetricReader | None = None) -> None:
        # An id for each instance: without one, the counters of several instances overwrite each other in Prometheus.
        names = {"service.name": "oms-task-restarter", "service.version": __version__}
        resource = Resource.create({**names, "service.instance.id": secrets.token_hex(8)})
        self._tracers = TracerProvider(
            resource=resource, span_limits=SpanLimits(max_attribute_length=MAX_ATTRIBUTE_LENGTH)
        )
        self._tracers.add_span_processor(spans or BatchSpanProcessor(OTLPSpanExporter(timeout=_export_timeout())))
        reader = metrics or PeriodicExportingMetricReader(OTLPMetricExporter(timeout=_export_timeout()))
        self._meters = MeterProvider([reader], resource=resource)
        self._tracer = self._tracers.get_tracer("restarter", __version__)
        meter = self._meters.get_meter("restarter", __version__)
        self._requests = meter.create_counter(REQUESTS, METRICS[REQUESTS], "Requests by how they ended")
        self._failures = meter.create_counter(FAILURES, METRICS[FAILURES], "Why the tasks of requests had failed")
        self._delivery_seconds = meter.create_histogram(DELIVERY_SECONDS, "s", "Time of a delivery")
        self._call_seconds = meter.create_histogram(CALL_SECONDS, "s", "Time of a call")

    @contextmanager
    def delivery(self, delivery: Delivery) -> Iterator[str | None]:
        """A span, in the sender's trace if the delivery names one."""
        attributes = {"faas.trigger": "http", "http.request.method": delivery.method, "url.path": delivery.path}
        parent = propagate.extract({"traceparent": traceparent_of(delivery)})
        with self._tracer.start_as_current_span("delivery", parent, SpanKind.SERVER, attributes) as span:
            yield trace.format_trace_id(span.get_span_context().trace_id)

    @contextmanager
    def call(self, call: Call) -> Iterator[Span]:
        """A span for one request, named like the operation."""
        attributes = {"http.request.method": call.method, "server.address": call.host.partition(":")[0]}
        started_at, operation = time.perf_counter(), call.operation or call.method
        with self._tracer.start_as_current_span(operation, None, SpanKind.CLIENT, attributes) as span:
            try:
                yield Span(span)
            finally:
                self._call_seconds.record(time.perf_counter() - started_at, {"operation": operation})

    def replied(self, status: int, receipts: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """Count requests and record the delivery's time. `reason` is an attribute only for outcomes in RULED."""
        for receipt in receipts:
            attributes = {"outcome": str(receipt["outcome"]), "dialect": str(receipt.get("dialect", "unknown"))}
            if receipt.get("reason") and receipt["outcome"] in RULED:
                attributes["reason"] = str(receipt["reason"])
            self._requests.add(1, attributes)
        self._record_failures([receipt for receipt in receipts if receipt.get("failure_class")])
        self._delivery_seconds.record(seconds, {"http.response.status_code": status})
        trace.get_current_span().set_attribute("http.response.status_code", status)

    def _record_failures(self, receipts: Sequence[Mapping[str, Any]]) -> None:
        """Count requests by the cause of their task's failure, and note it in the span. Unknown codes are `other`."""
        for receipt in receipts:
            known = receipt["failure_reason"] if receipt["failure_reason"] in BY_CODE else "other"
            cause = {"failure_class": str(receipt["failure_class"]), "failure_reason": str(known)}
            self._failures.add(1, cause)
            for name, value in cause.items():  # of several in a batch the span shows the last one
                trace.get_current_span().set_attribute(f"restarter.{name}", value)

    def close(self) -> None:
        """Flush and shut down."""
        self._tracers.shutdown()
        self._meters.shutdown()


def _export_timeout() -> float | None:
    """Seconds for one export, including retries; None if the environment sets a timeout."""
    names = (f"OTEL_EXPORTER_OTLP_{part}TIMEOUT" for part in ("", "TRACES_", "METRICS_"))
    return None if any(os.environ.get(name) for name in names) else EXPORT_TIMEOUT_S
