"""The types of single settings, and their checks. Only files of keys are read here; no message contains a value.

A check raises a ValueError that says what is wrong; `settings/errors.py` passes its text on.
"""

import ipaddress
import re
from base64 import b64decode
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import from_json
from pydantic_core.core_schema import no_info_plain_validator_function
from pydantic_settings import NoDecode

from restarter.settings.hours import Hours, parse_hours
from restarter.settings.ledger_address import LedgerAddress, parse_ledger_address

T = TypeVar("T")
# The 21 regions of OmsRegion in the official SDK (huaweicloudsdkoms 3.1.219).
REGIONS = (
    *("af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5"),
    *("cn-east-2", "cn-east-3", "cn-east-4", "cn-north-1", "cn-north-4", "cn-north-9", "cn-north-12"),
    *("cn-south-1", "cn-south-4", "cn-southwest-2", "la-north-2", "la-south-2", "me-east-1"),
    *("sa-brazil-1", "tr-west-1"),
)
MIN_TOKEN_LENGTH = 24
DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MAX_DAYS = 31


def _matches(pattern: re.Pattern[str], said: str) -> AfterValidator:
    """A check of a text, secret or not, against a pattern. `said`: the error's message, which never quotes the text."""

    def check(value: str | SecretStr) -> str | SecretStr:
        if not pattern.fullmatch(value if isinstance(value, str) else value.get_secret_value()):
            raise ValueError(said)
        return value

    return AfterValidator(check)


def _known_region(value: str) -> str:
    if value not in REGIONS:
        raise ValueError(f"unknown region; OMS has {', '.join(REGIONS)}")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(value: str) -> str:
    """Scheme, host and port of a URL. Keys are sent there, so plain http is for loopback only."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if "@" in parts.netloc or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("must be scheme, host and port only")
    if not re.fullmatch(r"[a-z0-9.:-]+", host):
        raise ValueError("must name a host")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError("must be https (http is for loopback only)")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port is not None else "")


def _emulator(value: str) -> str:
    """An origin, or only host and port, which Google's own clients also accept."""
    return _origin(value if "://" in value else f"http://{value}")


