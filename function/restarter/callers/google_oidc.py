"""Authenticates by an ID token that Google signed for a service account (Pub/Sub, Eventarc, Scheduler, Cloud Run).

Rule: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
«check the signature, aud, and that email is the expected account and email_verified is true».
"""

import time
from typing import TYPE_CHECKING, Any

from restarter.callers.bearer import bearer_token
from restarter.callers.single_flight import SingleFlight
from restarter.http.call import Answer, Call
from restarter.http.transport import Sender
from restarter.model.delivery import AuthenticatedDelivery, Delivery, DeliveryContext
from restarter.model.errors import AuthenticationUnavailable
from restarter.settings.model import Settings

if TYPE_CHECKING:
    from jwt import PyJWKSet

KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
KEYS_TTL_S = 3600.0  # Google changes its keys over days
MAX_KEYS_AGE_S = 24 * 3600.0  # how long keys are used while Google does not respond
MIN_REFETCH_INTERVAL_S = 60.0  # between two fetches while there are keys, even if the first one failed
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
        """Whether the bearer token has the three parts of a signed JWT."""
        return (bearer_token(delivery) or "").count(".") == 2

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> AuthenticatedDelivery | None:
        """The delivery, if signature, issuer, audience and times are valid and the account is configured."""
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
        if not isinstance(email, str) or email not in self._emails:
            return None
        return AuthenticatedDelivery(delivery, self.name, email)


class Keys:
    """Google's public keys, or those of a file. Concurrent deliveries share a fetch."""

    def __init__(self, settings: Settings, transport: Sender) -> None:
        self._transport = transport
        self._pinned: PyJWKSet | None = settings.caller_oidc_keys
        self._fetches = SingleFlight["PyJWKSet"](1)
        self._set = self._pinned
        # Seconds since 1970: a monotonic clock may stop while an instance is frozen.
        self._fetched_at = 0.0
        self._asked_at = 0.0
        self._last_failed = self._pinned is None  # there was none yet

    async def named(self, kid: str, context: DeliveryContext) -> Any:
        """The key with the id `kid`. A known key is returned without a fetch, unless it is time for another one.

        Raises:
            KeyError: There is no such key.
            AuthenticationUnavailable: The key is not known, but it may exist: the last fetch of the keys failed.
        """
        if self._is_due(kid):
            await self._fetches.run(KEYS_URL, lambda: self._fetch(context), context.remaining())
        key = self._known(kid)
        if key is None and self._last_failed:
            raise AuthenticationUnavailable("oidc: the keys could not be fetched")
        if key is None:
            raise KeyError
        return key

    def _known(self, kid: str) -> Any:
        """The key with that id, from the file or from a fetch within MAX_KEYS_AGE_S; None if there is none."""
        is_usable = self._pinned is not None or _since(self._fetched_at) <= MAX_KEYS_AGE_S
        keys = self._set.keys if self._set is not None and is_usable else []
        return next((key for key in keys if key.key_id == kid), None)

    def _is_due(self, kid: str) -> bool:
        """Whether a delivery must wait for a fetch: its key is unknown or over an hour old, and one is allowed."""
        if self._set is None or self._pinned is not None:
            return self._set is None
        is_known, is_asked = self._known(kid) is not None, KEYS_URL in self._fetches
        if is_known and (_since(self._fetched_at) <= KEYS_TTL_S or is_asked):
            return False
        return is_asked or _since(self._asked_at) > MIN_REFETCH_INTERVAL_S

    async def _fetch(self, context: DeliveryContext) -> "PyJWKSet | None":
        """Fetch the keys and keep them. If that fails, return None and keep the old ones."""
        self._asked_at = time.time()
        keys = await self._read(context)
        self._last_failed = keys is None
        if keys is not None:
            self._set, self._fetched_at = keys, time.time()
        return keys

    async def _read(self, context: DeliveryContext) -> "PyJWKSet | None":
        from jwt import PyJWKSet, PyJWTError  # noqa: PLC0415  # not every deployment needs it

        answer = await self._transport.send(Call("GET", KEYS_URL, ""), {}, min(TIMEOUT_S, context.remaining()))
        try:
            if isinstance(answer, Answer) and answer.status == 200:
                return PyJWKSet.from_dict(answer.document)
        except (PyJWTError, AttributeError, NotImplementedError, TypeError):  # it does not wrap the errors of odd keys
            pass
        return None


def _since(then: float) -> float:
    """Seconds since `then`. If the clock was set back, the difference counts as time that has passed."""
    return abs(time.time() - then)
