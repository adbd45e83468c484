"""The way in by a Standard Webhooks signature (standard-webhooks 1.0.0: HMAC-SHA256 over id.timestamp.body).

No I/O here. The library reads the clock itself, and allows five minutes.
"""

from restarter.model import Delivery, Visit
from restarter.settings import Settings


class StandardWebhook:
    """Lets in whoever signs with one of the secrets; two of them while rotating."""

    name = "webhook"

    def __init__(self, settings: Settings) -> None:
        self._secrets = settings.caller_webhook_secrets

    def claims(self, delivery: Delivery) -> bool:
        """There is a signature; without id and timestamp it proves nothing."""
        return "webhook-signature" in delivery.headers

    async def proves(self, delivery: Delivery, visit: Visit) -> Delivery | None:
        """One of the secrets made the signature, and not long ago."""
        matches = [_signed_with(secret.get_secret_value(), delivery) for secret in self._secrets]
        return delivery if any(matches) else None


def _signed_with(secret: str, delivery: Delivery) -> bool:
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415  # not every deployment needs it

    try:
        Webhook(secret).verify(delivery.body, dict(delivery.headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # it lets the errors of base64, of UTF-8 and of a split pass
        return False
    return True
