"""Authenticates by a Standard Webhooks signature (standard-webhooks 1.0.0: HMAC-SHA256 over id.timestamp.body).

No I/O here. The library reads the clock itself, and allows five minutes. Svix, where the standard comes from, sends the
same three headers by names of its own.
"""

from restarter.callers.bearer import fingerprint
from restarter.model.delivery import AuthenticatedDelivery, Delivery, DeliveryContext
from restarter.settings.model import Settings

PREFIXES = ("webhook", "svix")  # the first that signs


class StandardWebhook:
    """Accepts whoever signs with one of the secrets; two may be configured while rotating."""

    name = "webhook"

    def __init__(self, settings: Settings) -> None:
        self._secrets = settings.caller_webhook_secrets

    def applies_to(self, delivery: Delivery) -> bool:
        """There is a signature header."""
        return any(f"{prefix}-signature" in delivery.headers for prefix in PREFIXES)

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> AuthenticatedDelivery | None:
        """What is signed, where one of the secrets made the signature within the last five minutes: body and id.

        All other headers are dropped: whoever saw a genuine delivery could send it again with others.
        """
        headers = _standard_headers(delivery)
        secrets = [secret.get_secret_value() for secret in self._secrets]
        senders = [fingerprint(secret) for secret in secrets if _signed_with(secret, delivery.body, headers)]
        if not senders:
            return None
        signed = {"webhook-id": headers["webhook-id"], "content-type": "application/json"}
        return AuthenticatedDelivery(Delivery(delivery.method, "/", signed, delivery.body), self.name, senders[0])


def _standard_headers(delivery: Delivery) -> dict[str, str]:
    """The three headers by their standard names; those of Svix count where there is no standard signature."""
    prefix = next(prefix for prefix in PREFIXES if f"{prefix}-signature" in delivery.headers)
    return {
        f"webhook-{name}": delivery.headers.get(f"{prefix}-{name}", "") for name in ("id", "timestamp", "signature")
    }


def _signed_with(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415  # not every deployment needs it

    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):  # it lets the errors of base64, of UTF-8 and of a split pass
        return False
    return True
