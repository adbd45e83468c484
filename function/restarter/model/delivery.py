"""A delivery as it was read, and when it must be answered. The only I/O here is reading a clock."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Self

from pydantic import SecretStr


def utc_now() -> datetime:
    """Current time, UTC."""
    return datetime.now(UTC)


class Delivery(NamedTuple):
    """One HTTP request, read whole and not yet trusted: header names in lower case, repeated ones joined.

    Headers and body stay out of `repr`: they may hold what authenticates the caller.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Delivery({self.method}, {self.path})"

    @property
    def media_type(self) -> str:
        """The Content-Type in lower case and without parameters; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class AuthenticatedDelivery(NamedTuple):
    """A delivery whose caller was authenticated; only an authenticator of `callers` makes one.

    `delivery` holds no more than what the authenticator vouches for: of a signed message, the signed fields.
    """

    delivery: Delivery
    authenticated_by: str
    """Name of the authenticator: `bearer`, `webhook`, `smn`, `oidc` or `platform`."""
    sender: str = ""
    """Which of its callers: a Google account, or the fingerprint of a token or secret; empty where it knows one."""


class AccessKey(NamedTuple):
    """An access key of Huawei Cloud; `security_token` belongs to a temporary one."""

    ak: SecretStr
    sk: SecretStr
    security_token: SecretStr | None = None

    @classmethod
    def from_platform(cls, *parts: str | None) -> Self | None:
        """The temporary key (access key, secret key, token) that FunctionGraph gives a function with an agency.

        None where a part is missing, or is `null`, which is what an image gets that has no agency.
        """
        if not all(parts) or "null" in parts:
            return None
        return cls(*(SecretStr(part or "") for part in parts))

    @property
    def parts(self) -> tuple[str, ...]:
        """The texts that it is made of, all of them secret."""
        return tuple(part.get_secret_value() for part in (self.ak, self.sk, self.security_token) if part)


class AuthToken(NamedTuple):
    """An IAM token of a project."""

    token: SecretStr

    @property
    def parts(self) -> tuple[str, ...]:
        """The text that it is made of, as those of an AccessKey."""
        return (self.token.get_secret_value(),)


class DeliveryContext(NamedTuple):
    """When a delivery was received and by when it must be answered."""

    received_at: datetime
    """UTC."""
    started_at: float
    """Monotonic seconds."""
    deadline: float
    """Monotonic seconds."""
    platform_key: AccessKey | None = None
    """A temporary key that the platform handed over with this delivery."""
    ends_at: float = math.inf
    """The deadline by the wall clock, in seconds since 1970."""

    @classmethod
    def lasting(cls, seconds: float) -> Self:
        """A context of so many seconds that begins now, for what a person asks for at the command line."""
        started_at = time.monotonic()
        return cls(utc_now(), started_at, started_at + seconds)

    def remaining(self) -> float:
        """Seconds until the reply must be out: of two clocks, for the monotonic one may stand in a frozen instance."""
        return min(self.deadline - time.monotonic(), self.ends_at - time.time())

    def elapsed(self) -> float:
        """Seconds since the delivery was received."""
        return time.monotonic() - self.started_at
