"""Who may call: tokens, signatures and the lock on a key that failed too often. The time is an argument."""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from oms_simulator.documents import Document, Seconds
from oms_simulator.messages import Request
from oms_simulator.signature import Claim, canonical_request, read_claim, signature

MUST_SIGN = {"host", "x-sdk-date"}
MAX_SKEW_SECONDS = 15 * 60
DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
WRONG = "Incorrect IAM authentication information: "


class Auth(Document):
    """Whom the gateway knows.

    `security_tokens` holds the one token that goes with a temporary key; a key without an entry takes any.
    `storage_keys` are secret keys by access key that open buckets; where there are none, all do. A run whose keys
    are not among them, or no longer, fails after `storage_key_seconds`.
    """

    tokens: list[str] = Field(default_factory=list)
    expired: list[str] = Field(default_factory=list)
    keys: dict[str, str] = Field(default_factory=dict)
    security_tokens: dict[str, str] = Field(default_factory=dict)
    storage_keys: dict[str, str] = Field(default_factory=dict)
    storage_key_seconds: Seconds = 5.0
    max_failures: Annotated[int, Field(ge=0, le=1_000_000)] = 5
    lock_seconds: Seconds = 300.0

    def changed(self, change: "Auth") -> "Auth":
        """This one with what `change` was given; the rest stays."""
        return self.model_copy(update={name: getattr(change, name) for name in change.model_fields_set})


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a call does not get past the gateway."""

    code: str
    message: str


class Gateway:
    """Admits a call or says why not, and counts how often in a row each key failed."""

    def __init__(self, auth: Auth) -> None:
        self.auth = auth
        self._failures: dict[str, int] = {}
        self._locked_until: dict[str, float] = {}

    def refuse(self, request: Request, project_id: str, now: float) -> Denial | None:
        """Why the call does not reach OMS, or None. `now`: seconds since 1970."""
        denial = self._refuse_caller(request, now)
        if denial is None and request.headers.get("x-project-id", project_id) != project_id:
            return Denial("APIGW.0310", "The project ID does not match the project in the path")
        return denial

    def _refuse_caller(self, request: Request, now: float) -> Denial | None:
        token, authorization = request.headers.get("x-auth-token"), request.headers.get("authorization")
        if token is not None and authorization is not None:
            # Stricter than any document: a good token must not hide a bad signature from a test.
            return Denial("APIGW.0301", f"{WRONG}both x-auth-token and authorization")
        if token is not None:
            return self._refuse_token(token)
        claim = read_claim(authorization or "")
        if claim is None:
            return Denial("APIGW.0301", f"{WRONG}x-auth-token not found")
        return self._count(claim, request, now)

    def _refuse_token(self, token: str) -> Denial | None:
        if token in self.auth.tokens:
            return None
        if token in self.auth.expired:
            return Denial("APIGW.0307", "The token must be updated")
        return Denial("APIGW.0301", f"{WRONG}decrypt token fail")

    def _count(self, claim: Claim, request: Request, now: float) -> Denial | None:
        """More than five failures in a row lock the key, for good signatures too, until the time is over."""
        if now < self._locked_until.get(claim.access, now):
            return Denial("APIGW.0301", f"{WRONG}AK access failed to reach the limit,forbidden")
        denial = refuse_signature(claim, request, self.auth, now)
        failures = 0 if denial is None else self._failures.get(claim.access, 0) + 1
        if failures > self.auth.max_failures:
            failures, self._locked_until[claim.access] = 0, now + self.auth.lock_seconds
        self._failures[claim.access] = failures
        return denial


def refuse_signature(claim: Claim, request: Request, auth: Auth, now: float) -> Denial | None:
    """Why a signature proves nothing, or None."""
    secret = auth.keys.get(claim.access)
    if secret is None:
        return Denial("APIGW.0301", f"{WRONG}AK {claim.access} not exist")
    unsigned = _unsigned(claim, request)
    if unsigned:
        return Denial("APIGW.0301", f"{WRONG}not signed: {','.join(unsigned)}")
    date = request.headers["x-sdk-date"]
    if not _is_close(date, now):
        return Denial("APIGW.0303", f"{WRONG}x-sdk-date is off by more than 15 minutes")
    canonical = canonical_request(request, claim.names)
    if not hmac.compare_digest(signature(secret, date, canonical), claim.signature):
        # The real gateway echoes what it computed, signed headers and all: a trap for whoever logs error_msg.
        echo = canonical.replace("\n", "|")
        return Denial("APIGW.0301", f"{WRONG}verify aksk signature fail, canonicalRequest:{echo}")
    return _refuse_security_token(auth.security_tokens.get(claim.access), request)


def _refuse_security_token(expected: str | None, request: Request) -> Denial | None:
    if expected in (None, request.headers.get("x-security-token")):
        return None
    return Denial("APIGW.0301", f"{WRONG}x-security-token does not belong to the AK")


def _unsigned(claim: Claim, request: Request) -> list[str]:
    """Headers that must be signed and are not, or are signed and not there."""
    must = MUST_SIGN | ({"x-security-token"} & request.headers.keys())
    return sorted((must - set(claim.names)) | (set(claim.names) - request.headers.keys()))


def _is_close(date: str, now: float) -> bool:
    if not DATE.fullmatch(date):
        return False
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(now - signed_at.timestamp()) <= MAX_SKEW_SECONDS
