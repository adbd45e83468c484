"""A request before it is sent, and its response. No I/O here."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from pydantic import SecretStr
from pydantic_core import from_json

from restarter.model.json_text import MAX_CONTAINERS, brackets
from restarter.model.outcome import Reason

PRINTABLE = re.compile(r"[!-~]{1,16384}")  # a key or token that can be sent in a header; as in settings
MAX_ERROR_BYTES = 64 * 1024  # a longer body is not an error of OMS, so it is not parsed for one
# With MAX_CONTAINERS, a bound on what is parsed, in under 50 ms. A page of 100 tasks has 1,500 objects and arrays.
MAX_COMMAS = 200_000
NO_HEADERS: Mapping[str, str] = {}


class Call(NamedTuple):
    """One HTTP request: an absolute path, query pairs in order, and headers without those that authenticate us.

    If the whole URL comes from somebody else, it is the origin, and the path is empty.
    Headers and content stay out of `repr`: the content of a start holds keys.
    """

    method: str
    origin: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = NO_HEADERS
    content: bytes = b""
    operation: str = ""
    """Its name in the API reference, for telemetry: `ShowTask`, `StartTask`."""

    def __repr__(self) -> str:
        return f"Call({self.method}, {self.operation})"

    @property
    def host(self) -> str:
        """The Host header: the name, and the port if the origin has one."""
        return self.origin.partition("://")[2].partition("/")[0]

    @property
    def target(self) -> str:
        """Path and query, encoded as they are sent."""
        return self.path + ("?" + urlencode(self.query, quote_via=quote) if self.query else "")

    @property
    def url(self) -> str:
        """The whole URL."""
        return self.origin + self.target


class Answer(NamedTuple):
    """A response. `body` is None if it was over the limit or incomplete. It stays out of `repr`."""

    status: int
    body: bytes | None = b""
    request_id: str | None = None
    subject_token: SecretStr | None = None
    """A token of IAM, which comes in a header."""
    date: str | None = None
    """The header Date as received, not checked: the server's clock."""
    last_modified: str | None = None
    """The header Last-Modified as received, not checked."""

    def __repr__(self) -> str:
        return f"Answer({self.status}, {self.request_id})"

    @property
    def document(self) -> Any:
        """The body as JSON; None if it is not JSON, as from a broken gateway, or costs too much to parse."""
        body = self.body or b""
        if len(body) > MAX_CONTAINERS and (brackets(body) > MAX_CONTAINERS or body.count(b",") > MAX_COMMAS):
            return None
        try:
            return from_json(body)
        except ValueError:
            return None

    @property
    def error_code(self) -> str | None:
        """`error_code` of OMS or its gateway. The error's text is never used, because it may echo signed headers."""
        document = self.document if len(self.body or b"") <= MAX_ERROR_BYTES else None
        code = document.get("error_code") if isinstance(document, dict) else None
        return code if isinstance(code, str) and re.fullmatch(r"[A-Z]{2,8}\.[0-9]{3,8}", code) else None


class NoAnswer(NamedTuple):
    """There is no response. `sent`: the request may have arrived."""

    sent: bool
    reason: Reason
