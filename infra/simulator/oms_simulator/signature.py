"""SDK-HMAC-SHA256 as the gateway computes it, straight from the vendor's steps. No I/O here.

https://support.huaweicloud.com/devg-apisign/api-sign-algorithm-002.html
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from oms_simulator.messages import Request

ALGORITHM = "SDK-HMAC-SHA256"
AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Access=(?P<access>[^\s,]+), SignedHeaders=(?P<names>[^\s,]+), "
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Authorization header says: who signed, which headers, and the proof."""

    access: str
    names: tuple[str, ...]
    signature: str


def read_claim(authorization: str) -> Claim | None:
    """The claim, or None where the header is no SDK-HMAC-SHA256."""
    match = AUTHORIZATION.fullmatch(authorization)
    return match and Claim(match["access"], tuple(match["names"].split(";")), match["signature"])


def canonical_request(request: Request, names: tuple[str, ...]) -> str:
    """Six parts, each on its line. Names are sorted here, whatever the client did."""
    ordered = sorted(name.lower() for name in names)
    headers = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in ordered)
    parts = (
        request.method.upper(),
        _canonical_path(request.path),
        _canonical_query(request.query),
        headers,
        ";".join(ordered),
        _body_hash(request, ordered),
    )
    return "\n".join(parts)


def signature(secret: str, date: str, canonical: str) -> str:
    """The key is the secret itself: no date or region is mixed in."""
    hashed = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    to_sign = f"{ALGORITHM}\n{date}\n{hashed}"
    return hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def _canonical_path(path: str) -> str:
    """Unescapes first and splits then, so an escaped slash is signed as a real one: the vendor's own trap."""
    escaped = "/".join(_escape(part) for part in unquote(path).split("/"))
    return escaped if escaped.endswith("/") else f"{escaped}/"


def _canonical_query(query: str) -> str:
    """Sorted pairs. A plus sign is a plus sign here: only %20 is a space to a signature."""
    fields = (field.partition("=") for field in query.split("&") if field)
    pairs = sorted((unquote(name), unquote(value)) for name, _, value in fields)
    return "&".join(f"{_escape(name)}={_escape(value)}" for name, value in pairs)


def _escape(text: str) -> str:
    return quote(text, safe="~", errors="surrogateescape")


def _body_hash(request: Request, signed: list[str]) -> str:
    if request.body and "x-sdk-content-sha256" in signed:
        return request.headers.get("x-sdk-content-sha256", "")
    return hashlib.sha256(request.body).hexdigest()
