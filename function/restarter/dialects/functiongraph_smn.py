"""FunctionGraph's SMN trigger: `{"record": [{"smn": {...}}]}`, without a signature. No I/O here."""

from typing import Any

from restarter.dialects.envelope import Configured, Envelope, Part
from restarter.dialects.smn_message import read_notice
from restarter.errors import Malformed

NAME = "functiongraph_smn"


def recognises(envelope: Envelope) -> bool:
    """A list of records, each with the notice under `smn`."""
    document = envelope.document
    if not isinstance(document, dict) or not isinstance(document.get("record"), list):
        return False
    return any(isinstance(record, dict) and "smn" in record for record in document["record"])


def decode(envelope: Envelope, configured: Configured) -> list[Part]:
    """One part for each record; a bad record does not spoil the good ones beside it."""
    return [_read(record, configured) for record in envelope.document["record"]]


def _read(record: Any, configured: Configured) -> Part:
    try:
        if not isinstance(record, dict) or not isinstance(record.get("smn"), dict):
            raise Malformed("smn: must be an object", dialect=NAME)
        return read_notice(record["smn"], NAME, configured)
    except Malformed as error:
        return Malformed(error.reason, dialect=NAME, event_id=error.event_id)
