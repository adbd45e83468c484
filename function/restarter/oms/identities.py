"""Who we are to OMS, and how that stands: a key that was refused is left alone for a while, or until it changes.

«More than five consecutive failures of an access key lock it for five minutes» (devg-apisign/api-sign-0001): so a key
of which nothing is known yet is tried by one call at a time, and a refused one by none.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from restarter.call import Answer
from restarter.model import AccessKey, AuthToken, Kind, Outcome, Visit
from restarter.oms import iam
from restarter.oms.codes import read_error
from restarter.oms.signing import Identity
from restarter.settings import Settings
from restarter.transport import Transport

RENEWAL = timedelta(minutes=10)  # before a token expires
SPARE = timedelta(seconds=30)  # with less left a token is no longer used
PRINTABLE = re.compile(r"[!-~]{1,16384}")  # what can be sent in a header; as in settings
KEPT = 256  # keys, of which an agency brings a new one every day


class Standing:
    """What OMS has said to a key lately."""

    def __init__(self) -> None:
        self._good = False
        self._refused_at: datetime | None = None
        self._first = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A key known to be good is used by all at once, any other by one, while the others wait to hear of it."""
        if not self._good:
            async with self._first:
                if not self._good:
                    yield
                    return
        yield

    def wait(self, now: datetime, cooldown: float) -> float:
        """Seconds for which the key is left alone."""
        if self._refused_at is None:
            return 0.0
        return self._refused_at.timestamp() + cooldown - now.timestamp()

    def note(self, answer: Answer, now: datetime) -> None:
        """An answer that is no refusal proves the key, unless it came from a gateway that did not look at it."""
        if is_refusal(answer):
            self._good, self._refused_at = False, now
        elif answer.status < 300 or (answer.error_code or "").startswith("OMS."):
            self._good, self._refused_at = True, None


@dataclass(frozen=True, slots=True)
class Known:
    """An identity and its standing; `renewable`: it is a token for which IAM gives another."""

    identity: Identity
    standing: Standing
    renewable: bool = False


class Identities:
    """All keys and tokens that were ever used, for as long as the process lives."""

    def __init__(self, transport: Transport, now: Callable[[], datetime]) -> None:
        self._transport = transport
        self._now = now
        self._standings: dict[str, Standing] = {}
        self._tokens: dict[str, iam.Granted] = {}
        self._logging_in = asyncio.Lock()

    async def of(self, settings: Settings, project_id: str, visit: Visit) -> Known | Outcome:
        """The key of the settings, their token, a token of IAM, or the key that the platform lent, in this order."""
        if settings.huaweicloud_sdk_ak and settings.huaweicloud_sdk_sk:
            token = settings.huaweicloud_sdk_security_token
            return self._known(AccessKey(settings.huaweicloud_sdk_ak, settings.huaweicloud_sdk_sk, token), project_id)
        if settings.oms_auth_token:
            return self._known(AuthToken(settings.oms_auth_token), project_id)
        if settings.iam_user:
            return await self._by_iam(settings, project_id, visit)
        if visit.agency and all(PRINTABLE.fullmatch(part) for part in _parts(visit.agency)):
            return self._known(visit.agency, project_id)
        return Outcome(kind=Kind.UNAVAILABLE, reason="no_key_for_oms")

    def forget(self, known: Known) -> None:
        """IAM's token was refused: the next delivery asks for another."""
        self._tokens = {user: token for user, token in self._tokens.items() if AuthToken(token.token) != known.identity}

    def _known(self, identity: Identity, project_id: str) -> Known:
        """A key may be refused for one project and serve another."""
        return Known(identity, self._standing(*_parts(identity), project_id))

    def _standing(self, *of: str) -> Standing:
        digest = _digest(*of)
        if digest not in self._standings and len(self._standings) >= KEPT:
            del self._standings[next(iter(self._standings))]
        return self._standings.setdefault(digest, Standing())

    async def _by_iam(self, settings: Settings, project_id: str, visit: Visit) -> Known | Outcome:
        user = _digest(*iam.user_of(settings), project_id)
        if self._lasts(user) < RENEWAL and not (self._lasts(user) > SPARE and self._logging_in.locked()):
            async with self._logging_in:  # one login for all that wait
                if self._lasts(user) < RENEWAL:
                    fresh = await self._log_in(settings, project_id, self._standing(user), visit)
                    if isinstance(fresh, iam.Granted):
                        self._tokens[user] = fresh
                    elif self._lasts(user) <= SPARE:
                        return fresh
        return replace(self._known(AuthToken(self._tokens[user].token), project_id), renewable=True)

    def _lasts(self, user: str) -> timedelta:
        """How long the token that we have will be taken."""
        granted = self._tokens.get(user)
        return granted.expires_at - self._now() if granted else timedelta()

    async def _log_in(
        self, settings: Settings, project_id: str, standing: Standing, visit: Visit
    ) -> iam.Granted | Outcome:
        wait = standing.wait(self._now(), settings.oms_cooldown)
        if wait > 0:
            return left_alone(wait)
        call = iam.log_in(settings, project_id)
        answer = await self._transport.send(call, call.headers, min(visit.left_now(), settings.oms_timeout))
        if not isinstance(answer, Answer):
            return Outcome(kind=Kind.UNAVAILABLE, reason="iam")
        standing.note(answer, self._now())
        return iam.read_token(answer)


def is_refusal(answer: Answer) -> bool:
    """OMS, its gateway or IAM did not accept who asked."""
    return answer.status >= 300 and read_error(answer).reason == "credentials"


def left_alone(seconds: float) -> Outcome:
    """The key was refused, and is not tried again before so many seconds."""
    return Outcome(kind=Kind.DEFERRED, reason="credentials", retry_after=math.ceil(seconds))


def _parts(identity: Identity) -> tuple[str, ...]:
    if isinstance(identity, AuthToken):
        return (identity.token.get_secret_value(),)
    token = identity.security_token.get_secret_value() if identity.security_token else ""
    return identity.ak.get_secret_value(), identity.sk.get_secret_value(), token


def _digest(*parts: str) -> str:
    """What tells keys apart without being one."""
    return sha256("\0".join(parts).encode()).hexdigest()
