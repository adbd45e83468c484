"""Authenticates by a Standard Webhooks signature (standard-webhooks 1.0.0: HMAC-SHA256 over id.timestamp.body).

No I/O here. The library reads the clock itself, and allows five minutes.
"""

from restarter.model import Delivery, DeliveryContext
from restarter.settings.model import Settings


class StandardWebhook:
    """Accepts whoever signs with one of the secrets; two may be configured while rotating."""

    name = "webhook"

    def __init__(self, settings: Settings) -> None:
        self._secrets = settings.caller_webhook_secrets

    def applies_to(self, delivery: Delivery) -> bool:
        """There is a signature header."""
        return "webhook-signature" in delivery.headers

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> Delivery | None:
        """The delivery, where one of the secrets made the signature within the last five minutes."""
        matches = [_signed_with(secret.get_secret_value(), delivery) for secret in self._secrets]
        return delivery if any(matches) else None


def _signed_with(secret: str, delivery: Delivery) -> bool:
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415  # not every deployment needs it

    try:
        Webhook(secret).verify(delivery.body, dict(delivery.headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # it lets the errors of base64, of UTF-8 and of a split pass
        return False
    return True
