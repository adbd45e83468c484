"""FunctionGraph's triggers that tell of something else: a timer, an object, an audited call, a result. No I/O here.

Our own StartTask comes back as a trace of CTS: taking it for news would be a loop.
"""

from typing import Any

from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery
from restarter.model.outcome import Reason
from restarter.model.request import Ignored

NAME = "functiongraph"

# What a document of each trigger has (devg-functiongraph/functiongraph_02_0102).
SHAPES: tuple[tuple[Reason, frozenset[str]], ...] = (
    (Reason.TIMER, frozenset({"trigger_type", "trigger_name"})),
    (Reason.CTS_TRACE, frozenset({"cts"})),
    (Reason.OBS_OBJECT, frozenset({"Records"})),
    (Reason.FUNCTION_RESULT, frozenset({"request_context", "response_context"})),
)


def _reason(document: Any) -> Reason | None:
    if not isinstance(document, dict):
        return None
    return next((reason for reason, members in SHAPES if members <= document.keys()), None)


def recognises(parsed: ParsedDelivery) -> bool:
    """One of the shapes."""
    return _reason(parsed.document) is not None


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """Nothing for us."""
    return [Ignored(reason=_reason(parsed.document) or Reason.EVENT_TYPE, dialect=NAME)]
