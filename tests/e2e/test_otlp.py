"""Traces and metrics leave the real process, whose worker is forked, by OTLP over HTTP."""

import httpx

from example import TASK_NAME
from otlp_collector import collecting
from processes import EXAMPLE, function, simulator
from redis_server import wait_for

SPANS = ["ListTasks", "ShowTask", "StartTask", "delivery"]
METRICS = {"restarter.requests", "restarter.delivery.duration", "restarter.call.duration"}


def test_one_delivery_gives_one_trace_of_delivery_list_show_and_start() -> None:
    often = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "200"}
    with collecting() as collector, simulator() as oms:
        watched = often | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OMS_ENDPOINT": oms.url}
        with function(EXAMPLE | watched) as running:
            headers = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
            assert httpx.post(running.url, json={"task_name": TASK_NAME}, headers=headers).status_code == 200
            wait_for(lambda: set(SPANS) <= set(dict(collector.spans)) and set(collector.metrics) >= METRICS)
            last = collector.spans[-1][1]
            spans = [name for name, trace in collector.spans if trace == last]
    assert spans == SPANS
