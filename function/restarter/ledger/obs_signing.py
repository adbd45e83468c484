"""OBS's own signature. Pure: it reads no clock and edits no input.

Rule: https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0010.html
«Authorization: OBS AccessKeyID:signature», where the signature is the base64 of an HMAC-SHA1 of StringToSign.
Its date line is empty, because `x-obs-date` is always sent.
"""

import hmac
from base64 import b64encode
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

from restarter.http.call import Call
from restarter.model.delivery import AccessKey


def sign(call: Call, resource: str, key: AccessKey, now: datetime) -> dict[str, str]:
    """Headers that sign `call`: Host, x-obs-date, Authorization, and x-obs-security-token for a temporary key.

    `resource`: bucket and name of the object, `/bucket/name`, not encoded; the call has no query. `now`: UTC; OBS
    accepts 15 minutes of skew.
    """
    added = {"Host": call.host, "x-obs-date": format_datetime(now, usegmt=True)}
    if key.security_token is not None:
        added["x-obs-security-token"] = key.security_token.get_secret_value()
    headers = {name.lower(): value.strip() for name, value in {**call.headers, **added}.items()}
    own = "".join([f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-obs-")])
    parts = (call.method, headers.get("content-md5", ""), headers.get("content-type", ""), "", own + quote(resource))
    digest = hmac.digest(key.sk.get_secret_value().encode(), "\n".join(parts).encode(), "sha1")
    return added | {"Authorization": f"OBS {key.ak.get_secret_value()}:{b64encode(digest).decode()}"}
