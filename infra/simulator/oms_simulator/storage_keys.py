"""What StartTask accepts as its body: one table of bounds and three questions. No I/O here."""

from typing import Any

from oms_simulator.messages import decode

# https://support.huaweicloud.com/api-oms/StartTask.html
TEXT_BOUNDS = {
    "src_ak": (1, 100),
    "src_sk": (1, 100),
    "connection_string": (0, 2048),
    "json_auth_file": (0, 65535),
    "src_security_token": (0, 16384),
    "dst_ak": (1, 100),
    "dst_sk": (1, 100),
    "dst_security_token": (0, 16384),
    "source_cdn_authentication_key": (0, 255),
    "src_kms_key_id": (36, 36),
    "dst_kms_key_id": (36, 36),
    "source_cdn_kms_key_id": (36, 36),
}
CRYPTO_FIELDS = {"src_crypto_type", "dst_crypto_type", "source_cdn_crypto_type"}
CRYPTO_TYPES = ("DEFAULT", "KMS")
FLAG = "migrate_failed_object"
FIELDS = {*TEXT_BOUNDS, *CRYPTO_FIELDS, FLAG}
REQUIRED = ("dst_ak", "dst_sk")
SOURCE_FIELDS = {
    "src_ak",
    "src_sk",
    "connection_string",
    "json_auth_file",
    "src_security_token",
    "src_crypto_type",
    "src_kms_key_id",
}


def read_body(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, or None."""
    try:
        body = decode(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def refuse_body(body: dict[str, Any]) -> str | None:
    """The code for a body that no task would take, or None."""
    if not body.keys() <= FIELDS:
        return "OMS.0074"
    if any(body.get(name) is None for name in REQUIRED):
        return "OMS.1004"
    if not all(_fits(name, value) for name, value in body.items()):
        return "OMS.0064"
    return None


def refuse_source(body: dict[str, Any], task_type: str) -> str | None:
    """The code for source keys that do not suit the task, or None.

    OMS may well ignore keys it does not need. This refuses them, so that a leak shows.
    """
    if task_type == "url_list":
        return "OMS.0057" if body.keys() & SOURCE_FIELDS else None
    pair = body.get("src_ak") and body.get("src_sk")
    if pair or body.get("connection_string") or body.get("json_auth_file"):
        return None
    return "OMS.0057"


def _fits(name: str, value: object) -> bool:
    if name == FLAG:
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if name in CRYPTO_FIELDS:
        return value in CRYPTO_TYPES
    low, high = TEXT_BOUNDS[name]
    return low <= len(value) <= high
