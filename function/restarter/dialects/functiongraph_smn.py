"""FunctionGraph's SMN trigger: `{"record": [{"smn": {...}}]}`, without a signature. No I/O here."""

from typing import Any

from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, check_event_count
from restarter.dialects.smn_message import read_notice
from restarter.model.errors import Malformed

NAME = "functiongraph_smn"


def recognises(parsed: ParsedDelivery) -> bool:
    """A list of records, each with the notice under `smn`."""
    document = parsed.document
    if not isinstance(document, dict) or not isinstance(document.get("record"), list):
        return False
    return any(isinstance(record, dict) and "smn" in record for record in document["record"])


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """One part for each record; a bad record does not spoil the good ones beside it."""
    check_event_count(parsed.document["record"], NAME)
    by_smn = parsed.authenticated.authenticated_by == "platform"
    return [_read(record, options, by_smn=by_smn) for record in parsed.document["record"]]


def _read(record: Any, options: DecodeOptions, *, by_smn: bool) -> Decoded:
    try:
        if not isinstance(record, dict) or not isinstance(record.get("smn"), dict):
            raise Malformed("smn: must be an object", dialect=NAME)
        return read_notice(record["smn"], NAME, options, by_smn=by_smn)
    except Malformed as error:
        return Malformed(error.reason, dialect=NAME, event_id=error.event_id)
