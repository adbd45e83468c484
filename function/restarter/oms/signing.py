"""SDK-HMAC-SHA256: who calls OMS, as headers. Pure: it reads no clock and edits no input.

Rule: https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-algorithm-002.html
«the canonical request is six parts joined by newlines: method, URI, query, headers, signed header names, payload hash».
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, unquote

from restarter.http.call import Call
from restarter.model import AccessKey, AuthToken

ALGORITHM = "SDK-HMAC-SHA256"


Identity = AccessKey | AuthToken


def identify(call: Call, identity: Identity, now: datetime) -> dict[str, str]:
    """All headers of a call, with the proof of who makes it."""
    if isinstance(identity, AuthToken):
        return {**call.headers, "Host": call.host, "X-Auth-Token": identity.token.get_secret_value()}
    return {**call.headers, **sign(call, identity, now)}


def sign(call: Call, key: AccessKey, now: datetime) -> dict[str, str]:
    """The headers to add: Host, X-Sdk-Date, Authorization, and X-Security-Token for a temporary key.

    Every header of the call is signed with them. `now` is the time of signing (UTC); OMS allows 15 minutes.
    """
    date = (now if now.tzinfo is UTC else now.astimezone(UTC)).strftime("%Y%m%dT%H%M%SZ")
    added = {"Host": call.host, "X-Sdk-Date": date}
    if key.security_token is not None:
        added["X-Security-Token"] = key.security_token.get_secret_value()
    headers = {name.lower(): value.strip() for name, value in {**call.headers, **added}.items()}
    names = ";".join(sorted(headers))
    request = _canonical_request(call, headers, names)
    to_sign = f"{ALGORITHM}\n{date}\n{sha256(request).hexdigest()}"
    signature = hmac.new(key.sk.get_secret_value().encode(), to_sign.encode(), sha256).hexdigest()
    access = key.ak.get_secret_value()
    return added | {"Authorization": f"{ALGORITHM} Access={access}, SignedHeaders={names}, Signature={signature}"}


def _canonical_request(call: Call, headers: Mapping[str, str], names: str) -> bytes:
    """A slash closes the path, for signing only: on the wire there is none."""
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(call.query))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    path = quote(unquote(call.path), safe="/~").rstrip("/") + "/"
    return f"{call.method}\n{path}\n{query}\n{lines}\n{names}\n{sha256(call.content).hexdigest()}".encode()
