"""Authenticates by a Standard Webhooks signature (standard-webhooks 1.0.0: HMAC-SHA256 over id.timestamp.body).

No I/O here. The library reads the clock itself, and allows five minutes. Svix, the origin of the standard, sends the
same three headers under its own names.
"""

from restarter.callers.bearer import fingerprint
from restarter.model.delivery import AuthenticatedDelivery, Delivery, DeliveryContext
from restarter.settings.model import Settings

PREFIXES = ("webhook", "svix")  # the first one with a signature counts


class StandardWebhook:
    """Accepts callers that sign with one of the secrets. There can be several, for rotation."""

    name = "webhook"

    def __init__(self, settings: Settings) -> None:
        self._secrets = settings.caller_webhook_secrets

    def applies_to(self, delivery: Delivery) -> bool:
        """Whether there is a signature header."""
        return any(f"{prefix}-signature" in delivery.headers for prefix in PREFIXES)

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> AuthenticatedDelivery | None:
        """The signed part, which is body and id, if one of the secrets signed it within the last five minutes.

        All other headers are dropped: anybody who saw a genuine delivery could replay it with other ones.
        """
        headers = _standard_headers(delivery)
        secrets = [secret.get_secret_value() for secret in self._secrets]
        senders = [fingerprint(secret) for secret in secrets if _signed_with(secret, delivery.body, headers)]
        if not senders:
            return None
        signed = {"webhook-id": headers["webhook-id"], "content-type": "application/json"}
        return AuthenticatedDelivery(Delivery(delivery.method, "/", signed, delivery.body), self.name, senders[0])


def _standard_headers(delivery: Delivery) -> dict[str, str]:
    """The three headers under their standard names. Svix's own are used if there is no standard signature."""
    prefix = next(prefix for prefix in PREFIXES if f"{prefix}-signature" in delivery.headers)
    return {
        f"webhook-{name}": delivery.headers.get(f"{prefix}-{name}", "") for name in ("id", "timestamp", "signature")
    }


def _signed_with(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415  # not every deployment needs it

    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):  # it does not wrap the errors of base64, UTF-8 and split
        return False
    return True
