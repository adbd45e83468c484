"""Where a Redis ledger is: one server, Sentinels that name one, or a cluster. No I/O; no message contains a value.

    redis://user:password@host:6379/0
    redis+sentinel://user:password@host:26379,host:26379/master/0
    redis+cluster://user:password@host:6379,host:6379

With `rediss` instead of `redis`, every connection uses TLS.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, unquote

from pydantic import Secret

TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = (*TLS_FILES, "ssl_check_hostname")
SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
ADDRESS = re.compile(
    r"redis(s?)(?:\+(sentinel|cluster))?://(?:([^:/?#]*)(?::([^/?#]*))?@)?([^@/?#]*)(/[^?#]*)?(?:\?([^#]*))?"
).fullmatch
NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,64})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?")
NO_ADDRESS = "is not an address of Redis"
NOBODY: Secret[Mapping[str, str]] = Secret({})


class Topology(Enum):
    """How the server that takes writes is found."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A parsed address. Users and passwords stay out of `repr`."""

    topology: Topology
    nodes: tuple[tuple[str, int], ...]
    """Host and port of the server, of the Sentinels, or of some nodes of the cluster."""
    tls: bool
    user: Secret[Mapping[str, str]] = NOBODY
    """`username` and `password`, if they are given."""
    master: str = ""
    """The master's name in Sentinel."""
    sentinel_user: Secret[Mapping[str, str]] = NOBODY
    """The same, for the Sentinels."""
    database: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    """Options for TLS."""
    passwords: Secret[tuple[str, ...]] = field(default=Secret(()), compare=False)
    """All passwords, decoded and as the address spells them."""

    @property
    def scheme(self) -> str:
        """The scheme of the address."""
        plus = "" if self.topology is Topology.SINGLE else f"+{self.topology.value}"
        return f"redis{'s' if self.tls else ''}{plus}"


def parse_redis_address(text: str) -> RedisAddress:
    """Parse an address. User, password and master are percent-decoded.

    Raises:
        ValueError: The text is not an address; the message says what is wrong, without a value.
    """
    parts = ADDRESS(text)
    if parts is None:
        raise ValueError(NO_ADDRESS)
    tls, kind, username, password, hosts, path, query = (part or "" for part in parts.groups())
    topology = Topology(kind or "single")
    nodes, (master, database) = _nodes(hosts, topology), _path(path, topology)
    options = _options(query, topology, tls=bool(tls))
    sentinel_user = _user(*(options.pop(name, "") for name in SENTINEL_OPTIONS))
    spelled = (password, *re.findall(r"(?:^|&)sentinel_password=([^&]+)", query))
    return RedisAddress(
        topology=topology,
        nodes=nodes,
        tls=bool(tls),
        user=Secret(_user(unquote(username), unquote(password))),
        master=master,
        sentinel_user=Secret(sentinel_user),
        database=database,
        options=options,
        passwords=Secret((*spelled, unquote(password), sentinel_user.get("password", ""))),
    )


def _user(username: str, password: str) -> dict[str, str]:
    return {name: value for name, value in (("username", username), ("password", password)) if value}


def _nodes(hosts: str, topology: Topology) -> tuple[tuple[str, int], ...]:
    matches = [NODE.fullmatch(host) for host in hosts.split(",")]
    default = 26379 if topology is Topology.SENTINEL else 6379
    nodes = tuple((match[1] or match[2], int(match[3] or default)) for match in matches if match)
    if len(nodes) < len(matches) or not all(0 < port < 65536 for _, port in nodes):
        raise ValueError(NO_ADDRESS)
    if topology is Topology.SINGLE and len(nodes) > 1:
        raise ValueError("names several servers: say redis+sentinel:// or redis+cluster://")
    return nodes


def _path(path: str, topology: Topology) -> tuple[str, int]:
    """The name of the master, and the number of the database."""
    names = [unquote(name) for name in path.split("/") if name]
    master = names.pop(0) if topology is Topology.SENTINEL and names else ""
    if topology is Topology.SENTINEL and not master:
        raise ValueError("names no master: redis+sentinel://host:26379/master")
    database = names.pop(0) if names else "0"
    if names or not re.fullmatch(r"[0-9]{1,3}", database):
        raise ValueError("must end with the number of a database, or nothing")
    if topology is Topology.CLUSTER and int(database):
        raise ValueError("names a database: a cluster has number 0 only")
    return master, int(database)


def _options(query: str, topology: Topology, *, tls: bool) -> dict[str, str]:
    known = (*(TLS_OPTIONS if tls else ()), *(SENTINEL_OPTIONS if topology is Topology.SENTINEL else ()))
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if not options.keys() <= set(known) or len(options) < len(pairs):
        raise ValueError(f"has an option that is unknown here or repeated; there are {', '.join(known) or 'none'}")
    if options.get("ssl_check_hostname", "true") not in ("true", "false"):
        raise ValueError("ssl_check_hostname must be true or false")
    return options
