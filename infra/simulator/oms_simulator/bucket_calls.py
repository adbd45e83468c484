"""ShowBucketRegion and CheckPrefix, by the fields of the official SDK; buckets are those of the tasks. No I/O here."""

from typing import Any

from oms_simulator.messages import Answer, Request, found, refused
from oms_simulator.routes import Route
from oms_simulator.storage_keys import read_body
from oms_simulator.world import World

REGION_FIELDS = {"cloud_type", "ak", "sk", "json_auth_file", "connection_string", "app_id", "bucket_name"}
PREFIX_FIELDS = {*REGION_FIELDS, "file_name", "data_center", "security_token"}
REQUIRED = {"cloud_type", "bucket_name", "file_name", "data_center"}


def show_bucket_region(world: World, where: Route, request: Request, now: float) -> Answer:
    """The region of a bucket that the keys open. Nothing documents the codes of a refusal: these are the likeliest."""
    node = _opened(world, request, now, REGION_FIELDS)
    if isinstance(node, str):
        return refused("OMS.0155" if node == "OMS.1014" else node)
    return found({"id": node.get("region"), "name": node.get("region"), "support": True})


def check_prefix(world: World, where: Route, request: Request, now: float) -> Answer:
    """Whether there is anything below a prefix."""
    node = _opened(world, request, now, PREFIX_FIELDS)
    return refused(node) if isinstance(node, str) else found({"exist": True})


def _opened(world: World, request: Request, now: float, fields: set[str]) -> dict[str, Any] | str:
    """The bucket as a task names it, or the code of the refusal."""
    body = read_body(request.body)
    if body is None:
        return "OMS.0067"
    if not body.keys() <= fields:
        return "OMS.0074"
    if not REQUIRED & fields <= body.keys():
        return "OMS.1004"
    if not all(isinstance(value, str) for value in body.values()):
        return "OMS.0064"
    keys = world.storage_keys
    if keys and (body.get("ak") not in keys or keys[body["ak"]] != body.get("sk")):
        return "OMS.1014"
    nodes = (task.facts[name] for task in world.tasks(now) for name in ("src_node", "dst_node"))
    named = (node for node in nodes if node and node["bucket"] == body["bucket_name"])
    return next(named, "OMS.1014")
