"""SMN's certificates: fetched from SMN's own hosts alone, cached, and checked for their dates at each use.

https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9004.html asks to verify the server it is taken from.
"""

import asyncio
import re
from typing import TYPE_CHECKING

from restarter.http.call import Answer, Call
from restarter.http.transport import Sender
from restarter.model.delivery import DeliveryContext
from restarter.model.errors import AuthenticationUnavailable
from restarter.settings.model import Settings

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_CERTIFICATE_BYTES = 16 * 1024
TIMEOUT_S = 2.0  # SMN itself waits five seconds for the whole answer
CERTIFICATE_CACHE_SIZE = 16


class Certificates:
    """The pinned certificates, or those that SMN publishes."""

    def __init__(self, settings: Settings, transport: Sender) -> None:
        self._pinned = settings.caller_smn_certificate
        self._domains = settings.caller_smn_domains
        self._transport = transport
        self._cache: dict[str, list[Certificate]] = {}
        self._fetching = asyncio.Lock()

    async def find(self, url: str, topic_urn: str, context: DeliveryContext) -> list["Certificate"]:
        """The certificates that may have signed a message and are valid now; none for a URL that is not SMN's.

        Raises:
            AuthenticationUnavailable: The certificate could not be fetched.
        """
        if self._pinned is not None:
            found = read(self._pinned.encode())
        elif is_smn_url(url, topic_urn, self._domains):
            found = await self._fetched(url, context)
        else:
            found = []
        return [one for one in found if one.not_valid_before_utc <= context.received_at <= one.not_valid_after_utc]

    async def _fetched(self, url: str, context: DeliveryContext) -> list["Certificate"]:
        """From the cache, or by one fetch that deliveries which need it at the same time share."""
        if url not in self._cache:
            async with self._fetching:
                if url not in self._cache:
                    return await self._fetch(url, context)
        return self._cache[url]

    async def _fetch(self, url: str, context: DeliveryContext) -> list["Certificate"]:
        answer = await self._transport.send(Call("GET", url, ""), {}, min(TIMEOUT_S, context.remaining()))
        if isinstance(answer, Answer) and answer.status in (400, 403, 404):
            return []
        body = (answer.body or b"") if isinstance(answer, Answer) and answer.status == 200 else b""
        found = read(body) if len(body) <= MAX_CERTIFICATE_BYTES else []
        if not found:
            raise AuthenticationUnavailable("smn: the certificate could not be fetched")
        while len(self._cache) >= CERTIFICATE_CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        self._cache[url] = found
        return found


def is_smn_url(url: str, topic_urn: str, domains: tuple[str, ...]) -> bool:
    """Whether the certificate is where SMN keeps those of the topic's region: no port, no query, no other path."""
    region = topic_urn.split(":")[2]
    hosts = "|".join(re.escape(f"smn.{region}.{domain}") for domain in domains)
    return re.fullmatch(rf"https://({hosts})/smn/SMN_[A-Za-z0-9_-]{{1,128}}\.pem", url) is not None


def read(pem: bytes) -> list["Certificate"]:
    """The certificates in a PEM file; none if it is no such file."""
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates  # noqa: PLC0415  # heavy, for SMN alone

    try:
        return load_pem_x509_certificates(pem)
    except (ValueError, InvalidVersion):
        return []
