"""SMN over HTTP(S): one flat, signed object, whose signature was checked before. No I/O here.

https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9002.html
The message of a notice is a RestartRequest in JSON, or plain text that contains an OMS task name.
"""

import re
import string
from typing import Any

from restarter.dialects.faults import faults_of, shown
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, Subscription, identifier, timestamp
from restarter.dialects.payload import read_request, unless_succeeded
from restarter.model.errors import Malformed
from restarter.model.json_text import read_json
from restarter.model.outcome import Reason
from restarter.model.request import Event, Ignored, Intent, RestartRequest
from restarter.model.smn import is_confirmation_url, topic_of

NAME = "smn"
# «source bucket, destination bucket, time sequence», e.g. bucket3-bucket3-20161027211637786_544 (ShowTask, name).
TIME_SEQUENCE = re.compile(r"-[0-9]{17}_[0-9]{1,20}(?![0-9])")
NAME_CHARACTERS = string.ascii_letters + string.digits + "-._"
LONGEST_BUCKETS = 256


def recognises(parsed: ParsedDelivery) -> bool:
    """By type, topic and signature in the body: anybody could set the headers of these names."""
    document = parsed.document
    return isinstance(document, dict) and {"type", "topic_urn", "signature"} <= document.keys()


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """An event for a notification, a Subscription for a signed request to confirm one, Ignored for anything else."""
    document = parsed.document
    message_id = identifier(document.get("message_id"), "message_id")
    with faults_of(NAME, message_id):
        if document["type"] == "Notification":
            _check_fields(document)
            return [read_notice(document, NAME, options, by_smn=parsed.authenticated.authenticated_by == NAME)]
        if document["type"] != "SubscriptionConfirmation":  # no other type is an event; no URL in one is followed
            return [Ignored(reason=Reason.SMN_TYPE, dialect=NAME, event_id=message_id)]
        if parsed.authenticated.authenticated_by != NAME:
            return [Ignored(reason=Reason.SUBSCRIPTION_NOT_SIGNED, dialect=NAME, event_id=message_id)]
        url = document.get("subscribe_url")
        if not isinstance(url, str) or not is_confirmation_url(url, document["topic_urn"], options.smn_domains):
            raise Malformed("subscribe_url: not an address of SMN")
        _check_fields(document)
        occurred_at = timestamp(document["timestamp"], "timestamp")
    return [Subscription(url=url, occurred_at=occurred_at, dialect=NAME, event_id=message_id)]


def _check_fields(document: dict[str, Any]) -> None:
    """Check that the signed text is unambiguous: SMN signs the fields as lines, one after the other.

    Raises:
        Malformed: A field other than `message` has a line break, or there is no `timestamp`.
    """
    for name, value in document.items():
        if name != "message" and isinstance(value, str) and ("\n" in value or "\r" in value):
            raise Malformed(f"{shown(name)}: has a line break")
    if document.get("timestamp") is None:
        raise Malformed("timestamp: must be given")


def read_notice(notice: dict[str, Any], dialect: str, options: DecodeOptions, *, by_smn: bool) -> Decoded:
    """The event in an SMN notice: an object with message, message_id, topic_urn and timestamp, all of them strings.

    `by_smn`: SMN itself is known to have sent it, so the time is SMN's own.
    """
    message_id = identifier(notice.get("message_id"), "message_id")
    with faults_of(dialect, message_id):
        request = _request(notice.get("message"), options)
        project_id = _project(notice.get("topic_urn"), request, options)
        occurred_at = timestamp(notice["timestamp"], "timestamp") if notice.get("timestamp") is not None else None
    identity = (dialect, message_id)
    return unless_succeeded(
        Event(request, dialect, Intent.FAILED, project_id, message_id, identity, occurred_at, vendor_time=by_smn)
    )


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
    """The OMS task names in a text. The search ends with the second one, because only a single name is usable."""
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
    """The project that the topic belongs to; without a URN the request's project, or the default one.

    FunctionGraph's documented samples have plain words in place of a URN.
    """
    topic = topic_of(topic_urn)
    project_id = topic.project_id if topic else options.project_of(request)
    if project_id not in options.projects:
        raise Malformed("topic_urn: not of a configured project")
    if request.project_id not in (None, project_id):
        raise Malformed("project_id: not the project of topic_urn")
    return project_id
