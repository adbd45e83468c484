"""Chooses the credential of a request to OMS: a configured key or token, an IAM token, or the platform's key."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from restarter.http.call import PRINTABLE, Answer
from restarter.http.transport import Sender
from restarter.model.delivery import AuthToken, DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.oms import iam
from restarter.oms.error_codes import refuses_key
from restarter.oms.key_breaker import KeyBreaker, breaker_open
from restarter.oms.signing import Identity
from restarter.settings.model import Settings

RENEW_BEFORE = timedelta(minutes=10)
MIN_TOKEN_LIFETIME = timedelta(seconds=30)
BREAKER_CACHE_SIZE = 256  # keys; an agency brings a new one every day


class Credential(NamedTuple):
    """A key or token and its breaker."""

    identity: Identity
    breaker: KeyBreaker
    login: KeyBreaker | None = None
    """For an IAM token: the breaker of the login that issued it, and that would issue the next one."""


class CredentialProvider:
    """Chooses the credential of each request, and keeps breakers and tokens for the life of the process."""

    def __init__(self, transport: Sender, now: Callable[[], datetime]) -> None:
        self._transport = transport
        self._now = now
        self._breakers: dict[str, KeyBreaker] = {}
        self._tokens: dict[str, iam.IamToken] = {}
        self._renewal = asyncio.Lock()

    def configured(self, settings: Settings) -> Credential | None:
        """The key or token in the settings, which is the same for every request; None if there is none."""
        key = settings.access_key()
        if key is not None:
            return self._with_breaker(key)
        if settings.oms_auth_token:
            return self._with_breaker(AuthToken(settings.oms_auth_token))
        return None

    async def get(self, settings: Settings, project_id: str, context: DeliveryContext) -> Credential | Outcome:
        """An IAM token or, without an IAM user, the platform's key. Only for settings without a key or token."""
        if settings.iam_user:
            return await self._iam_credential(settings, project_id, context)
        if context.platform_key and all(PRINTABLE.fullmatch(part) for part in context.platform_key.parts):
            return self._with_breaker(context.platform_key)
        return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.NO_KEY_FOR_OMS)

    def drop_token(self, credential: Credential) -> None:
        """Drop an IAM token that OMS refused, so that the next delivery gets another one.

        If OMS has never accepted it, a new token would not help either, so the breaker of the login opens.
        """
        self._tokens = {
            key: token for key, token in self._tokens.items() if AuthToken(token.token) != credential.identity
        }
        if credential.login is not None and not credential.breaker.is_closed:
            credential.login.open(self._now())

    def _with_breaker(self, identity: Identity) -> Credential:
        """The key with its breaker, which all projects share. A different AK, SK or token is a different key."""
        return Credential(identity, self._breaker(*identity.parts))

    def _breaker(self, *of: str) -> KeyBreaker:
        digest = _digest(*of)
        if digest not in self._breakers and len(self._breakers) >= BREAKER_CACHE_SIZE:
            del self._breakers[next(iter(self._breakers))]
        return self._breakers.setdefault(digest, KeyBreaker())

    async def _iam_credential(
        self, settings: Settings, project_id: str, context: DeliveryContext
    ) -> Credential | Outcome:
        login = iam.login_cache_key(settings)
        key = _digest(*login, project_id)
        is_renewed_elsewhere = self._is_usable(key) and self._renewal.locked()
        if not self._is_fresh(key) and not is_renewed_elsewhere:
            failure = await self._renew(key, settings, project_id, context)
            if failure is not None and not self._is_usable(key):
                return failure
        return self._with_breaker(AuthToken(self._tokens[key].token))._replace(login=self._breaker(*login))

    def _is_fresh(self, key: str) -> bool:
        """Whether the cached token need not be renewed yet."""
        return self._lifetime(key) >= RENEW_BEFORE

    def _is_usable(self, key: str) -> bool:
        """Whether the cached token can be used while it is being renewed."""
        return self._lifetime(key) > MIN_TOKEN_LIFETIME

    def _lifetime(self, key: str) -> timedelta:
        token = self._tokens.get(key)
        return token.expires_at - self._now() if token else timedelta()

    async def _renew(self, key: str, settings: Settings, project_id: str, context: DeliveryContext) -> Outcome | None:
        """Cache a fresh token, with one login for all deliveries that wait. Returns the outcome if that fails."""
        try:
            async with asyncio.timeout(context.remaining()):
                await self._renewal.acquire()
        except TimeoutError:
            return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.IAM)
        try:
            if not self._is_fresh(key):
                fresh = await self._log_in(settings, project_id, context)
                if isinstance(fresh, Outcome):
                    return fresh
                self._tokens[key] = fresh
        finally:
            self._renewal.release()
        return None

    async def _log_in(self, settings: Settings, project_id: str, context: DeliveryContext) -> iam.IamToken | Outcome:
        """Request a token of the project from IAM. A password has a breaker, just like a key."""
        breaker = self._breaker(*iam.login_cache_key(settings))
        cooldown_left = breaker.cooldown_left(self._now(), settings.oms_cooldown)
        if cooldown_left > 0:
            return breaker_open(cooldown_left)
        call = iam.build_login(settings, project_id)
        answer = await self._transport.send(call, call.headers, min(context.remaining(), settings.oms_timeout))
        if not isinstance(answer, Answer):
            return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.IAM)
        if refuses_key(answer):
            breaker.open(self._now())
        return iam.interpret_token(answer)


def _digest(*parts: str) -> str:
    """A hash that identifies a key and does not reveal it."""
    return sha256("\0".join(parts).encode()).hexdigest()
