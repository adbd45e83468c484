"""Clients of Redis for each kind of address. They connect at their first use, and again after a connection breaks."""

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from restarter.settings.redis_address import RedisAddress, Topology

# Short, because nodes that do not respond are tried one after the other within the time of one command.
CONNECT_TIMEOUT_S = 0.5
# Every Redis speaks protocol 2, and no driver is announced, so that opening a connection takes few commands. The
# ledger's own timeout ends each command. If a connection broke while it was idle, the next command notices it: one
# repetition is enough, and every command may be repeated.
COMMON: dict[str, Any] = {
    "decode_responses": True,
    "protocol": 2,
    "driver_info": None,
    "socket_timeout": None,
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
    "retry": Retry(NoBackoff(), 1),
}
ASK_SENTINEL = {"socket_timeout": CONNECT_TIMEOUT_S}


def connect(address: RedisAddress) -> tuple[Any, ...]:
    """The client that takes commands, followed by the clients of the Sentinels that it asks for the master."""
    tls = _tls(address)
    user: Mapping[str, Any] = address.user.get_secret_value()
    if address.topology is Topology.CLUSTER:
        nodes = [ClusterNode(host, port) for host, port in address.nodes]
        return (RedisCluster(startup_nodes=nodes, **COMMON, **user, **tls),)
    if address.topology is Topology.SENTINEL:
        options = {**COMMON, **ASK_SENTINEL, **address.sentinel_user.get_secret_value(), **tls}
        sentinel = Sentinel(address.nodes, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        found = sentinel.master_for(address.master, db=address.database, **COMMON, **user, **tls)
        return found, *sentinel.sentinels
    host, port = address.nodes[0]
    return (Redis(host=host, port=port, db=address.database, **COMMON, **user, **tls),)


def _tls(address: RedisAddress) -> dict[str, Any]:
    if not address.tls:
        return {}
    return {**address.options, "ssl": True, "ssl_check_hostname": address.options.get("ssl_check_hostname") != "false"}
