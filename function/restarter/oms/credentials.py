"""Which credential a call to OMS is made with: a key, a token, a token of IAM, or the key that the platform lent."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from restarter.http.call import PRINTABLE, Answer
from restarter.http.transport import Sender
from restarter.model.delivery import AuthToken, DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.oms import iam
from restarter.oms.key_breaker import KeyBreaker, cooling_down
from restarter.oms.signing import Identity
from restarter.settings.model import Settings

RENEW_BEFORE = timedelta(minutes=10)
MIN_TOKEN_LIFETIME = timedelta(seconds=30)
BREAKER_CACHE_SIZE = 256  # keys; an agency brings a new one every day


@dataclass(frozen=True, slots=True)
class Credential:
    """A key or token and its breaker; `renewable`: IAM gives another token for a refused one."""

    identity: Identity
    breaker: KeyBreaker
    renewable: bool = False


class CredentialProvider:
    """Chooses the credential of each call and keeps breakers and tokens for as long as the process lives."""

    def __init__(self, transport: Sender, now: Callable[[], datetime]) -> None:
        self._transport = transport
        self._now = now
        self._breakers: dict[str, KeyBreaker] = {}
        self._tokens: dict[str, iam.IamToken] = {}
        self._login = asyncio.Lock()

    def configured(self, settings: Settings) -> Credential | None:
        """The key or token in the settings, which is the same for every call; None where there is none."""
        key = settings.access_key()
        if key is not None:
            return self._with_breaker(key)
        if settings.oms_auth_token:
            return self._with_breaker(AuthToken(settings.oms_auth_token))
        return None

    async def get(
        self, settings: Settings, project_id: str, context: DeliveryContext, task: str | None
    ) -> Credential | Outcome:
        """A token of IAM or, without an IAM user, the key that the platform lent; for settings without a key or token.

        `task`: what the call is about, its id or name; None where a 403 says nothing of the key.
        """
        if settings.iam_user:
            return await self._iam_token(settings, project_id, context, task)
        if context.platform_key and all(PRINTABLE.fullmatch(part) for part in _parts(context.platform_key)):
            return self._with_breaker(context.platform_key)
        return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.NO_KEY_FOR_OMS)

    def forget(self, credential: Credential) -> None:
        """Drop a token of IAM that was refused; the next delivery asks for another."""
        self._tokens = {
            key: token for key, token in self._tokens.items() if AuthToken(token.token) != credential.identity
        }

    def _with_breaker(self, identity: Identity) -> Credential:
        """One breaker for a key, whatever the project: another AK, SK or token is another key."""
        return Credential(identity, self._breaker(*_parts(identity)))

    def _breaker(self, *of: str) -> KeyBreaker:
        digest = _digest(*of)
        if digest not in self._breakers and len(self._breakers) >= BREAKER_CACHE_SIZE:
            del self._breakers[next(iter(self._breakers))]
        return self._breakers.setdefault(digest, KeyBreaker())

    async def _iam_token(
        self, settings: Settings, project_id: str, context: DeliveryContext, task: str | None
    ) -> Credential | Outcome:
        key = _digest(*iam.login_cache_key(settings), project_id)
        if self._lifetime(key) < RENEW_BEFORE and not (
            self._lifetime(key) > MIN_TOKEN_LIFETIME and self._login.locked()
        ):
            try:
                async with asyncio.timeout(context.remaining()):
                    await self._login.acquire()  # one login for all deliveries that wait
            except TimeoutError:
                return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.IAM)
            try:
                if self._lifetime(key) < RENEW_BEFORE:
                    fresh = await self._log_in(settings, project_id, context, task)
                    if isinstance(fresh, iam.IamToken):
                        self._tokens[key] = fresh
                    elif self._lifetime(key) <= MIN_TOKEN_LIFETIME:
                        return fresh
            finally:
                self._login.release()
        return replace(self._with_breaker(AuthToken(self._tokens[key].token)), renewable=True)

    def _lifetime(self, key: str) -> timedelta:
        """How long the cached token is still valid."""
        token = self._tokens.get(key)
        return token.expires_at - self._now() if token else timedelta()

    async def _log_in(
        self, settings: Settings, project_id: str, context: DeliveryContext, task: str | None
    ) -> iam.IamToken | Outcome:
        """Ask IAM for a token of the project; a password has one breaker, as a key has."""
        breaker = self._breaker(*iam.login_cache_key(settings))
        cooldown_left = breaker.cooldown_left(project_id, self._now(), settings.oms_cooldown)
        if cooldown_left > 0:
            return cooling_down(cooldown_left)
        call = iam.build_login(settings, project_id)
        answer = await self._transport.send(call, call.headers, min(context.remaining(), settings.oms_timeout))
        if not isinstance(answer, Answer):
            return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.IAM)
        breaker.record(answer, self._now())
        breaker.record_permission(answer, project_id, task, self._now())
        return iam.interpret_token(answer)


def _parts(identity: Identity) -> tuple[str, ...]:
    if isinstance(identity, AuthToken):
        return (identity.token.get_secret_value(),)
    token = identity.security_token.get_secret_value() if identity.security_token else ""
    return identity.ak.get_secret_value(), identity.sk.get_secret_value(), token


def _digest(*parts: str) -> str:
    """A hash that tells keys apart and does not reveal them."""
    return sha256("\0".join(parts).encode()).hexdigest()
