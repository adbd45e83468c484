"""Tasks of the simulator that were made with a notice, and the topic that hands it to a function."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from example_settings import BEARER, PROJECT

TOPIC = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
TEMPLATE = "oms-restart"  # infra/huawei/notices.tf makes one with this content
CONTENT = '{"task_name": "{Task_Name}", "task_status": "{Task_Status}"}'
RUNNING = 2
FIRST_ID = 191297407831101
WORLD = Path(__file__).parents[1] / "simulator" / "world.json"
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


def playground_world(url: str) -> Document:
    """The demo's world, and tasks that run and tell of their end at `url`: the playground's page hands it on."""
    world: Document = json.loads(WORLD.read_text("utf-8"))
    names = ("photos", "invoices", "raw-video", "backups", "logs", "maps")
    moving = {"total_size": 4 * 10**12, "complete_size": 16 * 10**11, "runs": [{"seconds": 6000, "moves": 1.0}]}
    tasks = [running(FIRST_ID + number, name, pause_seconds=0.25, **moving) for number, name in enumerate(names)]
    return world | {"tasks": [*tasks, *world["tasks"]], "smn": smn(url, pause_seconds=4)}
