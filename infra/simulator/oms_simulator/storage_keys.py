"""What StartTask, StartTaskGroup and RetryTaskGroup accept as their body. No I/O here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from oms_simulator.messages import decode
from oms_simulator.task_fields import Cause

# https://support.huaweicloud.com/api-oms/StartTask.html
KEYS = {"src_ak": 100, "src_sk": 100, "dst_ak": 100, "dst_sk": 100}
TOKENS = {"src_security_token": 16384, "dst_security_token": 16384}
OTHER_TEXTS = {"connection_string": 2048, "json_auth_file": 65535, "source_cdn_authentication_key": 255}
KMS_IDS = {"src_kms_key_id", "dst_kms_key_id", "source_cdn_kms_key_id"}
CRYPTO_FIELDS = {"src_crypto_type", "dst_crypto_type", "source_cdn_crypto_type"}
CRYPTO_TYPES = ("DEFAULT", "KMS")
FLAG = "migrate_failed_object"
SOURCE_FIELDS = {
    "src_ak",
    "src_sk",
    "connection_string",
    "json_auth_file",
    "src_security_token",
    "src_crypto_type",
    "src_kms_key_id",
}
COMMON = {*KEYS, *OTHER_TEXTS, *KMS_IDS, *CRYPTO_FIELDS}
# How a run fails whose keys do not open a bucket.
CLOSED = {
    "src": Cause(error_code="TRF.0151", error_msg="The AK/SK of the source are invalid."),
    "dst": Cause(error_code="TRF.0057", error_msg="The AK/SK of the destination are invalid."),
}


@dataclass(frozen=True, slots=True)
class BodyRules:
    """Which fields a call knows and needs, and how short a key may be."""

    fields: Collection[str]
    required: Collection[str] = ("dst_ak", "dst_sk")
    shortest_key: int = 1


START_TASK = BodyRules({*COMMON, *TOKENS, FLAG})
# https://support.huaweicloud.com/api-oms/StartTaskGroup.html
START_GROUP = BodyRules(COMMON)
# https://support.huaweicloud.com/api-oms/RetryTaskGroup.html
RETRY_GROUP = BodyRules({*COMMON, FLAG}, required=(), shortest_key=0)


def read_body(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, or None."""
    try:
        body = decode(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def refuse_body(body: dict[str, Any], rules: BodyRules) -> str | None:
    """The code for a body that the call would never take, or None."""
    if not body.keys() <= set(rules.fields):
        return "OMS.0074"
    if any(body.get(name) is None for name in rules.required):
        return "OMS.1004"
    if not all(_fits(name, value, rules.shortest_key) for name, value in body.items()):
        return "OMS.0064"
    return None


def refuse_source(body: dict[str, Any], task_type: str) -> str | None:
    """The code for source keys that do not suit the task, or None.

    OMS may well ignore keys it does not need. This refuses them, so that a leak shows.
    """
    if task_type == "url_list":
        return refuse_source_keys(body)
    pair = body.get("src_ak") and body.get("src_sk")
    if pair or body.get("connection_string") or body.get("json_auth_file"):
        return None
    return "OMS.0057"


def refuse_source_keys(body: dict[str, Any]) -> str | None:
    """The code for a body that holds any key of a source where there is none to open, or None."""
    return "OMS.0057" if body.keys() & SOURCE_FIELDS else None


def carried_keys(body: Mapping[str, Any]) -> dict[str, str]:
    """The keys of buckets that a start carries."""
    return {name: body[name] for name in KEYS if body.get(name)}


def refuse_keys(carried: Mapping[str, str], opening: Mapping[str, str]) -> Cause | None:
    """Why a run with these keys fails, or None. `opening`: secret keys by access key; where there are none, all do."""
    for side, cause in CLOSED.items():
        access = carried.get(f"{side}_ak")
        if opening and access is not None and opening.get(access) != carried.get(f"{side}_sk"):
            return cause
    return None


def _fits(name: str, value: object, shortest_key: int) -> bool:
    if name == FLAG:
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if name in CRYPTO_FIELDS:
        return value in CRYPTO_TYPES
    if name in KMS_IDS:
        return len(value) == 36
    if name in KEYS:
        return shortest_key <= len(value) <= KEYS[name]
    return len(value) <= (TOKENS | OTHER_TEXTS)[name]
