"""Prometheus Alertmanager's own body, version 4, and Grafana's default body of the same shape. No I/O here.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
"""

from typing import Any

from restarter.dialects.faults import faults_of
from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, identifier, read_batch, timestamp
from restarter.dialects.payload import read_request, refuse_secrets, unless_succeeded
from restarter.model.errors import Malformed
from restarter.model.outcome import Reason
from restarter.model.request import Event, Ignored, Intent

NAME = "alertmanager"
TARGET_LABELS = ("task_id", "task_name", "group_id")
LABELS = (*TARGET_LABELS, "project_id", "credentials")


def recognises(parsed: ParsedDelivery) -> bool:
    """Whether it is a group of alerts in version 4, or in Grafana's own version 1, which has an `orgId`."""
    document = parsed.document
    if not isinstance(document, dict) or not isinstance(document.get("alerts"), list) or "groupKey" not in document:
        return False
    version = document.get("version")
    return version in (4, "4") or (version in (1, "1") and "orgId" in document)


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One part for each alert."""
    return read_batch(parsed.document["alerts"], lambda alert: _read(alert, options), NAME)


def _read(alert: Any, options: DecodeOptions) -> Decoded:
    if not isinstance(alert, dict) or not isinstance(alert.get("labels"), dict):
        raise Malformed("labels: must be an object")
    if alert.get("status") == "resolved":
        return Ignored(reason=Reason.ALERT_RESOLVED, dialect=NAME)
    if not any(alert["labels"].get(name) for name in TARGET_LABELS):  # to Prometheus an empty label is a missing one
        return Ignored(reason=Reason.ALERT_WITHOUT_TASK, dialect=NAME)
    return _read_firing(alert, options)


def _read_firing(alert: dict[str, Any], options: DecodeOptions) -> Decoded:
    """The event of an alert about a task. An alert keeps fingerprint and start time each time that it is sent again."""
    if alert.get("status") != "firing":
        raise Malformed("status: neither firing nor resolved")
    refuse_secrets(alert)
    fingerprint = identifier(alert.get("fingerprint"), "fingerprint")
    starts_at = timestamp(alert.get("startsAt"), "startsAt")
    event_id = identifier(f"{fingerprint}/{alert['startsAt']}", "fingerprint")
    with faults_of(NAME, event_id):
        request = read_request({name: alert["labels"].get(name) or None for name in LABELS}, options)
    project_id, identity = options.project_of(request), (NAME, fingerprint, starts_at.isoformat())
    return unless_succeeded(Event(request, NAME, Intent.FAILED, project_id, event_id, identity, starts_at))
