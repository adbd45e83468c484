"""The way in by a shared token: `Authorization: Bearer <token>` (RFC 6750). No I/O here."""

import hmac

from restarter.model import Delivery, Visit
from restarter.settings import Settings


class Bearer:
    """Lets in whoever sends one of the tokens; two of them while rotating."""

    name = "bearer"

    def __init__(self, settings: Settings) -> None:
        self._tokens = settings.caller_bearer_tokens

    def claims(self, delivery: Delivery) -> bool:
        """There is a header of the Bearer scheme."""
        return bearer_token(delivery) is not None

    async def proves(self, delivery: Delivery, visit: Visit) -> Delivery | None:
        """Every token is compared, whole and as bytes, so that the time taken tells nothing."""
        sent = (bearer_token(delivery) or "").encode()
        matches = [hmac.compare_digest(sent, token.get_secret_value().encode()) for token in self._tokens]
        return delivery if any(matches) else None


def bearer_token(delivery: Delivery) -> str | None:
    """What follows the scheme, whose name is not case-sensitive (RFC 9110, 11.1); None without the scheme."""
    scheme, space, token = delivery.headers.get("authorization", "").partition(" ")
    return token.strip() if space and scheme.lower() == "bearer" else None
