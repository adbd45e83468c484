"""Requests that are not deliveries: health, FunctionGraph's /init, and the webhook handshake. No I/O here."""

import json
import re

from restarter import __version__
from restarter.model.delivery import Delivery
from restarter.model.errors import MethodNotAllowed
from restarter.reporting.reply import JSON, Reply

TEXT = {"Content-Type": "text/plain; charset=utf-8"}
WHAT_THIS_IS = (
    "This is oms-task-restarter, which restarts failed migration tasks of OMS when events are sent to it by POST"
)
# Where a person can look; the playground names its own page.
SEE = "/healthz says whether it is well"


def control_reply(delivery: Delivery, origins: tuple[str, ...]) -> Reply | None:
    """The reply to a request that is not a delivery; None for a delivery. `origins`: CALLER_ORIGINS.

    Raises:
        MethodNotAllowed: The method is not served at this path.
    """
    match delivery.method, delivery.path:
        case (("GET" | "HEAD"), "/healthz"):
            return Reply(200, JSON, json.dumps({"status": "ok", "version": __version__}).encode())
        case (("GET" | "HEAD"), "/") if "text/html" in delivery.headers.get("accept", ""):  # somebody with a browser
            return Reply(200, TEXT, f"{WHAT_THIS_IS}; {SEE}.\n".encode())
        case "POST", "/init":  # FunctionGraph calls it once for each instance; everything is already built
            return Reply(200)
        case "OPTIONS", _:
            return _handshake(delivery, origins)
        case "POST", _:
            return None
        case _:
            raise MethodNotAllowed("method: only POST is served")


def _handshake(delivery: Delivery, origins: tuple[str, ...]) -> Reply:
    """Tell a sender that it may deliver (cloudevents/spec, http-webhook.md, 4). Its callback is never called.

    An allowed origin proves nothing: the caller is authenticated at each delivery.
    """
    origin = delivery.headers.get("webhook-request-origin", "")
    allowed = {name.lower() for name in origins}  # RFC 4343
    if not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", origin) or not {"*", origin.lower()} & allowed:
        raise MethodNotAllowed("webhook-request-origin: missing or not allowed")
    headers = {"Allow": "POST", "WebHook-Allowed-Origin": origin}
    if "webhook-request-rate" in delivery.headers:
        headers["WebHook-Allowed-Rate"] = "*"
    return Reply(200, headers)
