"""Which trace a delivery belongs to, by W3C Trace Context or by CloudEvents' extension of it. No I/O here."""

import re

from restarter.model.delivery import Delivery

IN_BODY = re.compile(rb'"traceparent"\s{0,8}:\s{0,8}"([0-9a-f-]{55})"')
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def traceparent_of(delivery: Delivery) -> str:
    """`traceparent` of the request, or of the CloudEvent in it, binary or structured; empty if there is none."""
    in_headers = delivery.headers.get("traceparent") or delivery.headers.get("ce-traceparent")
    in_body = None if in_headers else IN_BODY.search(delivery.body)
    return in_headers or (in_body[1].decode() if in_body else "")


def trace_id_of(traceparent: str) -> str | None:
    """The trace id in a `traceparent` (W3C Trace Context, 3.2); None if it is not valid."""
    match = TRACEPARENT.fullmatch(traceparent)
    return match[1] if match and int(match[1], 16) else None
