"""Tasks of the simulator that were made with a notice, and the topic that hands it to a function."""

from collections.abc import Mapping
from typing import Any

from example_settings import BEARER, PROJECT

TOPIC = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
TEMPLATE = "oms-restart"  # infra/huawei/notices.tf makes one with this content
CONTENT = '{"task_name": "{Task_Name}", "task_status": "{Task_Status}"}'
RUNNING = 2
HOUR_S = 3600
Document = dict[str, Any]


def smn(url: str, headers: Mapping[str, str] | None = None, **options: float) -> Document:
    """SMN as infra/huawei sets it up: a topic that OMS may publish to, and one subscriber at `url`."""
    subscriber = {"url": url, "headers": {"Authorization": f"Bearer {BEARER}"} | dict(headers or {}), **options}
    topic = {"topic_urn": TOPIC, "publishers": ["oms"], "subscribers": [subscriber]}
    return {"topics": [topic], "templates": {TEMPLATE: CONTENT}}


def running(task_id: int, name: str, **fields: Any) -> Document:
    """A task that runs, and tells of its end."""
    config = {
        "topic_urn": TOPIC,
        "trigger_conditions": ["FAILURE", "SUCCESS"],
        "message_template_name": TEMPLATE,
    }
    counts = {"total_num": 1200, "successful_num": 480, "progress": 0.4}
    return {
        "id": task_id,
        "name": name,
        "status": RUNNING,
        "started_ago": HOUR_S,
        "smn_config": config,
        **counts,
    } | fields
