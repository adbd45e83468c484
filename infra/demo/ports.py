"""The fixed ports of the playground, and whether they are free."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULTS = {"PORT": 8080, "OMS_PORT": 9090, "PAGE_PORT": 9091}


class UnusablePort(Exception):
    """A port that was not given well or is taken; the message is one sentence that names its setting."""


@dataclass(frozen=True)
class Ports:
    """Where the function, the simulator and the page listen."""

    function: int
    oms: int
    page: int
    page_chosen: bool = True
    """Whether somebody asked for that port of the page; else any free one will do."""


def read_ports(environment: Mapping[str, str]) -> Ports:
    """The ports that PORT, OMS_PORT and PAGE_PORT choose, or the fixed ones.

    Raises:
        UnusablePort: One is not a number from 1 to 65535, or two are the same.
    """
    numbers = {name: _number(name, environment.get(name) or str(default)) for name, default in DEFAULTS.items()}
    chosen = bool(environment.get("PAGE_PORT"))
    function, oms, page = numbers.values()
    for one, other in (("PORT", "OMS_PORT"), ("PORT", "PAGE_PORT"), ("OMS_PORT", "PAGE_PORT")):
        if numbers[one] == numbers[other] and (chosen or other != "PAGE_PORT"):
            raise UnusablePort(f"{one} and {other} are both {numbers[one]}: give them different ones.")
    return Ports(function, oms, page, chosen)


def check_free(ports: Ports) -> None:
    """All can be listened on now; the page's is not looked at where nobody chose it.

    Raises:
        UnusablePort: One cannot.
    """
    wanted = [("PORT", ports.function), ("OMS_PORT", ports.oms)]
    wanted += [("PAGE_PORT", ports.page)] if ports.page_chosen else []
    for name, port in wanted:
        if why := _obstacle(port):
            free = _free_after(port, {ports.function, ports.oms, ports.page})
            raise UnusablePort(f"Port {port} {why}: choose another with {name}, for example {name}={free}.")


def _free_after(port: int, others: set[int]) -> int:
    """The next free port that is none of the others; the one before it, where there is none."""
    free = (one for one in range(port + 1, 65536) if one not in others and not _obstacle(one))
    return next(free, port - 1)


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
