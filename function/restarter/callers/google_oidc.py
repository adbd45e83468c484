"""Authenticates by an ID token that Google signed for a service account (Pub/Sub, Eventarc, Scheduler, Cloud Run).

Rule: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
«check the signature, aud, and that email is the expected account and email_verified is true».
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from restarter.callers.bearer import bearer_token
from restarter.http.call import Answer, Call
from restarter.http.transport import Sender
from restarter.model.delivery import Delivery, DeliveryContext
from restarter.model.errors import AuthenticationUnavailable
from restarter.settings.model import Settings

if TYPE_CHECKING:
    from jwt import PyJWKSet

KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
KEYS_TTL_S = 3600.0  # Google changes its keys over days
MIN_REFETCH_INTERVAL_S = 60.0  # between two fetches because of a key id that is not among the keys
TIMEOUT_S = 2.0
MAX_CLOCK_SKEW_S = 30.0  # between Google's clock and ours, for iat, nbf and exp


class Oidc:
    """Accepts the configured accounts, with a token for the configured audience."""

    name = "oidc"

    def __init__(self, settings: Settings, transport: Sender) -> None:
        self._audience = settings.caller_oidc_audience
        self._emails = frozenset(settings.caller_oidc_emails)
        self._keys = Keys(settings, transport)

    def applies_to(self, delivery: Delivery) -> bool:
        """The bearer's token has the three parts of a signed JWT."""
        return (bearer_token(delivery) or "").count(".") == 2

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> Delivery | None:
        """The delivery, where signature, issuer, audience and times are right and the account is configured."""
        from jwt import PyJWTError, decode, get_unverified_header  # noqa: PLC0415  # not every deployment needs it

        token = bearer_token(delivery) or ""
        try:
            key = await self._keys.named(str(get_unverified_header(token).get("kid")), context)
            claims = decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=ISSUERS,
                leeway=MAX_CLOCK_SKEW_S,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except (PyJWTError, KeyError, ValueError):
            return None
        email = claims.get("email") if claims.get("email_verified") is True else None
        return delivery if isinstance(email, str) and email in self._emails else None


class Keys:
    """Google's public keys, or those of a file. Deliveries that need a fetch at the same time share it."""

    def __init__(self, settings: Settings, transport: Sender) -> None:
        self._transport = transport
        self._from_file = settings.caller_oidc_keys
        self._fetching = asyncio.Lock()
        self._set: PyJWKSet | None = None
        self._fetched_at = 0.0
        """Seconds since 1970: a monotonic clock may stand still while an instance is frozen."""

    async def named(self, kid: str, context: DeliveryContext) -> Any:
        """The key of that id.

        Raises:
            KeyError: There is no such key.
            AuthenticationUnavailable: The keys could not be fetched.
        """
        async with self._fetching:
            return (await self._current(kid, context))[kid]

    async def _current(self, kid: str, context: DeliveryContext) -> "PyJWKSet":
        age = abs(time.time() - self._fetched_at)  # a clock that was set back counts as time that passed
        if self._set is None or (self._from_file is None and self._stale(kid, age)):
            self._set = await self._read(context)
            self._fetched_at = time.time()
        return self._set

    def _stale(self, kid: str, age: float) -> bool:
        known = self._set is not None and any(key.key_id == kid for key in self._set.keys)
        return age > KEYS_TTL_S or (not known and age > MIN_REFETCH_INTERVAL_S)

    async def _read(self, context: DeliveryContext) -> "PyJWKSet":
        from jwt import PyJWKSet, PyJWTError  # noqa: PLC0415  # not every deployment needs it

        if self._from_file is not None:
            return PyJWKSet.from_json(self._from_file)
        answer = await self._transport.send(Call("GET", KEYS_URL, ""), {}, min(TIMEOUT_S, context.remaining()))
        try:
            if isinstance(answer, Answer) and answer.status == 200:
                return PyJWKSet.from_dict(answer.document)
        except (PyJWTError, AttributeError, NotImplementedError, TypeError):  # it lets those of odd keys pass
            pass
        raise AuthenticationUnavailable("oidc: the keys could not be fetched")
