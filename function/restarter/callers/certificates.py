"""SMN's certificates: fetched from SMN's own hosts alone, kept, and checked for their dates at each use.

https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9004.html asks to verify the server it is taken from.
"""

import asyncio
import re
from typing import TYPE_CHECKING

from restarter.call import Answer, Call
from restarter.errors import CannotProve
from restarter.model import Visit
from restarter.settings import Settings
from restarter.transport import Transport

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LONGEST = 16 * 1024  # bytes
PATIENCE = 2.0  # seconds; SMN itself waits five for the whole answer
KEPT = 16  # certificates


class Certificates:
    """The pinned certificates, or those that SMN publishes."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self._pinned = settings.caller_smn_certificate
        self._domains = settings.caller_smn_domains
        self._transport = transport
        self._kept: dict[str, list[Certificate]] = {}
        self._fetching = asyncio.Lock()

    async def of(self, url: str, topic_urn: str, visit: Visit) -> list["Certificate"]:
        """The certificates that may have signed, and are valid at the time of the visit; none for a URL not SMN's."""
        if self._pinned is not None:
            found = read(self._pinned.encode())
        elif is_smn_url(url, topic_urn, self._domains):
            found = await self._fetched(url, visit)
        else:
            found = []
        return [one for one in found if one.not_valid_before_utc <= visit.came_at <= one.not_valid_after_utc]

    async def _fetched(self, url: str, visit: Visit) -> list["Certificate"]:
        """What was kept is there at once; the rest is fetched one after the other, for many messages need the same."""
        if url not in self._kept:
            async with self._fetching:
                if url not in self._kept:
                    return await self._fetch(url, visit)
        return self._kept[url]

    async def _fetch(self, url: str, visit: Visit) -> list["Certificate"]:
        answer = await self._transport.send(Call("GET", url, ""), {}, min(PATIENCE, visit.left_now()))
        if isinstance(answer, Answer) and answer.status in (400, 403, 404):
            return []
        body = (answer.body or b"") if isinstance(answer, Answer) and answer.status == 200 else b""
        found = read(body) if len(body) <= LONGEST else []
        if not found:
            raise CannotProve("smn: the certificate could not be fetched")
        while len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[url] = found
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
