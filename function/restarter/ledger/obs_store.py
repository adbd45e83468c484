"""Objects in a bucket of OBS, over the function's own transport: each request is signed and sent once.

https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0080.html (PUT), obs_04_0083.html (GET)
"""

import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

from restarter.http.call import PRINTABLE, Answer, Call
from restarter.http.transport import Sender
from restarter.ledger import LedgerError, Stores
from restarter.ledger.obs_signing import sign
from restarter.ledger.splitter import Read, seconds_of
from restarter.settings.bucket_address import BucketAddress

TIMEOUT_S = 2.0  # for one request
MAX_ERROR_BYTES = 4096
CODE = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")
# Hosts without a name of their own, so no bucket can be put before it.
NAMELESS = re.compile(r"https?://(localhost|[0-9.]+|\[.*\])(:[0-9]+)?")


class ObsStore:
    """Reads and writes small objects. `now`: UTC."""

    def __init__(self, address: BucketAddress, stores: Stores, transport: Sender, now: Callable[[], datetime]) -> None:
        self._address = address
        self._origin, self._root = _place(stores.obs_endpoint, address.bucket)
        self._key = stores.key
        self._transport = transport
        self._now = now

    async def put(self, name: str, value: str, days: int) -> float:
        """Write an object that expires after `days`, and return OBS's time.

        Raises:
            LedgerError: OBS did not confirm that it was written; it may have been, or may be later.
        """
        answer = await self._send("PUT", name, value.encode(), {"x-obs-expires": str(days)})
        if answer.status != 200:
            raise _error(answer)
        return seconds_of(answer.date)

    async def get(self, name: str) -> Read:
        """Read an object.

        Raises:
            LedgerError: OBS returned neither the object nor that there is none.
        """
        answer = await self._send("GET", name)
        if answer.status == 404 and _code(answer) == "NoSuchKey":
            return Read(None, 0.0, seconds_of(answer.date))
        if answer.status != 200 or answer.body is None:
            raise _error(answer)
        return Read(answer.body.decode("utf-8", "replace"), seconds_of(answer.last_modified), seconds_of(answer.date))

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def _send(
        self, method: str, name: str, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        key = self._key()
        if key is None or not all(map(PRINTABLE.fullmatch, key.parts)):
            raise LedgerError("no key for OBS")
        path = f"/{self._address.prefix}{name}"
        call = Call(method, self._origin, self._root + quote(path), headers=headers or {}, content=content)
        signed = dict(call.headers) | sign(call, f"/{self._address.bucket}{path}", key, self._now())
        answer = await self._transport.send(call, signed, TIMEOUT_S)
        if not isinstance(answer, Answer):
            raise LedgerError(answer.reason)
        return answer


def _place(endpoint: str, bucket: str) -> tuple[str, str]:
    """The origin, and the beginning of the path. The bucket precedes the host's name, or is in the path without one."""
    if NAMELESS.fullmatch(endpoint):
        return endpoint, f"/{bucket}"
    scheme, _, host = endpoint.partition("://")
    return (endpoint if host.startswith(f"{bucket}.") else f"{scheme}://{bucket}.{host}"), ""


def _code(answer: Answer) -> str:
    """OBS's error code. Its text is never used, because it repeats what was signed."""
    found = CODE.search((answer.body or b"")[:MAX_ERROR_BYTES])
    return found[1].decode() if found else ""


def _error(answer: Answer) -> LedgerError:
    return LedgerError(f"{answer.status} {_code(answer)}".strip())
