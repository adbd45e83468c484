"""The text of an SMN notice: a RestartRequest in JSON, or words that hold an OMS task name. No I/O here."""

import re
import string
from typing import Any

from restarter.dialects.parsing import Decoded, DecodeOptions, identifier, read_json, timestamp
from restarter.dialects.payload import EventAttributes, read_request, to_event
from restarter.model.errors import Malformed
from restarter.model.request import Event, Intent, RestartRequest

# «source bucket, destination bucket, time sequence», e.g. bucket3-bucket3-20161027211637786_544 (ShowTask, name).
TIME_SEQUENCE = re.compile(r"-[0-9]{17}_[0-9]{1,20}(?![0-9])")
NAME_CHARACTERS = string.ascii_letters + string.digits + "-._"
LONGEST_BUCKETS = 256
URN = re.compile(r"urn:smn:([a-z0-9-]{1,64}):([A-Za-z0-9_-]{1,1024}):[A-Za-z0-9_-]{1,255}")


def read_notice(notice: dict[str, Any], dialect: str, options: DecodeOptions, *, by_smn: bool) -> Decoded:
    """The event in an SMN notice: an object with message, message_id, topic_urn and timestamp, all of them text.

    `by_smn`: it was SMN that sent it, so the time is SMN's own.
    """
    message_id = identifier(notice.get("message_id"), "message_id")
    try:
        request = _request(notice.get("message"), options)
        project_id = _project(notice.get("topic_urn"), request, options)
        occurred_at = timestamp(notice["timestamp"], "timestamp") if notice.get("timestamp") is not None else None
    except Malformed as error:
        raise Malformed(error.reason, dialect=dialect, event_id=message_id) from None
    attributes = EventAttributes(
        dialect=dialect,
        intent=Intent.FAILED,
        event_id=message_id,
        identity=(dialect, message_id),
        occurred_at=occurred_at,
        project_id=project_id,
    )
    event = to_event(request, attributes, options)
    return event._replace(vendor_time=by_smn) if isinstance(event, Event) else event


def _request(message: Any, options: DecodeOptions) -> RestartRequest:
    if not isinstance(message, str):
        raise Malformed("message: must be a string")
    try:
        document = read_json(message)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return read_request(document, options)
    names = task_names(message)
    if len(names) != 1:
        raise Malformed("message: neither JSON nor text with one OMS task name")
    return RestartRequest(task_name=names.pop())


def task_names(text: str) -> set[str]:
    """The OMS task names in a text; the search ends with the second one, for two are as good as none."""
    names: set[str] = set()
    for match in TIME_SEQUENCE.finditer(text):
        before = text[max(0, match.start() - LONGEST_BUCKETS) : match.start()]
        buckets = before[len(before.rstrip(NAME_CHARACTERS)) :].lstrip("-._")
        if "-" in buckets:
            names.add(buckets + match.group())
        if len(names) > 1:
            break
    return names


def _project(topic_urn: Any, request: RestartRequest, options: DecodeOptions) -> str:
    """The project that the topic belongs to: urn:smn:{region}:{project_id}:{topic}.

    Documented FunctionGraph samples have words in place of a URN; those leave the default project.
    """
    match = URN.fullmatch(topic_urn) if isinstance(topic_urn, str) else None
    project_id = match[2] if match else request.project_id or options.default_project
    if project_id not in options.projects:
        raise Malformed("topic_urn: not of a configured project")
    if request.project_id not in (None, project_id):
        raise Malformed("project_id: not the project of topic_urn")
    return project_id
