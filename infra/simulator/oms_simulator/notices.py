"""SMN beside OMS: topics with a policy, and the notices that tasks leave behind when they fail or succeed. No I/O here.

OMS publishes to a topic only if the topic's policy names it. Otherwise nothing leaves OMS, and the task's `smn_info`
holds the code: https://support.huaweicloud.com/api-oms/ErrorCode.html
"""

import re
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from oms_simulator.documents import Document, Seconds
from oms_simulator.task_fields import FAILED, SUCCEEDED, Cause, SmnConfig, TaskId, TopicUrn

# The word for OMS in a policy. It is inferred from `obs`, `cts` and `cce`, which examples of Huawei's provider name.
PUBLISHER = "oms"
NO_TOPIC, CLOSED, OTHER_REGION = "OMS.0157", "OMS.0158", "OMS.0168"
WORDS: dict[int, Literal["FAILURE", "SUCCESS"]] = {FAILED: "FAILURE", SUCCEEDED: "SUCCESS"}
# OMS's own text without a template is not documented. It names the task, and never holds its id.
DEFAULT_TEXT = "Migration task {Task_Name}: {Task_Status}."
VARIABLE = re.compile(r"\{([A-Za-z_]+)\}")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
KEPT = 1000


def _is_loopback(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        message = "is no http address on the loopback interface"
        raise ValueError(message)
    return url


class Subscriber(Document):
    """A function with an SMN trigger. A delivery that fails is repeated as FunctionGraph repeats asynchronous calls."""

    url: Annotated[str, AfterValidator(_is_loopback)]
    headers: dict[str, str] = Field(default_factory=dict)
    retries: Annotated[int, Field(ge=0, le=3)] = 3
    pause_seconds: Seconds = 1.0


class Topic(Document):
    """A topic, which services may publish to it, and who hears of it."""

    topic_urn: TopicUrn
    publishers: list[str] = Field(default_factory=list)
    subscribers: list[Subscriber] = Field(default_factory=list)

    @property
    def name(self) -> str:
        """The last part of its URN."""
        return self.topic_urn.rpartition(":")[2]


class SmnDocument(Document):
    """All topics, and the message templates by name."""

    topics: list[Topic] = Field(default_factory=list)
    templates: dict[str, str] = Field(default_factory=dict)


@dataclass(slots=True)
class Attempt:
    """One call of a subscriber. `status` is None where there was no response."""

    url: str
    status: int | None


@dataclass(slots=True)
class Notice:
    """What OMS wanted to publish. `error` says why nothing left; `event` is what an SMN trigger delivers."""

    n: int
    time: float
    task_id: int
    task_name: str
    topic_urn: str
    error: str | None
    event: dict[str, Any] | None = None
    attempts: list[Attempt] = field(default_factory=list)


class Smn:
    """Topics, what was published, and what still has to be delivered."""

    def __init__(self, document: SmnDocument) -> None:
        self.document = document
        self.outbox: deque[tuple[Notice, Subscriber]] = deque()
        self._notices: deque[Notice] = deque(maxlen=KEPT)
        self._made = 0

    def notices(self) -> list[dict[str, Any]]:
        """The last notices with the calls that they led to, oldest first."""
        return [asdict(notice) for notice in self._notices]

    def announce(self, facts: Mapping[str, Any], config: SmnConfig, now: float) -> dict[str, Any]:
        """Publish that a task has ended, if it was asked for. Returns its `smn_info`. `now`: seconds since 1970."""
        if WORDS[facts["status"]] not in config.trigger_conditions:
            return dict(facts["smn_info"] or {})
        topic = next((topic for topic in self.document.topics if topic.topic_urn == config.topic_urn), None)
        error = _refuse(topic, config, facts)
        self._made += 1
        notice = Notice(self._made, now, facts["id"], facts["name"], config.topic_urn, error)
        self._notices.append(notice)
        if topic is not None and error is None:
            notice.event = _event(config.topic_urn, self._text(facts, config), now)
            self.outbox.extend((notice, subscriber) for subscriber in topic.subscribers)
        # By the official SDK the message is a code, and the name is empty where the notice was sent.
        name = config.topic_urn.rpartition(":")[2]
        return {
            "notify_result": error is None,
            "notify_error_message": error or "",
            "topic_name": name if error else "",
        }

    def _text(self, facts: Mapping[str, Any], config: SmnConfig) -> str:
        template = self.document.templates.get(config.message_template_name or "", DEFAULT_TEXT)
        values = _values(facts)
        return VARIABLE.sub(lambda match: values.get(match[1], match[0]), template)


def _refuse(topic: Topic | None, config: SmnConfig, facts: Mapping[str, Any]) -> str | None:
    region = (facts["dst_node"] or {}).get("region")
    if region and config.topic_urn.split(":")[2] != region:
        return OTHER_REGION
    if topic is None:
        return NO_TOPIC
    return None if PUBLISHER in topic.publishers else CLOSED


def _values(facts: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a template: no task id, project, region or error code is among them."""
    source, destination = facts["src_node"] or {}, facts["dst_node"] or {}
    files = source.get("list_file") or {}
    started = datetime.fromtimestamp((facts["start_time"] or 0) / 1000, UTC)
    return {
        "Task_Status": WORDS[facts["status"]],
        "Task_Name": facts["name"],
        "Start_Time": started.strftime("%Y-%m-%d %H:%M:%S"),
        "Total_Time_Used": str(facts["total_time"] or 0),
        "Transferred_Data": str(facts["complete_size"] or 0),
        "Average_Speed": str(facts["migrate_speed"] or 0),
        "Source_Bucket": source.get("bucket") or "",
        "Destination_Bucket": destination.get("bucket") or "",
        "List_File_Bucket": files.get("obs_bucket") or "",
        "List_File_Key": files.get("list_file_key") or "",
        "Success_object_list_path": "",
        "Skip_object_list_path": "",
        "Failed_object_list_path": (facts["failed_object_record"] or {}).get("list_file_key") or "",
    }


def _event(topic_urn: str, message: str, now: float) -> dict[str, Any]:
    """What FunctionGraph's SMN trigger hands to a function; there is no signature in it.

    https://support.huaweicloud.com/devg-functiongraph/functiongraph_02_0102.html
    """
    region, project = topic_urn.split(":")[2:4]
    smn = {
        "topic_urn": topic_urn,
        "timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message_attributes": None,
        "message": message,
        "type": "notification",
        "message_id": uuid.uuid4().hex,
        "subject": "OMS",
    }
    function = f"urn:fss:{region}:{project}:function:default:restart:latest"
    record = {"event_version": "1.0", "smn": smn, "event_subscription_urn": function, "event_source": "smn"}
    return {"record": [record]}


class Failure(Cause):
    """Let a task fail, now."""

    task_id: TaskId
