"""Authenticates by a shared token: `Authorization: Bearer <token>` (RFC 6750). No I/O here."""

import hmac
from hashlib import sha256

from pydantic import Secret

from restarter.model.delivery import AuthenticatedDelivery, Delivery, DeliveryContext
from restarter.settings.model import Settings


class Bearer:
    """Accepts callers that send one of the tokens. There can be several, for rotation."""

    name = "bearer"

    def __init__(self, settings: Settings) -> None:
        tokens = [token.get_secret_value() for token in settings.caller_bearer_tokens]
        self._tokens = [(Secret[bytes](token.encode()), fingerprint(token)) for token in tokens]

    def applies_to(self, delivery: Delivery) -> bool:
        """Whether there is an Authorization header of the Bearer scheme."""
        return bearer_token(delivery) is not None

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> AuthenticatedDelivery | None:
        """The delivery, if one of the tokens is equal. All are compared, each in constant time."""
        sent = (bearer_token(delivery) or "").encode()
        senders = [sender for token, sender in self._tokens if hmac.compare_digest(sent, token.get_secret_value())]
        return AuthenticatedDelivery(delivery, self.name, senders[0]) if senders else None


def bearer_token(delivery: Delivery) -> str | None:
    """The token after the scheme, which is not case-sensitive (RFC 9110, 11.1); None if the scheme is not Bearer."""
    scheme, space, token = delivery.headers.get("authorization", "").partition(" ")
    return token.strip() if space and scheme.lower() == "bearer" else None


def fingerprint(secret: str) -> str:
    """16 hexadecimal digits that identify a secret; one of 24 characters or more cannot be recovered from them."""
    return sha256(b"oms-task-restarter caller\0" + secret.encode()).hexdigest()[:16]
