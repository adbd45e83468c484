"""Traces and metrics leave the real process, whose worker is forked, by OTLP over HTTP."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from example import TASK_NAME
from processes import EXAMPLE, function, simulator


class Collector(BaseHTTPRequestHandler):
    """Keeps the names of spans and metrics that were sent to it."""

    spans: list[tuple[str, bytes]]
    metrics: set[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.spans.extend((span.name, span.trace_id) for span in scope.spans)
        elif self.path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics.update(metric.name for scope in resource.scope_metrics for metric in scope.metrics)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[str]:
    Collector.spans, Collector.metrics = [], set()
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_one_delivery_gives_one_trace_of_delivery_list_show_and_start(collector: str) -> None:
    watched = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    watched |= {"OTEL_METRIC_EXPORT_INTERVAL": "200"}
    with simulator() as oms, function(EXAMPLE | watched | {"OMS_ENDPOINT": oms.url}) as running:
        headers = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
        assert httpx.post(running.url, json={"task_name": TASK_NAME}, headers=headers).status_code == 200
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up and not ("delivery" in dict(Collector.spans) and Collector.metrics):
            time.sleep(0.05)
    last = Collector.spans[-1][1]
    assert [name for name, trace in Collector.spans if trace == last] == [
        "ListTasks",
        "ShowTask",
        "StartTask",
        "delivery",
    ]
    assert {"restarter.requests", "restarter.delivery.duration", "restarter.call.duration"} <= Collector.metrics
