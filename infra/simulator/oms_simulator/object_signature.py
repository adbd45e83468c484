"""Who may call the object store: OBS's signature, checked straight from the vendor's steps. The time is an argument.

https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0010.html
"""

import base64
import hashlib
import hmac
import re
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote

from oms_simulator.gateway import Auth
from oms_simulator.messages import Request
from oms_simulator.objects import Refused

AUTHORIZATION = re.compile(r"OBS (?P<access>[^\s:]+):(?P<signature>[A-Za-z0-9+/]{27}=)")
MAX_SKEW_SECONDS = 15 * 60
# Those sub-resources of a query that are signed, as far as they can be asked of this store.
SIGNED_QUERIES = ("append", "position")


def refuse_caller(request: Request, resource: str, auth: Auth, now: float) -> None:
    """Return if the call is signed by a known key. `resource`: bucket and name as they are signed; `now`: since 1970.

    Raises:
        Refused: It is not.
    """
    claim = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if claim is None:
        raise Refused(403, "AccessDenied")
    secret = auth.keys.get(claim["access"])
    if secret is None:
        raise Refused(403, "InvalidAccessKeyId")
    if abs(_date(request) - now) > MAX_SKEW_SECONDS:
        raise Refused(403, "RequestTimeTooSkewed")
    expected = hmac.new(secret.encode(), string_to_sign(request, resource).encode(), hashlib.sha1).digest()
    if not hmac.compare_digest(base64.b64encode(expected).decode(), claim["signature"]):
        raise Refused(403, "SignatureDoesNotMatch")
    if auth.security_tokens.get(claim["access"]) not in (None, request.headers.get("x-obs-security-token")):
        raise Refused(403, "InvalidSecurityToken")


def string_to_sign(request: Request, resource: str) -> str:
    """Verb, three headers, OBS's own headers, and the resource, each on its line."""
    headers = request.headers
    date = "" if "x-obs-date" in headers else headers.get("date", "")
    own = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-obs-"))
    named = [
        (name, value) for name, value in parse_qsl(request.query, keep_blank_values=True) if name in SIGNED_QUERIES
    ]
    query = "&".join(f"{name}={value}" if value else name for name, value in sorted(named))
    parts = (request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date)
    return "\n".join(parts) + f"\n{own}{resource}" + (f"?{query}" if query else "")


def _date(request: Request) -> float:
    try:
        return parsedate_to_datetime(unquote(request.headers.get("x-obs-date") or request.headers["date"])).timestamp()
    except (KeyError, ValueError):
        raise Refused(403, "AccessDenied") from None
