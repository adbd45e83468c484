"""The two fixed ports of the playground, and whether they are free."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULTS = {"PORT": 8080, "OMS_PORT": 9090}


class UnusablePort(Exception):
    """A port that was not given well or is taken; the message is one sentence that names its setting."""


@dataclass(frozen=True)
class Ports:
    """Where the function and the simulator listen."""

    function: int
    oms: int


def read_ports(environment: Mapping[str, str]) -> Ports:
    """The ports that PORT and OMS_PORT choose, or the fixed ones.

    Raises:
        UnusablePort: One is not a number from 1 to 65535, or both are the same.
    """
    function, oms = (_number(name, environment.get(name) or str(default)) for name, default in DEFAULTS.items())
    if function == oms:
        raise UnusablePort(f"PORT and OMS_PORT are both {oms}: give them different ones.")
    return Ports(function, oms)


def check_free(ports: Ports) -> None:
    """Both can be listened on now.

    Raises:
        UnusablePort: One cannot.
    """
    for name, port in (("PORT", ports.function), ("OMS_PORT", ports.oms)):
        if why := _obstacle(port):
            free = port + 1 if port < 65535 else port - 1
            raise UnusablePort(f"Port {port} {why}: choose another with {name}, for example {name}={free}.")


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise UnusablePort(f"{name} must be a number from 1 to 65535.")
    return int(text)


def _obstacle(port: int) -> str | None:
    """Why nobody can listen there, or why curl would not find who does: it tries `localhost` as ::1 first."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except PermissionError:
        return "needs rights that you do not have"
    except OSError:
        return "is taken"
    try:
        socket.create_connection(("::1", port), 1).close()
    except OSError:
        return None
    return "is taken"
