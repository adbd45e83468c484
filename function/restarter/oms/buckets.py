"""ShowBucketRegion and CheckPrefix: whether storage keys open a task's buckets. They change nothing. No I/O here.

Their bodies are ShowBucketRegionReq and CheckPrefixReq of the official SDK, field by field in its order.
"""

import json
from typing import Any, NamedTuple

from pydantic import SecretStr

from restarter.http.call import Call
from restarter.oms.fields import member, text
from restarter.oms.project_call import project_call
from restarter.settings.model import StorageCredentials


class Bucket(NamedTuple):
    """A bucket of a task, as ShowTask returns it. `is_source`: it is the source, which the source keys open."""

    name: str
    cloud_type: str
    region: str
    prefix: str
    is_source: bool
    app_id: str | None = None
    """The id of an app at Tencent Cloud."""


def buckets_of(task: Any) -> list[Bucket]:
    """The source, unless it is a URL list, and the destination; only those that have a name."""
    source, destination = member(task, "src_node"), member(task, "dst_node")
    keys = member(source, "object_key")
    first = text(keys[0]) if isinstance(keys, list) and keys else None
    found = [_bucket(destination, "HuaweiCloud", _text(destination, "save_prefix"))]
    if member(task, "task_type") != "url_list":
        app_id = text(member(source, "app_id"))
        found.insert(0, _bucket(source, _text(source, "cloud_type"), first or "", app_id, is_source=True))
    return [bucket for bucket in found if bucket.name]


def keys_for(bucket: Bucket, credentials: StorageCredentials) -> dict[str, str]:
    """The profile's keys for a bucket, by their names in both requests; empty if the profile has none."""
    side = "src" if bucket.is_source else "dst"
    values = {name: getattr(credentials, f"{side}_{name}") for name in ("ak", "sk", "security_token")}
    if bucket.is_source:
        values |= {name: getattr(credentials, name) for name in ("json_auth_file", "connection_string")}
    return {name: value.get_secret_value() for name, value in values.items() if isinstance(value, SecretStr)}


def show_region(origin: str, project_id: str, bucket: Bucket, keys: dict[str, str]) -> Call:
    """POST /v2/{project_id}/objectstorage/buckets/regions. It takes no security token."""
    return _call(origin, project_id, "regions", _opened(bucket, keys), "ShowBucketRegion")


def check_prefix(origin: str, project_id: str, bucket: Bucket, keys: dict[str, str]) -> Call:
    """POST /v2/{project_id}/objectstorage/buckets/prefix."""
    place = {"file_name": bucket.prefix, "data_center": bucket.region, "security_token": keys.get("security_token")}
    return _call(origin, project_id, "prefix", _opened(bucket, keys) | place, "CheckPrefix")


def _opened(bucket: Bucket, keys: dict[str, str]) -> dict[str, str | None]:
    """The members with which both bodies begin."""
    body: dict[str, str | None] = {"cloud_type": bucket.cloud_type}
    body |= {name: keys.get(name) for name in ("ak", "sk", "json_auth_file", "connection_string")}
    return body | {"app_id": bucket.app_id, "bucket_name": bucket.name}


def _call(origin: str, project_id: str, what: str, body: dict[str, str | None], operation: str) -> Call:
    content = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
    return project_call("POST", origin, project_id, f"objectstorage/buckets/{what}", operation, content=content)


def _bucket(node: Any, cloud_type: str, prefix: str, app_id: str | None = None, *, is_source: bool = False) -> Bucket:
    return Bucket(_text(node, "bucket"), cloud_type, _text(node, "region"), prefix, is_source, app_id)


def _text(document: Any, name: str) -> str:
    return text(member(document, name)) or ""
