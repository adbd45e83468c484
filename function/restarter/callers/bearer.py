"""Authenticates by a shared token: `Authorization: Bearer <token>` (RFC 6750). No I/O here."""

import hmac

from restarter.model.delivery import Delivery, DeliveryContext
from restarter.settings.model import Settings


class Bearer:
    """Accepts whoever sends one of the tokens; two may be configured while rotating."""

    name = "bearer"

    def __init__(self, settings: Settings) -> None:
        self._tokens = settings.caller_bearer_tokens

    def applies_to(self, delivery: Delivery) -> bool:
        """There is an Authorization header of the Bearer scheme."""
        return bearer_token(delivery) is not None

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> Delivery | None:
        """The delivery, where one of the tokens is equal; all are compared in constant time."""
        sent = (bearer_token(delivery) or "").encode()
        matches = [hmac.compare_digest(sent, token.get_secret_value().encode()) for token in self._tokens]
        return delivery if any(matches) else None


def bearer_token(delivery: Delivery) -> str | None:
    """What follows the scheme, whose name is not case-sensitive (RFC 9110, 11.1); None without the scheme."""
    scheme, space, token = delivery.headers.get("authorization", "").partition(" ")
    return token.strip() if space and scheme.lower() == "bearer" else None
