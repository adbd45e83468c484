"""SMN's certificates: fetched only from SMN's own hosts, cached, and checked for their dates at each use.

https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9004.html asks to verify the server they come from.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from restarter.callers.single_flight import SingleFlight
from restarter.http.call import Answer, Call
from restarter.http.transport import Sender
from restarter.model.delivery import DeliveryContext
from restarter.model.errors import AuthenticationUnavailable
from restarter.model.smn import is_certificate_url
from restarter.settings.model import Settings

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_CERTIFICATE_BYTES = 16 * 1024
TIMEOUT_S = 2.0  # SMN itself waits five seconds for the whole response
# Fetches in flight. With 24 forged messages a second there is room for a genuine one, even if each fetch times out.
MAX_FETCHES = 64
MAX_NAMES = 1024  # a name takes some 200 bytes, a certificate some 2 KiB
REFETCH_INTERVAL_S = 60.0  # for a name that SMN does not have, or whose certificate had expired when it was fetched


class Fetched(NamedTuple):
    """The result of a fetch: certificates, empty if SMN has none of that name, and the time of the fetch (UTC)."""

    certificates: "list[Certificate]"
    at: datetime


class Certificates:
    """The pinned certificates, or those that SMN publishes."""

    def __init__(self, settings: Settings, transport: Sender) -> None:
        self._pinned: tuple[Certificate, ...] | None = settings.caller_smn_certificate
        self._domains = settings.caller_smn_domains
        self._transport = transport
        self._known: dict[str, Fetched] = {}
        self._fetches = SingleFlight[Fetched](MAX_FETCHES)

    async def find(self, url: str, topic_urn: str, context: DeliveryContext) -> "list[Certificate]":
        """The certificates that may have signed a message and are valid now; empty if the URL is not SMN's.

        Raises:
            AuthenticationUnavailable: There is none of that name, or it could not be fetched.
        """
        now = context.received_at
        if self._pinned is not None:
            return _valid(self._pinned, now)
        if not is_certificate_url(url, topic_urn, self._domains):
            return []
        known = self._known.get(url)
        if known is None or _is_stale(known, now):
            known = await self._fetches.run(url, lambda: self._fetch(url, context), context.remaining())
        if known is None or not known.certificates:
            raise AuthenticationUnavailable("smn: the certificate could not be fetched")
        return _valid(known.certificates, now)

    async def _fetch(self, url: str, context: DeliveryContext) -> Fetched | None:
        """Fetch what SMN has under that name, and remember it; None if that remains unknown."""
        answer = await self._transport.send(Call("GET", url, ""), {}, min(TIMEOUT_S, context.remaining()))
        if not isinstance(answer, Answer):
            return None
        is_missing = answer.status in (400, 403, 404)
        body = (answer.body or b"") if answer.status == 200 else b""
        found = read(body) if len(body) <= MAX_CERTIFICATE_BYTES else []
        if not found and not is_missing:
            return None
        return self._keep(url, Fetched(found, context.received_at))

    def _keep(self, url: str, fetched: Fetched) -> Fetched:
        """Remember a result. Names that SMN lacks are evicted first: strangers can invent any number of them."""
        self._known.pop(url, None)
        if len(self._known) >= MAX_NAMES:
            missing = (name for name, known in self._known.items() if not known.certificates)
            del self._known[next(missing, next(iter(self._known)))]
        self._known[url] = fetched
        return fetched


def _is_stale(known: Fetched, now: datetime) -> bool:
    """Whether to fetch again: no certificate is valid now, and one was when fetched, or that is over a minute ago."""
    if _valid(known.certificates, now):
        return False
    return bool(_valid(known.certificates, known.at)) or abs((now - known.at).total_seconds()) > REFETCH_INTERVAL_S


def _valid(certificates: "Sequence[Certificate]", now: datetime) -> "list[Certificate]":
    return [one for one in certificates if one.not_valid_before_utc <= now <= one.not_valid_after_utc]


def read(pem: bytes) -> "list[Certificate]":
    """The certificates in a PEM file; empty if it is not one."""
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates  # noqa: PLC0415  # heavy, for SMN alone

    try:
        return load_pem_x509_certificates(pem)
    except (ValueError, InvalidVersion):
        return []
