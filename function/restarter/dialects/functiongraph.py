"""FunctionGraph's own triggers: SMN, a timer, and those that report something else. No I/O here.

https://support.huaweicloud.com/intl/en-us/devg-functiongraph/functiongraph_02_0102.html
"""

from typing import Any

from restarter.dialects.faults import faults_of
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, read_batch, timestamp
from restarter.dialects.payload import read_request, unless_succeeded
from restarter.dialects.smn import read_notice
from restarter.model.errors import Malformed
from restarter.model.json_text import read_json
from restarter.model.outcome import Reason
from restarter.model.request import TARGET_FIELDS, Event, Ignored, Intent, RestartRequest

SMN = "functiongraph_smn"
TIMER = "functiongraph_timer"
OTHER = "functiongraph"
# The members that identify each other trigger. CTS also traces our own StartTask: acting on that would be a loop.
OTHER_SHAPES: tuple[tuple[Reason, frozenset[str]], ...] = (
    (Reason.TIMER, frozenset({"trigger_type", "trigger_name"})),
    (Reason.CTS_TRACE, frozenset({"cts"})),
    (Reason.OBS_OBJECT, frozenset({"Records"})),
    (Reason.FUNCTION_RESULT, frozenset({"request_context", "response_context"})),
)


def is_smn(parsed: ParsedDelivery) -> bool:
    """Whether it is a list of records with notices, `{"record": [{"smn": {...}}]}`. It has no signature."""
    document = parsed.document
    if not isinstance(document, dict) or not isinstance(document.get("record"), list):
        return False
    return any(isinstance(record, dict) and "smn" in record for record in document["record"])


def decode_smn(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One part for each record."""
    by_smn = parsed.authenticated.authenticated_by == "platform"
    return read_batch(parsed.document["record"], lambda record: _read_record(record, options, by_smn=by_smn), SMN)


def _read_record(record: Any, options: DecodeOptions, *, by_smn: bool) -> Decoded:
    if not isinstance(record, dict) or not isinstance(record.get("smn"), dict):
        raise Malformed("smn: must be an object")
    return read_notice(record["smn"], SMN, options, by_smn=by_smn)


def is_timer(parsed: ParsedDelivery) -> bool:
    """Whether it is a timer whose `user_event` is a JSON object, as text, that names a task, a group or a sweep."""
    document = parsed.document
    if not isinstance(document, dict) or document.get("trigger_type") != "TIMER":
        return False
    return _user_event(document) is not None


def decode_timer(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One failed event. The timer's name and time identify it: they are the same in a redelivery."""
    document = parsed.document
    trigger = identifier(document.get("trigger_name"), "trigger_name")
    occurred_at = timestamp(document.get("time"), "time")
    event_id = identifier(f"{trigger}/{document['time']}", "trigger_name")
    with faults_of(TIMER, event_id):
        request = read_request(_user_event(document), options)
    project_id = options.project_of(request)
    identity = (TIMER, trigger, occurred_at.isoformat(), project_id, *_target(request))
    return [unless_succeeded(Event(request, TIMER, Intent.FAILED, project_id, event_id, identity, occurred_at))]


def _user_event(document: dict[str, Any]) -> dict[str, Any] | None:
    """The request that the operator wrote into the timer; None if it is no request."""
    text = document.get("user_event")
    try:
        found = read_json(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and any(name in found for name in TARGET_FIELDS) else None


def _target(request: RestartRequest) -> tuple[str, str]:
    """The field that names what is to be restarted, and its value."""
    name = next(name for name in TARGET_FIELDS if getattr(request, name) is not None)
    return name, str(getattr(request, name))


def is_other(parsed: ParsedDelivery) -> bool:
    """Whether it is a trigger that reports something else: a timer, an object, an audited call, a result."""
    return bool(_other_reasons(parsed.document))


def decode_other(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One Ignored, with the reason."""
    return [Ignored(reason=_other_reasons(parsed.document)[0], dialect=OTHER)]


def _other_reasons(document: Any) -> list[Reason]:
    members = document.keys() if isinstance(document, dict) else frozenset[str]()
    return [reason for reason, shape in OTHER_SHAPES if shape <= members]
