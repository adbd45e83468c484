"""The way in by a shared token: `Authorization: Bearer <token>` (RFC 6750). No I/O here."""

import hmac
from collections.abc import Sequence

from pydantic import SecretStr

from restarter.model import Delivery


class Bearer:
    """Lets in whoever sends one of the tokens; two of them while rotating."""

    name = "bearer"

    def __init__(self, tokens: Sequence[SecretStr]) -> None:
        self._tokens = tuple(tokens)

    def claims(self, delivery: Delivery) -> bool:
        """There is a header of the Bearer scheme; its name is not case-sensitive (RFC 9110, 11.1)."""
        return delivery.headers.get("authorization", "").lower().startswith("bearer ")

    async def proves(self, delivery: Delivery) -> bool:
        """Every token is compared, whole and as bytes, so that the time taken tells nothing."""
        sent = delivery.headers["authorization"][len("bearer ") :].strip().encode("latin-1")
        matches = [hmac.compare_digest(sent, token.get_secret_value().encode()) for token in self._tokens]
        return any(matches)
