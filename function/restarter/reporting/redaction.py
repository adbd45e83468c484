"""Makes texts fit to be shown: printable, bounded, and without configured secrets, whoever sent them. No I/O here."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, unquote_plus

from pydantic import BaseModel, Secret, SecretStr
from pydantic_core import from_json

from restarter.model.delivery import AccessKey
from restarter.settings.model import Settings
from restarter.settings.redis_address import RedisAddress

MASK = "***"
MIN_SECRET_LENGTH = 8  # a shorter one would hide words
MAX_TEXT_BYTES = 1024  # of one field: half a dozen fields can be that long, so a receipt stays under 16 KiB
# Control characters, C0 and C1; invisible ones and those that change the direction of text; line ends; surrogates.
UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
# What OMS sends in these fields has this form; anything else is left out.
SHAPES = {
    "oms_error_code": re.compile(r"[A-Z]{2,8}\.[0-9]{3,8}"),
    "failure_reason": re.compile(r"[A-Z]{2,8}\.[0-9]{3,8}"),
    "oms_request_id": re.compile(r"[0-9A-Fa-f-]{1,64}|[A-Za-z0-9._-]{1,16}"),  # a key is longer, or not hexadecimal
}


class Mask:
    """Knows every secret of one set of settings, and hides them."""

    def __init__(self, settings: Settings) -> None:
        self._secrets = Secret(_long_ones(secrets_in(settings)))

    def text(self, text: str, lent: AccessKey | None = None) -> str:
        """The text, printable, with MASK in place of each secret. `lent`: a key that came with the delivery."""
        return _masked(text, self._known(lent))

    def receipt(self, facts: Mapping[str, Any], lent: AccessKey | None = None) -> dict[str, Any]:
        """The receipt, fit to be shown: texts are masked, then truncated. A field that breaks its SHAPES is omitted."""
        secrets = self._known(lent)
        return {
            # A StrEnum is one of our own words; any other text comes from outside.
            name: _cut(_masked(value, secrets)) if isinstance(value, str) and not isinstance(value, StrEnum) else value
            for name, value in facts.items()
            if name not in SHAPES or SHAPES[name].fullmatch(str(value))
        }

    def _known(self, lent: AccessKey | None) -> tuple[str, ...]:
        return (*self._secrets.get_secret_value(), *(_long_ones(lent.parts) if lent else ()))


def _masked(text: str, secrets: Iterable[str]) -> str:
    """The text without secrets, and without characters that control a terminal or hide others."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text if text.isprintable() else UNPRINTABLE.sub("\ufffd", text)


def _cut(text: str) -> str:
    """The text, truncated to at most MAX_TEXT_BYTES of UTF-8."""
    is_short = len(text) * 4 <= MAX_TEXT_BYTES  # a character takes four bytes at the most
    return text if is_short else text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")


def secrets_in(settings: BaseModel) -> Iterator[str]:
    """Every secret in the settings, and the secret parts of those that are more than the secret alone."""
    for name in type(settings).model_fields:
        yield from _secrets_of(getattr(settings, name))


def _secrets_of(value: Any) -> Iterator[str]:
    match value:
        case SecretStr():
            yield from _spellings(value.get_secret_value())
        case RedisAddress():
            yield from value.passwords.get_secret_value()
        case BaseModel():
            yield from secrets_in(value)
        case tuple():
            for one in value:
                yield from _secrets_of(one)
        case dict():
            for one in value.values():
                yield from _secrets_of(one)


def _spellings(secret: str) -> Iterator[str]:
    """A secret, and its secret parts if it is a document, a connection string or an address."""
    yield secret
    if re.match(r"[A-Za-z0-9+.-]{1,32}://", secret):  # an address in NOTIFY_URLS: any part of it may be a token
        yield from (read(part) for part in re.split(r"[/:@?&=]+", secret) for read in (str, unquote, unquote_plus))
    yield secret.removeprefix("whsec_")
    yield from re.findall(r"(?:AccountKey|SharedAccessSignature)=([^;]{1,2048})", secret)
    with suppress(ValueError, TypeError):  # it is not a document
        document = from_json(secret)
        yield from (str(document[name]) for name in ("private_key", "private_key_id") if name in document)


def _long_ones(secrets: Iterable[str]) -> tuple[str, ...]:
    """The long enough secrets, longest first: else masking a short one could leave parts of a longer one."""
    return tuple(sorted({secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH}, key=len, reverse=True))
