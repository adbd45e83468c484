"""CreateToken: a token of IAM for a user's password. No I/O here.

https://support.huaweicloud.com/intl/en-us/api-iam/iam_30_0001.html
«POST /v3/auth/tokens … the token is the response header X-Subject-Token», valid for 24 hours.
"""

import json
from datetime import datetime
from typing import NamedTuple

from pydantic import SecretStr

from restarter.http.call import Answer, Call
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.oms.error_codes import read_error
from restarter.settings.model import Settings


class IamToken(NamedTuple):
    """A token, and when it expires."""

    token: SecretStr
    expires_at: datetime


def login_cache_key(settings: Settings) -> tuple[str, ...]:
    """What identifies a login: endpoint, domain, user and password."""
    password = settings.iam_password.get_secret_value() if settings.iam_password else ""
    return str(settings.iam_endpoint), str(settings.iam_domain), str(settings.iam_user), password


def build_login(settings: Settings, project_id: str) -> Call:
    """The request for a token of one project, by the password method."""
    assert settings.iam_password is not None  # noqa: S101  # for mypy: settings have all three or none
    user = {
        "domain": {"name": settings.iam_domain},
        "name": settings.iam_user,
        "password": settings.iam_password.get_secret_value(),
    }
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": project_id}}}}
    origin = settings.iam_endpoint or f"https://iam.{settings.region_of(project_id)}.myhuaweicloud.com"
    headers = {"Content-Type": "application/json;charset=utf8"}
    content = json.dumps(body).encode()
    return Call("POST", origin, "/v3/auth/tokens", (("nocatalog", "true"),), headers, content, "CreateToken")


def interpret_token(answer: Answer) -> IamToken | Outcome:
    """The token, or the outcome. A refused password is rejected: more attempts with it would lock the user."""
    if answer.status == 201 and answer.subject_token:
        try:
            expires_at = datetime.fromisoformat(answer.document["token"]["expires_at"])
        except (KeyError, TypeError, ValueError):
            expires_at = None
        if expires_at is not None and expires_at.tzinfo is not None:
            return IamToken(answer.subject_token, expires_at)
    if answer.status < 300 or answer.status == 429 or answer.status >= 500:
        return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.IAM, oms_status=answer.status)
    error = read_error(answer)
    return error if error.reason is Reason.OMS_KEY else error._replace(kind=Kind.REJECTED, reason=Reason.IAM)
