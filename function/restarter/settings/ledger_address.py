"""Where the ledger is (`RESTART_LEDGER`): one type for each kind of ledger. No message contains a value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from restarter.settings.bucket_address import BucketAddress, parse_bucket_address
from restarter.settings.redis_address import RedisAddress, parse_redis_address
from restarter.settings.sqlite_address import SqliteAddress, parse_sqlite_address

LEDGERS = "must be memory://, sqlite:///path, gs://, obs://, redis:// or rediss:// (+sentinel, +cluster)"


@dataclass(frozen=True, slots=True)
class MemoryAddress:
    """The memory of one instance."""

    scheme: ClassVar[str] = "memory"


LedgerAddress = MemoryAddress | SqliteAddress | BucketAddress | RedisAddress


def parse_ledger_address(text: str) -> LedgerAddress:
    """Parse an address. That of a file or of Redis is also checked to be usable on this host.

    Raises:
        ValueError: It is not an address, or cannot be used; the message says why, without a value.
    """
    if text == "memory://":
        return MemoryAddress()
    if text.startswith("sqlite://"):
        return parse_sqlite_address(text)
    if text.startswith(("gs://", "obs://")):
        return parse_bucket_address(text)
    if not re.match(r"rediss?(\+sentinel|\+cluster)?://", text):
        raise ValueError(LEDGERS)
    address = parse_redis_address(text)
    try:
        import redis.asyncio.connection  # noqa: F401, PLC0415  # an extra, only needed for Redis
    except ImportError:
        raise ValueError("needs the package redis: install the extra of that name") from None
    _check_tls_files(address.options)
    return address


def _check_tls_files(options: Mapping[str, str]) -> None:
    """Check the files by reading them as the client will.

    Raises:
        ValueError: They cannot be used.
    """
    import ssl  # noqa: PLC0415  # heavy, and not every deployment needs it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if "ssl_ca_certs" in options:
            context.load_verify_locations(cafile=options["ssl_ca_certs"])
        if "ssl_certfile" in options or "ssl_keyfile" in options:
            context.load_cert_chain(options.get("ssl_certfile", ""), options.get("ssl_keyfile"))
    except OSError:
        raise ValueError("ssl_ca_certs, ssl_certfile and ssl_keyfile must be readable PEM files") from None