def _json_text(value: SecretStr) -> SecretStr:
    """The JSON of a service account's key, as Google issues it."""
    if not isinstance(json_object(value.get_secret_value()), dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004  # pydantic reports no TypeError
    return value


def _azure(value: SecretStr) -> SecretStr:
    """A connection string, «name=value;…» with the account or its endpoint, as Azure's portal shows it."""
    parts = [part.partition("=") for part in value.get_secret_value().strip().split(";") if part]
    names = {name.strip().lower() for name, equals, text in parts if equals and text}
    if not names & {"accountname", "blobendpoint"} or len(names) != len(parts):
        raise ValueError("must be like AccountName=…;AccountKey=…")
    return value


def comma_separated(value: Any) -> Any:
    """`a, b` as a tuple. A value that is not a string is left to the field's own check."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def at_least_one(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty list, which would allow nothing, or anything if it is part of a pattern."""
    if not value:
        raise ValueError("must name at least one")
    return value


def json_object(value: Any) -> Any:
    """Parse JSON text. The field's own check finds out whether it is an object."""
    try:
        return from_json(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("must be a JSON object") from None


def upper_case(value: Any) -> Any:
    """The value in upper case, so that `info` means `INFO`."""
    return value.upper() if isinstance(value, str) else value


def _webhook_secret(value: SecretStr) -> SecretStr:
    """«whsec_» and the base64 of 24 to 64 bytes (standard-webhooks 1.0.0)."""
    prefix, _, encoded = value.get_secret_value().partition("_")
    try:
        length = len(b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
    except ValueError:
        length = 0
    if prefix != "whsec" or not 24 <= length <= 64:
        raise ValueError("must be whsec_ and the base64 of 24 to 64 bytes")
    return value


def _certificates(path: Any) -> Any:
    """The certificates in a PEM file, parsed."""
    text = _file(path)
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates  # noqa: PLC0415  # heavy, for SMN alone

    try:
        return tuple(load_pem_x509_certificates(text.encode()))
    except (ValueError, InvalidVersion):
        raise ValueError("must be a PEM file with certificates") from None


def _key_set(path: Any) -> Any:
    """The keys in a file with a JSON Web Key Set, parsed."""
    text = _file(path)
    from jwt import PyJWKSet, PyJWTError  # noqa: PLC0415  # not every deployment needs it

    try:
        return PyJWKSet.from_dict(from_json(text))
    except (PyJWTError, ValueError, AttributeError, TypeError, NotImplementedError):
        raise ValueError("must be a file with a JSON Web Key Set") from None


def _file(path: Any) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, ValueError):
        raise ValueError("must be a readable file") from None


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `count` restarts of one task within a window of `window_s` seconds."""

    count: int
    window_s: float


def in_words(seconds: float) -> str:
    """A duration as a setting gives it: `24h`, `3d`."""
    unit = "s" if seconds % 60 else "m" if seconds % 3600 else "h" if seconds % 86400 or seconds == 86400 else "d"
    return f"{seconds / SECONDS[unit]:g}{unit}"


def parse_duration(value: str, max_days: int = MAX_DAYS) -> float:
    """`3d` as 259200.0 seconds.

    Raises:
        ValueError: It is not like `3d`, or is longer than `max_days`.
    """
    match = DURATION.fullmatch(value)
    if match is None or int(match[1]) * SECONDS[match[2]] > max_days * SECONDS["d"]:
        raise ValueError(f"must be like 3d: a number of s, m, h or d, up to {max_days}d")
    return int(match[1]) * SECONDS[match[2]]


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _budget(value: Any) -> Any:
    """`5/24h` as a Budget."""
    count, _, window = str(value).partition("/")
    try:
        if re.fullmatch(r"[1-9][0-9]{0,3}", count):
            return Budget(int(count), parse_duration(window))
    except ValueError:
        pass
    raise ValueError("must be like 5/24h: restarts in a window of s, m, h or d, up to 31d")


def _with_apprise(value: SecretStr) -> SecretStr:
    if find_spec("apprise") is None:
        raise ValueError("needs the package apprise: install the extra notify")
    return value


def _ledger(value: Any) -> LedgerAddress:
    return value if isinstance(value, LedgerAddress) else parse_ledger_address(str(value))


def _hours(value: Any) -> Hours:
    return value if isinstance(value, Hours) else parse_hours(str(value))


def _caller_token(value: SecretStr) -> SecretStr:
    if len(value) < MIN_TOKEN_LENGTH:
        raise ValueError(f"each token needs {MIN_TOKEN_LENGTH} characters or more; one has {len(value)}")
    return value


# White space within a key is a copying error, and a control character could split a header.
PRINTABLE = _matches(re.compile(r"[!-~]*"), "must be printable ASCII without white space")
NOT_BLANK = _matches(re.compile(r"(?s).*\S.*"), "must not be blank")
PROJECT_ID = "a project id has letters, digits, - and _ only, up to 1,024"
PROFILE_NAME = "a profile's name has up to 63 small letters, digits, - and _"
TOPIC_URN = _matches(
    re.compile(r"urn:smn:[a-z0-9-]{1,64}:[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_-]{1,255}"),
    "each topic must be like urn:smn:{region}:{project_id}:{name}",
)
DOMAIN = _matches(
    re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,9}[a-z]{2,63}"),
    "each must be a domain in small letters",
)
# Apprise itself checks the rest of an address when it sends the first message.
NOTIFY_URL = _matches(
    re.compile(r"(?s)[A-Za-z][A-Za-z0-9+.-]{0,31}://[^\n].*"),
    "must be addresses of Apprise, like mailto://… or json://…",
)
HOST_AND_PORT = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[0-9]{1,5})?")

Endpoint = Annotated[str, AfterValidator(_origin)]
EmulatorHost = Annotated[str, AfterValidator(_emulator)]
HostAndPort = Annotated[str, _matches(HOST_AND_PORT, "must be a host, or host:port")]
Region = Annotated[str, AfterValidator(_known_region)]
# It becomes part of a path and of a header.
ProjectId = Annotated[str, _matches(re.compile(r"[A-Za-z0-9_-]{1,1024}"), PROJECT_ID)]
Key = Annotated[SecretStr, Field(min_length=1, max_length=100), PRINTABLE]
Token = Annotated[SecretStr, Field(min_length=1, max_length=16384), PRINTABLE]
CallerToken = Annotated[SecretStr, Field(max_length=16384), AfterValidator(_caller_token), PRINTABLE]
ConnectionString = Annotated[SecretStr, Field(max_length=2048), AfterValidator(_azure)]
JsonAuthFile = Annotated[SecretStr, Field(max_length=65535), AfterValidator(_json_text)]
Password = Annotated[SecretStr, Field(max_length=128), NOT_BLANK]
CdnKey = Annotated[SecretStr, Field(max_length=255), NOT_BLANK]
CryptoType = Literal["DEFAULT", "KMS"]
KmsKeyId = Annotated[str, _matches(re.compile(r"[!-~]{36}"), "must have 36 printable characters")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True)]
ProfileName = Annotated[str, _matches(re.compile(r"[a-z0-9][a-z0-9_-]{0,62}"), PROFILE_NAME)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
TopicUrn = Annotated[str, TOPIC_URN]
Domain = Annotated[str, DOMAIN]
Email = Annotated[str, _matches(re.compile(r"[^@\s]{1,320}@[^@\s]{1,255}"), "each must be the address of an account")]
Origin = Annotated[str, _matches(re.compile(r"\*|[A-Za-z0-9.:-]{1,253}"), "each must be a host, or * for any")]
NotifyUrl = Annotated[SecretStr, NOTIFY_URL, AfterValidator(_with_apprise)]
Listed = Annotated[tuple[T, ...], NoDecode, BeforeValidator(comma_separated)]
# Parsed when settings are loaded: a tuple of x509 certificates, and a PyJWKSet. Their libraries are imported only if
# one is set, so the types cannot be named here.
Certificates = Annotated[Any, NoDecode, BeforeValidator(_certificates)]
KeySet = Annotated[Any, NoDecode, BeforeValidator(_key_set)]
RestartBudget = Annotated[Budget, NoDecode, BeforeValidator(_budget)]
Duration = Annotated[float, BeforeValidator(_duration)]
# Our own check is enough: pydantic's checks of each class of address would take 2 ms of each start.
LEDGER_SCHEMA = GetPydanticSchema(lambda *_: no_info_plain_validator_function(_ledger))
RestartLedger = Annotated[LedgerAddress, NoDecode, LEDGER_SCHEMA, WithJsonSchema({"type": "string"})]
HOURS_SCHEMA = GetPydanticSchema(lambda *_: no_info_plain_validator_function(_hours))
RestartHours = Annotated[Hours, NoDecode, HOURS_SCHEMA, WithJsonSchema({"type": "string"})]
