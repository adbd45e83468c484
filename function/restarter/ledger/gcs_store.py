"""Objects in a bucket of Cloud Storage, by its JSON API over the function's own transport.

Objects are written as multipart, with the name, small fields and the content in one request, and only where the name
still has the generation that is expected: https://cloud.google.com/storage/docs/request-preconditions («412»).
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from pydantic_core import to_json

from restarter.http.call import PRINTABLE, Answer, Call
from restarter.http.transport import Sender
from restarter.ledger import LedgerError, Stores, new_token
from restarter.settings.bucket_address import BucketAddress

ENDPOINT: Final = "https://storage.googleapis.com"
METADATA_HOST: Final = "metadata.google.internal"
# https://cloud.google.com/run/docs/container-contract#metadata-server
TOKEN_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105  # where to ask for one
TIMEOUT_S = 2.0  # for one call
RENEW_BEFORE_S = 225.0  # the server itself gives another token in the last four minutes
ABSENT: Final = "0"
"""The generation of a name that no object has."""


class Stat(NamedTuple):
    """What is known of an object."""

    generation: str
    fields: Mapping[str, Any]
    age_s: float
    """Seconds since it was written, by Google's clock; cut to whole seconds, so it may be somewhat older."""


class Content(NamedTuple):
    """What an object holds, with its generation; nothing where there is none."""

    body: bytes
    generation: str
    now: float
    """Google's time, in seconds since 1970."""


class GcsStore:
    """Reads and writes small objects. `clock`: seconds since 1970, for the tokens alone.

    Every method raises LedgerError where the result is not known.
    """

    def __init__(self, address: BucketAddress, stores: Stores, transport: Sender, clock: Callable[[], float]) -> None:
        self._address = address
        self._origin = stores.gcs_endpoint or ENDPOINT
        self._asks_token = stores.gcs_endpoint is None or stores.metadata_host is not None
        self._metadata_host = stores.metadata_host or METADATA_HOST
        self._transport = transport
        self._clock = clock
        self._token, self._token_ends_at = "", 0.0
        self._renewing = asyncio.Lock()

    async def write(
        self, name: str, fields: Mapping[str, str], generation: str | None = None, content: bytes = b""
    ) -> str | None:
        """Write an object if its name still has that `generation` (None: whatever it has); gives the new one.

        None where it has another: the object was not written.
        """
        boundary = new_token()
        head = to_json({"name": self._address.prefix + name, "metadata": fields, "contentType": "application/json"})
        parts = [
            b"--%b\r\nContent-Type: application/json\r\n\r\n%b\r\n" % (boundary.encode(), part)
            for part in (head, content)
        ]
        query = [("uploadType", "multipart"), ("fields", "generation")]
        if generation is not None:
            query.append(("ifGenerationMatch", generation))
        answer = await self._send(
            Call(
                "POST",
                self._origin,
                f"/upload/storage/v1/b/{self._address.bucket}/o",
                tuple(query),
                {"Content-Type": f"multipart/related; boundary={boundary}"},
                b"".join(parts) + f"--{boundary}--\r\n".encode(),
            )
        )
        if answer.status == 412:
            return None
        return str(_facts(answer)["generation"])

    async def stat(self, name: str) -> Stat | None:
        """Generation, fields and age of an object, if there is one."""
        answer = await self._send(self._read(name, ("fields", "generation,updated,metadata")))
        if answer.status == 404:
            return None
        facts = _facts(answer)
        try:
            written_at = datetime.fromisoformat(facts["updated"]).timestamp()
        except (TypeError, ValueError):
            raise LedgerError("no time in the answer") from None
        return Stat(str(facts["generation"]), facts.get("metadata") or {}, max(_date(answer) - written_at, 0.0))

    async def read(self, name: str) -> Content:
        """What an object holds."""
        answer = await self._send(self._read(name, ("alt", "media")))
        if answer.status == 404:
            return Content(b"", ABSENT, _date(answer))
        if answer.status != 200 or answer.body is None or answer.generation is None:
            raise LedgerError(str(answer.status))
        return Content(answer.body, answer.generation, _date(answer))

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    def _read(self, name: str, *query: tuple[str, str]) -> Call:
        path = quote(self._address.prefix + name, safe="")
        return Call("GET", self._origin, f"/storage/v1/b/{self._address.bucket}/o/{path}", query)

    async def _send(self, call: Call) -> Answer:
        """Send a call; one whose token was refused was not carried out, and is made with a new one."""
        token = await self._current_token() if self._asks_token else ""
        answer = await self._try(call, token)
        if answer.status != 401 or not token:
            return answer
        self._token_ends_at = 0.0 if token == self._token else self._token_ends_at
        return await self._try(call, await self._current_token())

    async def _try(self, call: Call, token: str) -> Answer:
        headers = {**call.headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = await self._transport.send(call, headers, TIMEOUT_S)
        if not isinstance(answer, Answer):
            raise LedgerError(answer.reason)
        return answer

    async def _current_token(self) -> str:
        """The token of the function's account, which is renewed before it ends; one request for all that wait."""
        if self._clock() < self._token_ends_at - RENEW_BEFORE_S:
            return self._token
        async with self._renewing:
            if self._clock() >= self._token_ends_at - RENEW_BEFORE_S:
                call = Call("GET", f"http://{self._metadata_host}", TOKEN_PATH)
                answer = await self._transport.send(call, {"Metadata-Flavor": "Google"}, TIMEOUT_S)
                self._keep_token(answer.document if isinstance(answer, Answer) and answer.status == 200 else None)
        return self._token

    def _keep_token(self, document: Any) -> None:
        """Keep a token that was given; the one before may be used to its end."""
        facts = document if isinstance(document, dict) else {}
        token, seconds = facts.get("access_token"), facts.get("expires_in")
        if isinstance(token, str) and PRINTABLE.fullmatch(token) and isinstance(seconds, int):
            self._token, self._token_ends_at = token, self._clock() + seconds
        elif self._clock() >= self._token_ends_at:
            raise LedgerError("no token from the metadata server")


def _facts(answer: Answer) -> dict[str, Any]:
    """The resource in an answer."""
    facts = answer.document
    if answer.status != 200 or not isinstance(facts, dict) or "generation" not in facts:
        raise LedgerError(str(answer.status))
    return facts


def _date(answer: Answer) -> float:
    """Google's time, in seconds since 1970."""
    try:
        return parsedate_to_datetime(answer.date or "").timestamp()
    except ValueError:
        raise LedgerError("no time in the answer") from None
