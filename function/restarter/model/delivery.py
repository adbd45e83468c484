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
    """One HTTP request, read completely and not yet trusted. Header names are in lower case, repeated headers joined.

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
    """A delivery whose caller is authenticated; only an authenticator in `callers` creates one.

    `delivery` holds only what the authenticator vouches for: of a signed message, only the signed fields.
    """

    delivery: Delivery
    authenticated_by: str
    """Name of the authenticator: `bearer`, `webhook`, `smn`, `oidc` or `platform`."""
    sender: str = ""
    """The caller: a Google account, or the fingerprint of a token or secret; empty if it is not known."""


class AccessKey(NamedTuple):
    """An access key of Huawei Cloud; only a temporary key has a `security_token`."""

    ak: SecretStr
    sk: SecretStr
    security_token: SecretStr | None = None

    @classmethod
    def from_platform(cls, *parts: str | None) -> Self | None:
        """The temporary key (access key, secret key, token) that FunctionGraph gives a function with an agency.

        None if a part is missing or is `null`, which FunctionGraph sends to an image without an agency.
        """
        if not all(parts) or "null" in parts:
            return None
        return cls(*(SecretStr(part or "") for part in parts))

    @property
    def parts(self) -> tuple[str, ...]:
        """The strings of the key, all of them secret."""
        return tuple(part.get_secret_value() for part in (self.ak, self.sk, self.security_token) if part)


class AuthToken(NamedTuple):
    """An IAM token of a project."""

    token: SecretStr

    @property
    def parts(self) -> tuple[str, ...]:
        """The string of the token, in the form of `AccessKey.parts`."""
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
        """A context that begins now and lasts `seconds`, for the operator's command."""
        started_at = time.monotonic()
        return cls(utc_now(), started_at, started_at + seconds)

    def remaining(self) -> float:
        """Seconds until the deadline, by the stricter of two clocks: the monotonic one may stop while frozen."""
        return min(self.deadline - time.monotonic(), self.ends_at - time.time())

    def elapsed(self) -> float:
        """Seconds since the delivery was received."""
        return time.monotonic() - self.started_at
