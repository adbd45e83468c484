"""Objects in a bucket of Cloud Storage, by its JSON API over the function's own transport.

A text is stored in the metadata of an empty object, so one read returns it with its time. Only one writer can create an
object: https://cloud.google.com/storage/docs/request-preconditions («ifGenerationMatch» of 0, «412»).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic_core import to_json

from restarter.http.call import PRINTABLE, Answer, Call
from restarter.http.transport import Sender
from restarter.ledger import LedgerError, Stores
from restarter.ledger.splitter import Read, seconds_of
from restarter.settings.bucket_address import BucketAddress

ENDPOINT: Final = "https://storage.googleapis.com"
METADATA_HOST: Final = "metadata.google.internal"
# https://cloud.google.com/run/docs/container-contract#metadata-server
TOKEN_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105  # where to ask for one
TIMEOUT_S = 2.0  # for one request
RENEW_BEFORE_S = 225.0  # the server itself issues another token in the last four minutes


class GcsStore:
    """Reads and writes small objects. `clock`: seconds since 1970, for the tokens only.

    Every method raises LedgerError if the result is not known.
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

    async def put(self, name: str, value: str, days: int) -> float:
        """Write an object, and return Google's time. The bucket's lifecycle deletes it; `days` is ignored."""
        return seconds_of(_success(await self._write(name, value)).date)

    async def create(self, name: str, value: str) -> float | None:
        """Write an object unless it exists. Returns Google's time, or None if it exists."""
        answer = await self._write(name, value, ("ifGenerationMatch", "0"))
        return None if answer.status == 412 else seconds_of(_success(answer).date)

    async def get(self, name: str) -> Read:
        """Read an object."""
        path = f"/storage/v1/b/{self._address.bucket}/o/{quote(self._address.prefix + name, safe='')}"
        answer = await self._send(Call("GET", self._origin, path, (("fields", "updated,metadata"),)))
        if answer.status == 404:
            return Read(None, 0.0, seconds_of(answer.date))
        facts = _success(answer).document
        try:
            written_at = datetime.fromisoformat(facts["updated"]).timestamp()
            return Read(str(facts["metadata"]["text"]), written_at, max(seconds_of(answer.date), written_at))
        except (TypeError, KeyError, ValueError):
            raise LedgerError("an object of somebody else") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def _write(self, name: str, value: str, *conditions: tuple[str, str]) -> Answer:
        """Write an object as multipart: the first part has its name and the text, the second is empty."""
        head = to_json({"name": self._address.prefix + name, "metadata": {"text": value}})
        part = b"--part\r\nContent-Type: application/json\r\n\r\n%b\r\n"
        path = f"/upload/storage/v1/b/{self._address.bucket}/o"
        query = (("uploadType", "multipart"), ("fields", "updated"), *conditions)
        headers = {"Content-Type": "multipart/related; boundary=part"}
        content = part % head + part % b"" + b"--part--\r\n"
        return await self._send(Call("POST", self._origin, path, query, headers, content))

    async def _send(self, call: Call) -> Answer:
        """Send a request. If its token is refused, it was not executed, and is sent again with a new token."""
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
        """The token of the function's account. It is renewed before it expires, with one request for all that wait."""
        if self._clock() < self._token_ends_at - RENEW_BEFORE_S:
            return self._token
        async with self._renewing:
            if self._clock() >= self._token_ends_at - RENEW_BEFORE_S:
                call = Call("GET", f"http://{self._metadata_host}", TOKEN_PATH)
                answer = await self._transport.send(call, {"Metadata-Flavor": "Google"}, TIMEOUT_S)
                self._keep_token(answer.document if isinstance(answer, Answer) and answer.status == 200 else None)
        return self._token

    def _keep_token(self, document: Any) -> None:
        """Keep a token that was issued. If there is none, the last one is used until it expires."""
        facts = document if isinstance(document, dict) else {}
        token, seconds = facts.get("access_token"), facts.get("expires_in")
        if isinstance(token, str) and PRINTABLE.fullmatch(token) and isinstance(seconds, int):
            self._token, self._token_ends_at = token, self._clock() + seconds
        elif self._clock() >= self._token_ends_at:
            raise LedgerError("no token from the metadata server")


def _success(answer: Answer) -> Answer:
    if answer.status != 200:
        raise LedgerError(str(answer.status))
    return answer
