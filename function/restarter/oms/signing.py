"""SDK-HMAC-SHA256: headers that authenticate us to OMS. Pure: it reads no clock and edits no input.

Rule: https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-algorithm-002.html
«the canonical request is six parts joined by newlines: method, URI, query, headers, signed header names, payload hash».
"""

import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, unquote

from restarter.http.call import Call
from restarter.model.delivery import AccessKey, AuthToken

ALGORITHM = "SDK-HMAC-SHA256"
EMPTY_SHA256 = sha256(b"").hexdigest()
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]*")  # a path that needs no escaping


Identity = AccessKey | AuthToken


def identify(call: Call, identity: Identity, now: datetime) -> dict[str, str]:
    """All headers of a request, including those that authenticate us. `now`: current time."""
    if isinstance(identity, AuthToken):
        return {**call.headers, "Host": call.host, "X-Auth-Token": identity.token.get_secret_value()}
    return {**call.headers, **sign(call, identity, now)}


def sign(call: Call, key: AccessKey, now: datetime) -> dict[str, str]:
    """Headers that sign `call`: Host, X-Sdk-Date, Authorization, and X-Security-Token for a temporary key.

    They also sign every header of the call. `now`: current time; OMS accepts 15 minutes of skew.
    """
    date = _date(int(now.timestamp()))
    added = {"Host": call.host, "X-Sdk-Date": date}
    if key.security_token is not None:
        added["X-Security-Token"] = key.security_token.get_secret_value()
    headers = sorted([(name.lower(), value.strip()) for name, value in {**call.headers, **added}.items()])
    names = ";".join([name for name, _ in headers])
    request = _canonical_request(call, headers, names)
    to_sign = f"{ALGORITHM}\n{date}\n{sha256(request).hexdigest()}"
    signature = hmac.digest(key.sk.get_secret_value().encode(), to_sign.encode(), "sha256").hex()
    access = key.ak.get_secret_value()
    return added | {"Authorization": f"{ALGORITHM} Access={access}, SignedHeaders={names}, Signature={signature}"}


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    """A second since 1970 as `20260102T030405Z`. Made for each request, it would take a fifth of a signature."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")


def _canonical_request(call: Call, headers: Sequence[tuple[str, str]], names: str) -> bytes:
    """Six parts joined by newlines. The path gets a slash at its end for signing only; the request has none."""
    query = "&".join([f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(call.query)])
    lines = "".join([f"{name}:{value}\n" for name, value in headers])
    plain = PLAIN_PATH.fullmatch(call.path)
    path = (call.path if plain else quote(unquote(call.path), safe="/~")).rstrip("/") + "/"
    body = sha256(call.content).hexdigest() if call.content else EMPTY_SHA256
    return f"{call.method}\n{path}\n{query}\n{lines}\n{names}\n{body}".encode()
