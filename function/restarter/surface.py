"""What is served beside deliveries: health, FunctionGraph's first call, and the handshake of webhooks. No I/O here."""

import json
import re

from restarter import __version__
from restarter.errors import WrongMethod
from restarter.model import Delivery
from restarter.reply import Reply

JSON = {"Content-Type": "application/json"}


def serve(delivery: Delivery, origins: tuple[str, ...]) -> Reply | None:
    """The reply to what is no delivery; None for a POST. Raises WrongMethod for all else."""
    match delivery.method, delivery.path:
        case (("GET" | "HEAD"), "/healthz"):
            return Reply(200, JSON, json.dumps({"status": "ok", "version": __version__}).encode())
        case "POST", "/init":  # FunctionGraph calls it once for each instance; all is built by then
            return Reply(200)
        case "OPTIONS", _:
            return _handshake(delivery, origins)
        case "POST", _:
            return None
        case _:
            raise WrongMethod("method: only POST is served")


def _handshake(delivery: Delivery, origins: tuple[str, ...]) -> Reply:
    """A sender asks whether it may deliver (cloudevents/spec, http-webhook.md, 4). Its callback is never called.

    The caller is proved at each delivery; an allowed origin promises nothing but that deliveries are expected.
    """
    origin = delivery.headers.get("webhook-request-origin", "")
    allowed = {name.lower() for name in origins}  # RFC 4343
    if not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", origin) or not {"*", origin.lower()} & allowed:
        raise WrongMethod("webhook-request-origin: missing or not allowed")
    headers = {"Allow": "POST", "WebHook-Allowed-Origin": origin}
    if "webhook-request-rate" in delivery.headers:
        headers["WebHook-Allowed-Rate"] = "*"
    return Reply(200, headers)
